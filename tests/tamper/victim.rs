//! The vaults that are tampered with: something of everything, at several moments of one life.
use crate::{
    map::Map,
    vaults::{
        dump::Dump,
        image::{Image, open, options},
        objects::{Objects, copy_into, objects},
        op::{Fill, NAMES, name_bytes},
    },
};
use std::sync::Arc;
use wardfs::{
    store::{Fault, FaultStore, MemoryStore, Operation},
    vault::{
        AllocateMode, NewKind, ROOT_INO, RenameMode, Result, SetAttr, Vault, VaultError, XattrMode,
    },
};

/// A vault at one moment, closed: what is stored, what it shows, and what each object is for.
pub struct Moment {
    pub objects: Objects,
    pub dump: Dump,
    pub map: Map,
}

/// A vault whose mount ended badly.
pub struct Crashed {
    pub objects: Objects,
    /// What it may show, the file system after each operation in the log; the present is the last.
    pub past: Vec<Dump>,
}

/// One vault and its past.
pub struct Victim {
    /// Oldest first; the last one is the present.
    pub moments: Vec<Moment>,
    /// Killed before the last moment: the log is full.
    pub killed: Crashed,
    /// The same, killed again while recovery applied its checkpoint, after so many guards: there is a redo file.
    pub interrupted: Vec<Objects>,
}

/// Guards that a recovery puts in place before it is killed.
const PUT: [u64; 3] = [0, 2, 6];

type Step = fn(&Vault) -> Result<()>;

impl Victim {
    pub fn new(image: Image) -> Victim {
        let store = image.in_memory();
        let first = closed_after(&store, fill);
        let second = closed_after(&store, change);
        let (killed, interrupted) = crashes(&store);
        let third = closed_after(&store, |_| Ok(()));
        let last = closed_after(&store, change_again);
        Victim {
            moments: vec![first, second, third, last],
            killed,
            interrupted,
        }
    }

    pub fn now(&self) -> &Moment {
        self.moments.last().expect("there are four")
    }

    pub fn past(&self) -> &[Moment] {
        &self.moments[..self.moments.len() - 1]
    }
}

fn mounted(store: &MemoryStore) -> Vault {
    open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault")
}

fn closed_after(store: &MemoryStore, work: Step) -> Moment {
    let vault = mounted(store);
    work(&vault).expect("a healthy vault");
    vault.close().expect("a healthy vault");
    let vault = mounted(store);
    let dump = Dump::of(&vault).expect("a healthy vault");
    vault.close().expect("a healthy vault");
    let objects = objects(store);
    let map = Map::of(&objects);
    Moment { objects, dump, map }
}

/// Works and is killed; then recovery is killed, too, on copies.
fn crashes(store: &MemoryStore) -> (Crashed, Vec<Objects>) {
    let vault = mounted(store);
    let see = || Dump::of(&vault).expect("a healthy vault");
    let mut past = vec![see()];
    for step in UNFINISHED {
        step(&vault).expect("a healthy vault");
        past.push(see());
    }
    vault.sync_all().expect("a healthy vault");
    drop(vault);
    let killed = Crashed {
        objects: objects(store),
        past,
    };
    let interrupted = PUT.map(|count| interrupt(&killed, count));
    (killed, interrupted.into())
}

fn interrupt(killed: &Crashed, count: u64) -> Objects {
    let store = copy_of(&killed.objects);
    let disk = FaultStore::new(Arc::new(store.clone()));
    disk.inject(Fault::io().on(Operation::Put).under("guards/").after(count));
    let failed = open(Arc::new(disk), options(1 << 40));
    assert!(failed.is_err(), "recovery was not interrupted");
    objects(&store)
}

/// A store of its own with these objects.
pub fn copy_of(objects: &Objects) -> MemoryStore {
    let store = MemoryStore::new();
    copy_into(&store, objects);
    store
}

fn make(vault: &Vault, parent: u64, name: &[u8], kind: NewKind<'_>) -> Result<u64> {
    Ok(vault.make(parent, name, kind, 0o644, 1, 2)?.ino)
}

fn file(vault: &Vault, parent: u64, name: &[u8], seed: u64, len: usize) -> Result<u64> {
    let ino = make(vault, parent, name, NewKind::File)?;
    vault.write(ino, 0, &Fill::Noise(seed).bytes(len), false)?;
    Ok(ino)
}

