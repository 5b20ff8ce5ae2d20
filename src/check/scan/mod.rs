//! Looks at every object of a vault and at how they fit together. Writes nothing.
//!
//! First the tree, from the root's guard down; then directories that no entry leads to; then the guards that lie apart, with
//! the entries that were met; then what nobody named. Many workers share what is waiting. What stays in memory is a few dozen
//! bytes for each file, and its name and sums for each directory; never content.
//!
//! ```text
//! work    what waits        dir     a directory and its sums      entry   one entry: a guard or an alias
//! content chunks, index     links   guards that lie apart         orphans, sweep   what nobody leads to
//! excess  bytes beside those        blocked something else in the place of a directory
//! elsewhere, places, candidates   what lies in the wrong place, and where it belongs
//! made    entries that are made anew              recognise        content under another name
//! claimed content that a journal needs            compare          sums of directories
//! double  several guards of one file
//! ```
mod blocked;
mod candidates;
mod claimed;
mod compare;
mod content;
pub(super) mod dir;
mod double;
mod elsewhere;
mod entry;
mod excess;
mod links;
pub(super) mod made;
mod orphans;
mod places;
mod recognise;
mod sweep;
mod work;

use self::{
    claimed::Claimed,
    content::{Block, FileAt},
    dir::{Dir, DirWork, Reached, Sums},
    double::Newest,
    links::AliasAt,
    made::Apart,
    places::{Back, Held},
    recognise::Wanting,
    work::Work,
};
use super::{
    report::{Finding, Kind, Outcome, Seen},
    watch::{Unwatched, Watch},
};
use crate::{
    engine::Pool,
    format::{
        Content, DirId, DirState, FileId, Kind as NodeKind, Link, PayloadId, dir_path,
        is_stored_name, root_guard_path, stated_len,
    },
    store::{ObjectPath, Store, StoreError},
    vault::{
        Keyring, Needed,
        finding::words::{self, kind_of},
    },
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

pub(super) use self::{excess::Excess, sweep::QUARANTINE};

/// Entries that one worker takes at a time.
const BATCH: usize = 64;

/// What is still to be looked at.
enum Task {
    Dir(Arc<Dir>),
    Entries(Arc<DirWork>, Vec<String>),
    Linked(Arc<DirWork>, Vec<String>),
    Block(Arc<FileAt>, Block),
}

/// What of files' content is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    /// Nothing but that guards name it.
    None,
    /// The index, and bytes that it does not name.
    Layout,
    /// Every frame, too.
    All,
    /// The index, and whether what lies there is that of the file: one tag tells.
    Whose,
}

/// A scan under way.
pub(super) struct Scan<'a> {
    store: &'a dyn Store,
    keys: &'a Keyring,
    watch: &'a dyn Watch,
    contents: Contents,
    /// What the journal of the vault needs, which was not done.
    needed: Option<&'a Needed>,
    work: Work<Task>,
    stopped: AtomicBool,
    /// The disk did not read some guard or listing: what seems to be missing may be there.
    unread: AtomicBool,
    findings: Mutex<Vec<Finding>>,
    dirs: Mutex<HashMap<DirId, Arc<Dir>>>,
    files: Mutex<HashMap<FileId, (Arc<Dir>, u64)>>,
    /// Which of several guards of one file counts.
    newest: Newest,
    /// An older one was taken: this scan only looks for those that count.
    is_astray: AtomicBool,
    /// What guards in their places name, and whether it has an index of its own.
    payloads: Mutex<HashMap<PayloadId, bool>>,
    /// What other guards name.
    also_named: Mutex<HashSet<PayloadId>>,
    /// Directories that no entry leads to, with nothing in them that belongs there.
    hollow: Mutex<Vec<DirId>>,
    aliases: Mutex<HashMap<FileId, Vec<AliasAt>>>,
    /// Guards whose links are not the entries that were met.
    apart: Mutex<Vec<Apart>>,
    /// Files of whose content nothing can be read.
    wanting: Mutex<Vec<Wanting>>,
    /// Of whom the journal claims content: payloads of which guards name frames, and chunk sizes.
    claimed: Mutex<Claimed>,
    fixes: Mutex<Fixes>,
    seen: Counts,
}

#[derive(Default)]
struct Counts {
    dirs: AtomicU64,
    files: AtomicU64,
    others: AtomicU64,
    bytes: AtomicU64,
}

/// What a repair has to do beside the sums of directories.
#[derive(Default)]
pub(super) struct Fixes {
    /// Files whose list of links is to be this one.
    pub links: Vec<(FileId, Vec<Link>)>,
    /// Files under `guards/links` that no entry leads to.
    pub adopted: Vec<(FileId, NodeKind)>,
    /// Objects and directories that nobody names.
    pub leaks: Vec<ObjectPath>,
    /// What lies where a directory belongs.
    pub blocked: Vec<ObjectPath>,
    /// Bytes in objects that nothing names.
    pub excess: Vec<Excess>,
    /// Guards that lay apart and are gone, and how many entries lead to each.
    pub lost: Vec<(String, u64)>,
    /// Guards and aliases that go back where they belong.
    pub back: Vec<Back>,
    /// The same of payloads: from where to where.
    pub payloads: Vec<(ObjectPath, ObjectPath)>,
    /// Places that must be free before something can go back.
    pub held: Vec<Held>,
}

