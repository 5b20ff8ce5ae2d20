//! What all operations of an open vault share.
//!
//! Lock order, first to last: `staging` (one directory to build in is made or removed at a time), `moving` (one move of a directory to another at a time), `checkpoint` (one checkpoint at a
//! time), a file's `io` (of one file at a time), `gate` (read by every change; written by a checkpoint while it takes its
//! snapshot, and by whoever settles), node states (smaller inode number first; whoever holds the gate alone needs no order), the frames of one payload, then any one of the small
//! locks here (`dirty`, `links`, the table's, a payload's index), then the journal's. While settling, `tails` comes before
//! the node states; else it is one of the small ones, which cannot clash, as settling holds the gate alone.
//! None but the first two is held across a sync; the gate is not held while a change waits for a checkpoint. A checkpoint may
//! wait for the space of changes that are being made: `io` is taken after that space. Nobody waits for `io` with the gate or a
//! state held, and of a file's content nothing is sealed, stored or read but with `io` alone.
use super::{
    cache::Cache,
    dir::StoredSums,
    error::{Result, VaultError},
    file::{INLINE_MAX, IndexBlocks, OpenBlobs},
    flights::Flights,
    header::Copies,
    hold::Holds,
    keyring::Keyring,
    node::Node,
    scrub::Moved,
    staging::Staged,
    table::Table,
    types::{OpenOptions, State},
    unstored::AllUnstored,
    xattrs,
};
use crate::{
    crypto::{NameKey, Tag},
    engine::Pool,
    format::{ChunkSize, DirId, FileId, PayloadId, Time, Xattrs},
    journal::{Batch, Journal, JournalError},
    store::Store,
};
use parking_lot::{Condvar, Mutex, RwLock};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Bytes of inline content kept for readers that come soon after a lookup.
const CONTENT_CACHE_BYTES: usize = 24 << 20;

/// The state of an open vault.
pub(super) struct Core {
    pub store: Arc<dyn Store>,
    pub keys: Keyring,
    pub chunk: ChunkSize,
    pub compress: bool,
    pub journal: Journal,
    pub pool: Pool,
    pub table: Table,
    pub options: OpenOptions,
    pub gate: RwLock<()>,
    pub flights: Flights,
    pub checkpoint: Mutex<()>,
    /// Checkpoints done, as counted before any node they stored could leave memory.
    pub stored: AtomicU64,
    /// Bytes of log that the running checkpoint stores and that are still in memory.
    pub storing: AtomicU64,
    /// How many wait for a checkpoint: only then does it take all cores.
    pub hurried: AtomicUsize,
    /// One move of a directory to another at a time.
    pub moving: Mutex<()>,
    /// Nodes that changed since the last checkpoint began.
    pub dirty: Mutex<Vec<Arc<Node>>>,
    /// Files with something unlogged.
    pub tails: Mutex<Vec<Arc<Node>>>,
    /// What they have, while it is put into the log.
    pub rendering: Mutex<Batch>,
    tail_count: AtomicU64,
    pub links: Mutex<LinksDir>,
    /// Payloads that nothing uses any more, to be removed by the next checkpoint.
    pub dead: Mutex<Vec<PayloadId>>,
    /// Names among the new payloads that nothing claims; what lies at those payloads' own places is another matter.
    pub unclaimed: Mutex<Vec<PayloadId>>,
    /// Directories that were removed, likewise.
    pub dead_dirs: Mutex<Vec<DirId>>,
    /// Payloads of files that no entry leads to but that are in use.
    pub orphans: Mutex<HashSet<PayloadId>>,
    /// Inline content of unchanged files.
    pub contents: Mutex<Cache<Vec<u8>>>,
    /// Long extended attributes of unchanged nodes.
    pub long_xattrs: Mutex<Cache<Xattrs>>,
    /// Payloads with open objects, the one opened first in front; once for each object.
    pub open_blobs: Mutex<VecDeque<Weak<OpenBlobs>>>,
    /// What is in memory of all indexes.
    pub index_blocks: Arc<IndexBlocks>,
    /// The last segment whose checkpoint this mount has finished.
    pub applied: AtomicU64,
    /// Nodes that were read for a listing, oldest first.
    pub listed: Mutex<VecDeque<u64>>,
    /// When the oldest change was made that no checkpoint has taken.
    pub oldest_change: Mutex<Option<Instant>>,
    pub signal: Signal,
    /// Orders `Touch` records before what is logged of their nodes.
    pub touching: Mutex<()>,
    /// Something was pushed and waits for the timer.
    pub tail_waits: AtomicBool,
    /// Some node was displaced: never in a vault that nobody tampered with.
    pub any_displaced: AtomicBool,
    /// Bytes of inline content and long attributes that changed nodes hold until the next checkpoint.
    pub held: AtomicU64,
    pub read_only: AtomicBool,
    /// Objects of this length are known to be possible.
    pub holds_len: AtomicU64,
    /// Files whose content stays as it is for a while.
    pub holds: Holds,
    /// Directories in which something is built.
    pub staging: Mutex<Staged>,
    /// Bytes that checkpoints could not store.
    pub unstored: AllUnstored,
    /// What gets another place while a scrub is under way.
    pub moved: Moved,
    /// Of the header and the zone's key, for a scrub.
    pub copies: OnceLock<Copies>,
    failure: Mutex<Option<String>>,
}

