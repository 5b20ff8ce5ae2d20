//! Claims about names: what is made up, a suffix or `.damaged`, is never the name of something else.
use crate::{
    Outcome,
    outcome::Body,
    salvaged,
    vaults::{
        image::{Image, open, options},
        objects::{Objects, objects},
        op::Fill,
    },
};
use std::sync::Arc;
use wardfs::{
    store::MemoryStore,
    vault::{NewKind, ROOT_INO, Vault},
};

/// So many nodes are made at a time, and some.
const MANY: usize = 1100;

fn mounted(store: &MemoryStore) -> Vault {
    open(Arc::new(store.clone()), options(1 << 40)).expect("a vault that mounts")
}

fn file(vault: &Vault, name: &[u8], bytes: &[u8]) {
    let made = vault.make(ROOT_INO, name, NewKind::File, 0o644, 0, 0);
    let wrote = vault.write(made.expect("a file").ino, 0, bytes, false);
    assert_eq!(wrote.expect("a write"), bytes.len());
}

/// The one object below `top` that this vault has and that one had not.
fn new_object(now: &Objects, then: &Objects, top: &str) -> String {
    let is_new = |name: &&String| !name.ends_with('/') && !then.contains_key(*name);
    let mut new = now.keys().filter(|name| name.starts_with(top));
    new.find(is_new).expect("there is a new one").clone()
}

fn content(outcome: &Outcome, name: &str) -> Vec<u8> {
    let made = &outcome.nodes[name.as_bytes()];
    let Body::File(pages) = &made.body else {
        panic!("{name} is a file");
    };
    let len = made.metadata.len();
    let mut bytes = vec![0; usize::try_from(len).expect("in memory")];
    assert_eq!(pages.read(0, &mut bytes), bytes.len());
    bytes
}

#[test]
fn what_is_there_in_part_takes_no_name_of_a_whole_file() {
    let store = Image::Small.in_memory();
    let before = objects(&store);
    let vault = mounted(&store);
    file(&vault, b"f", &Fill::Noise(1).bytes(40_000));
    vault.close().expect("a healthy vault");
    let payload = new_object(&objects(&store), &before, "payloads/");
    let vault = mounted(&store);
    let whole = [("f.damaged", 2), ("f.damaged.1", 3)];
    for (name, seed) in whole {
        file(&vault, name.as_bytes(), &Fill::Noise(seed).bytes(9000));
    }
    // They are made after the damaged one.
    for number in 0..MANY {
        file(&vault, format!("f.{number:04}").as_bytes(), b"");
    }
    vault.close().expect("a healthy vault");
    let mut damaged = objects(&store);
    damaged.get_mut(&payload).expect("it is there")[20_000] ^= 1;
    let (report, outcome) = salvaged(&damaged).expect("a salvage");
    let [file] = &report.damaged[..] else {
        panic!("{report:?}");
    };
    assert_eq!(file.path.to_str(), Some("f.damaged.2"));
    assert_eq!(report.renamed.len(), 1, "{:?}", report.renamed);
    for (name, seed) in whole {
        assert!(content(&outcome, name) == Fill::Noise(seed).bytes(9000));
    }
    assert_eq!(report.counts.files, MANY as u64 + 2);
}

#[test]
fn a_copy_of_what_was_removed_takes_no_name_of_another_file() {
    let store = Image::Small.in_memory();
    let before = objects(&store);
    let vault = mounted(&store);
    file(&vault, b"a", b"an old one");
    vault.close().expect("a healthy vault");
    let then = objects(&store);
    let guard = then[&new_object(&then, &before, "guards/")].clone();
    let vault = mounted(&store);
    vault.unlink(ROOT_INO, b"a").expect("it is there");
    file(&vault, b"a", b"the new one");
    file(&vault, b"a.1", b"another");
    vault.close().expect("a healthy vault");
    let mut copied = objects(&store);
    copied.insert("backup/".to_owned(), Vec::new());
    copied.insert("backup/guard".to_owned(), guard);
    let (report, outcome) = salvaged(&copied).expect("a salvage");
    assert_eq!(content(&outcome, "a"), b"the new one");
    assert_eq!(content(&outcome, "a.1"), b"another");
    assert_eq!(content(&outcome, "a.2"), b"an old one");
    assert_eq!(report.renamed.len(), 1, "{:?}", report.renamed);
}

/// Its guard stays apart when a file has one name of several left, and nothing was put back if it is moved.
#[test]
fn a_guard_that_lay_apart_for_one_name_and_was_moved_is_as_it_was() {
    let store = Image::Small.in_memory();
    let vault = mounted(&store);
    file(&vault, b"one", b"a file");
    let ino = vault.lookup(ROOT_INO, b"one").expect("it is there").ino;
    vault.link(ino, ROOT_INO, b"two").expect("a link");
    vault.unlink(ROOT_INO, b"two").expect("it is there");
    vault.close().expect("a healthy vault");
    let now = objects(&store);
    let guard = new_object(&now, &Objects::new(), "guards/links/");
    let id = guard.rsplit_once('/').expect("a path").1;
    for name in [id, "anything"] {
        let mut moved = now.clone();
        let bytes = moved.remove(&guard).expect("it is there");
        moved.insert("odd/".to_owned(), Vec::new());
        moved.insert(format!("odd/{name}"), bytes);
        let (report, _) = salvaged(&moved).expect("a salvage");
        assert!(report.is_whole(), "{report:?}");
    }
}