fn look(vault: &Vault, path: &[&[u8]]) -> Result<u64> {
    path.iter()
        .try_fold(ROOT_INO, |dir, name| Ok(vault.lookup(dir, name)?.ino))
}

fn set_size(vault: &Vault, ino: u64, size: u64) -> Result<()> {
    let set = SetAttr {
        size: Some(size),
        ..SetAttr::default()
    };
    vault.set_attr(ino, &set).map(drop)
}

fn overwrite(vault: &Vault, path: &[&[u8]], at: u64, bytes: &[u8]) -> Result<()> {
    vault.write(look(vault, path)?, at, bytes, false).map(drop)
}

/// Something of everything.
fn fill(vault: &Vault) -> Result<()> {
    let dir = make(vault, ROOT_INO, b"dir", NewKind::Directory)?;
    let deep = make(vault, dir, b"deep", NewKind::Directory)?;
    make(vault, ROOT_INO, b"empty dir", NewKind::Directory)?;
    files(vault, dir, deep)?;
    links(vault, dir, deep)?;
    make(vault, dir, b"symlink", NewKind::Symlink(b"over/there"))?;
    make(vault, dir, b"fifo", NewKind::Fifo)?;
    make(vault, dir, b"device", NewKind::CharDevice(0x0103))?;
    let mut below = deep;
    for depth in 0..8 {
        below = make(vault, below, b"deeper", NewKind::Directory)?;
        file(vault, below, b"at the bottom", 20 + depth, 700)?;
    }
    make(vault, ROOT_INO, b"to go, with all", NewKind::Directory)?;
    let gone = look(vault, &[b"to go, with all"])?;
    file(vault, gone, b"in it", 30, 10_000).map(drop)
}

fn files(vault: &Vault, dir: u64, deep: u64) -> Result<()> {
    make(vault, dir, b"empty", NewKind::File)?;
    let inline = file(vault, dir, b"inline", 1, 3000)?;
    vault.set_xattr(inline, b"user.a", &[7; 200], XattrMode::Any)?;
    file(vault, dir, b"payload", 2, 50_000)?;
    // Compresses, where the vault does that.
    let text = make(vault, dir, b"text", NewKind::File)?;
    vault.write(text, 0, &b"and so on, ".repeat(9000), false)?;
    // More than 64 chunks of either size, so that there is an index.
    file(vault, deep, b"long", 5, 1_100_000)?;
    let sparse = file(vault, deep, b"sparse", 6, 70_000)?;
    set_size(vault, sparse, 3 << 20)?;
    vault.write(sparse, 1 << 20, &[9; 5000], false)?;
    // An index of two levels.
    let vast = file(vault, deep, b"vast", 11, 20_000)?;
    set_size(vault, vast, 1 << 30)?;
    vault.write(vast, 1_500_000, &Fill::Noise(12).bytes(20_000), false)?;
    file(vault, deep, &name_bytes(NAMES[8]), 7, 10)?;
    let long_dir = make(vault, dir, &name_bytes(NAMES[7]), NewKind::Directory)?;
    file(vault, long_dir, &name_bytes(NAMES[8]), 13, 40_000)?;
    file(vault, long_dir, b"short", 14, 100)?;
    file(vault, ROOT_INO, b"to go", 8, 9000)?;
    file(vault, ROOT_INO, b"to be moved", 9, 400)?;
    file(vault, ROOT_INO, b"to be made again", 15, 30_000).map(drop)
}

fn links(vault: &Vault, dir: u64, deep: u64) -> Result<()> {
    let linked = file(vault, deep, b"linked", 3, 20_000)?;
    vault.link(linked, dir, b"link")?;
    vault.link(linked, ROOT_INO, b"another link")?;
    vault.link(linked, deep, &name_bytes((b"link", 200)))?;
    let inline_linked = file(vault, deep, b"inline, linked", 4, 100)?;
    vault.link(inline_linked, deep, b"inline, link")?;
    let parting = file(vault, dir, b"to lose a link", 16, 300)?;
    vault.link(parting, dir, b"to go, a link")?;
    file(vault, dir, b"to be linked", 17, 300).map(drop)
}

