//! The way to the process for pages, for all threads of the daemon that need it.
//!
//! **Never from a reader thread, and never with a lock of the vault**: the kernel waits for the answers to messages that it sends.
//! Who asks waits for whoever asked before, too; nobody on whom these wait asks at all.

use std::{mem, os::fd::OwnedFd};

use parking_lot::Mutex;

use super::{Pages, Said, notice::Notice};

/// One process, started by the first who needs it. Dropped by the last, it ends; that is waited for.
pub(in crate::mount) struct SharedPages(Mutex<Way>);

enum Way {
    /// Nobody has needed it. With `/dev/fuse`.
    Unstarted(OwnedFd),
    Open(Pages),
    /// It could not be started, or was killed.
    Closed,
}

impl SharedPages {
    pub fn new(device: OwnedFd) -> Self {
        SharedPages(Mutex::new(Way::Unstarted(device)))
    }

    /// Makes the kernel write back its pages of the bytes from `start` to `end`, forget them, and waits for that; gives whether
    /// the kernel did.
    pub fn write_back(&self, ino: u64, start: u64, end: u64) -> bool {
        Notice::write_back(ino, start, end)
            .is_some_and(|notice| self.notify(&notice) == Some(Said::Done))
    }

    /// Makes the kernel forget those of at most `NODES_MAX` nodes that nobody uses, and waits for that; what follows are its
    /// messages that it has. `None`: there is no such process, or no longer.
    pub fn forget(&self, nodes: &[u64]) -> Option<Said> {
        self.notify(&Notice::forget(nodes))
    }

    fn notify(&self, notice: &Notice) -> Option<Said> {
        let mut way = self.0.lock();
        if let Way::Unstarted(_) = *way {
            *way = start(mem::replace(&mut *way, Way::Closed));
        }
        let Way::Open(pages) = &mut *way else {
            return None;
        };
        let said = pages.notify(notice).inspect_err(|error| {
            log::warn!(
                "the process that waits for the kernel is gone, so files seem to have no holes, and memory grows with the files in use: {error}"
            );
        });
        if said.is_err() {
            *way = Way::Closed;
        }
        said.ok()
    }
}

fn start(way: Way) -> Way {
    let Way::Unstarted(device) = way else {
        return way;
    };
    match Pages::start(device) {
        Ok(pages) => Way::Open(pages),
        Err(error) => {
            log::warn!(
                "no process to wait for the kernel, so files seem to have no holes, and memory grows with the files in use: {error}"
            );
            Way::Closed
        }
    }
}
