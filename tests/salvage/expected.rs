//! What must come out of a vault of which some objects are gone.
use crate::{
    map::{Map, MappedBody},
    outcome::{Body, Made, Outcome},
    vaults::dump::{Dump, Found, FoundBody},
    vaults::objects::Objects,
    victim::Moment,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
};
use wardfs::{format::Kind, salvage::Report, vault::ROOT_INO};

const DAMAGED: &[u8] = b".damaged";

/// By the paths under which nodes must come out.
pub struct Expected<'a> {
    moment: &'a Moment,
    nodes: BTreeMap<Vec<u8>, Node>,
    missing: BTreeSet<Vec<u8>>,
    incomplete: BTreeSet<Vec<u8>>,
    root_lost: bool,
}

struct Node {
    /// None for what is made by salvage alone.
    ino: Option<u64>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Whole,
    /// Its index is gone.
    Damaged,
}

impl<'a> Expected<'a> {
    /// From what is left of the objects of a healthy vault.
    pub fn of(moment: &'a Moment, left: &Objects) -> Expected<'a> {
        let map = &moment.map;
        let mut expected = Expected {
            moment,
            nodes: BTreeMap::new(),
            missing: BTreeSet::new(),
            incomplete: BTreeSet::new(),
            root_lost: !left.contains_key(&map.nodes[&ROOT_INO].guard),
        };
        let top = Node {
            ino: (!expected.root_lost).then_some(ROOT_INO),
            state: State::Whole,
        };
        expected.nodes.insert(Vec::new(), top);
        if !expected.root_lost {
            expected.add_entries(left, ROOT_INO, b"");
        }
        for (&ino, node) in &map.nodes {
            if map.dir(ino).is_some() && !left.contains_key(&node.guard) {
                expected.add_lost(left, ino);
            }
        }
        expected
    }

    /// How many names must come out.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    fn map(&self) -> &'a Map {
        &self.moment.map
    }

    fn add_lost(&mut self, left: &Objects, ino: u64) {
        let map = self.map();
        let at = lost_path(map, ino);
        self.add_entries(left, ino, &at);
        let entries = &map.dir(ino).expect("a directory").entries;
        let is_left = |entry: &crate::map::Entry| left.contains_key(&map.nodes[&entry.ino].guard);
        if entries.values().any(is_left) {
            for path in [b"lost+found".to_vec(), at] {
                let node = Node {
                    ino: None,
                    state: State::Whole,
                };
                self.nodes.insert(path, node);
            }
        }
    }

    fn add_entries(&mut self, left: &Objects, dir: u64, path: &[u8]) {
        let map = self.map();
        for (name, entry) in &map.dir(dir).expect("a directory").entries {
            let at = joined(path, name);
            let node = &map.nodes[&entry.ino];
            if !left.contains_key(&node.guard) {
                // Of a directory that is gone nobody counts.
                if left.contains_key(&map.nodes[&dir].guard) {
                    self.incomplete.insert(path.to_vec());
                }
                if entry.apart.is_some() && left.contains_key(&entry.path) {
                    self.missing.insert(at);
                }
                continue;
            }
            match &node.body {
                MappedBody::Dir(_) => {
                    self.add_node(at.clone(), entry.ino, State::Whole);
                    self.add_entries(left, entry.ino, &at);
                }
                MappedBody::Guard => self.add_node(at, entry.ino, State::Whole),
                MappedBody::Payload(payload) => {
                    let needs = |object: &String| {
                        let pieces = payload.chunks.values().flatten();
                        pieces.clone().any(|piece| piece.object == *object)
                    };
                    let gone = |object: &String| needs(object) && !left.contains_key(object);
                    let [frames, index] = &payload.objects;
                    if gone(frames) {
                        self.missing.insert(at);
                    } else if gone(index) {
                        self.add_node([&at, DAMAGED].concat(), entry.ino, State::Damaged);
                    } else {
                        self.add_node(at, entry.ino, State::Whole);
                    }
                }
            }
        }
    }

    fn add_node(&mut self, path: Vec<u8>, ino: u64, state: State) {
        let ino = Some(ino);
        self.nodes.insert(path, Node { ino, state });
    }