impl Fixes {
    /// Does anything go back where it belongs?
    pub fn gives_back(&self) -> bool {
        !self.back.is_empty() || !self.payloads.is_empty()
    }
}

/// What a scan has found.
pub(super) struct Scanned {
    pub findings: Vec<Finding>,
    pub seen: Seen,
    /// None: the root's guard does not open.
    pub root: Option<Arc<Dir>>,
    /// `guards/links`.
    pub links: Option<Arc<Dir>>,
    pub dirs: Vec<Arc<Dir>>,
    pub fixes: Fixes,
    /// It was ended before its end.
    pub stopped: bool,
}

/// Scans all of a vault.
pub(super) fn scan(
    store: &dyn Store,
    keys: &Keyring,
    pool: &Pool,
    contents: Contents,
    watch: &dyn Watch,
) -> Scanned {
    Scan::new(store, keys, contents, watch).all(pool)
}

/// Scans a vault whose journal was not done yet, for what lies in the wrong place. Of content nothing is verified.
pub(super) fn before_journal(needed: &Needed, keys: &Keyring, pool: &Pool) -> Scanned {
    let scan = Scan::new(&*needed.store, keys, Contents::Whose, &Unwatched);
    let needed = Some(needed);
    Scan { needed, ..scan }.all(pool)
}

impl<'a> Scan<'a> {
    fn new(
        store: &'a dyn Store,
        keys: &'a Keyring,
        contents: Contents,
        watch: &'a dyn Watch,
    ) -> Scan<'a> {
        Scan {
            store,
            keys,
            watch,
            contents,
            needed: None,
            work: Work::new(),
            stopped: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            findings: Mutex::default(),
            dirs: Mutex::default(),
            files: Mutex::default(),
            newest: Newest::default(),
            is_astray: AtomicBool::new(false),
            payloads: Mutex::default(),
            also_named: Mutex::default(),
            hollow: Mutex::default(),
            aliases: Mutex::default(),
            apart: Mutex::default(),
            wanting: Mutex::default(),
            claimed: Mutex::default(),
            fixes: Mutex::default(),
            seen: Counts::default(),
        }
    }

    fn all(self, pool: &Pool) -> Scanned {
        if self.watch.wants_total() {
            self.watch.total(self.work());
        }
        let root = self.root();
        if let Some((root, _)) = &root {
            self.enter(root);
        }
        self.run(pool);
        let orphans = self.find_orphans(pool);
        let links = self.scan_links(root.as_ref(), pool);
        if let Some(scan) = self.anew() {
            return scan.all(pool);
        }
        orphans.iter().for_each(|dir| self.tell_orphan(dir));
        let sums = root.as_ref().map(|(_, sums)| *sums);
        self.sweep(links.as_ref().zip(sums));
        self.finish(root.map(|(root, _)| root), links)
    }
}

impl Scanned {
    /// What the guard of a directory says of its entries; nothing of an orphan.
    pub fn stored_sums(&self, dir: &Dir) -> Option<Sums> {
        match dir.reached {
            Reached::Links => {
                let (_, state, _) = self.root.as_ref()?.stored.as_ref()?;
                state.links.as_ref().map(Sums::of_links)
            }
            _ => dir.stored.as_ref().map(|(_, state, _)| Sums::of(state)),
        }
    }
}

