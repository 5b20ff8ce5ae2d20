//! Making a vault, unlocking it, changing its passphrase.
use super::{
    clearing::{ClearingStore, Clears},
    core::{Core, CoreParts},
    dir::StoredSums,
    error::{Result, VaultError},
    guard::{ReadGuard, TOO_LONG},
    header::{self, Copies, Unlocked},
    keyring::Keyring,
    logs::{self, Why},
    lost::LostChanges,
    partly::FINISHING,
    passed::PassedOver,
    types::{InitOptions, OpenOptions},
    unstored::Unstorable,
    zone,
};
use crate::{
    crypto::{FileKey, MasterKey, SetHash, ZoneKey},
    engine::Pool,
    format::{
        Attrs, Body, Content, DirId, DirState, FileId, GuardHead, Header, LinksState, PayloadId,
        Place, SLOTS, Slot, VaultId, Xattrs, ZoneFile, ZoneId, new_payload_dir, new_payload_path,
        parse_new_payload_name, root_guard_path, seal_guard,
    },
    journal::{self, CutOff, Journal, JournalContext, JournalError, LoggedFrame, Recovered},
    store::{Lock, ObjectPath, OverlayStore, Store, StoreError},
};
use log::Level;
use std::{collections::BTreeSet, sync::Arc};

/// Memory for what a cut-short checkpoint writes, where the store must not be written, in bytes. A checkpoint after the usual
/// 48 MiB of log writes little more than that; one after as many tiny changes in large files can write far more.
pub(super) const SHOWN_MEMORY_MAX: u64 = 512 << 20;

/// Writes a new vault into an empty store.
///
/// # Errors
/// `NotEmptyStore`, `EmptyPassphrase`, what key derivation or the store says.
pub fn init(store: &dyn Store, passphrase: &[u8], options: &InitOptions) -> Result<()> {
    if passphrase.is_empty() {
        return Err(VaultError::EmptyPassphrase);
    }
    store.lock(Lock::Exclusive)?;
    if !store.list(&ObjectPath::root())?.is_empty() {
        return Err(VaultError::NotEmptyStore);
    }
    let master = MasterKey::generate();
    let vault = VaultId::random();
    let root_zone = ZoneId::random();
    let mut slots = vec![Slot::Empty; SLOTS];
    slots[0] = header::new_slot(&vault, &master, passphrase, options.kdf)?;
    let header = Header {
        vault,
        suite: options.suite,
        chunk: options.chunk,
        compress: options.compress,
        root_zone,
        slots,
        generation: 0,
    };
    let zone = ZoneKey::generate();
    for dir in [
        ObjectPath::new("guards")?,
        new_payload_dir(),
        journal::journal_dir(),
    ] {
        store.make_dir(&dir)?;
    }
    let zone_file = ZoneFile {
        zone: root_zone,
        wrapped: master.wrap_zone(&vault.0, &root_zone.0, &zone),
    };
    zone::write_new(store, &root_zone, &zone_file.encode())?;
    store.replace(&root_guard_path(), &root_guard(&header, &zone, options))?;
    store.sync()?;
    // The header last: what has one is a whole vault.
    header::write_new(store, &header, &master)
}

fn root_guard(header: &Header, zone: &ZoneKey, options: &InitOptions) -> Vec<u8> {
    let key = FileKey::generate();
    let file = FileId::random();
    let stanza = zone.wrap_file(&header.vault.0, &file.0, &key);
    let head = GuardHead {
        suite: header.suite,
        file,
        zone: header.root_zone,
        stanzas: vec![stanza],
    };
    let time = super::core::now();
    let (names, states) = (SetHash::default(), SetHash::default());
    let links = Some(LinksState {
        entries: 0,
        names,
        states,
    });
    let content = Content::Directory(DirState {
        id: DirId::random(),
        entries: 0,
        subdirs: 0,
        names,
        states,
        links,
    });
    let (uid, gid) = (options.uid, options.gid);
    let attrs = Attrs {
        mode: 0o755,
        uid,
        gid,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
    };
    let body = Body {
        links: Vec::new(),
        attrs,
        xattrs: Xattrs::new(),
        content,
        seal_count: 1,
        generation: 0,
        description: Vec::new(),
        origins: Vec::new(),
        bound: false,
    };
    seal_guard(&head, &key.guard_aead(header.suite), &header.vault, &body).bytes
}

