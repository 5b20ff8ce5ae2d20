//! Bounds how many files the kernel knows, and with them the daemon's memory.
//!
//! The kernel remembers each file that it was told of until it needs memory itself, and the daemon has to as long. So when there
//! are many, the kernel is told to forget those that nobody has asked for for longest (`FUSE_NOTIFY_PRUNE`, from Linux 6.18 on). It
//! forgets what nobody uses and nothing else: no open or mapped file, no working directory, no directory with something in it
//! that is known. Whoever comes next looks up anew what it has forgotten.
//!
//! The kernel may wait for answers meanwhile, so the one thread `wardfs-known` has it told (by another process, see
//! [`pages`](crate::mount::pages)), with no lock held, and no reader thread waits for that one.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use fuser::Version;

use crate::engine::threads;
use crate::mount::pages::{NODES_MAX, Said, SharedPages};
use crate::vault::Vault;

use super::{Never, contain};

/// The first version of the protocol that has the notification.
const SINCE: Version = Version(7, 45);

/// This part of what there may be goes when it is exceeded, so that it is not done again for the next file.
const SPARED: usize = 4;

/// Where too little could be forgotten it is tried again with so large a part of what there may be more, or after this time:
/// what was changed is stored by then, and files may have been closed.
const GROWTH: usize = 16;
const PAUSE: Duration = Duration::from_secs(2);

/// What the kernel has forgotten comes in messages. When none has come for so many naps, what is left is in use. Not to wait
/// for them would mean that others are told in their place.
const NAP: Duration = Duration::from_millis(20);
const NAPS_MAX: u32 = 15;

/// How many nodes there may be, and when something has to be done about it.
pub(super) struct Bound {
    vault: Arc<Vault>,
    max: usize,
    /// With so many nodes the thread is woken. `usize::MAX`: it is at work, or never will be.
    wanted: AtomicUsize,
}

/// The way to the thread, which lives from the first time that there are too many to the end of the adapter.
pub(super) struct Known {
    bound: Arc<Bound>,
    /// For the thread to keep while it lives.
    alive: Sender<Never>,
    /// `None` inside when the thread could not be started.
    wake: OnceLock<Option<Sender<()>>>,
}

/// There is nothing more to do, now or ever.
struct Over;

impl Known {
    pub(super) fn new(vault: Arc<Vault>, max: usize, alive: Sender<Never>) -> Self {
        let bound = Bound {
            vault,
            max,
            wanted: AtomicUsize::new(max.saturating_add(1)),
        };
        Known {
            bound: Arc::new(bound),
            alive,
            wake: OnceLock::new(),
        }
    }

    /// What this kernel speaks; one that does not know the notification is not asked.
    pub(super) fn negotiate(&self, kernel: Version) {
        if kernel < SINCE {
            self.bound.wanted.store(usize::MAX, Relaxed);
        }
    }

    /// Are there too many? For every message: costs nothing as long as there are not.
    pub(super) fn look(&self, pages: &Arc<SharedPages>) {
        let wanted = &self.bound.wanted;
        if self.bound.vault.node_count() < wanted.load(Relaxed)
            || wanted.swap(usize::MAX, Relaxed) == usize::MAX
        {
            return;
        }
        if let Some(wake) = self.wake.get_or_init(|| self.start(Arc::clone(pages))) {
            // It lives as long as this, unless the kernel told it that there is no use.
            let _ = wake.send(());
        }
    }

    fn start(&self, pages: Arc<SharedPages>) -> Option<Sender<()>> {
        let (wake, wakes) = mpsc::channel();
        let (bound, alive) = (Arc::clone(&self.bound), self.alive.clone());
        threads::before_start();
        let thread = thread::Builder::new().name("wardfs-known".into());
        match thread.spawn(move || {
            let Over = bound.serve(&wakes, &pages);
            // The vault is held until here; who waits for the end of `alive` closes it.
            drop((bound, pages));
            drop(alive);
        }) {
            Ok(_) => Some(wake),
            Err(error) => {
                log::warn!(
                    "no thread to bound the files that the kernel knows, so memory grows with them: {error}"
                );
                None
            }
        }
    }
}

impl Bound {
    /// Until the adapter is gone, or nothing can be done.
    fn serve(&self, wakes: &Receiver<()>, pages: &SharedPages) -> Over {
        loop {
            let woken = if self.is_exceeded() {
                wakes.recv_timeout(PAUSE)
            } else {
                wakes.recv().map_err(RecvTimeoutError::from)
            };
            if woken == Err(RecvTimeoutError::Disconnected) {
                return Over;
            }
            if let Err(over) = self.have_some_forgotten(wakes, pages) {
                return over;
            }
            let known = self.vault.node_count();
            self.wanted.store(next_try(known, self.max), Relaxed);
        }
    }

    fn is_exceeded(&self) -> bool {
        self.vault.node_count() > self.max
    }

    fn have_some_forgotten(&self, wakes: &Receiver<()>, pages: &SharedPages) -> Result<(), Over> {
        if !self.is_exceeded() {
            return Ok(());
        }
        let known = self.vault.node_count();
        let many = known.saturating_sub(self.max - self.max / SPARED);
        let Ok(mut nodes) = contain("forget", || Ok(self.vault.least_used(many))) else {
            return Ok(());
        };
        for some in nodes.chunks(NODES_MAX) {
            match pages.forget(some) {
                Some(Said::Done) => {}
                // The mount ends, or the kernel has no memory for the list.
                Some(Said::Refused) => break,
                Some(Said::Unknown) | None => return Err(Over),
            }
        }
        self.wait_for_messages(&mut nodes, wakes)
    }

    /// Waits until no more of these nodes leave memory.
    fn wait_for_messages(&self, nodes: &mut Vec<u64>, wakes: &Receiver<()>) -> Result<(), Over> {
        let mut naps = 0;
        while !nodes.is_empty() && naps < NAPS_MAX {
            if wakes.recv_timeout(NAP) == Err(RecvTimeoutError::Disconnected) {
                return Err(Over);
            }
            let before = nodes.len();
            nodes.retain(|node| self.vault.has_node(*node));
            naps = if nodes.len() < before { 0 } else { naps + 1 };
        }
        Ok(())
    }
}

/// With so many nodes it is tried again, if so many are left now.
fn next_try(known: usize, max: usize) -> usize {
    let next = if known > max {
        known.saturating_add(max / GROWTH)
    } else {
        max
    };
    next.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_one_too_many_something_is_done() {
        assert_eq!(next_try(0, 1000), 1001);
        assert_eq!(next_try(1000, 1000), 1001);
    }

    #[test]
    fn what_cannot_be_forgotten_is_not_told_for_each_file_again() {
        assert_eq!(next_try(1001, 1000), 1064);
        assert_eq!(next_try(5000, 1000), 5063);
    }

    #[test]
    fn no_bound_is_never_exceeded() {
        assert_eq!(next_try(5, usize::MAX), usize::MAX);
    }
}
