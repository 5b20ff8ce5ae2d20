//! The lock of a store in memory, as flock(2) has it.

use crate::store::Lock;

/// Who has it: one, or so many.
#[derive(Default)]
pub(super) struct Locks {
    exclusive: bool,
    shared: usize,
}

impl Locks {
    /// Gives back what a handle had.
    pub(super) fn release(&mut self, held: Option<Lock>) {
        match held {
            Some(Lock::Exclusive) => self.exclusive = false,
            Some(Lock::Shared) => self.shared -= 1,
            None => {}
        }
    }

    /// Takes a lock for one that has `before`; false when another is in the way.
    pub(super) fn exchange(&mut self, before: Option<Lock>, kind: Lock) -> bool {
        self.release(before);
        let free = !self.exclusive && (kind == Lock::Shared || self.shared == 0);
        self.take(if free { Some(kind) } else { before });
        free
    }

    fn take(&mut self, kind: Option<Lock>) {
        match kind {
            Some(Lock::Exclusive) => self.exclusive = true,
            Some(Lock::Shared) => self.shared += 1,
            None => {}
        }
    }
}