/// Is there a journal that the next mount would take up? Says nothing about what is in it.
pub fn has_journal(store: &dyn Store) -> bool {
    store
        .list(&journal::journal_dir())
        .is_ok_and(|files| !files.is_empty())
}

/// Unlocks a vault with `unlock`, finishes what a crash interrupted, and loads the root.
pub(super) fn open(
    store: Arc<dyn Store>,
    unlock: impl FnOnce(&dyn Store) -> Result<Unlocked>,
    options: OpenOptions,
) -> Result<Arc<Core>> {
    // A vault that is not one says so before anything is locked or derived.
    header::peek(&*store)?;
    if options.read_only {
        lock_for_reading(&*store)?;
    } else {
        store.lock(Lock::Exclusive)?;
    }
    let unlocked = unlock(&*store)?;
    header::mend(&*store, &unlocked, !options.read_only);
    let copies = Copies::of(&unlocked);
    let Unlocked {
        header,
        master,
        zone,
        ..
    } = unlocked;
    let zone_key = zone.key;
    let context = JournalContext {
        key: Arc::new(master.journal_key(&header.vault.0, header.suite)),
        vault: header.vault,
    };
    drop(master);
    let keys = Keyring::new(&header, zone_key);
    let store = if options.read_only {
        store
    } else {
        ClearingStore::over(store, Clears::Places)
    };
    let opening = Opening {
        store,
        header,
        context,
        options,
        missing: journal::Missing::Refused,
        // Damage stays with what was hit.
        unstorable: Unstorable::Kept,
        // What does not load may be put back.
        passes_over: false,
    };
    let core = if opening.options.read_only {
        opening.show(keys)?.core
    } else {
        let keep = &mut |lost: &[&LoggedFrame], unproven: Option<FileId>| {
            opening.keep_log(lost, unproven);
            Ok(())
        };
        opening.recover_telling(Level::Warn, keys, keep)?.core
    };
    core.copies.get_or_init(|| copies);
    Ok(core)
}

