//! Files whose content stays as it is for a while: who reads one piece by piece then reads a state that it had as a whole.
//!
//! Who wants to change the content waits, holding nothing. A file is held by one thread at a time, which must not wait for anybody
//! who may wait for the file. Attributes and entries are not held.
use super::{
    Vault,
    core::Core,
    error::{Result, VaultError},
    node::Node,
};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, ThreadId},
};

/// Who holds what, by inode number. A lock of its own, taken after any state.
#[derive(Default)]
pub(super) struct Holds {
    /// How many: whoever writes looks at this first.
    count: AtomicUsize,
    held: Mutex<HashMap<u64, ThreadId>>,
    released: Condvar,
}

/// A file that is held until this is dropped.
pub struct Hold<'a> {
    core: &'a Core,
    node: Arc<Node>,
}

impl Holds {
    /// Waits until nobody holds it. `None`: this thread does.
    fn wait(&self, ino: u64) -> Option<MutexGuard<'_, HashMap<u64, ThreadId>>> {
        let mut held = self.held.lock();
        loop {
            match held.get(&ino) {
                None => return Some(held),
                Some(holder) if *holder == thread::current().id() => return None,
                Some(_) => self.released.wait(&mut held),
            }
        }
    }
}

impl Core {
    fn hold(&self, node: Arc<Node>) -> Result<Hold<'_>> {
        let mut held = self.holds.wait(node.ino).ok_or(VaultError::Busy)?;
        held.insert(node.ino, thread::current().id());
        self.holds.count.fetch_add(1, Relaxed);
        drop(held);
        // Who writes is done then, and who does later sees that the file is held.
        drop(node.io.write());
        Ok(Hold { core: self, node })
    }

    /// To be asked with the state locked, before content changes.
    ///
    /// # Errors
    /// `Busy`
    pub fn refuse_held(&self, node: &Node) -> Result<()> {
        if self.holds.count.load(Relaxed) > 0 && self.holds.held.lock().contains_key(&node.ino) {
            return Err(VaultError::Busy);
        }
        Ok(())
    }

    /// Changes content, when nobody holds it.
    ///
    /// # Errors
    /// `Busy` if this thread itself does; what the change says.
    pub fn unheld<T>(&self, ino: u64, change: impl Fn() -> Result<T>) -> Result<T> {
        loop {
            match change() {
                Err(VaultError::Busy) if self.holds.wait(ino).is_some() => {}
                done => return done,
            }
        }
    }
}

#[allow(clippy::missing_errors_doc)] // As for the other methods.
impl Vault {
    /// Has the content of a file stay as it is until the hold is dropped: who would change it waits. Waits for whoever holds it
    /// already; `Busy` if that is this thread.
    pub fn hold(&self, ino: u64) -> Result<Hold<'_>> {
        self.core.hold(self.core.node(ino)?)
    }
}

#[allow(clippy::missing_errors_doc)] // As for the other methods.
impl Hold<'_> {
    /// Brings all of the content into its payload, if it has one, and waits until nothing of it is being sealed any more. False: it
    /// stays in memory, as no entry leads to the file.
    pub fn settle(&self) -> Result<bool> {
        if self.is_patched()? {
            self.core.checkpoint_now()?;
        } else {
            // One that is under way may seal what was cut off since it began.
            drop(self.core.checkpoint.lock());
        }
        Ok(!self.is_patched()?)
    }

    fn is_patched(&self) -> Result<bool> {
        let state = self.node.state.read();
        let payload = state.file()?.payload();
        Ok(state.is_orphan(&self.node)
            || payload.is_some_and(|payload| !payload.overlay.is_empty()))
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let holds = &self.core.holds;
        holds.held.lock().remove(&self.node.ino);
        holds.count.fetch_sub(1, Relaxed);
        holds.released.notify_all();
    }
}
