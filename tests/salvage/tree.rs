//! Claims about trees that no healthy vault has: made by putting guards back from the vault's own past.
use crate::{
    outcome::{Body, Outcome},
    salvaged,
    vaults::{
        image::{Image, open, options},
        objects::{Objects, objects},
    },
};
use std::sync::Arc;
use wardfs::{
    salvage::Report,
    store::MemoryStore,
    vault::{NewKind, ROOT_INO, RenameMode, Result, Vault},
};

fn work(store: &MemoryStore, work: impl FnOnce(&Vault) -> Result<()>) -> Objects {
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault");
    work(&vault).expect("a healthy vault");
    vault.close().expect("a healthy vault");
    objects(store)
}

fn make(vault: &Vault, parent: u64, name: &[u8], kind: NewKind<'_>) -> Result<u64> {
    Ok(vault.make(parent, name, kind, 0o755, 0, 0)?.ino)
}

fn file(vault: &Vault, parent: u64, name: &[u8], content: &[u8]) -> Result<u64> {
    let ino = make(vault, parent, name, NewKind::File)?;
    vault.write(ino, 0, content, false)?;
    Ok(ino)
}

fn content(outcome: &Outcome, path: &str) -> Option<Vec<u8>> {
    let Body::File(pages) = &outcome.nodes.get(path.as_bytes())?.body else {
        return None;
    };
    let mut bytes = vec![0; usize::try_from(pages.size()).expect("small")];
    pages.read(0, &mut bytes);
    Some(bytes)
}

/// The new objects below `guards/`.
fn made(before: &Objects, after: &Objects) -> Vec<String> {
    let new = |path: &&String| {
        path.starts_with("guards/") && !path.ends_with('/') && !before.contains_key(*path)
    };
    after.keys().filter(new).cloned().collect()
}

#[test]
fn a_link_in_the_place_of_a_directory_leads_nobody_out() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap().as_bytes().to_vec();
    let store = Image::Small.in_memory();
    let before = work(&store, |_| Ok(()));
    let first = work(&store, |vault| {
        let dir = make(vault, ROOT_INO, b"d", NewKind::Directory)?;
        file(vault, dir, b"f", b"inside").map(drop)
    });
    let second = work(&store, |vault| {
        let dir = vault.lookup(ROOT_INO, b"d")?.ino;
        vault.unlink(dir, b"f")?;
        vault.remove_dir(ROOT_INO, b"d")?;
        make(vault, ROOT_INO, b"d", NewKind::Symlink(&target)).map(drop)
    });
    let mut both = second;
    both.insert("guards/back/".to_owned(), Vec::new());
    for (number, path) in made(&before, &first).into_iter().enumerate() {
        both.insert(format!("guards/back/{number}"), first[&path].clone());
    }
    let (report, outcome) = salvaged(&both).unwrap();
    assert!(matches!(&outcome.nodes[&b"d"[..]].body, Body::Symlink(to) if *to == target));
    assert_eq!(
        content(&outcome, "d.1/f").as_deref(),
        Some(&b"inside"[..]),
        "{report:?}"
    );
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(report.renamed.len(), 1);
    assert!(!report.is_whole(), "there is more than the directory says");
}

