//! Stands where the kernel stands: counts lookups, gives operations to a vault and to the model, and compares.
use super::{
    dump::{Dump, read_xattrs},
    history::{Floor, History},
    model::{Body, Model, NodeId},
    op::{At, BAD_NAMES, NAMES, Name, Op, Pick, Set, name_bytes},
    settle::HalfDone,
    streams::Streams,
};
use libc::{ENXIO, c_int};
use std::{
    cell::Cell,
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};
use wardfs::{
    format::{Kind, Time},
    vault::{
        NewKind, ROOT_INO, SetAttr, SetTime, Stat, Told, Vault, VaultError, Whence, WriteMode,
    },
};

/// Names of extended attributes; the last one is refused.
const XATTRS: [(&[u8], usize); 6] = [
    (b"user.a", 6),
    (b"user.b", 6),
    (b"security.c", 10),
    (b"user.long", 255),
    (b"user.e", 6),
    (b"", 0),
];

/// The kernel's side of a mount, and the model beside it.
pub struct Kernel {
    pub model: Model,
    pub history: History,
    /// Lookups not given back, by node. The root is always known.
    known: BTreeMap<NodeId, u64>,
    streams: Streams,
}

/// An operation went otherwise in the vault than in the model.
pub struct Trouble {
    pub what: String,
    /// The vault's errno, if it gave one.
    pub errno: Option<c_int>,
    /// The model with the operation done, and what may be done of it in part.
    pub running: (Model, Option<HalfDone>),
}

struct Fault {
    what: String,
    errno: Option<c_int>,
}

/// What an acknowledged operation promises.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Nothing,
    Changed,
    Logged,
    Durable,
}

impl Fault {
    fn new(what: impl Into<String>) -> Fault {
        Fault {
            what: what.into(),
            errno: None,
        }
    }

    fn from(what: &str, error: &VaultError) -> Fault {
        Fault {
            what: format!("{what}: {error}"),
            errno: Some(error.errno()),
        }
    }
}

type Outcome<T> = Result<T, Fault>;

/// Both gave the same, or this is a fault.
fn both<A, B>(vault: Result<A, VaultError>, model: Result<B, c_int>) -> Outcome<Option<(A, B)>> {
    match (vault, model) {
        (Ok(vault), Ok(model)) => Ok(Some((vault, model))),
        (Err(vault), Err(model)) if vault.errno() == model => Ok(None),
        (Err(error), Err(model)) => Err(Fault {
            what: format!("errno {} ({error}) instead of {model}", error.errno()),
            errno: Some(error.errno()),
        }),
        (Err(error), Ok(_)) => Err(Fault::from("failed", &error)),
        (Ok(_), Err(model)) => Err(Fault::new(format!("succeeded instead of errno {model}"))),
    }
}

impl Kernel {
    /// Before a vault in which nothing was made yet.
    pub fn new() -> Kernel {
        Kernel::below(ROOT_INO)
    }

    /// Before one empty directory of a vault, as if it were the root.
    pub fn below(ino: u64) -> Kernel {
        let mut model = Model::new();
        model.node_mut(Model::ROOT).ino = Some(ino);
        Kernel::before(model)
    }

    /// Before a vault that shows this.
    pub fn before(model: Model) -> Kernel {
        Kernel {
            history: History::new(model.clone()),
            model,
            known: BTreeMap::new(),
            streams: Streams::default(),
        }
    }

    /// Does an operation on both. Remounts are for the caller to do.
    pub fn run(&mut self, vault: &Vault, op: &Op) -> Result<(), Box<Trouble>> {
        let before = self.model.clone();
        let since = now();
        let half = self.half_of(op);
        let effect = match self.apply(vault, op) {
            Ok(effect) => effect,
            Err(fault) => return Err(self.trouble(before, op, fault)),
        };
        if effect != Effect::Nothing {
            self.history.push(self.model.clone(), half);
        }
        match effect {
            Effect::Nothing | Effect::Changed => {}
            Effect::Logged => self.history.logged(),
            Effect::Durable => self.history.durable(),
        }
        self.settle(vault, since)
            .map_err(|fault| self.trouble(self.model.clone(), op, fault))?;
        self.history.amend(&self.model);
        self.streams.keep(&self.model);
        Ok(())
    }

