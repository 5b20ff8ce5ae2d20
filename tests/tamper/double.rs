//! Two guards of one file: an old one is put back where the file once was. The entry that the present has shows the
//! present, whichever is read first; the other shows what was true there once, or is an error.
use crate::{
    map::Map,
    vaults::{
        image::{Image, open, options},
        objects::{Objects, objects},
    },
    victim::copy_of,
};
use std::sync::Arc;
use wardfs::{
    store::MemoryStore,
    vault::{NewKind, ROOT_INO, RenameMode, Result, Vault},
};

/// What was done to a file between the two moments, and where it was and is.
struct Case {
    name: &'static str,
    before: fn(&Vault) -> Result<()>,
    after: fn(&Vault) -> Result<()>,
    /// The old guard lay there, or goes there: below `old`.
    was: &'static [u8],
    /// Below `new`.
    is: &'static [u8],
    /// The content is that of this file below it.
    within: Option<&'static [u8]>,
}

const OLD: &[u8] = b"the past";
const NEW: &[u8] = b"the present";
const LONG: usize = 20_000;

fn dir(vault: &Vault, name: &[u8]) -> Result<u64> {
    Ok(vault.lookup(ROOT_INO, name)?.ino)
}

fn make(vault: &Vault, parent: u64, name: &[u8], kind: NewKind<'_>) -> Result<u64> {
    Ok(vault.make(parent, name, kind, 0o755, 0, 0)?.ino)
}

fn with_text(vault: &Vault, ino: u64, text: &[u8]) -> Result<()> {
    vault.write(ino, 0, text, false).map(drop)
}

fn file(vault: &Vault, text: &[u8]) -> Result<u64> {
    let ino = make(vault, dir(vault, b"old")?, b"a", NewKind::File)?;
    with_text(vault, ino, text)?;
    Ok(ino)
}

fn moved(vault: &Vault, text: &[u8]) -> Result<()> {
    let (old, new) = (dir(vault, b"old")?, dir(vault, b"new")?);
    let ino = vault.lookup(old, b"a")?.ino;
    vault.rename(old, b"a", new, b"b", RenameMode::Replace)?;
    with_text(vault, ino, text)
}

fn linked(vault: &Vault) -> Result<()> {
    let (old, new) = (dir(vault, b"old")?, dir(vault, b"new")?);
    let ino = vault.lookup(old, b"a")?.ino;
    vault.link(ino, new, b"b")?;
    with_text(vault, ino, NEW)
}

const CASES: [Case; 6] = [
    Case {
        name: "moved",
        before: |vault| file(vault, OLD).map(drop),
        after: |vault| moved(vault, NEW),
        was: b"a",
        is: b"b",
        within: None,
    },
    Case {
        name: "moved, with a payload",
        before: |vault| file(vault, &OLD.repeat(LONG)).map(drop),
        after: |vault| moved(vault, &NEW.repeat(LONG)),
        was: b"a",
        is: b"b",
        within: None,
    },
    Case {
        name: "moved, and the name was taken again",
        before: |vault| file(vault, OLD).map(drop),
        after: |vault| {
            moved(vault, NEW)?;
            file(vault, b"another").map(drop)
        },
        was: b"a",
        is: b"b",
        within: None,
    },
    Case {
        name: "linked",
        before: |vault| file(vault, OLD).map(drop),
        after: linked,
        was: b"a",
        is: b"b",
        within: None,
    },
    Case {
        name: "linked again",
        before: |vault| {
            let (ino, old) = (file(vault, OLD)?, dir(vault, b"old")?);
            vault.link(ino, old, b"second")?;
            vault.unlink(old, b"second")
        },
        after: linked,
        was: b"a",
        is: b"b",
        within: None,
    },
    Case {
        name: "a directory",
        before: |vault| {
            let sub = make(vault, dir(vault, b"old")?, b"a", NewKind::Directory)?;
            let inner = make(vault, sub, b"inner", NewKind::File)?;
            with_text(vault, inner, NEW)
        },
        after: |vault| {
            let (old, new) = (dir(vault, b"old")?, dir(vault, b"new")?);
            vault.rename(old, b"a", new, b"b", RenameMode::Replace)?;
            let sub = vault.lookup(new, b"b")?.ino;
            make(vault, sub, b"more", NewKind::File).map(drop)
        },
        was: b"a",
        is: b"b",
        within: Some(b"inner"),
    },
];

/// The vault with both guards, and the vault as it is.
fn both(case: &Case) -> Objects {
    let store = Image::Small.in_memory();
    let stage = |work: fn(&Vault) -> Result<()>| {
        let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
        work(&vault).expect("a healthy vault");
        vault.close().expect("a healthy vault");
        objects(&store)
    };
    stage(|vault| {
        make(vault, ROOT_INO, b"old", NewKind::Directory)?;
        make(vault, ROOT_INO, b"new", NewKind::Directory).map(drop)
    });
    let before = stage(case.before);
    let mut after = stage(case.after);
    let map = Map::of(&before);
    let old = map.dir(map.dir(ROOT_INO).expect("the root").entries[&b"old"[..]].ino);
    let entry = &old.expect("a directory").entries[case.was];
    let guard = &map.nodes[&entry.ino].guard;
    after.insert(entry.path.clone(), before[guard].clone());
    after
}

