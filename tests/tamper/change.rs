//! What is done to the stored objects.
use crate::{
    map::{HEADERS, MappedBody},
    vaults::{draw::Source, objects::Objects},
    victim::{Moment, Victim},
};
use std::{collections::BTreeMap, ops::Range};

/// One change.
#[derive(Clone, Debug)]
pub enum Change {
    FlipBit {
        object: String,
        bit: usize,
    },
    Cut {
        object: String,
        len: usize,
    },
    Extend {
        object: String,
        by: usize,
    },
    Zero {
        object: String,
        range: Range<usize>,
    },
    Remove {
        object: String,
    },
    RemoveDir {
        dir: String,
    },
    Swap {
        one: String,
        other: String,
    },
    /// Over what lies there, if anything does.
    Move {
        from: String,
        to: String,
    },
    Copy {
        from: String,
        to: String,
    },
    /// Two frames or index blocks change places, in one object or between two.
    SwapBytes {
        one: Place,
        other: Place,
    },
    /// A directory lies where an object was.
    MakeDirOf {
        object: String,
    },
    /// Each as it was at a moment, or there again, or gone if it was not there.
    PutBack {
        objects: Vec<String>,
        moment: usize,
    },
    /// A frame or index block as it was at a moment.
    PutBackBytes {
        place: Place,
        moment: usize,
    },
    /// Everything as it was at a moment.
    PutBackAll {
        moment: usize,
    },
    /// The journal of the mount that was killed lies there again.
    OldJournal {
        interrupted: Option<usize>,
    },
    /// Something that was never there.
    Stray {
        object: String,
    },
}

#[derive(Clone, Debug)]
pub struct Place {
    pub object: String,
    pub range: Range<usize>,
}

/// Draws changes of one victim.
pub struct Changes<'a> {
    victim: &'a Victim,
    source: &'a mut dyn Source,
    /// Objects that are there now.
    names: Vec<&'a str>,
    /// Frames and index blocks by object.
    pieces: BTreeMap<&'a str, Vec<Range<usize>>>,
}

impl Change {
    pub fn apply(&self, victim: &Victim, objects: &mut Objects) {
        match self {
            Change::FlipBit { object, bit } => {
                if let Some(byte) = bytes_of(objects, object).get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Change::Cut { object, len } => bytes_of(objects, object).truncate(*len),
            Change::Extend { object, by } => {
                let bytes = bytes_of(objects, object);
                bytes.resize(bytes.len() + by, 0);
            }
            Change::Zero { object, range } => {
                if let Some(range) = bytes_of(objects, object).get_mut(range.clone()) {
                    range.fill(0);
                }
            }
            Change::Remove { object } => drop(objects.remove(object)),
            Change::RemoveDir { dir } => {
                objects.retain(|name, _| !name.starts_with(&format!("{dir}/")));
            }
            Change::Swap { one, other } => {
                let bytes = [one, other].map(|object| bytes_of(objects, object).clone());
                let [first, second] = bytes;
                objects.insert(one.clone(), second);
                objects.insert(other.clone(), first);
            }
            Change::Move { from, to } => {
                let bytes = bytes_of(objects, from).clone();
                objects.remove(from);
                put(objects, to, bytes);
            }
            Change::Copy { from, to } => {
                let bytes = bytes_of(objects, from).clone();
                put(objects, to, bytes);
            }
            Change::SwapBytes { one, other } => {
                let [first, second] = [one, other].map(|place| place.read(objects));
                one.write(objects, &second);
                other.write(objects, &first);
            }
            Change::MakeDirOf { object } => {
                objects.remove(object);
                objects.insert(format!("{object}/"), Vec::new());
            }
            Change::PutBack {
                objects: which,
                moment,
            } => {
                for object in which {
                    match victim.moments[*moment].objects.get(object) {
                        Some(bytes) => put(objects, object, bytes.clone()),
                        None => drop(objects.remove(object)),
                    }
                }
            }
            Change::PutBackBytes { place, moment } => {
                place.write(objects, &place.read(&victim.moments[*moment].objects));
            }
            Change::PutBackAll { moment } => {
                objects.clone_from(&victim.moments[*moment].objects);
            }
            Change::OldJournal { interrupted } => {
                let killed = &victim.killed.objects;
                let old = interrupted.map_or(killed, |number| &victim.interrupted[number]);
                let journal = old.iter().filter(|(name, _)| name.starts_with("journal/"));
                objects.extend(journal.map(|(name, bytes)| (name.clone(), bytes.clone())));
            }
            Change::Stray { object } => put(objects, object, b"from elsewhere".to_vec()),
        }
    }
}

impl Place {
    fn read(&self, objects: &Objects) -> Vec<u8> {
        let bytes = objects
            .get(&self.object)
            .and_then(|bytes| bytes.get(self.range.clone()));
        bytes.unwrap_or_default().to_vec()
    }