    /// What of an operation may be there without the rest, as long as it is not done.
    fn half_of(&self, op: &Op) -> Option<HalfDone> {
        // A write is logged whole or not at all; a copy is many writes.
        let Op::CopyRange { to, .. } = op else {
            return None;
        };
        let node = self.pick(*to);
        Some(HalfDone {
            node,
            before: Box::new(self.model.node(node).clone()),
        })
    }

    #[allow(clippy::needless_pass_by_value, reason = "a fault is made to be told")]
    fn trouble(&mut self, before: Model, op: &Op, fault: Fault) -> Box<Trouble> {
        let after = std::mem::replace(&mut self.model, before);
        let half = self.half_of(op).filter(|half| after.has(half.node));
        Box::new(Trouble {
            what: format!("{op:?}: {}", fault.what),
            errno: fault.errno,
            running: (after, half),
        })
    }

    /// The mount ended. `dump` is what the next one shows.
    ///
    /// # Errors
    /// When that is no moment of the past that it may show.
    pub fn remounted(
        &mut self,
        dump: &Dump,
        floor: Floor,
        running: Option<&(Model, Option<HalfDone>)>,
    ) -> Result<(), String> {
        *self = Kernel::before(self.history.find(dump, floor, running)?);
        Ok(())
    }

    /// Compares everything.
    pub fn compare(&mut self, vault: &Vault) -> Result<(), String> {
        let top = self
            .model
            .node(Model::ROOT)
            .ino
            .expect("the root's number is known");
        let dump = Dump::below(vault, top)?;
        let mut linked = self.model.clone();
        linked.drop_orphans();
        linked.agree(Model::ROOT, top, &dump, None)
    }

    /// Asks the vault for the times that the last operation set.
    fn settle(&mut self, vault: &Vault, since: Time) -> Outcome<()> {
        let mut unsettled = std::mem::take(&mut self.model.unsettled);
        unsettled.sort_unstable();
        unsettled.dedup();
        for id in unsettled {
            if self.model.is_orphan(id) && !self.known.contains_key(&id) {
                self.model.drop_orphan(id);
                continue;
            }
            let ino = self.ino(vault, id)?;
            let stat = vault
                .stat(ino)
                .map_err(|error| Fault::from("stat", &error))?;
            self.same(&stat, id)?;
            let times = self.model.node(id).times;
            let told = [
                (times.atime, stat.atime),
                (times.mtime, stat.mtime),
                (times.ctime, stat.ctime),
                (times.btime, stat.btime),
            ];
            let window = since..=now();
            // The root of a new vault is older than any operation.
            let wrong = |(expected, found): &(Option<Time>, Time)| {
                expected.is_none() && !window.contains(found) && id != Model::ROOT
            };
            if let Some((_, found)) = told.iter().find(|pair| wrong(pair)) {
                return Err(Fault::new(format!(
                    "time {found:?} is not the present, {window:?}, of {stat:?}"
                )));
            }
            self.model.learn(id, &stat);
        }
        Ok(())
    }

    fn same(&self, stat: &Stat, id: NodeId) -> Outcome<()> {
        self.model.compare_stat(id, stat).map_err(Fault::new)
    }

    fn pick(&self, pick: Pick) -> NodeId {
        let linked = |kind: Option<Kind>| -> Vec<NodeId> {
            let fits = |id: &NodeId| {
                kind.is_none_or(|kind| {
                    self.model.node(*id).kind == kind && !self.model.is_orphan(*id)
                })
            };
            self.model.ids().filter(fits).collect()
        };
        let (nodes, number) = match pick {
            Pick::Dir(number) => (linked(Some(Kind::Directory)), number),
            Pick::File(number) => (linked(Some(Kind::File)), number),
            Pick::Any(number) => (linked(None), number),
        };
        if nodes.is_empty() {
            Model::ROOT
        } else {
            nodes[usize::from(number) % nodes.len()]
        }
    }