    /// Exactly this came out, and exactly the rest was told.
    pub fn check(&self, report: &Report, outcome: &Outcome) -> Result<(), String> {
        let wanted: Vec<String> = self.nodes.keys().map(|path| text(path)).collect();
        let found: Vec<String> = outcome.nodes.keys().map(|path| text(path)).collect();
        if wanted != found {
            return Err(format!(
                "{found:?} came out instead of {wanted:?}; {report:?}"
            ));
        }
        for (path, node) in &self.nodes {
            let made = &outcome.nodes[path];
            let Some(ino) = node.ino else { continue };
            let original = &self.moment.dump.nodes[&ino];
            match node.state {
                State::Whole => {
                    same_body(original, made).map_err(|what| format!("{}: {what}", text(path)))?;
                }
                State::Damaged => check_damaged(path, original, made, report)?,
            }
            same_attributes(original, made, report, path.is_empty())
                .map_err(|what| format!("{}: {what}", text(path)))?;
        }
        self.check_links(outcome)?;
        let paths = |paths: Vec<&std::path::PathBuf>| {
            use std::os::unix::ffi::OsStrExt;
            let bytes = |path: &&std::path::PathBuf| path.as_os_str().as_bytes().to_vec();
            paths.iter().map(bytes).collect::<BTreeSet<_>>()
        };
        right(
            self.missing == paths(report.missing.iter().map(|one| &one.path).collect()),
            "missing",
            report,
        )?;
        right(
            self.incomplete == paths(report.incomplete.iter().map(|one| &one.path).collect()),
            "incomplete",
            report,
        )?;
        let damaged = self
            .nodes
            .iter()
            .filter(|(_, node)| node.state == State::Damaged);
        let damaged: BTreeSet<Vec<u8>> = damaged.map(|(path, _)| path.clone()).collect();
        right(
            damaged == paths(report.damaged.iter().map(|one| &one.path).collect()),
            "damaged",
            report,
        )?;
        let is_quiet = report.put_back.is_empty() && !report.linked_put_back;
        right(is_quiet, "nothing was put back", report)?;
        right(report.root_lost == self.root_lost, "root", report)?;
        let lost = self.nodes.contains_key(&b"lost+found"[..]);
        right(report.lost_found.is_some() == lost, "lost+found", report)
    }

    /// Names of one file in the vault are names of one file.
    fn check_links(&self, outcome: &Outcome) -> Result<(), String> {
        let mut by_ino: BTreeMap<u64, u64> = BTreeMap::new();
        for (path, node) in &self.nodes {
            if let Some(ino) = node.ino.filter(|ino| self.map().dir(*ino).is_none()) {
                let made = outcome.nodes[path].metadata.ino();
                if *by_ino.entry(ino).or_insert(made) != made {
                    return Err(format!("{} is a file of its own", text(path)));
                }
            }
        }
        Ok(())
    }

    /// Whatever stands under a whole name is that of the vault.
    pub fn check_names_and_contents(&self, outcome: &Outcome) -> Result<(), String> {
        for (path, made) in &outcome.nodes {
            if path.ends_with(DAMAGED) || made.body == Body::Dir {
                continue;
            }
            let original = self.original(path);
            let original = original.ok_or_else(|| format!("{} was never there", text(path)))?;
            same_body(original, made).map_err(|what| format!("{}: {what}", text(path)))?;
        }
        Ok(())
    }

    /// The same; and what is not whole is told.
    pub fn check_no_lies(&self, report: &Report, outcome: &Outcome) -> Result<(), String> {
        self.check_names_and_contents(outcome)?;
        for (path, made) in &outcome.nodes {
            if let Some(name) = path.strip_suffix(DAMAGED) {
                let original = self.original(name);
                let original = original.ok_or_else(|| format!("{} was never there", text(path)))?;
                check_damaged(path, original, made, report)?;
            }
        }
        let files = |outcome: &Outcome| {
            let bodies = outcome.nodes.values();
            bodies.filter(|made| made.body != Body::Dir).count()
        };
        let all = self
            .nodes
            .values()
            .filter(|node| node.ino.is_some_and(|ino| self.map().dir(ino).is_none()));
        right(
            files(outcome) == all.count() || !report.is_whole(),
            "silent loss",
            report,
        )
    }

    /// The node that a path is about, from the root or in `lost+found`.
    fn original(&self, path: &[u8]) -> Option<&'a Found> {
        let dump = &self.moment.dump;
        let (mut ino, path) = match path.strip_prefix(b"lost+found/") {
            Some(rest) => {
                let id = std::str::from_utf8(rest.get(..32)?).ok()?;
                let label = format!("directory {id}");
                let is_it =
                    |ino: &&u64| self.map().dir(**ino).is_some_and(|dir| dir.label == label);
                (*self.map().nodes.keys().find(is_it)?, rest.get(33..)?)
            }
            None => (ROOT_INO, path),
        };
        for name in path.split(|byte| *byte == b'/') {
            match &dump.nodes[&ino].body {
                FoundBody::Dir(names) => ino = *names.get(name)?,
                _ => return None,
            }
        }
        dump.nodes.get(&ino)
    }

    /// Every node of which no object was hit is there and whole, wherever its directories went.
    pub fn check_untouched(&self, outcome: &Outcome, hit: &BTreeSet<String>) -> Result<(), String> {
        let map = self.map();
        let originals = |path: &Vec<u8>| self.original(path).map(|found| found.stat.ino);
        let there: BTreeSet<u64> = outcome.nodes.keys().filter_map(originals).collect();
        for &ino in map.nodes.keys() {
            let untouched = !map
                .objects_of(ino)
                .iter()
                .any(|object| hit.contains(*object));
            if untouched && map.dir(ino).is_none() && !there.contains(&ino) {
                return Err(format!("a node that was not hit is not there: {ino}"));
            }
        }
        Ok(())
    }
}