/// `a` lies in `b`, and `b` in `a`.
fn ring() -> (Report, Outcome) {
    let store = Image::Large.in_memory();
    let before = work(&store, |_| Ok(()));
    let first = work(&store, |vault| {
        let a = make(vault, ROOT_INO, b"a", NewKind::Directory)?;
        file(vault, a, b"in a", b"one").map(drop)
    });
    let guard_of_a = made(&before, &first);
    let second = work(&store, |vault| {
        let a = vault.lookup(ROOT_INO, b"a")?.ino;
        let b = make(vault, a, b"b", NewKind::Directory)?;
        file(vault, b, b"in b", b"two").map(drop)
    });
    let guards_of_b = made(&first, &second);
    let third = work(&store, |vault| {
        let a = vault.lookup(ROOT_INO, b"a")?.ino;
        vault.rename(a, b"b", ROOT_INO, b"b", RenameMode::Replace)?;
        let b = vault.lookup(ROOT_INO, b"b")?.ino;
        vault.rename(ROOT_INO, b"a", b, b"a", RenameMode::Replace)
    });
    let mut mixed = third.clone();
    // The guard of `b` as it was, in `a`; that of today, in the root, is gone.
    let today = made(&second, &third);
    for path in guards_of_b {
        mixed
            .entry(path.clone())
            .or_insert_with(|| second[&path].clone());
    }
    let root_dir = guard_of_a
        .iter()
        .filter_map(|path| path.rsplit_once('/'))
        .map(|(dir, _)| dir)
        .find(|dir| today.iter().any(|path| path.starts_with(*dir)))
        .expect("`b` came into the directory in which `a` was");
    mixed.retain(|path, _| !(today.contains(path) && path.starts_with(root_dir)));
    salvaged(&mixed).unwrap()
}

#[test]
fn directories_that_lie_in_each_other_are_cut_apart() {
    let (report, outcome) = ring();
    let contents: Vec<Vec<u8>> = outcome
        .nodes
        .keys()
        .filter_map(|path| content(&outcome, std::str::from_utf8(path).unwrap()))
        .collect();
    assert_eq!(contents.len(), 2, "{report:?}");
    assert!(contents.contains(&b"one".to_vec()) && contents.contains(&b"two".to_vec()));
    assert_eq!(report.moved.len(), 1);
    assert!(!report.is_whole());
}

#[test]
fn what_is_too_deep_for_ordinary_programs_moves_up() {
    let store = Image::Small.in_memory();
    let depth = 40;
    let objects = work(&store, |vault| {
        let mut dir = ROOT_INO;
        for _ in 0..depth {
            dir = make(vault, dir, &[b'n'; 250], NewKind::Directory)?;
        }
        file(vault, dir, b"at the bottom", b"found").map(drop)
    });
    let (report, outcome) = salvaged(&objects).unwrap();
    assert_eq!(report.counts.directories, depth, "{report:?}");
    assert_eq!(report.moved.len(), 3);
    let longest = outcome.nodes.keys().map(Vec::len).max().unwrap();
    assert!(longest < 3300, "{longest}");
    let bottom = outcome
        .nodes
        .keys()
        .find(|path| path.ends_with(b"/at the bottom"));
    let path = std::str::from_utf8(bottom.unwrap()).unwrap();
    assert_eq!(content(&outcome, path).as_deref(), Some(&b"found"[..]));
}

#[test]
fn names_that_salvage_itself_uses_belong_to_the_vault() {
    let store = Image::Small.in_memory();
    let objects = work(&store, |vault| {
        file(vault, ROOT_INO, b"lost+found", b"mine")?;
        let dir = make(vault, ROOT_INO, b"dir", NewKind::Directory)?;
        file(vault, dir, b"f", b"lost").map(drop)
    });
    let mut objects = objects;
    // The guard of `dir` is the only one in the root's directory that is one of a directory: without it, `f` is lost.
    let (_, whole) = salvaged(&objects).unwrap();
    assert!(content(&whole, "dir/f").is_some());
    let guards: Vec<String> = objects
        .keys()
        .filter(|path| path.starts_with("guards/") && path.matches('/').count() == 3)
        .filter(|path| !path.ends_with('/'))
        .cloned()
        .collect();
    let is_dir = |path: &&String| {
        let mut less = objects.clone();
        less.remove(*path);
        let (report, _) = salvaged(&less).unwrap();
        report.lost_found.is_some()
    };
    let dir = guards
        .iter()
        .find(is_dir)
        .expect("one is the guard of `dir`")
        .clone();
    objects.remove(&dir);
    let (report, outcome) = salvaged(&objects).unwrap();
    assert_eq!(
        content(&outcome, "lost+found").as_deref(),
        Some(&b"mine"[..])
    );
    assert_eq!(
        report.lost_found.as_ref().unwrap().0.to_str(),
        Some("lost+found.1")
    );
    assert_eq!(report.lost_found.unwrap().1, 1);
}
