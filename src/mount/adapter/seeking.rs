//! Looking for data and holes, where the kernel knows more than the vault.
//!
//! What a program writes through a shared map (and every write, with the option `writeback`) lies in the kernel's pages until it is
//! written back, and the kernel asks for data and holes without doing that first. The vault sees a hole there, and who copies a
//! file by its holes would copy zeros. So no hole is told before the kernel has written back its pages of that hole. What is
//! data stays data whatever the pages hold, and is answered at once: a file without holes costs nothing more.
//!
//! What makes the kernel write waits until reader threads have taken these writes. It must not be asked for by one of them, or
//! all could come to wait for each other; so the one thread `wardfs-seek` has it done (by another process, see
//! [`pages`](crate::mount::pages)), with no lock held, and gives the answer, too. What it waits for never waits for it: the kernel
//! holds the inode's `i_rwsem` while it seeks, which writing back does not need.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;

use fuser::{Errno, ReplyLseek};

use crate::engine::threads;
use crate::vault::{Vault, VaultError, Whence};

use super::failure::{Failure, absent};
use super::{Adapter, Never, contain, kinds};
use crate::mount::pages::SharedPages;

/// How often a hole may turn out to be data before the rest of the file counts as data. A file that others fill as fast as it
/// is looked through must not keep the thread from all other files.
const ROUNDS_MAX: usize = 64;

/// Past the end of all files.
const NO_END: u64 = i64::MAX as u64;

/// Data or a hole, from where on, in which file.
#[derive(Clone, Copy)]
struct Sought {
    ino: u64,
    offset: u64,
    whence: Whence,
}

/// A message that waits for the kernel's pages.
struct Waiting {
    sought: Sought,
    reply: ReplyLseek,
}

/// What the vault says now.
struct Found {
    /// `None` where there is nothing: past the end, or no more data.
    place: Option<u64>,
    /// The hole that was seen on the way, start and end: pages of it would make another answer. Empty when there was none.
    hole: (u64, u64),
}

/// What both the reader threads and the thread for seeking need.
pub(super) struct Seeker {
    vault: Arc<Vault>,
    /// The kernel has files that are longer than the vault knows.
    writeback: bool,
    /// The kernel has no pages that are not written back, because it takes no writes.
    only_read: bool,
}

/// The way to the thread for seeking, which lives from the first message that needs it to the end of the adapter.
pub(super) struct Seeking {
    seeker: Arc<Seeker>,
    /// For the thread to keep while it lives.
    alive: Sender<Never>,
    /// `None` inside when the thread could not be started.
    queue: OnceLock<Option<Sender<Waiting>>>,
}

impl Adapter {
    pub(super) fn seek(&self, ino: u64, offset: i64, whence: i32, reply: ReplyLseek) {
        let looked = self.answer("lseek", || {
            let sought = Sought::new(ino, offset, whence)?;
            Ok((sought, self.seeking.seeker.at_once(sought)?))
        });
        match looked {
            Ok((_, Some(place))) => respond(Ok(place), reply),
            Ok((sought, None)) => {
                let waiting = Waiting { sought, reply };
                self.seeking.enqueue(waiting, &self.pages);
            }
            Err(errno) => respond(Err(errno), reply),
        }
    }
}

impl Sought {
    fn new(ino: u64, offset: i64, whence: i32) -> Result<Self, Errno> {
        Ok(Sought {
            ino,
            // Before the start there is neither data nor a hole.
            offset: u64::try_from(offset).map_err(|_| Errno::ENXIO)?,
            whence: kinds::whence(whence)?,
        })
    }
}

impl Seeking {
    pub(super) fn new(seeker: Seeker, alive: Sender<Never>) -> Self {
        Seeking {
            seeker: Arc::new(seeker),
            alive,
            queue: OnceLock::new(),
        }
    }

    fn enqueue(&self, waiting: Waiting, pages: &Arc<SharedPages>) {
        let unsent = match self.queue.get_or_init(|| self.start(Arc::clone(pages))) {
            Some(queue) => match queue.send(waiting) {
                Ok(()) => return,
                Err(mpsc::SendError(waiting)) => waiting,
            },
            None => waiting,
        };
        let Waiting { sought, reply } = unsent;
        respond(contain("lseek", || self.seeker.no_holes(sought)), reply);
    }

