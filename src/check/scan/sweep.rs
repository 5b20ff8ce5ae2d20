//! What nobody named: leaked payloads, and what is none of the vault's.
use super::{
    super::{
        repair::{IN_THE_WAY, is_blocked},
        report::{Finding, Kind},
    },
    Scan,
    dir::{Dir, Sums},
    elsewhere::{Elsewhere, has_within},
    places::{Back, Held, Placed},
};
use crate::{
    format::{
        PayloadId, ZoneId, dir_path, index_path, new_payload_path, parse_new_payload_name,
        payload_key, payload_path,
    },
    store::ObjectPath,
    vault::finding::{GUARD_WORK, words},
};
use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, atomic::Ordering::SeqCst},
};

/// Where repairs put what they replace.
pub(in crate::check) const QUARANTINE: &str = "quarantine";
/// About what a guard takes, for estimates.
const GUARD_BYTES: u64 = 700;

impl Scan<'_> {
    /// `links`: `guards/links`, and what the root says of it.
    pub(super) fn sweep(&self, links: Option<(&Arc<Dir>, Sums)>) {
        let payloads = self.payloads_there();
        let (new, odd) = self.new_payloads();
        self.want_claimed();
        self.tell_rest();
        let unclaimed = self.unclaimed(&payloads, &new);
        let elsewhere = self.look_elsewhere(links.map(|(dir, _)| dir), &unclaimed);
        let Placed { back, held, made } = self.places(&elsewhere, links);
        self.spare_lacking(&elsewhere, links);
        self.settle_links(made);
        let held_back = held.iter().filter_map(Held::back);
        let all: Vec<Back> = back.iter().cloned().chain(held_back).collect();
        let text = |path: &ObjectPath| path.as_str().to_owned();
        let mut from: BTreeSet<String> = all.iter().map(|one| text(&one.0)).collect();
        let to: BTreeSet<String> = all.iter().map(|one| text(&one.1)).collect();
        self.tell_misplaced(&all);
        self.fixes.lock().held = held;
        let recognised = self.recognised(&unclaimed, &elsewhere);
        self.give_back_recognised(&recognised, &all);
        self.give_back_payloads(&payloads, &elsewhere, &to);
        self.give_back_claimed(&elsewhere);
        from.extend(recognised.iter().map(|one| text(&one.0)));
        self.tell_strays(&elsewhere, &from);
        self.tell_hollow(&from, &to);
        self.fixes.lock().back = back;
        let unclaimed = unclaimed.into_iter();
        let left: Vec<ObjectPath> = unclaimed
            .filter(|path| !from.contains(path.as_str()))
            .collect();
        self.leaked(&left, &elsewhere);
        for path in odd.iter().filter(|path| !has_within(&from, path)) {
            self.leak(path, words::NEW_DIR);
        }
    }

    /// What is none of the vault's.
    fn tell_rest(&self) {
        for dir in ["zones", "zones.copy"] {
            for name in self.names_in(dir) {
                if ZoneId::from_hex(name.as_bytes()) != Some(self.keys.zone()) {
                    self.stray(&format!("{dir}/{name}"));
                }
            }
        }
        for name in self.names_in("journal") {
            let ours = ["log.", "redo."].iter().any(|kind| {
                name.strip_prefix(kind)
                    .is_some_and(|number| number.len() == 16)
            });
            if !ours && !["reserve", "durable"].contains(&name.as_str()) {
                self.stray(&format!("journal/{name}"));
            }
        }
        for name in self.names_in("") {
            match name.as_str() {
                "wardfs.vault" | "wardfs.vault.copy" | "guards" | "zones" | "zones.copy"
                | "payloads" | "journal" => {}
                QUARANTINE => self.tell_quarantine(),
                _ => self.stray(&name),
            }
        }
    }

    /// Payloads where payloads belong, and whether it is the index.
    fn payloads_there(&self) -> HashSet<(PayloadId, bool)> {
        let mut there = HashSet::new();
        self.spread("payloads", &["new"], &mut |digits| {
            let Some((id, suffix)) = digits.split_at_checked(32) else {
                return false;
            };
            let Some(id) = PayloadId::from_hex(id.as_bytes()) else {
                return false;
            };
            if !matches!(suffix, "" | ".index") {
                return false;
            }
            let is_index = !suffix.is_empty();
            if !self.payloads.lock().contains_key(&id) && self.is_dir(&place_of(&id, is_index)) {
                return false;
            }
            there.insert((id, is_index));
            true
        });
        there
    }

    fn is_dir(&self, path: &ObjectPath) -> bool {
        self.store.list(path).is_ok()
    }

    /// New payloads, and what only has the name of one: a mount could not get rid of it.
    fn new_payloads(&self) -> (Vec<PayloadId>, Vec<String>) {
        let (mut new, mut odd) = (Vec::new(), Vec::new());
        for name in self.names_in("payloads/new") {
            let path = format!("payloads/new/{name}");
            match parse_new_payload_name(name.as_bytes()) {
                Some(id) if !self.is_dir(&new_payload_path(&id)) => new.push(id),
                Some(_) => odd.push(path.clone()),
                None => {}
            }
            if new
                .last()
                .is_none_or(|id| new_payload_path(id).as_str() != path)
            {
                self.stray(&path);
            }
        }
        (new, odd)
    }

    /// What a guard in its place names and is not there, but elsewhere.
    fn give_back_payloads(
        &self,
        there: &HashSet<(PayloadId, bool)>,
        elsewhere: &Elsewhere,
        guards: &BTreeSet<String>,
    ) {
        let mut fixes = self.fixes.lock();
        let known = fixes.payloads.iter().flat_map(|(from, to)| [from, to]);
        let known: BTreeSet<ObjectPath> = known.cloned().collect();
        let mut back = Vec::new();
        for (id, has_index) in &*self.payloads.lock() {
            for is_index in [false, true] {
                if (is_index && !has_index) || there.contains(&(*id, is_index)) {
                    continue;
                }
                let from = elsewhere.payloads.get(&payload_key(id, is_index));
                let to = place_of(id, is_index);
                let is_known =
                    |path: &ObjectPath| known.contains(path) || guards.contains(path.as_str());
                let from = from.filter(|from| !is_known(from) && !is_known(&to));
                back.extend(from.map(|from| (from.clone(), to)));
            }
        }
        back.sort();
        for (from, to) in &back {
            let what = format!("content that is missing at {to}");
            self.find(Finding::new(Kind::Misplaced, from.as_str(), what));
        }
        fixes.payloads.extend(back);
    }

    /// What lies where content belongs and is of no use to a guard in its place.
    fn unclaimed(&self, there: &HashSet<(PayloadId, bool)>, new: &[PayloadId]) -> Vec<ObjectPath> {
        let known = self.payloads.lock();
        let is_named = |id: &PayloadId| known.contains_key(id);
        let stored = there.iter().filter(|(id, _)| !is_named(id));
        let stored = stored.map(|(id, is_index)| place_of(id, *is_index));
        let may_be_new = |id: &&PayloadId| is_named(id) && self.may_be_new(id);
        let new = new.iter().filter(|id| !may_be_new(id));
        let new = new.map(new_payload_path);
        let mut all: Vec<ObjectPath> = stored.chain(new).chain(self.misfits()).collect();
        all.sort_unstable();
        all
    }

    /// Directories that no entry leads to, unless what is in them goes back where it belongs, or something into them.
    fn tell_hollow(&self, from: &BTreeSet<String>, to: &BTreeSet<String>) {
        // Where the disk does not read, there may be an entry.
        if self.unread.load(SeqCst) {
            return;
        }
        for id in &*self.hollow.lock() {
            let path = dir_path(id);
            if [from, to].iter().any(|set| has_within(set, path.as_str())) {
                continue;
            }
            self.find(Finding::new(Kind::Leak, path.as_str(), words::HOLLOW));
            self.fixes.lock().leaks.push(path);
        }
    }

    fn leaked(&self, unclaimed: &[ObjectPath], elsewhere: &Elsewhere) {
        let is_named = |path: &ObjectPath| {
            payload_of(path).is_some_and(|id| {
                let is_another = *path == new_payload_path(&id)
                    && self
                        .store
                        .exists(&payload_path(&id))
                        .is_ok_and(|there| there);
                if is_another {
                    return false;
                }
                self.payloads.lock().contains_key(&id)
                    || self.also_named.lock().contains(&id)
                    || elsewhere.named.contains(&id)
            })
        };
        for path in unclaimed.iter().filter(|path| !is_named(path)) {
            let is_new = path.as_str().starts_with("payloads/new/");
            let what = if is_new { words::NEW_LEAK } else { words::LEAK };
            self.leak(path.as_str(), what);
        }
    }

    fn leak(&self, path: &str, what: &str) {
        // Where the disk does not read, there may be a guard that names it.
        if self.unread.load(SeqCst) {
            return;
        }
        self.find(Finding::new(Kind::Leak, path, what));
        if let Ok(path) = ObjectPath::new(path) {
            self.fixes.lock().leaks.push(path);
        }
    }

    fn tell_quarantine(&self) {
        let (mut objects, mut bytes) = (0_u64, 0_u64);
        if is_blocked(self.store) {
            return self.find(Finding::new(Kind::Place, QUARANTINE, IN_THE_WAY));
        }
        let mut waiting = vec![QUARANTINE.to_owned()];
        while let Some(dir) = waiting.pop() {
            for name in self.names_below(&dir) {
                let path = format!("{dir}/{name}");
                let Ok(object) = ObjectPath::new(path.as_str()) else {
                    continue;
                };
                match self.store.open(&object, false).and_then(|blob| blob.len()) {
                    Ok(len) => {
                        objects += 1;
                        bytes += len;
                    }
                    Err(_) => waiting.push(path),
                }
            }
        }
        self.find(words::of_quarantine(QUARANTINE, objects, bytes));
    }

    /// The same without a word about what is odd.
    fn names_below(&self, dir: &str) -> Vec<String> {
        let names = ObjectPath::new(dir).and_then(|path| self.store.list(&path));
        let names = names.unwrap_or_default().into_iter();
        names
            .filter_map(|name| String::from_utf8(name).ok())
            .collect()
    }

    /// About what there is to do, for an estimate of the time.
    pub(super) fn work(&self) -> u64 {
        let mut bytes = 0;
        for (top, sized) in [("payloads", true), ("guards", false)] {
            for first in self.names_below(top) {
                for rest in self.names_below(&format!("{top}/{first}")) {
                    let path = format!("{top}/{first}/{rest}");
                    bytes += if sized {
                        let path = ObjectPath::new(path);
                        let blob = path.and_then(|path| self.store.open(&path, false));
                        blob.and_then(|blob| blob.allocated()).unwrap_or(0)
                    } else {
                        self.names_below(&path).len() as u64 * (GUARD_BYTES + GUARD_WORK)
                    };
                }
            }
        }
        bytes
    }
}

/// Where the frames of a payload or its index belong.
pub(super) fn place_of(id: &PayloadId, is_index: bool) -> ObjectPath {
    if is_index {
        index_path(id)
    } else {
        payload_path(id)
    }
}

/// Which payload belongs at a path.
fn payload_of(path: &ObjectPath) -> Option<PayloadId> {
    let name = path.as_str().strip_prefix("payloads/")?;
    let digits = name.strip_prefix("new/").unwrap_or(name);
    let digits = digits.strip_suffix(".index").unwrap_or(digits);
    PayloadId::from_hex(digits.replace('/', "").as_bytes())
}