    fn name(&self, dir: NodeId, name: Name) -> Vec<u8> {
        match (name, self.model.entries(dir)) {
            (Name::There(number), Ok(entries)) if !entries.is_empty() => entries
                .keys()
                .nth(usize::from(number) % entries.len())
                .expect("within the count")
                .clone(),
            (Name::There(number), _) => name_bytes(NAMES[usize::from(number) % NAMES.len()]),
            (Name::Pool(number), _) => name_bytes(NAMES[usize::from(number) % NAMES.len()]),
            (Name::Bad(number), _) => name_bytes(BAD_NAMES[usize::from(number) % BAD_NAMES.len()]),
        }
    }

    fn offset(&self, id: NodeId, at: At) -> u64 {
        at.resolve(self.model.size(id))
    }

    /// The vault's number of a node, looked up from the root if need be.
    fn ino(&mut self, vault: &Vault, id: NodeId) -> Outcome<u64> {
        let ino = self.model.node(id).ino;
        if let Some(ino) = ino.filter(|_| id == Model::ROOT || self.known.contains_key(&id)) {
            return Ok(ino);
        }
        let (dir, name) = self
            .model
            .node(id)
            .links
            .first()
            .cloned()
            .ok_or_else(|| Fault::new("an orphan is not known"))?;
        let dir = self.ino(vault, dir)?;
        let stat = vault
            .lookup(dir, &name)
            .map_err(|error| Fault::from("lookup on the way", &error))?;
        self.found(id, &stat)?;
        Ok(stat.ino)
    }

    /// The vault gave a node and counts it.
    fn found(&mut self, id: NodeId, stat: &Stat) -> Outcome<()> {
        *self.known.entry(id).or_default() += 1;
        self.same(stat, id)?;
        self.model.node_mut(id).ino = Some(stat.ino);
        Ok(())
    }

    fn apply(&mut self, vault: &Vault, op: &Op) -> Outcome<Effect> {
        match *op {
            Op::Make {
                dir,
                name,
                kind,
                mode,
                owner,
            } => {
                let dir = self.pick(dir);
                let name = self.name(dir, name);
                let ino = self.ino(vault, dir)?;
                let target = super::model::target(if let super::op::Kind::Symlink(len) = kind {
                    len
                } else {
                    0
                });
                let model = self.model.make(dir, &name, kind, mode, owner);
                let made = vault.make(ino, &name, new_kind(kind, &target), mode, owner, owner);
                let Some((stat, id)) = both(made, model)? else {
                    return Ok(Effect::Nothing);
                };
                self.found(id, &stat)?;
                Ok(Effect::Logged)
            }
            Op::Lookup { dir, name } => self.lookup(vault, dir, name),
            Op::Link { node, dir, name } => {
                let (node, dir) = (self.pick(node), self.pick(dir));
                let name = self.name(dir, name);
                let (ino, dir_ino) = (self.ino(vault, node)?, self.ino(vault, dir)?);
                let model = self.model.link(node, dir, &name);
                let Some((stat, ())) = both(vault.link(ino, dir_ino, &name), model)? else {
                    return Ok(Effect::Nothing);
                };
                self.found(node, &stat)?;
                Ok(Effect::Logged)
            }
            Op::Unlink { dir, name } => self.remove(vault, dir, name, false),
            Op::RemoveDir { dir, name } => self.remove(vault, dir, name, true),
            Op::Rename {
                dir,
                name,
                to_dir,
                to_name,
                mode,
            } => {
                let (dir, to_dir) = (self.pick(dir), self.pick(to_dir));
                let (name, to_name) = (self.name(dir, name), self.name(to_dir, to_name));
                let (ino, to_ino) = (self.ino(vault, dir)?, self.ino(vault, to_dir)?);
                let model = self.model.rename((dir, &name), (to_dir, &to_name), mode);
                let done = both(vault.rename(ino, &name, to_ino, &to_name, mode), model)?;
                // Between two names of one file nothing is done, and nothing logged.
                let logged = done.is_some() && !self.model.unsettled.is_empty();
                Ok(if logged {
                    Effect::Logged
                } else {
                    Effect::Nothing
                })
            }
            Op::Forget { .. } | Op::ForgetAll => {
                self.forget(vault, op);
                Ok(Effect::Nothing)
            }
            Op::Sync { node } => {
                let node = self.pick(node);
                let ino = self.ino(vault, node)?;
                both(vault.sync(ino, false), Ok(()))?;
                Ok(Effect::Durable)
            }
            Op::SyncAll => both(vault.sync_all(), Ok(())).map(|_| Effect::Durable),
            Op::Checkpoint => both(vault.checkpoint(), Ok(())).map(|_| Effect::Durable),
            Op::List { dir, count, plus } => {
                self.list(vault, dir, count, plus).map(|()| Effect::Nothing)
            }
            Op::Remount(_) => panic!("remounts are the caller's"),
            Op::Stat { .. } | Op::Parent { .. } | Op::ReadLink { .. } => {
                self.look(vault, op).map(|()| Effect::Nothing)
            }
            Op::SetXattr { .. } | Op::RemoveXattr { .. } | Op::ReadXattrs { .. } => {
                self.xattr(vault, op)
            }
            Op::Read { .. } | Op::Seek { .. } => self.read(vault, op).map(|()| Effect::Nothing),
            Op::Write { .. } | Op::Allocate { .. } | Op::CopyRange { .. } | Op::SetAttr { .. } => {
                self.change(vault, op)
            }
        }
    }