/// Some of it otherwise.
fn change(vault: &Vault) -> Result<()> {
    let (dir, deep) = (look(vault, &[b"dir"])?, look(vault, &[b"dir", b"deep"])?);
    overwrite(vault, &[b"dir", b"inline"], 10, b"other")?;
    overwrite(vault, &[b"dir", b"payload"], 17_000, &[1; 20_000])?;
    overwrite(vault, &[b"dir", b"link"], 0, b"linked")?;
    overwrite(vault, &[b"dir", b"deep", b"long"], 600_000, &[2; 40_000])?;
    overwrite(vault, &[b"dir", b"deep", b"vast"], 1_505_000, &[3; 9000])?;
    let sparse = look(vault, &[b"dir", b"deep", b"sparse"])?;
    vault.allocate(sparse, AllocateMode::PunchHole, 16_384, 16_384)?;
    vault.unlink(ROOT_INO, b"to go")?;
    vault.rename(
        ROOT_INO,
        b"to be moved",
        deep,
        b"moved",
        RenameMode::Replace,
    )?;
    vault.unlink(ROOT_INO, b"to be made again")?;
    file(vault, ROOT_INO, b"to be made again", 18, 20_000)?;
    vault.unlink(dir, b"to go, a link")?;
    let linked = look(vault, &[b"dir", b"to be linked"])?;
    vault.link(linked, ROOT_INO, b"linked now")?;
    let long_dir = name_bytes(NAMES[7]);
    overwrite(vault, &[b"dir", &long_dir, b"short"], 0, b"other")?;
    let long_dir = look(vault, &[b"dir", &long_dir])?;
    vault.unlink(long_dir, &name_bytes(NAMES[8]))?;
    file(vault, long_dir, b"instead", 19, 20_000)?;
    let gone = look(vault, &[b"to go, with all"])?;
    vault.unlink(gone, b"in it")?;
    vault.remove_dir(ROOT_INO, b"to go, with all")?;
    let set = SetAttr {
        mode: Some(0o700),
        ..SetAttr::default()
    };
    vault.set_attr(dir, &set)?;
    file(vault, dir, b"new", 10, 30_000).map(drop)
}

/// What the log of the killed mount holds, one operation each; all of them show.
const UNFINISHED: [Step; 10] = [
    |vault| make(vault, ROOT_INO, b"born in the log", NewKind::File).map(drop),
    |vault| {
        overwrite(
            vault,
            &[b"born in the log"],
            0,
            &Fill::Noise(40).bytes(90_000),
        )
    },
    |vault| overwrite(vault, &[b"dir", b"inline"], 0, &[4; 700]),
    |vault| {
        overwrite(
            vault,
            &[b"dir", b"payload"],
            16_384,
            &Fill::Noise(41).bytes(16_384),
        )
    },
    |vault| {
        let payload = look(vault, &[b"dir", b"payload"])?;
        vault.set_xattr(payload, b"user.b", &[8; 100], XattrMode::Any)
    },
    |vault| overwrite(vault, &[b"dir", b"deep", b"long"], 1_100_000, &[5; 50_000]),
    |vault| set_size(vault, look(vault, &[b"dir", b"text"])?, 70_000),
    |vault| vault.unlink(look(vault, &[b"dir"])?, b"fifo"),
    |vault| {
        let (dir, deep) = (look(vault, &[b"dir"])?, look(vault, &[b"dir", b"deep"])?);
        vault.rename(deep, b"moved", dir, b"moved again", RenameMode::Replace)
    },
    |vault| {
        vault
            .link(look(vault, &[b"dir", b"new"])?, ROOT_INO, b"new, linked")
            .map(drop)
    },
];

/// More of the same, over what was changed before.
fn change_again(vault: &Vault) -> Result<()> {
    overwrite(vault, &[b"dir", b"inline"], 20, b"and again")?;
    overwrite(vault, &[b"dir", b"payload"], 18_000, &[6; 30_000])?;
    overwrite(vault, &[b"dir", b"deep", b"long"], 610_000, &[7; 20_000])?;
    overwrite(vault, &[b"dir", b"deep", b"vast"], 300_000, &[8; 5000])?;
    overwrite(vault, &[b"dir", b"deep", b"linked"], 5, b"once more")?;
    let gone = vault.lookup(ROOT_INO, b"to go");
    assert!(matches!(gone, Err(VaultError::NotFound)));
    Ok(())
}
