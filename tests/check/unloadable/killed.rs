//! Vaults whose mount was killed when its log had changes of every file.
use crate::{
    map::{Map, MappedBody},
    vaults::{
        image::{Image, open, options},
        objects::{Objects, objects as objects_of},
        op::Fill,
    },
    victim::copy_of,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};
use wardfs::{
    format::Kind,
    vault::{DirEntry, NewKind, ROOT_INO, RenameMode, Vault},
};

/// A vault whose mount was killed.
pub struct Killed {
    pub objects: Objects,
    /// Where the guards of what was stored before lie.
    pub guards: BTreeMap<String, String>,
    /// Backing directories, and where their entries lie, likewise.
    pub dirs: BTreeMap<String, String>,
    pub entries: BTreeMap<String, String>,
    /// Index of `d/long`.
    pub index: String,
    /// Content of `d/goes`.
    pub goes: String,
    /// What a mount shows.
    pub truth: BTreeMap<String, Found>,
}

/// The content of a file.
pub type Found = Vec<Option<Vec<u8>>>;

/// Bytes that are read at a time.
const PAGE: usize = 4096;

pub fn mounted(objects: &Objects) -> Vault {
    let store = copy_of(objects);
    open(Arc::new(store), options(1 << 40)).expect("a vault that mounts")
}

fn look(vault: &Vault, path: &str) -> u64 {
    crate::look(vault, path.as_bytes()).expect("a healthy vault")
}

fn write(vault: &Vault, path: &str, at: u64, seed: u64, len: usize) {
    let bytes = Fill::Noise(seed).bytes(len);
    let done = vault.write(look(vault, path), at, &bytes, false);
    assert_eq!(done.expect("a healthy vault"), len);
}

fn make(vault: &Vault, path: &str, kind: NewKind<'_>) {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = look(vault, dir);
    vault
        .make(dir, name.as_bytes(), kind, 0o755, 1, 2)
        .expect("a healthy vault");
}

fn file(vault: &Vault, path: &str, seed: u64, len: usize) {
    make(vault, path, NewKind::File);
    write(vault, path, 0, seed, len);
}

fn rename(vault: &Vault, from: &str, to: &str) {
    let split = |path: &str| {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        (look(vault, dir), name.as_bytes().to_vec())
    };
    let ((from, name), (to, new)) = (split(from), split(to));
    vault
        .rename(from, &name, to, &new, RenameMode::Replace)
        .expect("a healthy vault");
}

fn fill(vault: &Vault) {
    for dir in ["d", "e", "e/sub"] {
        make(vault, dir, NewKind::Directory);
    }
    file(vault, "d/both", 90, 700);
    file(vault, "e/both", 91, 700);
    file(vault, "d/goes", 92, 60_000);
    for (seed, path) in ["top", "d/small", "d/other", "e/sub/x", "e/y", "e/z"]
        .into_iter()
        .enumerate()
    {
        file(vault, path, seed as u64, 700);
    }
    file(vault, "d/content", 20, 60_000);
    file(vault, "e/content", 21, 60_000);
    // More than one block of an index.
    file(vault, "d/long", 22, 5_000_000);
    vault
        .link(look(vault, "d/other"), look(vault, "e"), b"alias")
        .expect("a healthy vault");
}

/// Every file is changed, by turns, and names move.
fn log(vault: &Vault) {
    for (seed, path) in ["top", "d/small", "d/other", "e/sub/x", "e/y", "e/z"]
        .into_iter()
        .enumerate()
    {
        write(vault, path, 100, 30 + seed as u64, 100);
    }
    write(vault, "d/content", 9000, 40, 100);
    write(vault, "d/long", 100, 41, 40_000);
    write(vault, "d/long", 4_900_000, 42, 300_000);
    write(vault, "e/content", 9000, 43, 20_000);
    for (seed, dir) in ["", "d/", "e/", "e/sub/"].into_iter().enumerate() {
        let seed = 50 + 3 * seed as u64;
        file(vault, &format!("{dir}new"), seed, 500);
        file(vault, &format!("{dir}long new"), seed + 1, 70_000);
        // As an editor saves.
        file(vault, &format!("{dir}temporary"), seed + 2, 900);
        rename(vault, &format!("{dir}temporary"), &format!("{dir}saved"));
    }
    make(vault, "e/made", NewKind::Directory);
    file(vault, "e/made/below", 70, 500);
    file(vault, "replacing", 71, 800);
    rename(vault, "replacing", "d/small");
    rename(vault, "top", "e/moved here");
    rename(vault, "e/y", "moved away");
    vault
        .unlink(look(vault, "e"), b"z")
        .expect("a healthy vault");
    let d = look(vault, "d");
    vault.unlink(d, b"goes").expect("a healthy vault");
    write(vault, "d/both", 10, 93, 10);
    write(vault, "e/both", 10, 94, 10);
    rename(vault, "e/both", "e/both moved");
    vault
        .link(look(vault, "d/both"), ROOT_INO, b"linked")
        .expect("a healthy vault");
    rename(vault, "e/alias", "e/alias, too");
    file(vault, "last", 72, 100);
}