impl Scan<'_> {
    fn run(&self, pool: &Pool) {
        // One long piece a thread: the pool asks as many as are idle.
        pool.run(pool.threads(), |_| self.work.run(|task| self.step(task)));
    }

    fn step(&self, task: Task) {
        if self.stopped.load(Relaxed) {
            return;
        }
        match task {
            Task::Dir(dir) => self.list(dir),
            Task::Entries(dir, names) => {
                names.iter().for_each(|name| self.entry(&dir, name));
                if dir.batch_done() {
                    self.compare(&dir);
                }
            }
            Task::Linked(dir, names) => {
                names.iter().for_each(|name| self.linked(&dir, name));
                if dir.batch_done() {
                    self.compare(&dir);
                }
            }
            Task::Block(..) if self.is_astray.load(Relaxed) => {}
            Task::Block(file, block) => self.block(&file, &block),
        }
    }

    fn finish(self, root: Option<Arc<Dir>>, links: Option<Arc<Dir>>) -> Scanned {
        let Counts {
            dirs,
            files,
            others,
            bytes,
        } = self.seen;
        let mut findings = self.findings.into_inner();
        if root.is_none() {
            // There is nothing to mend it with.
            let mendable = |found: &&mut Finding| found.outcome == Outcome::Mendable;
            let mendable = findings.iter_mut().filter(mendable);
            mendable.for_each(|found| found.outcome = Outcome::Stays);
        }
        Scanned {
            findings,
            seen: Seen {
                dirs: dirs.into_inner(),
                files: files.into_inner(),
                others: others.into_inner(),
                bytes: bytes.into_inner(),
            },
            root,
            links,
            dirs: self.dirs.into_inner().into_values().collect(),
            fixes: self.fixes.into_inner(),
            stopped: self.stopped.into_inner(),
        }
    }

    fn find(&self, finding: Finding) {
        self.findings.lock().push(finding);
    }

    /// Notes that bytes were read.
    fn has_read(&self, bytes: u64) {
        self.has_done(bytes, bytes);
    }

    /// The same, with the work that it was.
    fn has_done(&self, bytes: u64, work: u64) {
        self.watch.done(work);
        self.seen.bytes.fetch_add(bytes, Relaxed);
        if !self.watch.read(bytes) {
            self.stopped.store(true, SeqCst);
        }
    }

    /// The root directory, and what its guard says of `guards/links`.
    fn root(&self) -> Option<(Arc<Dir>, Sums)> {
        let path = root_guard_path();
        let broken = |what: String| {
            let what = format!("{what}; nothing can be reached through it");
            self.find(Finding::new(Kind::Guard, path.as_str(), what).at(b"/".to_vec()));
            None
        };
        let (mut end, mut len) = (None, 0);
        let guard = match self.store.get(&path) {
            Ok(bytes) => {
                (end, len) = (stated_len(&bytes), bytes.len() as u64);
                self.keys.open_guard(&path, bytes)
            }
            Err(StoreError::NotFound(_)) => {
                return broken("the root directory's guard is missing".to_owned());
            }
            Err(error) => Err(error.into()),
        };
        let guard = match guard {
            Ok(guard) => guard,
            Err(error) => return broken(error.to_string()),
        };
        match &guard.body.content {
            Content::Directory(
                state @ DirState {
                    links: Some(links), ..
                },
            ) if guard.body.links.is_empty() => {
                let sums = Sums::of_links(links);
                let stored = Some((guard.head.file, *state, guard.tag));
                let dir = Dir::new(state.id, Reached::Root, stored);
                self.tail(&path, Some(b"/".to_vec()), end, len);
                self.files
                    .lock()
                    .insert(guard.head.file, (Arc::clone(&dir), u64::MAX));
                Some((dir, sums))
            }
            _ => broken("it is not the guard of a root directory".to_owned()),
        }
    }

    /// Has a directory looked at, unless it was met before.
    fn enter(&self, dir: &Arc<Dir>) {
        let mut dirs = self.dirs.lock();
        if dirs.contains_key(&dir.id) {
            return;
        }
        dirs.insert(dir.id, Arc::clone(dir));
        drop(dirs);
        self.seen.dirs.fetch_add(1, Relaxed);
        self.work.add([Task::Dir(Arc::clone(dir))]);
    }

    fn list(&self, dir: Arc<Dir>) {
        let names = self.stored_names(&dir);
        let task = |work, names| Task::Entries(work, names);
        self.share_out(dir, names, &task);
    }

    /// Cuts the entries of a directory into batches.
    fn share_out(
        &self,
        dir: Arc<Dir>,
        names: Vec<String>,
        task: &dyn Fn(Arc<DirWork>, Vec<String>) -> Task,
    ) {
        let work = Arc::new(DirWork {
            key: self.keys.name_key(&dir.id),
            left: AtomicUsize::new(names.len().div_ceil(BATCH)),
            dir,
        });
        if names.is_empty() {
            self.compare(&work);
            return;
        }
        let mut names = names.into_iter();
        let batches = std::iter::from_fn(|| {
            let batch: Vec<String> = names.by_ref().take(BATCH).collect();
            (!batch.is_empty()).then_some(batch)
        });
        self.work
            .add(batches.map(|batch| task(Arc::clone(&work), batch)));
    }

    /// What lies in a backing directory under names that entries can have. The rest is told.
    fn stored_names(&self, dir: &Dir) -> Vec<String> {
        let path = dir_path(&dir.id);
        let names = match self.store.list(&path) {
            Ok(names) => names,
            Err(StoreError::NotFound(_)) => Vec::new(),
            Err(StoreError::NotAnObject { .. }) => {
                self.blocked(&path);
                Vec::new()
            }
            Err(error) => {
                let kind = kind_of(&error);
                self.find(Finding::new(kind, path.as_str(), error.to_string()).at(dir.path()));
                dir.present.lock().unread = true;
                self.unread.store(true, SeqCst);
                Vec::new()
            }
        };
        let mut stored = Vec::with_capacity(names.len());
        for name in names {
            match String::from_utf8(name) {
                Ok(name) if is_stored_name(name.as_bytes()) => stored.push(name),
                Ok(name) => self.stray(&format!("{}/{name}", path.as_str())),
                Err(error) => self.stray(&format!(
                    "{}/{}",
                    path.as_str(),
                    String::from_utf8_lossy(error.as_bytes())
                )),
            }
        }
        stored
    }

    fn stray(&self, object: &str) {
        self.find(Finding::new(Kind::Stray, object, words::STRAY));
    }
}
