//! The verification of a vault that is open.
use crate::{
    map::MappedBody,
    paths,
    vaults::{
        image::{Image, PASSPHRASE, open, options},
        objects::{objects, path},
        op::Fill,
        run::number,
    },
    victim::copy_of,
    victims,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};
use wardfs::{
    check::{Finding, Kind},
    format,
    store::Store,
    vault::{
        NewKind, OpenOptions, ROOT_INO, RenameMode, ScrubWatch, SetAttr, Vault, change_passphrase,
    },
};

/// Notes what is found; ends after so many bytes.
#[derive(Default)]
pub struct Noted {
    nodes: u64,
    bytes: u64,
    done: u64,
    total: u64,
    bytes_max: Option<u64>,
    pub found: Vec<Finding>,
}

impl Noted {
    /// What was done, and what there was to do.
    pub fn work(&self) -> (u64, u64) {
        (self.done, self.total)
    }

    fn says(&self, path: &[u8]) -> bool {
        let mut found = self.found.iter();
        found.any(|found| found.path.as_deref() == Some(path))
    }

    pub fn told(&self) -> Vec<String> {
        self.found.iter().map(crate::line).collect()
    }
}

impl ScrubWatch for Noted {
    fn read(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        self.bytes_max.is_none_or(|most| self.bytes < most)
    }

    fn total(&mut self, work: u64) {
        self.total = work;
    }

    fn done(&mut self, work: u64) {
        self.done += work;
    }

    fn node(&mut self, _: format::Kind) {
        self.nodes += 1;
    }

