//! Somebody changes the stored bytes of a closed vault: whatever is read afterwards is what was written, or an error. Never
//! other content, and never nothing where something was.
//!
//! One thing cannot be seen by reading alone: a guard put back as it was before tells the file as it was before. Here it is
//! held to that: the older state whole, or errors.
mod vaults;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use vaults::{
    draw::{Seeded, Source},
    dump::{Dump, Found, FoundBody, read_xattrs},
    image::{Image, open, options},
    objects::{copy_into, objects},
    op::{Fill, NAMES, name_bytes},
    run::{Budget, caught, seeds},
};
use wardfs::{
    format::Kind,
    store::MemoryStore,
    vault::{
        AllocateMode, NewKind, OpenOptions, ROOT_INO, RenameMode, Result, SetAttr, Stat, Vault,
        VaultError, XattrMode,
    },
};

type Objects = BTreeMap<String, Vec<u8>>;

/// A vault at two moments, with what it holds.
struct Victim {
    before: (Objects, Dump),
    now: (Objects, Dump),
}

/// What is done to the stored objects.
#[derive(Debug)]
enum Change {
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
        from: usize,
        until: usize,
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
    /// As it was before, or there again.
    PutBack {
        object: String,
    },
    /// Something that was never there.
    Stray {
        object: String,
    },
}

fn make(vault: &Vault, parent: u64, name: &[u8], kind: NewKind<'_>) -> Result<u64> {
    Ok(vault.make(parent, name, kind, 0o644, 1, 2)?.ino)
}

fn file(vault: &Vault, parent: u64, name: &[u8], seed: u64, len: usize) -> Result<u64> {
    let ino = make(vault, parent, name, NewKind::File)?;
    vault.write(ino, 0, &Fill::Noise(seed).bytes(len), false)?;
    Ok(ino)
}

/// Something of everything.
fn fill(vault: &Vault) -> Result<()> {
    let dir = make(vault, ROOT_INO, b"dir", NewKind::Directory)?;
    let deep = make(vault, dir, b"deep", NewKind::Directory)?;
    make(vault, ROOT_INO, b"empty dir", NewKind::Directory)?;
    make(vault, dir, b"empty", NewKind::File)?;
    let inline = file(vault, dir, b"inline", 1, 3000)?;
    vault.set_xattr(inline, b"user.a", &[7; 200], XattrMode::Any)?;
    file(vault, dir, b"payload", 2, 50_000)?;
    let linked = file(vault, deep, b"linked", 3, 20_000)?;
    vault.link(linked, dir, b"link")?;
    vault.link(linked, ROOT_INO, b"another link")?;
    let inline_linked = file(vault, deep, b"inline, linked", 4, 100)?;
    vault.link(inline_linked, deep, b"inline, link")?;
    // More than 64 chunks of either size, so that there is an index.
    file(vault, deep, b"long", 5, 1_100_000)?;
    let sparse = file(vault, deep, b"sparse", 6, 70_000)?;
    vault.set_attr(
        sparse,
        &SetAttr {
            size: Some(3 << 20),
            ..SetAttr::default()
        },
    )?;
    vault.write(sparse, 2 << 20, &[9; 5000], false)?;
    file(vault, deep, &name_bytes(NAMES[8]), 7, 10)?;
    file(vault, ROOT_INO, b"to go", 8, 9000)?;
    file(vault, ROOT_INO, b"to be moved", 9, 400)?;
    make(vault, dir, b"symlink", NewKind::Symlink(b"over/there"))?;
    make(vault, dir, b"fifo", NewKind::Fifo)?;
    make(vault, dir, b"device", NewKind::CharDevice(0x0103))?;
    Ok(())
}

fn look(vault: &Vault, path: &[&[u8]]) -> Result<u64> {
    path.iter()
        .try_fold(ROOT_INO, |dir, name| Ok(vault.lookup(dir, name)?.ino))
}