/// The guards that lie apart, under `guards/links`.
pub(super) struct LinksDir {
    pub key: NameKey,
    pub stored: StoredSums,
    /// Tags of those that were read or stored.
    pub tags: HashMap<FileId, Tag>,
    /// Files that lost their last link since the last checkpoint began.
    pub gone: HashSet<FileId>,
    /// Their guards are not those that the root's guard sums up, and this mount is strict: none of them is served.
    pub refused: bool,
}

/// Wakes the two threads of the vault, and those who wait for a checkpoint.
#[derive(Default)]
pub(super) struct Signal {
    pub state: Mutex<SignalState>,
    /// The log's thread waits for this. Each has its own: a thread that is woken for nothing costs programs their place beside a
    /// reader, too (`mount::attention`).
    pub log: Condvar,
    /// The thread of checkpoints.
    pub checkpoint: Condvar,
    pub done: Condvar,
    /// The log's thread does not look by itself, within its interval, whether something waits.
    pub log_sleeps: AtomicBool,
}

/// What they are asked for.
#[derive(Default)]
pub(super) struct SignalState {
    pub stop: bool,
    pub checkpoint: bool,
    /// The log is to be written now, and not only when it is time.
    pub log: bool,
    /// Checkpoints done.
    pub count: u64,
}

/// Everything `Core::new` is told.
pub(super) struct CoreParts {
    pub store: Arc<dyn Store>,
    pub keys: Keyring,
    /// Of new files.
    pub chunk: ChunkSize,
    pub compress: bool,
    pub journal: Journal,
    pub root: FileId,
    pub links: StoredSums,
    pub options: OpenOptions,
}

impl Core {
    pub fn new(parts: CoreParts) -> Core {
        let CoreParts {
            store,
            keys,
            chunk,
            compress,
            journal,
            root,
            links,
            options,
        } = parts;
        let key = keys.name_key(&crate::format::DirId::LINKS);
        let links = LinksDir {
            key,
            stored: links,
            tags: HashMap::new(),
            gone: HashSet::new(),
            refused: false,
        };
        Core {
            store,
            keys,
            chunk,
            compress,
            journal,
            pool: Pool::new(options.threads),
            table: Table::new(root),
            gate: RwLock::new(()),
            flights: Flights::default(),
            checkpoint: Mutex::new(()),
            stored: AtomicU64::new(0),
            storing: AtomicU64::new(0),
            hurried: AtomicUsize::new(0),
            moving: Mutex::new(()),
            dirty: Mutex::default(),
            tails: Mutex::default(),
            rendering: Mutex::default(),
            tail_count: AtomicU64::new(0),
            links: Mutex::new(links),
            dead: Mutex::default(),
            unclaimed: Mutex::default(),
            dead_dirs: Mutex::default(),
            touching: Mutex::default(),
            held: AtomicU64::new(0),
            tail_waits: AtomicBool::new(false),
            any_displaced: AtomicBool::new(false),
            orphans: Mutex::default(),
            contents: Mutex::new(Cache::new(CONTENT_CACHE_BYTES)),
            long_xattrs: Mutex::new(xattrs::cache()),
            open_blobs: Mutex::default(),
            index_blocks: Arc::default(),
            applied: AtomicU64::new(0),
            listed: Mutex::default(),
            oldest_change: Mutex::new(None),
            signal: Signal::default(),
            read_only: AtomicBool::new(false),
            holds_len: AtomicU64::new(super::file::SURELY_HELD),
            holds: Holds::default(),
            staging: Mutex::default(),
            unstored: AllUnstored::default(),
            moved: Moved::default(),
            copies: OnceLock::new(),
            failure: Mutex::new(None),
            options,
        }
    }