    fn lookup(&mut self, vault: &Vault, dir: Pick, name: Name) -> Outcome<Effect> {
        let dir = self.pick(dir);
        let name = self.name(dir, name);
        let ino = self.ino(vault, dir)?;
        if let Some((stat, id)) = both(vault.lookup(ino, &name), self.model.lookup(dir, &name))? {
            self.found(id, &stat)?;
        }
        Ok(Effect::Nothing)
    }

    fn remove(&mut self, vault: &Vault, dir: Pick, name: Name, directory: bool) -> Outcome<Effect> {
        let dir = self.pick(dir);
        let name = self.name(dir, name);
        let ino = self.ino(vault, dir)?;
        let removed = if directory {
            vault.remove_dir(ino, &name)
        } else {
            vault.unlink(ino, &name)
        };
        let done = both(removed, self.model.remove(dir, &name, directory))?;
        Ok(if done.is_some() {
            Effect::Logged
        } else {
            Effect::Nothing
        })
    }

    fn forget(&mut self, vault: &Vault, op: &Op) {
        let (nodes, all) = match *op {
            Op::Forget { node, all } => (vec![self.pick(node)], all),
            _ => (self.known.keys().copied().collect(), true),
        };
        for id in nodes {
            let (Some(count), Some(ino)) = (self.known.get_mut(&id), self.model.node(id).ino)
            else {
                continue;
            };
            let back = if all { *count } else { 1 };
            *count -= back;
            if *count == 0 {
                self.known.remove(&id);
                self.streams.forget(id);
                if self.model.is_orphan(id) {
                    self.model.drop_orphan(id);
                }
            }
            vault.forget(ino, back);
        }
    }