/// Some of it otherwise.
fn change(vault: &Vault) -> Result<()> {
    let (dir, deep) = (look(vault, &[b"dir"])?, look(vault, &[b"dir", b"deep"])?);
    vault.write(look(vault, &[b"dir", b"inline"])?, 10, b"other", false)?;
    vault.write(
        look(vault, &[b"dir", b"payload"])?,
        17_000,
        &[1; 20_000],
        false,
    )?;
    vault.write(look(vault, &[b"dir", b"link"])?, 0, b"linked", false)?;
    vault.write(
        look(vault, &[b"dir", b"deep", b"long"])?,
        600_000,
        &[2; 40_000],
        false,
    )?;
    vault.allocate(
        look(vault, &[b"dir", b"deep", b"sparse"])?,
        AllocateMode::PunchHole,
        16_384,
        16_384,
    )?;
    vault.unlink(ROOT_INO, b"to go")?;
    vault.rename(
        ROOT_INO,
        b"to be moved",
        deep,
        b"moved",
        RenameMode::Replace,
    )?;
    vault.set_attr(
        dir,
        &SetAttr {
            mode: Some(0o700),
            ..SetAttr::default()
        },
    )?;
    file(vault, dir, b"new", 10, 30_000).map(drop)
}

impl Victim {
    fn new(image: Image) -> Victim {
        let store = image.in_memory();
        let at = |work: fn(&Vault) -> Result<()>| {
            let mount =
                || open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
            let vault = mount();
            work(&vault).expect("a healthy vault");
            vault.close().expect("a healthy vault");
            let vault = mount();
            let dump = Dump::of(&vault).expect("a healthy vault");
            vault.close().expect("a healthy vault");
            (objects(&store), dump)
        };
        Victim {
            before: at(fill),
            now: at(change),
        }
    }

    /// Every kind of change to every object, at places drawn from `source`.
    fn changes(&self, source: &mut Seeded) -> Vec<Change> {
        let mut changes = Vec::new();
        let names: Vec<&String> = self
            .now
            .0
            .keys()
            .filter(|name| !name.ends_with('/'))
            .collect();
        for (object, bytes) in self.now.0.iter().filter(|(name, _)| !name.ends_with('/')) {
            let mut random = |bound: usize| {
                usize::try_from(source.below(bound.max(1) as u64)).expect("an index")
            };
            let len = bytes.len();
            let name = || object.clone();
            for bit in [
                0,
                len * 8 - 1,
                random(len * 8),
                random(len * 8),
                random(800.min(len * 8)),
            ] {
                changes.push(Change::FlipBit {
                    object: name(),
                    bit,
                });
            }
            for len in [0, 1, len / 2, len - 1, random(len)] {
                changes.push(Change::Cut {
                    object: name(),
                    len,
                });
            }
            for by in [1, 512, 16_416] {
                changes.push(Change::Extend { object: name(), by });
            }
            let (a, b) = (random(len), random(len));
            for (from, until) in [(0, len), (a.min(b), a.max(b)), (len / 2, len)] {
                changes.push(Change::Zero {
                    object: name(),
                    from,
                    until,
                });
            }
            changes.push(Change::Remove { object: name() });
            let same_kind: Vec<&&String> = names
                .iter()
                .filter(|other| kind(other) == kind(object) && **other != object)
                .collect();
            for _ in 0..3.min(same_kind.len()) {
                let other = same_kind[random(same_kind.len())].to_string();
                changes.push(Change::Swap { one: name(), other });
            }
        }
        let put_back = |(name, bytes): &(&String, &Vec<u8>)| {
            !name.ends_with('/') && self.now.0.get(*name) != Some(bytes)
        };
        changes.extend(
            self.before
                .0
                .iter()
                .filter(put_back)
                .map(|(name, _)| Change::PutBack {
                    object: name.clone(),
                }),
        );
        let dirs = self.now.0.keys().filter_map(|name| name.strip_suffix('/'));
        changes.extend(dirs.clone().map(|dir| Change::RemoveDir {
            dir: dir.to_owned(),
        }));
        changes.extend(dirs.map(|dir| Change::Stray {
            object: format!("{dir}/notes.sync-conflict"),
        }));
        changes
    }