fn mounted(store: &MemoryStore, read_only: bool) -> Vault {
    let options = wardfs::vault::OpenOptions {
        read_only,
        ..options(1 << 40)
    };
    open(Arc::new(store.clone()), options).expect("a vault that opens")
}

/// The first bytes that an entry shows.
fn shown(vault: &Vault, case: &Case, home: &[u8], name: &[u8]) -> Result<Vec<u8>> {
    let mut ino = vault.lookup(dir(vault, home)?, name)?.ino;
    if let Some(within) = case.within {
        ino = vault.lookup(ino, within)?.ino;
    }
    let mut text = vec![0; NEW.len()];
    let len = vault.read(ino, 0, &mut text)?;
    text.truncate(len);
    Ok(text)
}

fn present(vault: &Vault, case: &Case) {
    let text = shown(vault, case, b"new", case.is);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    assert_eq!(text, NEW, "{}", case.name);
}

fn refused(vault: &Vault, case: &Case) {
    let found = shown(vault, case, b"old", case.was);
    let damaged = |error: &wardfs::vault::VaultError| error.errno() == libc::EIO;
    assert!(
        found.as_ref().is_err_and(damaged),
        "{}: {found:?}",
        case.name
    );
    let list = vault.read_dir(dir(vault, b"old").expect("a directory"), 0, &mut |_| true);
    assert!(list.is_err_and(|error| damaged(&error)), "{}", case.name);
}

#[test]
fn an_old_guard_at_a_former_name_is_refused_when_the_present_was_read_first() {
    for case in &CASES {
        for read_only in [true, false] {
            let vault = mounted(&copy_of(&both(case)), read_only);
            present(&vault, case);
            refused(&vault, case);
            present(&vault, case);
            vault.close().expect("a vault that works");
        }
    }
}

#[test]
fn the_present_is_shown_also_when_an_old_guard_was_read_first() {
    for case in &CASES {
        for read_only in [true, false] {
            let vault = mounted(&copy_of(&both(case)), read_only);
            let old = dir(&vault, b"old").expect("a directory");
            let past = vault
                .lookup(old, case.was)
                .unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let _ = shown(&vault, case, b"old", case.was);
            present(&vault, case);
            refused(&vault, case);
            let stat = vault.stat(past.ino);
            assert!(
                stat.is_err_and(|error| error.errno() == libc::EIO),
                "{}: what was open is of the past",
                case.name
            );
            vault.forget(past.ino, u64::MAX);
            refused(&vault, case);
            present(&vault, case);
            vault.close().expect("a vault that works");
        }
    }
}

/// The inode number of the present was known already.
#[test]
fn the_present_is_shown_also_when_it_left_memory_before() {
    for case in &CASES {
        let vault = mounted(&copy_of(&both(case)), true);
        let new = dir(&vault, b"new").expect("a directory");
        let first = vault.lookup(new, case.is).expect("the present");
        vault.forget(first.ino, 1);
        let old = dir(&vault, b"old").expect("a directory");
        let _ = vault.lookup(old, case.was);
        present(&vault, case);
        refused(&vault, case);
    }
}

#[test]
fn work_on_the_present_is_kept_when_an_old_guard_was_read_first() {
    for case in &CASES {
        let store = copy_of(&both(case));
        let vault = mounted(&store, false);
        let _ = shown(&vault, case, b"old", case.was);
        present(&vault, case);
        let new = dir(&vault, b"new").expect("a directory");
        let mut ino = vault.lookup(new, case.is).expect("the present").ino;
        if let Some(within) = case.within {
            ino = vault.lookup(ino, within).expect("a file").ino;
        }
        vault
            .write(ino, NEW.len() as u64, b", and more", false)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        vault.sync_all().expect("a vault that works");
        // Killed, replayed, and closed.
        let left = copy_of(&objects(&store));
        drop(vault);
        for read_only in [true, false, true] {
            let vault = mounted(&left, read_only);
            present(&vault, case);
            refused(&vault, case);
            vault.close().expect("a vault that works");
        }
    }
}

/// What was changed through the old guard is of another branch of its life: the present stays an error there, and not its past.
#[test]
fn an_old_guard_that_was_worked_on_never_stands_for_the_present() {
    for case in &CASES {
        let vault = mounted(&copy_of(&both(case)), false);
        let old = dir(&vault, b"old").expect("a directory");
        let past = vault.lookup(old, case.was).expect("the past").ino;
        vault
            .set_xattr(past, b"user.a", b"b", wardfs::vault::XattrMode::Any)
            .expect("work");
        match shown(&vault, case, b"new", case.is) {
            Ok(text) => assert_eq!(text, NEW, "{}", case.name),
            Err(error) => assert_eq!(error.errno(), libc::EIO, "{}: {error}", case.name),
        }
        vault.close().expect("a vault that works");
    }
}