/// What lies in `payloads/new`.
pub(super) fn new_payloads(store: &dyn Store) -> Result<Vec<PayloadId>> {
    let names = match store.list(&new_payload_dir()) {
        Ok(names) => names,
        Err(StoreError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let ids = names.iter();
    Ok(ids
        .filter_map(|name| parse_new_payload_name(name))
        .collect())
}

/// The files among them: what only a log can claim.
pub(super) fn new_content(store: &dyn Store) -> Result<u64> {
    let new = new_payloads(store)?.into_iter();
    let files = new.filter(|id| store.open(&new_payload_path(id), false).is_ok());
    Ok(files.count() as u64)
}

/// Where there are no locks (read-only media of some kinds) a vault can still be looked at.
pub(super) fn lock_for_reading(store: &dyn Store) -> Result<()> {
    match store.lock(Lock::Shared) {
        Err(error @ StoreError::Io { .. }) => {
            log::warn!(target: "wardfs::lock", "the vault is read without a lock: {error}");
            Ok(())
        }
        locked => Ok(locked?),
    }
}

/// The checkpoint that is to be finished in memory does not fit.
fn too_large(error: VaultError) -> VaultError {
    match &error {
        VaultError::Journal(JournalError::Store(store)) if store.is_no_memory() => {
            VaultError::CheckpointTooLarge
        }
        _ => error,
    }
}

/// A vault that was unlocked, on its way to being open.
pub(super) struct Opening {
    pub store: Arc<dyn Store>,
    pub header: Header,
    pub context: JournalContext,
    pub options: OpenOptions,
    /// Of what a checkpoint that was cut short goes on with.
    pub missing: journal::Missing,
    /// What becomes of bytes of the log that cannot be stored.
    pub unstorable: Unstorable,
    /// What the log says of nodes that do not load is passed over.
    pub passes_over: bool,
}

/// What the log makes of a vault.
pub(super) struct Replayed {
    pub core: Arc<Core>,
    /// What is in frames that do not count.
    pub lost: LostChanges,
    /// What was passed over.
    pub passed: PassedOver,
}

/// Called before a log is dropped with frames in it that do not count: those, and the file of which content is claimed that is
/// not there, if that is why.
pub(super) type Keep<'a> = dyn FnMut(&[&LoggedFrame], Option<FileId>) -> Result<()> + 'a;

/// Keeps nothing: the store is not the real one, or all was kept before.
#[allow(clippy::unnecessary_wraps, reason = "others keep, and can fail")]
pub(super) fn no_keep(_: &[&LoggedFrame], _: Option<FileId>) -> Result<()> {
    Ok(())
}

impl Opening {
    /// Brings the store up to the end of the journal.
    pub fn recover(&self, keys: Keyring, keep: &mut Keep<'_>) -> Result<Replayed> {
        self.recover_telling(Level::Debug, keys, keep)
    }

    fn recover_telling(
        &self,
        level: Level,
        keys: Keyring,
        keep: &mut Keep<'_>,
    ) -> Result<Replayed> {
        // They are empty after a clean end, and some ways of copying leave empty directories out.
        for dir in [journal::journal_dir(), new_payload_dir()] {
            self.store.make_dir(&dir)?;
        }
        self.finish_telling(level, &keys)?;
        let mut replayed = self.replay_cut(keys, None, keep)?;
        replayed.lost.unstored = self.stored(&replayed)?.unstored.take();
        Ok(replayed)
    }

    /// Stores what was replayed.
    pub fn stored<'a>(&self, replayed: &'a Replayed) -> Result<&'a Core> {
        let core = &replayed.core;
        core.unstored.are(self.unstorable);
        core.checkpoint_now()?;
        core.unstored.are(Unstorable::InUse);
        Ok(core)
    }

    pub fn read_root(&self, keys: &Keyring) -> Result<ReadGuard> {
        let path = root_guard_path();
        let object = path.as_str();
        let damaged = |what| VaultError::Damaged {
            object: object.to_owned(),
            what,
        };
        let bytes = self.store.get(&path).map_err(|error| match error {
            StoreError::NotFound(_) => damaged("the root directory's guard is missing"),
            error if error.is_too_long() => damaged(TOO_LONG),
            other => other.into(),
        })?;
        let root = keys.open_guard(&path, bytes)?;
        if !matches!(&root.body.content, Content::Directory(dir) if dir.links.is_some()) {
            return Err(damaged("it is not a root directory"));
        }
        Ok(root)
    }

    /// Executes the redo file of the checkpoint that was cut short. One that the store is past is a leftover. Nobody is told: most who
    /// ask for it do it in memory, and often.
    pub fn finish_checkpoint(&self, keys: &Keyring) -> Result<()> {
        self.finish_telling(Level::Debug, keys)
    }

    fn finish_telling(&self, level: Level, keys: &Keyring) -> Result<()> {
        let mut pool = None;
        for number in journal::redo_files(&*self.store)? {
            if self.is_due(keys, number) && self.is_closed(number)? {
                if pool.is_none() {
                    log::log!(level, "{FINISHING}");
                }
                let pool = pool.get_or_insert_with(|| Pool::new(self.options.threads));
                journal::execute_redo_file(
                    &*self.store,
                    &self.context,
                    pool,
                    number,
                    self.missing,
                )?;
            }
        }
        Ok(())
    }

    /// A leftover need not even be readable.
    fn is_closed(&self, number: u64) -> Result<bool> {
        Ok(journal::is_closed(&*self.store, &self.context, number)?)
    }

    /// Is a closed redo file to be done?
    pub fn is_due(&self, keys: &Keyring, number: u64) -> bool {
        // A root that does not open was torn by this very checkpoint. One of this number may be all that was written of
        // it; a lower one is more than one before: recoveries that were cut short began segments of their own.
        self.read_root(keys)
            .map_or(true, |root| number >= root.body.generation)
    }

    /// The vault as the log says it is, in memory. Of the store nothing is changed but the journal, and of a read-only vault
    /// not even that. With the first frames alone, if so many are given: then nobody asks whether durable ones are gone, and
    /// new content that no frame claims stays.
    pub fn replay_cut(
        &self,
        keys: Keyring,
        frames: Option<usize>,
        keep: &mut Keep<'_>,
    ) -> Result<Replayed> {
        let mut keys = keys;
        let mut cut = frames;
        let mut unproven = None;
        let mut behind: Option<Vec<LoggedFrame>> = None;
        loop {
            let root = self.read_root(&keys)?;
            let applied = root.body.generation;
            if !self.options.read_only {
                journal::clean(&*self.store, applied)?;
            }
            let mut recovered = journal::read_log(&*self.store, &self.context, applied)?;
            self.check_log(&recovered, cut, frames.is_some())?;
            let dropped = cut.map_or_else(Vec::new, |count| recovered.cut(count));
            let lost: Vec<&LoggedFrame> = dropped.iter().chain(&recovered.behind).collect();
            if !lost.is_empty() && !self.options.read_only {
                keep(&lost, unproven)?;
            }
            // The segments that those were in are gone in a second round.
            let behind = behind.get_or_insert(std::mem::take(&mut recovered.behind));
            let core = self.core(keys, root, self.journal(&recovered)?)?;
            let mut passed = PassedOver::allowed(self.passes_over);
            match core.replay(&recovered.frames, recovered.durable, &mut passed)? {
                None => {
                    core.after_replay(frames.is_none())?;
                    if recovered.has_segments() {
                        core.leave_behind()?;
                    }
                    let mut lost =
                        LostChanges::of(&recovered.frames, dropped.iter().chain(&*behind));
                    lost.unproven = unproven;
                    lost.cut_off = recovered.cut_off;
                    lost.unread.clone_from(&recovered.unread);
                    if let Some(CutOff { segment, len, .. }) = recovered.cut_off {
                        log::warn!(
                            "segment {segment} of the log was perhaps cut off after {len} bytes"
                        );
                    }
                    if !behind.is_empty() && frames.is_none() {
                        log::warn!(
                            "{} logged frames at the end are dropped, since something before them is not there",
                            behind.len()
                        );
                    }
                    let core = Arc::new(core);
                    return Ok(Replayed { core, lost, passed });
                }
                Some((frame, file)) => {
                    log::warn!(
                        "{} logged frames are dropped: what the first of them claims was not on disk",
                        recovered.frames.len() - frame
                    );
                    (cut, unproven) = (Some(frame), Some(file));
                    keys = core.into_keys();
                }
            }
        }
    }

    /// Keeps segments with frames that open and do not count: what a power cut leaves, or a damaged disk. Nobody can tell, and
    /// these frames are the only ones that say what is lost. But what they say of a file whose content is not there is worth
    /// nothing to anybody. Where there is no space the vault opens all the same.
    fn keep_log(&self, lost: &[&LoggedFrame], unproven: Option<FileId>) {
        if LostChanges::of([], lost.iter().copied()).are_of(unproven) {
            return;
        }
        if let Err(error) = self.keep_segments(lost) {
            log::warn!("a part of the log that does not count could not be kept: {error}");
        }
    }

    /// Keeps the segments with these frames, which nothing says were durable.
    pub fn keep_segments(&self, lost: &[&LoggedFrame]) -> Result<()> {
        let segments: BTreeSet<u64> = lost.iter().map(|frame| frame.segment).collect();
        segments.into_iter().try_for_each(|number| {
            let segment = journal::segment_path(number);
            Ok(logs::keep(&*self.store, &segment, Why::Unpromised)?)
        })
    }

    fn journal(&self, recovered: &Recovered) -> Result<Journal> {
        let start = if self.options.read_only {
            Journal::idle
        } else {
            Journal::start
        };
        Ok(start(
            Arc::clone(&self.store),
            self.context.clone(),
            recovered,
        )?)
    }

    /// A vault that will not change. The store is not written at all: what a crash left to be done is done in memory.
    fn show(mut self, keys: Keyring) -> Result<Replayed> {
        if !journal::redo_files(&*self.store)?.is_empty() {
            let shown = Arc::new(OverlayStore::new(self.store, SHOWN_MEMORY_MAX));
            self.store = ClearingStore::over(shown, Clears::Places);
            self.finish_checkpoint(&keys).map_err(too_large)?;
        }
        let replayed = self.replay_cut(keys, None, &mut no_keep)?;
        replayed.core.set_read_only();
        Ok(replayed)
    }

    fn core(&self, keys: Keyring, root: ReadGuard, journal: Journal) -> Result<Core> {
        let Content::Directory(DirState {
            links: Some(links), ..
        }) = &root.body.content
        else {
            return Err(VaultError::Invalid("the root was checked before"));
        };
        let links = StoredSums {
            entries: links.entries,
            names: links.names,
            states: links.states,
        };
        let parts = CoreParts {
            store: Arc::clone(&self.store),
            keys,
            chunk: self.header.chunk,
            compress: self.header.compress,
            journal,
            root: root.head.file,
            links,
            options: self.options.clone(),
        };
        let core = Core::new(parts);
        core.adopt(&root_guard_path(), root, Place::Root, None, 0)?;
        if self.options.strict {
            core.check_linked_states()?;
        }
        Ok(core)
    }
}