    fn look(&mut self, vault: &Vault, op: &Op) -> Outcome<()> {
        match *op {
            Op::Stat { node } => {
                let node = self.pick(node);
                let ino = self.ino(vault, node)?;
                let stat = vault
                    .stat(ino)
                    .map_err(|error| Fault::from("failed", &error))?;
                self.same(&stat, node)
            }
            Op::Parent { dir } => {
                let dir = self.pick(dir);
                let ino = self.ino(vault, dir)?;
                let is_dir = self.model.node(dir).kind == Kind::Directory
                    && !self.model.is_orphan(dir)
                    && dir != Model::ROOT;
                let parent = vault
                    .parent(ino)
                    .map_err(|error| Fault::from("failed", &error))?;
                let expected = self.model.node(self.model.parent(dir)).ino;
                if is_dir && expected.is_some_and(|expected| expected != parent) {
                    return Err(Fault::new(format!("{parent} instead of {expected:?}")));
                }
                Ok(())
            }
            _ => {
                let Op::ReadLink { node } = *op else {
                    return Ok(());
                };
                let node = self.pick(node);
                let ino = self.ino(vault, node)?;
                let model = match &self.model.node(node).body {
                    Body::Symlink(target) => Ok(target),
                    _ => Err(libc::EINVAL),
                };
                match both(vault.read_link(ino), model)? {
                    Some((found, target)) if found != *target => Err(Fault::new("another target")),
                    _ => Ok(()),
                }
            }
        }
    }

    fn xattr(&mut self, vault: &Vault, op: &Op) -> Outcome<Effect> {
        let (Op::SetXattr { node, .. } | Op::RemoveXattr { node, .. } | Op::ReadXattrs { node }) =
            *op
        else {
            return Ok(Effect::Nothing);
        };
        let node = self.pick(node);
        let ino = self.ino(vault, node)?;
        let done = match *op {
            Op::SetXattr {
                name, len, mode, ..
            } => {
                let name = name_bytes(XATTRS[usize::from(name) % XATTRS.len()]);
                let value = vec![u8::try_from(len % 251).expect("a byte"); len];
                both(
                    vault.set_xattr(ino, &name, &value, mode),
                    self.model.set_xattr(node, &name, &value, mode),
                )?
            }
            Op::RemoveXattr { name, .. } => {
                let name = name_bytes(XATTRS[usize::from(name) % XATTRS.len()]);
                both(
                    vault.remove_xattr(ino, &name),
                    self.model.remove_xattr(node, &name),
                )?
            }
            _ => {
                let found =
                    read_xattrs(vault, ino).map_err(|error| Fault::from("failed", &error))?;
                let same = found == self.model.node(node).xattrs;
                return if same {
                    Ok(Effect::Nothing)
                } else {
                    Err(Fault::new("other extended attributes"))
                };
            }
        };
        Ok(self.state_effect(node, done.is_some()))
    }

    /// What is logged of a node is logged at once, but for one that no entry leads to.
    fn state_effect(&self, node: NodeId, done: bool) -> Effect {
        match (done, self.model.is_orphan(node)) {
            (false, _) => Effect::Nothing,
            (true, true) => Effect::Changed,
            (true, false) => Effect::Logged,
        }
    }

    fn read(&mut self, vault: &Vault, op: &Op) -> Outcome<()> {
        if let Op::Read { node, at, len } = *op {
            let node = self.pick(node);
            let (ino, offset) = (self.ino(vault, node)?, self.offset(node, at));
            let mut found = vec![0xa5; len];
            let result = vault.read(ino, offset, &mut found);
            let Some((count, expected)) = both(result, self.model.read(node, offset, len))? else {
                return Ok(());
            };
            found.truncate(count);
            if found == expected {
                return Ok(());
            }
            let at = found
                .iter()
                .zip(&expected)
                .position(|(found, expected)| found != expected);
            Err(Fault::new(format!(
                "at {offset}: {count} bytes instead of {}, different from {at:?} on",
                expected.len()
            )))
        } else {
            let Op::Seek { node, at, whence } = *op else {
                return Ok(());
            };
            let node = self.pick(node);
            let (ino, offset) = (self.ino(vault, node)?, self.offset(node, at));
            let found = vault.seek(ino, offset, whence);
            self.check_seek(node, offset, whence, found)
        }
    }

