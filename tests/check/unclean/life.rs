//! Vaults whose mount was killed: a log of everything, and checkpoints that were cut short in the middle.
use crate::{
    map::{Map, MappedBody},
    vaults::{
        dump::Dump,
        image::{Image, open, options},
        objects::{Objects, objects},
        op::Fill,
    },
    victim::copy_of,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};
use wardfs::{
    store::{Fault, FaultStore, MemoryStore, Operation},
    vault::{NewKind, ROOT_INO, RenameMode, Vault},
};

/// A vault whose mount was killed.
pub struct Life {
    pub name: String,
    pub objects: Objects,
    /// What a mount of it shows.
    pub truth: Dump,
    /// Of what is stored.
    pub places: Places,
}

/// Where things are stored, by their paths in the vault.
#[derive(Clone)]
pub struct Places {
    /// Guards, or where they lie apart those.
    pub guards: BTreeMap<String, String>,
    /// Frames and index of each file that has them.
    pub contents: BTreeMap<String, [String; 2]>,
    /// Backing directories.
    pub dirs: BTreeMap<String, String>,
    /// New content that the log claims.
    pub new: Vec<String>,
}

fn mounted(store: &MemoryStore) -> Vault {
    open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault")
}

fn file(vault: &Vault, dir: u64, name: &str, seed: u64, len: usize) -> u64 {
    let made = vault.make(dir, name.as_bytes(), NewKind::File, 0o644, 1, 2);
    let ino = made.expect("a healthy vault").ino;
    write(vault, ino, 0, seed, len);
    ino
}

fn write(vault: &Vault, ino: u64, at: u64, seed: u64, len: usize) {
    let bytes = Fill::Noise(seed).bytes(len);
    let done = vault.write(ino, at, &bytes, false);
    assert_eq!(done.expect("a healthy vault"), len);
}

fn dir(vault: &Vault, above: u64, name: &str) -> u64 {
    let made = vault.make(above, name.as_bytes(), NewKind::Directory, 0o755, 1, 2);
    made.expect("a healthy vault").ino
}

fn look(vault: &Vault, path: &str) -> u64 {
    crate::look(vault, path.as_bytes()).expect("a healthy vault")
}

/// What is stored before the log begins.
fn fill(vault: &Vault) {
    let d = dir(vault, ROOT_INO, "d");
    let deep = dir(vault, d, "deep");
    file(vault, d, "p", 1, 60_000);
    file(vault, d, "q", 2, 60_000);
    file(vault, d, "untouched", 3, 40_000);
    file(vault, d, "long", 4, 1_200_000);
    file(vault, deep, "small", 5, 700);
    file(vault, deep, "r", 6, 50_000);
    let linked = file(vault, deep, "linked", 7, 50_000);
    vault.link(linked, d, b"link").expect("a healthy vault");
    file(vault, ROOT_INO, "top", 8, 50_000);
}

/// The log: bytes into what is stored, new chunks, new files, names. Each is a life of its own, and all are one.
type Step = fn(&Vault);

const LOGGED: [(&str, Step); 3] = [
    ("patches", |vault| {
        for (path, seed) in [("d/p", 11), ("d/q", 12), ("d/long", 13), ("d/link", 14)] {
            write(vault, look(vault, path), 9000, seed, 100);
        }
        // A whole chunk, and one with the end of the file.
        write(vault, look(vault, "d/p"), 16_384, 15, 16_384);
        write(vault, look(vault, "d/deep/r"), 49_000, 16, 3000);
        write(vault, look(vault, "d/deep/small"), 10, 17, 50);
    }),
    ("claims", |vault| {
        let d = look(vault, "d");
        file(vault, d, "new one", 21, 70_000);
        file(vault, d, "new two", 22, 70_000);
        file(vault, look(vault, "d/deep"), "new, deep", 23, 30_000);
        // Chunks behind the end of what is stored, and a patch over new ones.
        write(vault, look(vault, "d/q"), 65_536, 24, 50_000);
        write(vault, look(vault, "d/new one"), 5000, 25, 100);
    }),
    ("names", |vault| {
        let (d, deep) = (look(vault, "d"), look(vault, "d/deep"));
        let sub = dir(vault, deep, "made in the log");
        file(vault, sub, "in it", 31, 500);
        file(vault, sub, "in it, too", 32, 30_000);
        let rename = |from, name: &[u8], to, new: &[u8]| {
            let done = vault.rename(from, name, to, new, RenameMode::Replace);
            done.expect("a healthy vault");
        };
        rename(deep, b"small", sub, b"moved");
        rename(d, b"untouched", ROOT_INO, b"renamed");
        vault.unlink(ROOT_INO, b"top").expect("a healthy vault");
        let p = look(vault, "d/p");
        vault.link(p, deep, b"second").expect("a healthy vault");
        vault.unlink(d, b"link").expect("a healthy vault");
    }),
];