    fn found(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    fn anew(&mut self) {
        self.found.clear();
    }
}

pub fn scrubbed(vault: &Vault) -> Noted {
    let mut noted = Noted::default();
    assert!(vault.scrub(&mut noted).expect("it can be read"));
    noted
}

#[test]
fn a_whole_vault_has_no_damage_and_every_node_is_met() {
    for victim in victims() {
        let store = copy_of(&victim.now().objects);
        let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
        let noted = scrubbed(&vault);
        assert_eq!(noted.found, []);
        assert_eq!(noted.nodes, victim.now().dump.nodes.len() as u64);
        vault.close().expect("nothing was changed");
        assert!(objects(&store) == victim.now().objects);
    }
}

#[test]
fn damage_that_comes_while_the_vault_is_open_is_found_and_named() {
    for victim in victims() {
        let map = &victim.now().map;
        for (name, ino) in paths(&victim.now().dump) {
            let mapped = &map.nodes[&ino];
            let is_apart = mapped.guard.starts_with("guards/links");
            if ino == ROOT_INO || is_apart {
                continue;
            }
            let mut hits = vec![(mapped.guard.clone(), 300)];
            if let MappedBody::Payload(payload) = &mapped.body {
                let piece = payload.chunks.values().flatten().last().expect("a piece");
                hits.push((piece.object.clone(), piece.range.start + 20));
            }
            for (object, at) in hits {
                let store = copy_of(&victim.now().objects);
                let vault =
                    open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
                // Known before, as far as a look goes.
                assert_eq!(scrubbed(&vault).found, []);
                let mut bytes = store.get(&path(&object)).expect("it is there");
                bytes[at] ^= 1;
                store.put(&path(&object), &bytes).expect("in memory");
                let found = scrubbed(&vault);
                // A long name is in the guard alone.
                let last = name.rsplit(|byte| *byte == b'/').next().expect("a name");
                let dir = &name[..name.len() - last.len() - 1];
                let is_long = last.len() > 175;
                let starts = |found: &Finding| {
                    found
                        .path
                        .as_ref()
                        .is_some_and(|path| path.starts_with(dir))
                };
                assert!(
                    found.says(&name) || (is_long && found.found.iter().any(starts)),
                    "{object}: {:?}",
                    found.told()
                );
            }
        }
    }
}

/// Where it lies, if the vault knows what belongs there; else in its directory.
#[test]
fn a_file_that_is_put_back_is_told_once() {
    for victim in victims() {
        let map = &victim.now().map;
        let past = &victim.past()[0].objects;
        let mut count = 0;
        for (name, ino) in paths(&victim.now().dump) {
            let guard = &map.nodes[&ino].guard;
            let now = &victim.now().objects[guard];
            let Some(old) = past.get(guard).filter(|old| *old != now) else {
                continue;
            };
            if map.dir(ino).is_some() {
                continue;
            }
            count += 1;
            for is_known in [false, true] {
                let store = copy_of(&victim.now().objects);
                let vault =
                    open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
                if is_known {
                    crate::look(&vault, &name).expect("it is there");
                }
                store.put(&path(guard), old).expect("in memory");
                let found = scrubbed(&vault).found;
                // The content of an old guard is gone mostly.
                let mut old = found.iter().filter(|it| it.kind == Kind::Rollback);
                let (first, second) = (old.next().expect("it is told"), old.next());
                assert!(second.is_none(), "{found:?}");
                let is_named =
                    first.path.as_ref() == Some(&name) || guard.starts_with("guards/links");
                assert!(!is_known || is_named, "{found:?}");
            }
        }
        assert!(count > 3);
    }
}

/// What is told of one does not hide another one, which nobody knew.
#[test]
fn of_two_files_that_are_put_back_both_are_told() {
    let victim = &victims()[0];
    let map = &victim.now().map;
    let past = &victim.past()[0].objects;
    let dir = map.dir(ROOT_INO).expect("the root").entries[&b"dir"[..]].ino;
    let entries = &map.dir(dir).expect("a directory").entries;
    let store = copy_of(&victim.now().objects);
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    crate::look(&vault, b"dir/inline").expect("it is there");
    for name in [&b"inline"[..], b"payload"] {
        let guard = &entries[name].path;
        assert!(past[guard] != victim.now().objects[guard]);
        store.put(&path(guard), &past[guard]).expect("in memory");
    }
    let found = scrubbed(&vault);
    let is_told = found.says(b"/dir/inline") && found.says(b"/dir");
    assert!(is_told, "{:?}", found.told());
}

#[test]
fn copies_of_the_keys_that_rot_while_the_vault_is_open_are_found() {
    let victim = &victims()[0];
    let zones = victim.now().map.zones.iter().map(String::as_str);
    for object in zones.chain(crate::map::HEADERS) {
        for change in 0..3 {
            let store = copy_of(&victim.now().objects);
            let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
            let mut bytes = store.get(&path(object)).expect("it is there");
            match change {
                0 => bytes[40] ^= 1,
                1 => bytes.push(0),
                _ => bytes.clear(),
            }
            store.put(&path(object), &bytes).expect("in memory");
            let found = scrubbed(&vault).found;
            let [found] = &found[..] else {
                panic!("{object}: {found:?}");
            };
            let is_it = matches!(found.kind, Kind::Header | Kind::Zone);
            assert!(is_it && found.object == object, "{object}: {found:?}");
        }
    }
}

/// Between the two copies a scrub would meet one that is older.
#[test]
fn a_passphrase_that_is_changed_meanwhile_is_no_alarm() {
    let store = copy_of(&victims()[0].now().objects);
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..30 {
                change_passphrase(&store, PASSPHRASE, PASSPHRASE, None).expect("it is right");
            }
            is_done.store(true, SeqCst);
        });
        while !is_done.load(SeqCst) {
            assert_eq!(scrubbed(&vault).found, []);
        }
    });
}

#[test]
fn a_scrub_can_be_ended() {
    let store = copy_of(&victims()[0].now().objects);
    let vault = open(Arc::new(store), options(1 << 40)).expect("a healthy vault");
    let mut noted = Noted {
        bytes_max: Some(10_000),
        ..Noted::default()
    };
    assert!(!vault.scrub(&mut noted).expect("it can be read"));
    assert!(noted.nodes < victims()[0].now().dump.nodes.len() as u64);
}