    /// Holes may be told as data, but data not as holes.
    fn check_seek(
        &self,
        node: NodeId,
        offset: u64,
        whence: Whence,
        found: Result<u64, VaultError>,
    ) -> Outcome<()> {
        let pages = match self.model.content(node) {
            Ok(pages) => pages,
            Err(errno) => return both(found, Err::<(), _>(errno)).map(drop),
        };
        let size = pages.size();
        let right = match (&found, whence) {
            (Err(error), Whence::Data) => {
                error.errno() == ENXIO && (offset >= size || pages.is_zero(offset, size))
            }
            (Err(error), Whence::Hole) => error.errno() == ENXIO && offset >= size,
            (Ok(at), Whence::Data) => (offset..size).contains(at) && pages.is_zero(offset, *at),
            (Ok(at), Whence::Hole) => {
                *at >= offset
                    && offset < size
                    && (*at == size || *at < size && pages.is_zero(*at, *at + 1))
            }
        };
        if right {
            Ok(())
        } else {
            Err(Fault {
                what: format!("{whence:?} from {offset} of {size}: {found:?}"),
                errno: found.err().map(|error| error.errno()),
            })
        }
    }

    fn change(&mut self, vault: &Vault, op: &Op) -> Outcome<Effect> {
        match *op {
            Op::Write {
                node,
                at,
                len,
                fill,
                kill_priv,
            } => {
                let node = self.pick(node);
                let (ino, offset) = (self.ino(vault, node)?, self.offset(node, at));
                let bytes = fill.bytes(len);
                let wrote = write(vault, ino, offset, &bytes, kill_priv)?;
                // A full disk may cut it short; then exactly what was told is there.
                let told = match &wrote {
                    Ok(len) if *len < bytes.len() => &bytes[..*len],
                    _ => &bytes[..],
                };
                let model = self.model.write(node, offset, told, kill_priv);
                both(wrote, model)?.map_or(Ok(Effect::Nothing), |(wrote, _)| {
                    whole(Some((wrote, bytes.len())))
                })
            }
            Op::CopyRange {
                from,
                at,
                to,
                to_at,
                len,
            } => {
                let (from, to) = (self.pick(from), self.pick(to));
                let (at, to_at) = (self.offset(from, at), self.offset(to, to_at));
                if from == to && at < to_at.saturating_add(len) && to_at < at.saturating_add(len) {
                    // The kernel refuses this itself.
                    return Ok(Effect::Nothing);
                }
                let (ino, to_ino) = (self.ino(vault, from)?, self.ino(vault, to)?);
                let model = self.model.copy_range(
                    (from, at),
                    (to, to_at),
                    usize::try_from(len).expect("a short range"),
                );
                let done = vault.copy_range(ino, at, to_ino, to_at, len);
                whole(both(
                    done.map(|done| usize::try_from(done).expect("a short range")),
                    model,
                )?)
            }
            Op::Allocate {
                node,
                mode,
                at,
                len,
            } => {
                let node = self.pick(node);
                let (ino, offset) = (self.ino(vault, node)?, self.offset(node, at));
                let done = both(
                    vault.allocate(ino, mode, offset, len),
                    self.model.allocate(node, mode, offset, len),
                )?;
                Ok(if done.is_some() {
                    Effect::Changed
                } else {
                    Effect::Nothing
                })
            }
            _ => {
                let Op::SetAttr { node, size, set } = *op else {
                    return Ok(Effect::Nothing);
                };
                let node = self.pick(node);
                let ino = self.ino(vault, node)?;
                let size = size.map(|at| self.offset(node, at));
                let Some((stat, ())) = both(
                    vault.set_attr(ino, &set_attr(size, &set)),
                    self.model.set_attr(node, size, &set),
                )?
                else {
                    return Ok(Effect::Nothing);
                };
                self.same(&stat, node)?;
                Ok(self.state_effect(node, true))
            }
        }
    }