/// How far the checkpoint of a recovery comes that is killed.
fn halves() -> Vec<(&'static str, Fault)> {
    let put = |count| Fault::io().on(Operation::Put).under("guards/").after(count);
    let write = |count| {
        Fault::io()
            .on(Operation::BlobWrite)
            .under("payloads/")
            .after(count)
    };
    let renamed = Fault::io().on(Operation::Rename).under("payloads/");
    vec![
        ("no payload moved", renamed.after(0)),
        ("one frame written", write(1)),
        ("some frames written", write(5)),
        ("no guard", put(0)),
        ("some guards", put(3)),
    ]
}

/// All of them.
pub fn lives() -> &'static [Life] {
    static LIVES: OnceLock<Vec<Life>> = OnceLock::new();
    LIVES.get_or_init(|| {
        [Image::Small, Image::Large]
            .into_iter()
            .flat_map(lives_of)
            .collect()
    })
}

fn lives_of(image: Image) -> Vec<Life> {
    let store = image.in_memory();
    let vault = mounted(&store);
    fill(&vault);
    vault.close().expect("a healthy vault");
    let stored = objects(&store);
    let mut works: Vec<(String, Vec<Step>)> = LOGGED
        .iter()
        .map(|(name, step)| ((*name).to_owned(), vec![*step]))
        .collect();
    let all = LOGGED.iter().map(|(_, step)| *step).collect();
    works.push(("all".to_owned(), all));
    let mut lives = Vec::new();
    for (name, steps) in works {
        let store = copy_of(&stored);
        let vault = mounted(&store);
        steps.iter().for_each(|step| step(&vault));
        vault.sync_all().expect("a healthy vault");
        // What is logged now says of all before that it was durable.
        dir(&vault, ROOT_INO, "last");
        vault.sync_all().expect("a healthy vault");
        drop(vault);
        let killed = objects(&store);
        let life = |name: String, objects: Objects| Life::new(name, &stored, objects);
        lives.push(life(format!("{image:?}, log of {name}"), killed.clone()));
        for (half, fault) in halves() {
            let store = copy_of(&killed);
            let disk = FaultStore::new(Arc::new(store.clone()));
            disk.inject(fault);
            if open(Arc::new(disk), options(1 << 40)).is_err() {
                let name = format!("{image:?}, redo file of {name}, {half}");
                lives.push(life(name, objects(&store)));
            }
        }
    }
    lives
}

impl Life {
    pub fn is_of_all(&self) -> bool {
        self.name.contains(" of all")
    }

    fn new(name: String, stored: &Objects, objects: Objects) -> Life {
        let vault = mounted(&copy_of(&objects));
        let truth = Dump::of(&vault).expect("a healthy vault");
        let new = objects
            .keys()
            .filter(|name| name.starts_with("payloads/new/"));
        let new = new.filter(|name| !name.ends_with('/')).cloned();
        let places = Places {
            new: new.collect(),
            ..Places::of(stored)
        };
        Life {
            name,
            objects,
            truth,
            places,
        }
    }
}

impl Places {
    fn of(stored: &Objects) -> Places {
        let map = Map::of(stored);
        let mut places = Places {
            guards: BTreeMap::new(),
            contents: BTreeMap::new(),
            dirs: BTreeMap::new(),
            new: Vec::new(),
        };
        places.add(&map, ROOT_INO, "");
        places
    }

    fn add(&mut self, map: &Map, ino: u64, path: &str) {
        let node = &map.nodes[&ino];
        self.guards.insert(path.to_owned(), node.guard.clone());
        match &node.body {
            MappedBody::Payload(payload) => {
                self.contents
                    .insert(path.to_owned(), payload.objects.clone());
            }
            MappedBody::Dir(dir) => {
                for (name, entry) in &dir.entries {
                    let (backing, _) = entry.path.rsplit_once('/').expect("a path");
                    self.dirs.insert(path.to_owned(), backing.to_owned());
                    let name = String::from_utf8_lossy(name);
                    self.add(map, entry.ino, &format!("{path}/{name}"));
                }
            }
            MappedBody::Guard => {}
        }
    }
}