    /// As much as fits.
    fn write(&self, objects: &mut Objects, bytes: &[u8]) {
        if let Some(there) = bytes_of(objects, &self.object).get_mut(self.range.clone()) {
            let len = there.len().min(bytes.len());
            there[..len].copy_from_slice(&bytes[..len]);
        }
    }
}

/// An earlier change of the same run may have removed it.
fn bytes_of<'a>(objects: &'a mut Objects, name: &str) -> &'a mut Vec<u8> {
    if !objects.contains_key(name) {
        put(objects, name, Vec::new());
    }
    objects.get_mut(name).expect("just put there")
}

/// Puts an object where nothing, or another one, or a directory lies.
fn put(objects: &mut Objects, name: &str, bytes: Vec<u8>) {
    objects.retain(|known, _| !known.starts_with(&format!("{name}/")));
    for (at, _) in name.match_indices('/') {
        objects.remove(&name[..at]);
        objects.entry(name[..=at].to_owned()).or_default();
    }
    objects.insert(name.to_owned(), bytes);
}

/// Objects of one kind are worth swapping.
fn kind(name: &str) -> (&str, bool) {
    let top = name.split_once('/').map_or("header", |(top, _)| top);
    (top, name.contains(".index"))
}

impl<'a> Changes<'a> {
    pub fn new(victim: &'a Victim, source: &'a mut dyn Source) -> Changes<'a> {
        let names = victim.now().objects.keys();
        Changes {
            victim,
            source,
            names: names
                .map(String::as_str)
                .filter(|name| !name.ends_with('/'))
                .collect(),
            pieces: victim.now().map.pieces(),
        }
    }

    /// Every kind of change to every object, and what is done to more than one.
    pub fn all(&mut self) -> Vec<Change> {
        let mut all = Vec::new();
        for object in self.names.clone() {
            self.of_object(object, &mut all);
        }
        self.pieces(&mut all);
        self.put_back(&mut all);
        self.dirs(&mut all);
        for interrupted in [None, Some(0), Some(1), Some(2)] {
            all.push(Change::OldJournal { interrupted });
        }
        all
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.source.below(bound.max(1) as u64)).expect("an index")
    }

    fn any<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn of_object(&mut self, name: &'a str, all: &mut Vec<Change>) {
        let object = name.to_owned();
        let len = self.victim.now().objects[name].len();
        for bit in [
            0,
            len * 8 - 1,
            self.below(len * 8),
            self.below(800.min(len * 8)),
        ] {
            // That a header asks for more memory than there is, is no lie (and too slow to be tried here).
            if !(HEADERS.contains(&name) && (64..96).contains(&(bit / 8))) {
                all.push(Change::FlipBit {
                    object: object.clone(),
                    bit,
                });
            }
        }
        for len in [0, len / 2, len - 1, self.below(len)] {
            all.push(Change::Cut {
                object: object.clone(),
                len,
            });
        }
        for by in [1, 512, 16_416] {
            all.push(Change::Extend {
                object: object.clone(),
                by,
            });
        }
        let (a, b) = (self.below(len), self.below(len));
        for range in [0..len, a.min(b)..a.max(b), len / 2..len] {
            if !HEADERS.contains(&name) || range == (0..len) {
                all.push(Change::Zero {
                    object: object.clone(),
                    range,
                });
            }
        }
        all.push(Change::Remove {
            object: object.clone(),
        });
        all.push(Change::MakeDirOf {
            object: object.clone(),
        });
        let others: Vec<&str> = self
            .names
            .iter()
            .copied()
            .filter(|other| *other != name)
            .collect();
        let same: Vec<&str> = others
            .iter()
            .copied()
            .filter(|other| kind(other) == kind(name))
            .collect();
        if same.is_empty() {
            return;
        }
        let mut pick = || self.any(&same).to_owned();
        let (one, other, third) = (pick(), pick(), pick());
        all.push(Change::Swap {
            one: object.clone(),
            other: one,
        });
        all.push(Change::Move {
            from: object.clone(),
            to: other,
        });
        all.push(Change::Copy {
            from: object.clone(),
            to: third,
        });
        self.renames(name, &same, all);
    }

    /// To a name of another directory, and to a name that its directory had once.
    fn renames(&mut self, name: &str, same: &[&str], all: &mut Vec<Change>) {
        let last = |path: &str| path.rsplit_once('/').map_or(0, |(dir, _)| dir.len());
        let other = self.any(same);
        let elsewhere = format!("{}{}", &other[..last(other)], &name[last(name)..]);
        if !self.victim.now().objects.contains_key(&elsewhere) {
            all.push(Change::Move {
                from: name.to_owned(),
                to: elsewhere,
            });
        }
        let dir = format!("{}/", &name[..last(name)]);
        let once = self
            .victim
            .past()
            .iter()
            .flat_map(|moment| moment.objects.keys());
        let mut gone = once.filter(|path| {
            path.starts_with(&dir)
                && !path.ends_with('/')
                && !self.victim.now().objects.contains_key(*path)
        });
        if let Some(gone) = gone.next_back().filter(|_| name.starts_with("guards/")) {
            all.push(Change::Move {
                from: name.to_owned(),
                to: gone.clone(),
            });
        }
    }

    /// Frames and index blocks: moved, and put back from the past.
    fn pieces(&mut self, all: &mut Vec<Change>) {
        let places: Vec<Place> = self
            .pieces
            .iter()
            .flat_map(|(object, ranges)| {
                ranges.iter().map(|range| Place {
                    object: (*object).to_owned(),
                    range: range.clone(),
                })
            })
            .collect();
        for one in &places {
            let past = self.victim.past().iter().enumerate();
            let mut last = one.read(&self.victim.now().objects);
            for (moment, past) in past.rev() {
                let then = one.read(&past.objects);
                if !then.is_empty() && then != last {
                    all.push(Change::PutBackBytes {
                        place: one.clone(),
                        moment,
                    });
                    last = then;
                }
            }
        }
        for _ in 0..40 {
            let (one, other) = (self.any(&places), self.any(&places));
            let ranges = self.pieces[one.object.as_str()].clone();
            let near = Place {
                object: one.object.clone(),
                range: self.any(&ranges),
            };
            if one.range != near.range {
                all.push(Change::SwapBytes {
                    one: one.clone(),
                    other: near,
                });
            }
            if kind(&one.object) == kind(&other.object) && one.object != other.object {
                all.push(Change::SwapBytes { one, other });
            }
        }
    }

    /// Single objects, whole nodes, whole directories, the whole vault.
    fn put_back(&mut self, all: &mut Vec<Change>) {
        for (moment, past) in self.victim.past().iter().enumerate() {
            let now = &self.victim.now().objects;
            let differs = |object: &&String| {
                !object.ends_with('/') && now.get(*object) != past.objects.get(*object)
            };
            let changed: Vec<String> = past.objects.keys().filter(differs).cloned().collect();
            all.extend(changed.iter().map(|object| Change::PutBack {
                objects: vec![object.clone()],
                moment,
            }));
            for ino in past.map.nodes.keys() {
                let objects = node(*ino, past);
                if objects.iter().any(|object| changed.contains(object)) {
                    all.push(Change::PutBack { objects, moment });
                }
                if past.map.dir(*ino).is_some() {
                    let objects = self.tree(*ino, past);
                    all.push(Change::PutBack { objects, moment });
                }
            }
            all.push(Change::PutBackAll { moment });
        }
    }

    /// A node and all below it, and what is there now and was not then.
    fn tree(&self, ino: u64, moment: &Moment) -> Vec<String> {
        let mut objects = node(ino, moment);
        if let MappedBody::Dir(dir) = &moment.map.nodes[&ino].body {
            objects.extend(
                self.victim
                    .now()
                    .map
                    .dir(ino)
                    .into_iter()
                    .flat_map(|dir| dir.entries.values())
                    .map(|entry| entry.path.clone()),
            );
            for entry in dir.entries.values() {
                objects.push(entry.path.clone());
                objects.extend(self.tree(entry.ino, moment));
            }
        }
        objects
    }

    fn dirs(&mut self, all: &mut Vec<Change>) {
        let objects = &self.victim.now().objects;
        for dir in objects.keys().filter_map(|name| name.strip_suffix('/')) {
            if dir != "journal" {
                all.push(Change::RemoveDir {
                    dir: dir.to_owned(),
                });
            }
            for name in ["notes.sync-conflict", "AAAAAAAAAAAAAAAAAAAAAAAA", ".tmp"] {
                all.push(Change::Stray {
                    object: format!("{dir}/{name}"),
                });
            }
            let long = "A".repeat(43);
            all.push(Change::Stray {
                object: format!("{dir}/~{long}"),
            });
        }
        all.push(Change::Stray {
            object: "notes".to_owned(),
        });
    }
}

/// A node's guard and content.
fn node(ino: u64, moment: &Moment) -> Vec<String> {
    let objects = moment.map.objects_of(ino).into_iter();
    objects.map(str::to_owned).collect()
}