/// Files and directories are made, written, cut, moved, and removed while they are open, with checkpoints all the time.
#[test]
fn there_are_no_false_alarms_while_files_change() {
    let store = Image::Small.in_memory();
    let options = OpenOptions {
        threads: Some(2),
        background: true,
        checkpoint_bytes: 1 << 16,
        checkpoint_age: Duration::from_millis(5),
        ..options(1 << 16)
    };
    let vault = open(Arc::new(store), options).expect("a new vault");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for worker in 0..2_u8 {
            let (vault, is_done) = (&vault, &is_done);
            scope.spawn(move || {
                let mut round = 0_u64;
                let mut held = Vec::new();
                while !is_done.load(SeqCst) {
                    work(vault, worker, round).expect("a healthy vault");
                    move_and_remove(vault, worker, round, &mut held).expect("a healthy vault");
                    round += 1;
                }
                // The kernel forgets all when a mount ends.
                for ino in held {
                    vault.forget(ino, u64::MAX);
                }
            });
        }
        let secs = number("WARDFS_TEST_SECS").unwrap_or(6);
        let until = Instant::now() + Duration::from_secs(secs);
        let mut found = Vec::new();
        while Instant::now() < until && found.is_empty() {
            found = scrubbed(&vault).found;
        }
        is_done.store(true, SeqCst);
        assert_eq!(found, []);
    });
    assert_eq!(scrubbed(&vault).found, []);
    vault.close().expect("a healthy vault");
}

fn work(vault: &Vault, worker: u8, round: u64) -> wardfs::vault::Result<()> {
    let name = |kind: &str, number: u64| format!("{kind}-{worker}-{}", number % 7).into_bytes();
    let dir_name = name("dir", round / 20);
    let dir = match vault.lookup(ROOT_INO, &dir_name) {
        Ok(stat) => stat.ino,
        Err(_) => {
            vault
                .make(ROOT_INO, &dir_name, NewKind::Directory, 0o755, 0, 0)?
                .ino
        }
    };
    let file = match vault.lookup(dir, &name("file", round)) {
        Ok(stat) => stat.ino,
        Err(_) => {
            vault
                .make(dir, &name("file", round), NewKind::File, 0o644, 0, 0)?
                .ino
        }
    };
    let len = 100 + usize::try_from(round * 7919 % 90_000).expect("small");
    vault.write(
        file,
        round * 131 % 20_000,
        &Fill::Noise(round).bytes(len),
        false,
    )?;
    let cut = SetAttr {
        size: Some(round * 31 % 50_000),
        ..SetAttr::default()
    };
    match round % 5 {
        0 => drop(vault.set_attr(file, &cut)?),
        1 => {
            let _ = vault.link(file, ROOT_INO, &name("link", round));
        }
        2 => vault.rename(
            dir,
            &name("file", round),
            dir,
            &name("moved", round),
            RenameMode::Replace,
        )?,
        3 => {
            let _ = vault.unlink(ROOT_INO, &name("link", round / 3));
            let _ = vault.unlink(dir, &name("moved", round / 2));
        }
        _ => {}
    }
    vault.forget(file, u64::from(u32::MAX));
    vault.forget(dir, u64::from(u32::MAX));
    Ok(())
}

/// Directories go into another one and back, and files are removed while they are open. `held`: those that still are.
fn move_and_remove(
    vault: &Vault,
    worker: u8,
    round: u64,
    held: &mut Vec<u64>,
) -> wardfs::vault::Result<()> {
    let name = |kind: &str, number: u64| format!("{kind}-{worker}-{number}").into_bytes();
    let (nest, dir) = (name("nest", round % 2), name("dir", round / 20 % 7));
    let nest = match vault.lookup(ROOT_INO, &nest) {
        Ok(stat) => stat.ino,
        Err(_) => {
            vault
                .make(ROOT_INO, &nest, NewKind::Directory, 0o755, 0, 0)?
                .ino
        }
    };
    // Whatever is not there now, or has its place taken.
    let mode = RenameMode::NoReplace;
    let _ = match round % 3 {
        0 => vault.rename(ROOT_INO, &dir, nest, &dir, mode),
        1 => vault.rename(nest, &dir, ROOT_INO, &dir, mode),
        _ => vault.rename(nest, &dir, nest, &name("old", round % 5), mode),
    };
    vault.forget(nest, u64::from(u32::MAX));
    if round.is_multiple_of(4) {
        let gone = name("gone", round % 3);
        let file = vault.make(ROOT_INO, &gone, NewKind::File, 0o644, 0, 0)?.ino;
        vault.write(file, 0, &Fill::Noise(round).bytes(300_000), false)?;
        held.push(file);
        vault.unlink(ROOT_INO, &gone)?;
        vault.write(file, 100_000, &Fill::Noise(round).bytes(80_000), false)?;
    }
    if held.len() > 4 {
        vault.forget(held.remove(0), u64::MAX);
    }
    Ok(())
}
