//! What lies in the wrong place goes back before the journal is done: what the journal has for it would be lost else. (Bytes for
//! content that is not there cannot be stored; of a log nothing is done behind an entry that is not there; and where a redo file
//! writes into an object that is missing it makes another one.)
//!
//! Where things belong is known from the vault as its last checkpoint left it, or as the redo file will leave it, and from what
//! the log claims. All of it is done in memory first, round by round. Then the same moves are made in the store, one after the
//! other: each object is where it was, where it belongs, or where the next look finds it. Nothing here writes a guard, and the
//! journal is not touched.
use super::{
    repair::{Done, Quarantine, free_path, harm},
    report::{Finding, Kind},
    scan::{self, QUARANTINE, Scanned},
};
use crate::{
    engine::Pool,
    store::{ObjectPath, OverlayStore, Store, StoreError, hide, is_taken},
    vault::{Inspected, Keyring, Needed, VaultError},
};
use std::{collections::BTreeSet, sync::Arc};

/// Rounds after which no more is looked for.
const ROUNDS_MAX: usize = 12;
/// Memory for what is moved: names, not contents.
const MEMORY_MAX: u64 = 64 << 20;

/// From where to where.
type Move = (ObjectPath, ObjectPath);

/// What goes back.
pub(super) struct Before {
    /// The vault with it in its place, in memory.
    store: Arc<dyn Store>,
    /// What is moved, in steps: each must be durable before the next begins.
    steps: Vec<Vec<Move>>,
    /// What is told of it.
    pub findings: Vec<Finding>,
}

/// The vault as it is when all is back, in memory; and what there is to tell.
pub(super) fn shown(
    vault: Inspected,
    keys: &Keyring,
) -> Result<(Inspected, Vec<Finding>), VaultError> {
    if vault.is_clean() {
        return Ok((vault, Vec::new()));
    }
    with_all_back(vault, keys)
}

/// The same of a vault that was closed as it should be, too. Who checks one finds there what is in the wrong place anyway.
pub(super) fn with_all_back(
    vault: Inspected,
    keys: &Keyring,
) -> Result<(Inspected, Vec<Finding>), VaultError> {
    let aside = Quarantine::new(&**vault.store(), "check")?;
    let Some(before) = find(&vault, keys, &Pool::new(None), &aside)? else {
        return Ok((vault, Vec::new()));
    };
    let had_some = is_taken(&**vault.store(), &ObjectPath::new(QUARANTINE)?)?;
    before.hide_aside(&aside, had_some)?;
    Ok((vault.over(before.store), before.findings))
}

/// Puts it back.
pub(super) fn mended(
    vault: &Inspected,
    keys: &Keyring,
    pool: &Pool,
    quarantine: &mut Quarantine<'_>,
) -> Result<Vec<Finding>, VaultError> {
    if vault.is_clean() {
        return Ok(Vec::new());
    }
    let Some(before) = find(vault, keys, pool, quarantine)? else {
        return Ok(Vec::new());
    };
    let store = &**vault.store();
    for step in &before.steps {
        for (_, to) in step {
            store.make_dir(&to.parent())?;
        }
        // What is moved into a directory must not be lost with it.
        store.sync()?;
        for (from, to) in step {
            quarantine.is_used_if(quarantine.holds(to));
            store.rename(from, to)?;
        }
        store.sync()?;
    }
    Ok(before.findings)
}

/// Works it out. Nothing, if nothing lies in the wrong place.
fn find(
    vault: &Inspected,
    keys: &Keyring,
    pool: &Pool,
    aside: &Quarantine<'_>,
) -> Result<Option<Before>, VaultError> {
    let store: Arc<dyn Store> = Arc::new(OverlayStore::new(Arc::clone(vault.store()), MEMORY_MAX));
    let mut before = Before {
        store: Arc::clone(&store),
        steps: Vec::new(),
        findings: Vec::new(),
    };
    let mut aside = aside.within(&*store);
    let mut first: Option<Scanned> = None;
    for _ in 0..ROUNDS_MAX {
        // What the disk does not read, or memory does not hold, nobody can look at.
        let Ok(needed) = vault.needed(Arc::clone(&store)) else {
            return Ok(None);
        };
        if needed.is_of_repair {
            return Ok(None);
        }
        let scanned = scan::before_journal(&needed, keys, pool);
        let round = Round::of(&scanned, &needed, &*store)?;
        let shown = round.shown.clone();
        let moved = round.make(&*store, &mut aside)?;
        if moved.is_empty() {
            let harmed = first
                .as_ref()
                .and_then(|first| harm(first, &first.dirs, &scanned, &Done::GivenBack));
            if let Some(object) = &harmed {
                log::error!(
                    "nothing is put back before the journal is done: {object} would be hit"
                );
            }
            return Ok((harmed.is_none() && !before.steps.is_empty()).then_some(before));
        }
        before.tell(&scanned, &shown, &moved);
        before.steps.extend(moved);
        first.get_or_insert(scanned);
    }
    Ok(Some(before))
}

impl Before {
    /// Takes over what was found of the objects that are moved.
    fn tell(&mut self, scanned: &Scanned, shown: &[Move], moved: &[Vec<Move>]) {
        let aside: BTreeSet<&str> = moved.iter().flatten().map(|one| one.0.as_str()).collect();
        let is_told = |finding: &&Finding| match finding.kind {
            Kind::Misplaced => {
                let mut shown = shown.iter();
                shown.any(|(from, _)| is_within(from.as_str(), &finding.object))
            }
            Kind::Guard | Kind::Place => aside.contains(finding.object.as_str()),
            _ => false,
        };
        for finding in scanned.findings.iter().filter(is_told) {
            let mut finding = finding.clone();
            let now = shown
                .iter()
                .find(|(from, _)| from.as_str() == finding.object);
            if let Some((_, now)) = now {
                now.as_str().clone_into(&mut finding.object);
            }
            let is_known =
                |known: &Finding| (known.kind, &known.object) == (finding.kind, &finding.object);
            if !self.findings.iter().any(is_known) {
                self.findings.push(finding);
            }
        }
    }