/// Is the content that of some moment?
pub fn is_of_some(dumps: &[Dump], made: &Made, names: &[Vec<u8>]) -> bool {
    let find = |dump: &'_ Dump| {
        let mut found = Vec::new();
        for node in dump.nodes.values() {
            if let FoundBody::Dir(entries) = &node.body {
                found.extend(names.iter().filter_map(|name| entries.get(name).copied()));
            }
        }
        found
    };
    dumps.iter().any(|dump| {
        find(dump)
            .iter()
            .any(|ino| same_body(&dump.nodes[ino], made).is_ok())
    })
}

pub fn same_body(original: &Found, made: &Made) -> Result<(), String> {
    let same = match (&original.body, &made.body) {
        (FoundBody::File(content), Body::File(made)) => content.same(made),
        (FoundBody::Symlink(target), Body::Symlink(made)) => target == made,
        (FoundBody::Dir(_), Body::Dir) => true,
        (FoundBody::Special, Body::Special) => {
            let kind = made.metadata.mode() & 0o170_000;
            let wanted = match original.stat.kind {
                Kind::Fifo => 0o010_000,
                Kind::Socket => 0o140_000,
                Kind::CharDevice => 0o020_000,
                _ => 0o060_000,
            };
            kind == wanted && made.metadata.rdev() == u64::from(original.stat.rdev)
        }
        _ => false,
    };
    if same {
        Ok(())
    } else {
        Err("another content".to_owned())
    }
}

fn check_damaged(
    path: &[u8],
    original: &Found,
    made: &Made,
    report: &Report,
) -> Result<(), String> {
    use std::os::unix::ffi::OsStrExt;
    let told = report
        .damaged
        .iter()
        .find(|one| one.path.as_os_str().as_bytes() == path)
        .ok_or_else(|| format!("{}: the damage is not told", text(path)))?;
    let (FoundBody::File(content), Body::File(made)) = (&original.body, &made.body) else {
        return Err(format!("{}: only files are there in part", text(path)));
    };
    let mut wanted = content.clone();
    for range in &told.lost {
        wanted.zero(range.start, range.end);
    }
    let some = [&told.lost, &told.unproven, &told.foreign];
    let some = some.iter().any(|ranges| !ranges.is_empty());
    if some && wanted.same(made) {
        Ok(())
    } else {
        Err(format!("{}: other bytes than told: {told:?}", text(path)))
    }
}

fn same_attributes(
    original: &Found,
    made: &Made,
    report: &Report,
    is_top: bool,
) -> Result<(), String> {
    let (stat, metadata) = (&original.stat, &made.metadata);
    let lacks = &report.unrestored;
    let owner = (metadata.uid(), metadata.gid()) == (stat.uid, stat.gid);
    right(owner || lacks.owners > 0, "owner", report)?;
    let is_link = metadata.is_symlink();
    // The directory that holds it all is closed to others.
    let wanted = if is_top { 0o700 } else { stat.mode };
    let same_mode = metadata.mode() & 0o7777 == u32::from(wanted);
    right(same_mode || is_link || lacks.modes > 0, "mode", report)?;
    let time = |secs: i64, nanos: i64, time: &wardfs::format::Time| {
        secs == time.secs && nanos == i64::from(time.nanos)
    };
    let times = time(metadata.mtime(), metadata.mtime_nsec(), &stat.mtime)
        && time(metadata.atime(), metadata.atime_nsec(), &stat.atime);
    right(times || lacks.times > 0, "times", report)?;
    right(
        original.xattrs == made.xattrs || lacks.xattrs > 0,
        "extended attributes",
        report,
    )
}

fn lost_path(map: &Map, ino: u64) -> Vec<u8> {
    let label = &map.dir(ino).expect("a directory").label;
    let id = label.strip_prefix("directory ").expect("its form");
    format!("lost+found/{id}").into_bytes()
}

fn joined(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() {
        name.to_vec()
    } else {
        [dir, b"/", name].concat()
    }
}

fn right(is_right: bool, what: &str, report: &Report) -> Result<(), String> {
    if is_right {
        Ok(())
    } else {
        Err(format!("{what}: {report:?}"))
    }
}

fn text(path: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(path).into_owned();
    text.retain(|letter| !letter.is_control());
    text
}