    fn start(&self, pages: Arc<SharedPages>) -> Option<Sender<Waiting>> {
        let (queue, waiting) = mpsc::channel();
        let (seeker, alive) = (Arc::clone(&self.seeker), self.alive.clone());
        threads::before_start();
        let thread = thread::Builder::new().name("wardfs-seek".into());
        match thread.spawn(move || {
            seeker.serve(&waiting, &pages);
            // The vault is held until here; who waits for the end of `alive` closes it.
            drop((seeker, pages));
            drop(alive);
        }) {
            Ok(_) => Some(queue),
            Err(error) => {
                log::warn!("no thread to look for holes, so files seem to have none: {error}");
                None
            }
        }
    }
}

impl Seeker {
    pub(super) fn new(vault: Arc<Vault>, writeback: bool, only_read: bool) -> Self {
        Seeker {
            vault,
            writeback,
            only_read,
        }
    }

    /// Answers until the adapter is gone.
    fn serve(&self, queue: &Receiver<Waiting>, pages: &SharedPages) {
        for Waiting { sought, reply } in queue {
            let found = contain("lseek", || self.after_writing_back(sought, pages));
            respond(found, reply);
        }
    }

    /// The answer that needs nothing of the kernel; `None` when there is no such.
    fn at_once(&self, sought: Sought) -> Result<Option<u64>, Failure> {
        if self.has_failed() {
            return self.no_holes(sought).map(Some);
        }
        let found = self.look(sought)?;
        if self.only_read || found.is_certain() {
            return found.answer().map(Some);
        }
        Ok(None)
    }

    /// Has the vault become read-only by a failure? Then the kernel would write back in vain, and drop what programs can still
    /// read in its pages.
    fn has_failed(&self) -> bool {
        !self.only_read && self.vault.read_only()
    }

    /// Has the kernel write back its pages of each hole that is seen, until one is still there afterwards.
    fn after_writing_back(&self, sought: Sought, pages: &SharedPages) -> Result<u64, Failure> {
        let mut clean = (0, 0);
        for _ in 0..ROUNDS_MAX {
            if self.has_failed() {
                break;
            }
            let found = self.look(sought)?;
            let (start, end) = found.hole;
            if found.is_certain() || clean.0 <= start && end <= clean.1 {
                return found.answer();
            }
            if !pages.write_back(sought.ino, start, end) {
                break;
            }
            clean = (start, end);
        }
        self.no_holes(sought)
    }

    fn look(&self, sought: Sought) -> Result<Found, Failure> {
        let Sought {
            ino,
            offset,
            whence,
        } = sought;
        let seek = |offset, whence| absent(self.vault.seek(ino, offset, whence), Errno::ENXIO);
        let size = self.vault.stat(ino)?.size;
        let place = seek(offset, whence)?;
        let (start, data) = match whence {
            Whence::Data => (offset, place),
            Whence::Hole => {
                let start = place.unwrap_or(offset);
                (start, seek(start, Whence::Data)?)
            }
        };
        let end = data.unwrap_or(if self.writeback { NO_END } else { size });
        Ok(Found {
            place,
            hole: (start, end),
        })
    }

    /// The answer that is never wrong, and makes copies slow and long: all is data up to the end.
    fn no_holes(&self, sought: Sought) -> Result<u64, Failure> {
        let size = self.vault.stat(sought.ino)?.size;
        if sought.offset >= size {
            return Err(VaultError::NoData.into());
        }
        Ok(match sought.whence {
            Whence::Data => sought.offset,
            Whence::Hole => size,
        })
    }
}

impl Found {
    fn is_certain(&self) -> bool {
        self.hole.0 >= self.hole.1
    }

    fn answer(&self) -> Result<u64, Failure> {
        self.place.ok_or_else(|| VaultError::NoData.into())
    }
}

fn respond(answer: Result<u64, Errno>, reply: ReplyLseek) {
    match answer.and_then(|place| i64::try_from(place).map_err(|_| Errno::EOVERFLOW)) {
        Ok(place) => reply.offset(place),
        Err(errno) => reply.error(errno),
    }
}
