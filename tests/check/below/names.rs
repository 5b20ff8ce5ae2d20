//! Under which name damage is told: of files that have several, and of what is moved meanwhile.
use super::open_mount;
use crate::{
    checked,
    scrub::scrubbed,
    vaults::{image::Image, objects::objects, op::Fill},
    victim::copy_of,
};
use wardfs::{
    check::{Finding, Kind},
    format,
    vault::{NewKind, ROOT_INO, RenameMode, ScrubWatch, Vault},
};

/// A file is told under the first of its names: of what is in a directory before what is below it.
#[test]
fn a_file_with_several_names_is_told_under_the_same_each_time() {
    let store = Image::Small.in_memory();
    let vault = open_mount(&store);
    let make = |dir, name: &[u8], kind| {
        let made = vault.make(dir, name, kind, 0o755, 1, 2);
        made.expect("it is new").ino
    };
    let bytes = Fill::Noise(1).bytes(50_000);
    let file = make(ROOT_INO, b"z", NewKind::File);
    vault.write(file, 0, &bytes, false).expect("a write");
    let deep = make(ROOT_INO, b"deep", NewKind::Directory);
    let below = make(deep, b"below", NewKind::File);
    vault.write(below, 0, &bytes, false).expect("a write");
    for number in 0..12 {
        let dir = make(deep, format!("a{number:02}").as_bytes(), NewKind::Directory);
        let other = make(dir, b"b", NewKind::Directory);
        for (file, dir) in [(file, dir), (below, dir), (file, other)] {
            let name = format!("{file}");
            vault.link(file, dir, name.as_bytes()).expect("a link");
        }
    }
    // Of the second all names are in directories beside each other.
    vault.unlink(deep, b"below").expect("it is there");
    vault.close().expect("a healthy vault");
    let whole = objects(&store);
    let is_hit = |name: &&String| {
        let of_names = ["payloads/", "guards/links/"];
        !name.ends_with('/') && of_names.iter().any(|top| name.starts_with(top))
    };
    let mut named = Vec::new();
    for object in whole.keys().filter(is_hit) {
        let mut damaged = whole.clone();
        let bytes = damaged.get_mut(object).expect("it is there");
        let at = bytes.len().min(30_000) - 1;
        bytes[at] ^= 1;
        let is_of_it = |found: &&Finding| found.object == *object && found.kind != Kind::Links;
        let told = |found: &[Finding]| {
            let found = found.iter().filter(is_of_it);
            found.map(|found| found.path.clone()).collect::<Vec<_>>()
        };
        let checked = told(&checked(&damaged).findings);
        let vault = open_mount(&copy_of(&damaged));
        assert_eq!(told(&scrubbed(&vault).found), checked);
        named.extend(checked.into_iter().flatten());
    }
    named.sort();
    // The guard and the content of each.
    let expected = [format!("/deep/a00/{below}"), "/z".to_owned()];
    let both = expected.iter().flat_map(|name| [name, name]);
    assert!(both.map(String::as_bytes).eq(&named), "{named:?}");
}

/// Moves a directory when a file is met.
struct Mover<'a> {
    vault: &'a Vault,
    is_moved: bool,
    found: Vec<Finding>,
}

impl ScrubWatch for Mover<'_> {
    fn read(&mut self, _: u64) -> bool {
        true
    }

    fn node(&mut self, kind: format::Kind) {
        if kind == format::Kind::File && !self.is_moved {
            self.is_moved = true;
            let [from, to] = [&b"z"[..], b"a"].map(|name| {
                let there = self.vault.lookup(ROOT_INO, name);
                there.expect("it is there").ino
            });
            let moved = self
                .vault
                .rename(from, b"dir", to, b"new", RenameMode::Replace);
            moved.expect("a rename");
        }
    }

    fn found(&mut self, finding: Finding) {
        self.found.push(finding);
    }
}

#[test]
fn what_is_moved_meanwhile_is_told_once_and_under_its_present_name() {
    let store = Image::Small.in_memory();
    let vault = open_mount(&store);
    let make = |dir, name: &[u8], kind| {
        let made = vault.make(dir, name, kind, 0o755, 1, 2);
        made.expect("it is new").ino
    };
    make(ROOT_INO, b"a", NewKind::Directory);
    let dir = make(
        make(ROOT_INO, b"z", NewKind::Directory),
        b"dir",
        NewKind::Directory,
    );
    let file = make(dir, b"file", NewKind::File);
    let bytes = Fill::Noise(1).bytes(50_000);
    vault.write(file, 0, &bytes, false).expect("a write");
    vault.close().expect("a healthy vault");
    let mut damaged = objects(&store);
    let is_content = |name: &&String| name.starts_with("payloads/") && !name.ends_with('/');
    let content = damaged.keys().find(is_content);
    let content = content.expect("a payload").clone();
    damaged.get_mut(&content).expect("a payload")[30_000] ^= 1;
    let vault = open_mount(&copy_of(&damaged));
    let mut mover = Mover {
        vault: &vault,
        is_moved: false,
        found: Vec::new(),
    };
    vault.scrub(&mut mover).expect("it can be read");
    let found: Vec<_> = mover.found.iter().map(|found| found.path.clone()).collect();
    assert_eq!(found, [Some(b"/a/new/file".to_vec())]);
}