    fn list(&mut self, vault: &Vault, dir: Pick, count: u8, plus: bool) -> Outcome<()> {
        let dir = self.pick(dir);
        let ino = self.ino(vault, dir)?;
        if let Err(errno) = self.model.entries(dir) {
            return both(vault.read_dir(ino, 0, &mut |_| true), Err::<(), _>(errno)).map(drop);
        }
        let after = self.streams.begin(dir, &self.model);
        let (mut batch, mut full) = (Vec::new(), false);
        let mut take = |name: &[u8], next: u64, stat: Option<Stat>, ino: u64| {
            full = batch.len() == usize::from(count);
            if !full {
                batch.push((name.to_vec(), next, ino, stat));
            }
            !full
        };
        let listed = if plus {
            vault.read_dir_plus(ino, after, &mut |entry, stat| {
                take(entry.name, entry.next, Some(*stat), entry.ino)
            })
        } else {
            vault.read_dir(ino, after, &mut |entry| {
                take(entry.name, entry.next, None, entry.ino)
            })
        };
        listed.map_err(|error| Fault::from("failed", &error))?;
        for (name, _, ino, stat) in &batch {
            let id = self
                .model
                .lookup(dir, name)
                .map_err(|_| Fault::new("a name that is not there"))?;
            if let Some(stat) = stat {
                self.found(id, stat)?;
            }
            if self.model.node(id).ino.is_some_and(|known| known != *ino) {
                return Err(Fault::new("an inode number that is not the node's"));
            }
        }
        let batch = batch
            .into_iter()
            .map(|(name, next, ..)| (name, next))
            .collect();
        self.streams.advance(dir, batch, !full).map_err(Fault::new)
    }
}

/// A write that succeeds is whole.
fn whole(done: Option<(usize, usize)>) -> Outcome<Effect> {
    match done {
        Some((0, 0)) | None => Ok(Effect::Nothing),
        Some((vault, model)) if vault == model => Ok(Effect::Changed),
        Some((vault, model)) => Err(Fault {
            what: format!("{vault} bytes instead of {model}"),
            errno: None,
        }),
    }
}

fn new_kind(kind: super::op::Kind, target: &[u8]) -> NewKind<'_> {
    use super::op::Kind;
    match kind {
        Kind::File => NewKind::File,
        Kind::Directory => NewKind::Directory,
        Kind::Symlink(_) => NewKind::Symlink(target),
        Kind::Fifo => NewKind::Fifo,
        Kind::Socket => NewKind::Socket,
        Kind::CharDevice(rdev) => NewKind::CharDevice(rdev.into()),
        Kind::BlockDevice(rdev) => NewKind::BlockDevice(rdev.into()),
    }
}

fn set_attr(size: Option<u64>, set: &Set) -> SetAttr {
    let at = |secs: i64| Time { secs, nanos: 0 };
    let time = |time: Option<i64>| time.map_or(SetTime::Now, |secs| SetTime::At(at(secs)));
    SetAttr {
        mode: set.mode,
        uid: set.uid,
        gid: set.gid,
        size,
        atime: set.atime.map(time),
        mtime: set.mtime.map(time),
        ctime: set.ctime.map(at),
        kill_priv: set.kill_priv,
    }
}

fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is after 1970");
    Time {
        secs: i64::try_from(since.as_secs()).expect("not that late"),
        nanos: since.subsec_nanos(),
    }
}

/// Half of the writes may be acknowledged early: then nothing may go wrong any more.
fn write(
    vault: &Vault,
    ino: u64,
    offset: u64,
    bytes: &[u8],
    kill_priv: bool,
) -> Outcome<Result<usize, VaultError>> {
    let acknowledged = Cell::new(None);
    let tell = |count| acknowledged.set(Some(count));
    let mode = WriteMode {
        kill_priv,
        ..WriteMode::default()
    };
    let told: Told<'_> = if kill_priv { Some(&tell) } else { None };
    let wrote = vault.write_telling(ino, offset, bytes, mode, told);
    match (acknowledged.get(), &wrote) {
        (Some(count), Ok(wrote)) if count == *wrote => {}
        (None, _) => {}
        (count, wrote) => {
            return Err(Fault {
                what: format!("{count:?} acknowledged, and then {wrote:?}"),
                errno: None,
            });
        }
    }
    Ok(wrote)
}