    /// The node of an inode number that the kernel knows.
    pub fn node(&self, ino: u64) -> Result<Arc<Node>> {
        let node = self.table.get(ino).ok_or(VaultError::Stale)?;
        self.refuse_displaced(&node)?;
        node.used_at(self.table.moment());
        Ok(node)
    }

    /// Refuses changes from now on, as was asked for.
    pub fn set_read_only(&self) {
        self.read_only.store(true, Relaxed);
    }

    /// Stores everything and removes the journal.
    pub fn close(&self) -> Result<()> {
        if let Some(cause) = self.failure() {
            return Err(VaultError::CheckpointFailed { cause });
        }
        if self.read_only.load(Relaxed) {
            return Ok(());
        }
        // The kernel uses nothing any more: what no entry leads to goes.
        let orphans = std::mem::take(&mut *self.orphans.lock());
        self.dead.lock().extend(orphans);
        while self.checkpoint_now()? {}
        Ok(self.journal.remove()?)
    }

    /// For another try at opening.
    pub fn into_keys(self) -> Keyring {
        self.keys
    }

    /// What the journal says of records. If it has failed, no change can be made any more: the vault says so at once, not
    /// when the next checkpoint finds out.
    pub fn journaled(&self, done: std::result::Result<(), JournalError>) -> Result<()> {
        if done.is_err()
            && let Some(cause) = self.journal.failure()
        {
            self.fail(&cause);
        }
        Ok(done?)
    }

    /// Stops writing for good.
    pub fn fail(&self, cause: &str) {
        let mut failure = self.failure.lock();
        if failure.is_none() {
            log::error!("the vault is read-only from now on: {cause}");
            *failure = Some(cause.to_owned());
        }
        drop(failure);
        // Before anybody sees that nothing may be changed: who then has nothing to settle must not find a log that is well, and
        // take for durable what is in memory alone.
        self.journal.fail(cause);
        self.read_only.store(true, Relaxed);
    }

    pub fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .clone()
            .or_else(|| self.journal.failure())
    }

    pub fn state(&self) -> State {
        match self.failure() {
            Some(cause) => State::Failed(cause),
            None if self.read_only.load(Relaxed) => State::ReadOnly,
            None => State::ReadWrite,
        }
    }

    /// Notes that a node differs from its stored guard. The caller holds its state.
    pub fn mark_dirty(&self, node: &Arc<Node>, state: &mut super::node::NodeState) {
        let segment = self.journal.segment();
        if state.dirty < segment {
            state.dirty = segment;
            self.charge_guard(state);
            self.held.fetch_add(state.xattrs.long_len(), Relaxed);
            self.dirty.lock().push(Arc::clone(node));
            self.note_change();
        }
    }

    /// Starts the clock of the next checkpoint.
    pub fn note_change(&self) {
        let mut oldest = self.oldest_change.lock();
        if oldest.is_none() {
            *oldest = Some(Instant::now());
        }
    }

    /// Notes that a file has something unlogged. The caller holds its state.
    pub fn list_tail(&self, node: &Arc<Node>, file: &mut super::file::FileData) {
        if !file.listed {
            file.listed = true;
            self.tails.lock().push(Arc::clone(node));
            self.tail_count.fetch_add(1, SeqCst);
        }
    }

    /// Has any file something unlogged, or is it on its way into the log right now?
    pub fn has_tails(&self) -> bool {
        self.tail_count.load(SeqCst) > 0
    }

    /// Gives the list of files with something unlogged to `settle`; they count until that is done, and stay if it fails.
    pub fn take_tails(
        &self,
        settle: impl FnOnce(&[Arc<Node>], &mut Batch) -> Result<()>,
    ) -> Result<()> {
        let mut tails = self.tails.lock();
        settle(&tails, &mut self.rendering.lock())?;
        self.tail_count.fetch_sub(tails.len() as u64, SeqCst);
        tails.clear();
        Ok(())
    }

    /// Is content of this length kept in the guard?
    pub fn fits_inline(size: u64) -> bool {
        size <= INLINE_MAX
    }

    /// Keeps the inline content of a file for readers.
    pub fn keep_content(&self, ino: u64, content: Arc<Vec<u8>>) {
        let len = content.len();
        self.contents.lock().keep(ino, content, len);
    }
}

/// The time of day.
pub(super) fn now() -> Time {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Time {
            secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: since.subsec_nanos(),
        },
        Err(before) => {
            let before = before.duration();
            let secs = -i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            match before.subsec_nanos() {
                0 => Time { secs, nanos: 0 },
                nanos => Time {
                    secs: secs - 1,
                    nanos: 1_000_000_000 - nanos,
                },
            }
        }
    }
}