    fn apply(&self, change: &Change) -> Objects {
        let mut objects = self.now.0.clone();
        match change {
            Change::FlipBit { object, bit } => {
                bytes_of(&mut objects, object)[bit / 8] ^= 1 << (bit % 8)
            }
            Change::Cut { object, len } => bytes_of(&mut objects, object).truncate(*len),
            Change::Extend { object, by } => {
                let bytes = bytes_of(&mut objects, object);
                bytes.resize(bytes.len() + by, 0);
            }
            Change::Zero {
                object,
                from,
                until,
            } => bytes_of(&mut objects, object)[*from..*until].fill(0),
            Change::Remove { object } => drop(objects.remove(object)),
            Change::RemoveDir { dir } => {
                objects.retain(|name, _| !name.starts_with(&format!("{dir}/")))
            }
            Change::Swap { one, other } => {
                let bytes = std::mem::take(bytes_of(&mut objects, one));
                let bytes = std::mem::replace(bytes_of(&mut objects, other), bytes);
                *bytes_of(&mut objects, one) = bytes;
            }
            Change::PutBack { object } => {
                drop(objects.insert(object.clone(), self.before.0[object].clone()))
            }
            Change::Stray { object } => {
                drop(objects.insert(object.clone(), b"from elsewhere".to_vec()))
            }
        }
        objects
    }

    /// Opens the changed vault and reads all of it.
    fn try_out(&self, change: &Change, read_only: bool) -> std::result::Result<(), String> {
        let changed = self.apply(change);
        let store = MemoryStore::new();
        copy_into(&store, &changed);
        let vault = match open(
            Arc::new(store),
            OpenOptions {
                read_only,
                ..options(1 << 40)
            },
        ) {
            Ok(vault) => vault,
            Err(_) if matches!(change, Change::Stray { .. }) => {
                return Err("a stray object keeps the vault from opening".to_owned());
            }
            Err(_) => return Ok(()),
        };
        let older = matches!(change, Change::PutBack { .. }).then_some(&self.before.1);
        let mut reader = Reader {
            vault: &vault,
            now: &self.now.1,
            older,
            errors: 0,
            done: BTreeSet::new(),
        };
        reader.read_dir(ROOT_INO)?;
        if matches!(change, Change::Stray { .. }) && reader.errors > 0 {
            return Err("a stray object does damage".to_owned());
        }
        Ok(())
    }
}

fn bytes_of<'a>(objects: &'a mut Objects, name: &str) -> &'a mut Vec<u8> {
    objects.get_mut(name).expect("an object of the vault")
}

/// Objects of one kind are worth swapping.
fn kind(name: &str) -> (&str, bool) {
    let is_index = name.ends_with(".index");
    match name.split_once('/') {
        Some((top, _)) => (top, is_index),
        None => ("header", is_index),
    }
}

/// Reads a vault and compares with what should be there.
struct Reader<'a> {
    vault: &'a Vault,
    now: &'a Dump,
    /// States that a node may also have.
    older: Option<&'a Dump>,
    /// What could not be read.
    errors: usize,
    done: BTreeSet<u64>,
}