fn killed(image: Image) -> Killed {
    let store = image.in_memory();
    let disk = || Arc::new(store.clone());
    let vault = open(disk(), options(1 << 40)).expect("a healthy vault");
    fill(&vault);
    vault.close().expect("a healthy vault");
    let map = Map::of(&objects_of(&store));
    let vault = open(disk(), options(1 << 40)).expect("a healthy vault");
    log(&vault);
    vault.sync_all().expect("a healthy vault");
    make(&vault, "the end", NewKind::Directory);
    vault.sync_all().expect("a healthy vault");
    drop(vault);
    let objects = objects_of(&store);
    let mut killed = Killed {
        truth: all_of(&mounted(&objects)),
        objects,
        guards: BTreeMap::new(),
        dirs: BTreeMap::new(),
        entries: BTreeMap::new(),
        index: String::new(),
        goes: String::new(),
    };
    killed.place(&map, ROOT_INO, "");
    killed
}

impl Killed {
    fn place(&mut self, map: &Map, ino: u64, path: &str) {
        let node = &map.nodes[&ino];
        self.guards.insert(path.to_owned(), node.guard.clone());
        match &node.body {
            MappedBody::Payload(payload) if path == "/d/long" => {
                self.index.clone_from(&payload.objects[1]);
            }
            MappedBody::Payload(payload) if path == "/d/goes" => {
                self.goes.clone_from(&payload.objects[0]);
            }
            MappedBody::Dir(dir) => {
                for (name, entry) in &dir.entries {
                    let (backing, _) = entry.path.rsplit_once('/').expect("a path");
                    self.dirs.insert(path.to_owned(), backing.to_owned());
                    let name = String::from_utf8_lossy(name);
                    self.entries
                        .insert(format!("{path}/{name}"), entry.path.clone());
                    self.place(map, entry.ino, &format!("{path}/{name}"));
                }
            }
            _ => {}
        }
    }

    /// Paths of one node, as they were stored, and as the log has them.
    pub fn paths_of(&self, stored: &str) -> Vec<&str> {
        match stored {
            "/d/other" | "/e/alias" => vec!["/d/other", "/e/alias, too"],
            "/d/both" => vec!["/d/both", "/linked"],
            "/e/both" => vec!["/e/both moved"],
            "/top" => vec!["/e/moved here"],
            "/e/y" => vec!["/moved away"],
            // Others have their names, or nobody.
            "/d/small" | "/e/z" | "/d/goes" => vec![],
            path => vec![path],
        }
        .into_iter()
        .map(|path| {
            self.truth
                .get_key_value(path)
                .expect("it is there")
                .0
                .as_str()
        })
        .collect()
    }
}

/// Everything below the root; of files each page, unless it cannot be read.
pub fn all_of(vault: &Vault) -> BTreeMap<String, Found> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![(String::new(), ROOT_INO)];
    while let Some((path, ino)) = waiting.pop() {
        let stat = vault.stat(ino).expect("it is there");
        let mut pages = Vec::new();
        if stat.kind == Kind::Directory {
            let each = &mut |entry: &DirEntry<'_>| {
                let name = String::from_utf8_lossy(entry.name);
                waiting.push((format!("{path}/{name}"), entry.ino));
                true
            };
            vault.read_dir(ino, 0, each).expect("a whole directory");
        } else {
            for at in (0..stat.size).step_by(PAGE) {
                let mut page = vec![0; PAGE];
                let read = vault.read(ino, at, &mut page);
                pages.push(read.ok().map(|len| page[..len].to_vec()));
            }
        }
        all.insert(path, pages);
    }
    all
}

pub fn vaults() -> &'static [Killed; 2] {
    static VAULTS: OnceLock<[Killed; 2]> = OnceLock::new();
    VAULTS.get_or_init(|| [Image::Small, Image::Large].map(killed))
}
