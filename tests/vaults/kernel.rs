//! Stands where the kernel stands: counts lookups, gives operations to a vault and to the model, and compares.
mod attributes;
mod content;
mod entries;
mod outcome;

use self::outcome::{Effect, Fault, Outcome, both};
use super::{
    dump::Dump,
    history::{Floor, History},
    model::{Model, NodeId},
    op::{At, BAD_NAMES, NAMES, Name, Op, Pick, name_bytes},
    settle::HalfDone,
    streams::Streams,
};
use libc::c_int;
use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};
use wardfs::{
    format::{Kind, Time},
    vault::{NewKind, ROOT_INO, Stat, Vault},
};

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

fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is after 1970");
    Time {
        secs: i64::try_from(since.as_secs()).expect("not that late"),
        nanos: since.subsec_nanos(),
    }
}