impl Reader<'_> {
    fn told<T>(&mut self, result: Result<T>) -> Option<T> {
        if result.is_err() {
            self.errors += 1;
        }
        result.ok()
    }

    fn read_dir(&mut self, ino: u64) -> std::result::Result<(), String> {
        let FoundBody::Dir(entries) = &self.now.nodes[&ino].body else {
            return Err("not a directory".to_owned());
        };
        let mut names = BTreeSet::new();
        let listed = self
            .vault
            .read_dir(ino, 0, &mut |entry| names.insert(entry.name.to_vec()));
        if self.told(listed).is_some() && !names.iter().eq(entries.keys()) {
            return Err(format!(
                "a listing without error shows {} names instead of {}",
                names.len(),
                entries.len()
            ));
        }
        for (name, child) in entries {
            match self.vault.lookup(ino, name) {
                Ok(stat) if stat.ino == *child => self.read_node(&stat)?,
                Ok(_) => return Err("an entry leads to another node".to_owned()),
                Err(VaultError::NotFound) => {
                    return Err("an entry is missing without an error".to_owned());
                }
                Err(_) => self.errors += 1,
            }
        }
        Ok(())
    }

    fn read_node(&mut self, stat: &Stat) -> std::result::Result<(), String> {
        if !self.done.insert(stat.ino) {
            return Ok(());
        }
        let truths = [Some(self.now), self.older]
            .into_iter()
            .flatten()
            .filter_map(|dump| dump.nodes.get(&stat.ino));
        let truths: Vec<&Found> = truths.collect();
        let mut why = Vec::new();
        let right = truths.iter().any(|truth| match self.compare(stat, truth) {
            Ok(()) => true,
            Err(what) => {
                why.push(what);
                false
            }
        });
        if !right {
            return Err(format!("{stat:?}: {}", why.join("; ")));
        }
        if stat.kind == Kind::Directory {
            self.read_dir(stat.ino)
        } else {
            Ok(())
        }
    }

    /// Is everything of a node that can be read as it should be?
    fn compare(&mut self, stat: &Stat, truth: &Found) -> std::result::Result<(), String> {
        if (Stat { blocks: 0, ..*stat })
            != (Stat {
                blocks: 0,
                ..truth.stat
            })
        {
            return Err(format!("attributes instead of {:?}", truth.stat));
        }
        let xattrs = read_xattrs(self.vault, stat.ino);
        if self.told(xattrs).is_some_and(|found| found != truth.xattrs) {
            return Err("other extended attributes".to_owned());
        }
        match &truth.body {
            FoundBody::File(pages) => {
                let mut at = 0;
                while at < stat.size {
                    let mut found = vec![0xa5; 50_001];
                    let mut expected = found.clone();
                    let len = pages.read(at, &mut expected);
                    let read = self.vault.read(stat.ino, at, &mut found);
                    if self
                        .told(read)
                        .is_some_and(|got| got != len || found[..len] != expected[..len])
                    {
                        return Err(format!("other content from {at} on"));
                    }
                    at += len as u64;
                }
                Ok(())
            }
            FoundBody::Symlink(target) => {
                let found = self.vault.read_link(stat.ino);
                if self.told(found).is_some_and(|found| found != *target) {
                    Err("another target".to_owned())
                } else {
                    Ok(())
                }
            }
            FoundBody::Dir(_) | FoundBody::Special => Ok(()),
        }
    }
}

/// All changes once, on all cores.
fn try_all(victim: &Victim, seed: u64) -> usize {
    let changes = victim.changes(&mut Seeded::new(seed));
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(change) = changes.get(next.fetch_add(1, Relaxed)) {
                    let read_only = next.load(Relaxed) % 2 == 0;
                    if let Err(what) = caught(|| victim.try_out(change, read_only)) {
                        wrong.lock().expect("no panic").push(format!(
                            "seed {seed}, read-only {read_only}, {change:?}: {what}"
                        ));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(
        wrong.is_empty(),
        "{} of {} changes went wrong:\n{}",
        wrong.len(),
        changes.len(),
        wrong.join("\n")
    );
    changes.len()
}

#[test]
fn no_changed_object_gives_other_content() {
    let victims = [Image::Small, Image::Large].map(Victim::new);
    let budget = Budget::secs(0);
    let mut count = 0;
    for seed in seeds() {
        count += victims
            .iter()
            .map(|victim| try_all(victim, seed))
            .sum::<usize>();
        if budget.is_spent() {
            break;
        }
    }
    println!("{count} changes");
}

/// The test notices content that is not what it should be.
#[test]
fn other_content_is_noticed() {
    let victim = Victim::new(Image::Small);
    let store = MemoryStore::new();
    copy_into(&store, &victim.before.0);
    let vault = open(Arc::new(store), options(1 << 40)).expect("a healthy vault");
    let mut reader = Reader {
        vault: &vault,
        now: &victim.now.1,
        older: None,
        errors: 0,
        done: BTreeSet::new(),
    };
    assert!(reader.read_dir(ROOT_INO).is_err());
}
