//! Log space that is set aside for records to come.
use super::{JournalError, log::Journal};

/// Pushed and promised records should be written when they are this long, in bytes: a frame of this size costs little more
/// than its bytes.
const ENOUGH: u64 = 512 << 10;
/// And must be when they are this long: with what some writers add meanwhile, a frame is still one that a search in a damaged
/// log tries (`search`).
const TOO_MUCH: u64 = 4 << 20;

/// How much waits to be written.
pub enum Fullness {
    /// Less than what makes a good frame.
    Little,
    /// It should be written.
    Enough,
    /// Nothing should be added before it is written.
    TooMuch,
}

impl Journal {
    /// Should what was pushed be written? Never done without being asked: a frame must hold all that was acknowledged before
    /// any of it, and what is only promised yet is pushed by the vault.
    pub fn fullness(&self) -> Fullness {
        let inner = self.inner.lock();
        match inner.batch.len() as u64 + inner.promised {
            ..ENOUGH => Fullness::Little,
            ENOUGH..TOO_MUCH => Fullness::Enough,
            TOO_MUCH.. => Fullness::TooMuch,
        }
    }

    /// Allocates space for records of `bytes` in all, to be pushed with `push_promised`.
    ///
    /// # Errors
    /// No space, or an earlier failure.
    pub fn promise(&self, bytes: u64) -> Result<(), JournalError> {
        let mut inner = self.inner.lock();
        inner.check()?;
        inner.promised += bytes;
        inner.ensure(0).inspect_err(|_| inner.promised -= bytes)
    }

    /// Gives a promise back that is no longer needed.
    pub fn release(&self, bytes: u64) {
        let mut inner = self.inner.lock();
        inner.promised = inner.promised.saturating_sub(bytes);
    }

    /// Sets space aside for what is only logged if something else fails: it makes no batch full.
    ///
    /// # Errors
    /// An earlier failure, no space.
    pub fn hold(&self, bytes: u64) -> Result<(), JournalError> {
        let mut inner = self.inner.lock();
        inner.check()?;
        inner.held += bytes;
        inner.ensure(0).inspect_err(|_| inner.held -= bytes)
    }

    /// It did not fail.
    pub fn let_go(&self, held: u64) {
        let mut inner = self.inner.lock();
        inner.held = inner.held.saturating_sub(held);
    }

    /// It has failed: what was held is promised.
    pub fn promise_held(&self, held: u64) {
        let mut inner = self.inner.lock();
        inner.held = inner.held.saturating_sub(held);
        inner.promised += held;
    }
}