    /// What was set aside in memory is not shown as if it were there.
    fn hide_aside(&self, aside: &Quarantine<'_>, had_some: bool) -> Result<(), VaultError> {
        let hidden = if had_some {
            aside.dir().clone()
        } else {
            ObjectPath::new(QUARANTINE)?
        };
        Ok(hide(&*self.store, &hidden)?)
    }
}

fn is_within(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What one look has found.
struct Round {
    /// What lies where directories belong.
    blocked: Vec<ObjectPath>,
    /// What goes back.
    back: Vec<Move>,
    /// Places that hold something else.
    held: Vec<ObjectPath>,
    /// Where what goes back was found, and where it lies before the redo file is done.
    shown: Vec<Move>,
}

impl Round {
    fn of(scanned: &Scanned, needed: &Needed, store: &dyn Store) -> Result<Round, StoreError> {
        let fixes = &scanned.fixes;
        let mut round = Round {
            blocked: fixes.blocked.clone(),
            back: Vec::new(),
            held: Vec::new(),
            shown: Vec::new(),
        };
        if scanned.root.is_none() {
            return Ok(round);
        }
        let guards = fixes.back.iter().map(|(from, to, _)| (from, to));
        let contents = fixes.payloads.iter().map(|(from, to)| (from, to));
        let held = fixes
            .held
            .iter()
            .filter_map(|held| Some((held.from.as_ref()?, &held.place)));
        for (from, to) in guards.chain(contents).chain(held) {
            round.add(needed, store, from, to)?;
        }
        let alone = fixes.held.iter().filter(|held| held.from.is_none());
        round.held.extend(alone.map(|held| held.place.clone()));
        Ok(round)
    }

    /// What the redo file moves lies elsewhere now, and is still to be moved by it.
    fn add(
        &mut self,
        needed: &Needed,
        store: &dyn Store,
        from: &ObjectPath,
        to: &ObjectPath,
    ) -> Result<(), StoreError> {
        let before = needed
            .before(from)
            .filter(|_| !is_taken(store, from).unwrap_or(true));
        let now = before.unwrap_or_else(|| from.clone());
        let is_free = !is_taken(store, to)?;
        // What the redo file is about to remove is in nobody's way.
        let goes = !is_free && !is_taken(&*needed.store, to)?;
        let to = needed.source(to).filter(|_| is_free).unwrap_or(to);
        let is_known = |known: &Move| known.0 == now || known.1 == *to;
        if !goes && now != *to && is_taken(store, &now)? && !self.back.iter().any(is_known) {
            self.shown.push((from.clone(), now.clone()));
            self.back.push((now, to.clone()));
        }
        Ok(())
    }

    /// Does it to a store; gives what was moved, step by step.
    fn make(
        mut self,
        store: &dyn Store,
        aside: &mut Quarantine<'_>,
    ) -> Result<Vec<Vec<Move>>, VaultError> {
        let mut steps = Vec::new();
        let taken = self.taken(store)?;
        let mut free = Vec::new();
        let mut number = 0;
        let mut moved = BTreeSet::new();
        for (from, _) in &mut self.back {
            let is_in_the_way = taken.iter().any(|place| is_within(from.as_str(), place));
            if is_in_the_way && moved.insert(from.clone()) {
                let beside = free_path(store, &mut number)?;
                free.push((from.clone(), beside.clone()));
                *from = beside;
            }
        }
        do_step(store, free, &mut steps)?;
        let mut set_aside = Vec::new();
        for place in taken {
            let place = ObjectPath::new(place)?;
            if is_listed(store, &place)? && is_taken(store, &place)? {
                let to = aside.place(&place)?;
                set_in(store, &place, &to)?;
                set_aside.push((place, to));
            }
        }
        steps.extend((!set_aside.is_empty()).then_some(set_aside));
        do_step(store, self.back, &mut steps)?;
        Ok(steps)
    }

    /// What must be free and is not.
    fn taken(&self, store: &dyn Store) -> Result<BTreeSet<String>, StoreError> {
        let mut taken = BTreeSet::new();
        let places = self.back.iter().map(|(_, to)| to).chain(&self.held);
        for place in places.chain(&self.blocked) {
            if is_taken(store, place)? {
                taken.insert(place.as_str().to_owned());
            }
        }
        Ok(taken)
    }
}

/// Is there a directory in which it lies?
fn is_listed(store: &dyn Store, place: &ObjectPath) -> Result<bool, StoreError> {
    match store.list(&place.parent()) {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound(_) | StoreError::NotAnObject { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Of what cannot be opened, such as a link, only its name can be taken away in memory.
fn set_in(store: &dyn Store, place: &ObjectPath, aside: &ObjectPath) -> Result<(), StoreError> {
    match store.rename(place, aside) {
        Err(StoreError::NotAnObject { .. }) => hide(store, place),
        renamed => renamed,
    }
}

fn do_step(
    store: &dyn Store,
    moves: Vec<Move>,
    steps: &mut Vec<Vec<Move>>,
) -> Result<(), StoreError> {
    let mut done = Vec::new();
    for (from, to) in moves {
        store.make_dir(&to.parent())?;
        match store.rename(&from, &to) {
            Err(StoreError::NotFound(_) | StoreError::NotAnObject { .. }) => {}
            renamed => {
                renamed?;
                done.push((from, to));
            }
        }
    }
    if !done.is_empty() {
        steps.push(done);
    }
    Ok(())
}
