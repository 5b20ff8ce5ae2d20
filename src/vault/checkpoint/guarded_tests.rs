//! What lies in guards alone, short content and long attributes, when more of it is in use than is kept in memory.
use super::tests::{new_vault, open};
use crate::{
    store::MemoryStore,
    vault::{NewKind, ROOT_INO, RenameMode, SetAttr, Vault, XattrMode, xattrs::NodeXattrs},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::atomic::Ordering::Relaxed;

/// Of the longest content that lies in a guard: above what is kept of such in memory.
const FILES: u64 = 3500;
const INLINE: usize = 8192;
/// Of long attributes, as above.
const LABELLED: u64 = 100;
const VALUE: usize = 60_000;

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

fn name(prefix: char, number: u64) -> Vec<u8> {
    format!("{prefix}{number}").into_bytes()
}

fn make(vault: &Vault, name: &[u8], kind: NewKind<'_>) -> u64 {
    vault.make(ROOT_INO, name, kind, 0o700, 0, 0).unwrap().ino
}

fn lookup(vault: &Vault, name: &[u8]) -> u64 {
    vault.lookup(ROOT_INO, name).unwrap().ino
}

fn long(vault: &Vault) -> u64 {
    let bytes = |ino| vault.core.node(ino).unwrap().state.read().xattrs.long_len();
    (0..LABELLED)
        .map(|number| bytes(lookup(vault, &name('l', number))))
        .sum()
}

fn in_memory(vault: &Vault) -> usize {
    let here = |ino| match &vault.core.node(ino).unwrap().state.read().xattrs {
        NodeXattrs::Here(xattrs) => xattrs.values().map(Vec::len).sum(),
        NodeXattrs::Stored { .. } => 0,
    };
    (0..LABELLED)
        .map(|number| here(lookup(vault, &name('l', number))))
        .sum()
}

/// Half of them directories; each with two long attributes and a short one.
fn labelled(vault: &Vault) {
    for number in 0..LABELLED {
        let kind = if number % 2 == 0 {
            NewKind::Directory
        } else {
            NewKind::File
        };
        let ino = make(vault, &name('l', number), kind);
        for (attribute, len) in [(0, VALUE), (1, VALUE), (2, 10)] {
            let (name, value) = (name('a', attribute), noise(number * 3 + attribute, len));
            vault
                .set_xattr(ino, &name, &value, XattrMode::Create)
                .unwrap();
        }
    }
}

fn assert_labelled(vault: &Vault, prefix: char) {
    for number in 0..LABELLED {
        let ino = lookup(vault, &name(prefix, number));
        assert_eq!(vault.list_xattr(ino).unwrap(), b"a0\0a1\0a2\0");
        for (attribute, len) in [(0, VALUE), (1, VALUE), (2, 10)] {
            let value = vault.get_xattr(ino, &name('a', attribute)).unwrap();
            assert!(value == noise(number * 3 + attribute, len), "{number}");
        }
    }
}

#[test]
fn links_of_more_short_files_than_stay_in_memory_are_recovered() {
    let store = new_vault(MemoryStore::new());
    let vault = open(&store);
    for number in 0..FILES {
        let ino = make(&vault, &name('f', number), NewKind::File);
        vault.write(ino, 0, &noise(number, INLINE), false).unwrap();
    }
    vault.close().unwrap();
    let vault = open(&store);
    for number in 0..FILES {
        let ino = lookup(&vault, &name('f', number));
        vault.link(ino, ROOT_INO, &name('g', number)).unwrap();
    }
    vault.sync(ROOT_INO, false).unwrap();
    drop(vault);
    let vault = open(&store);
    let mut read = vec![0; INLINE];
    for number in 0..FILES {
        vault
            .read(lookup(&vault, &name('g', number)), 0, &mut read)
            .unwrap();
        assert!(read == noise(number, INLINE), "{number}");
    }
}

#[test]
fn long_attributes_leave_memory_when_they_are_stored_and_are_read_again() {
    let store = new_vault(MemoryStore::new());
    let vault = open(&store);
    labelled(&vault);
    vault.checkpoint().unwrap();
    assert_eq!(in_memory(&vault), 0);
    assert!(long(&vault) > LABELLED * 2 * VALUE as u64);
    assert_labelled(&vault, 'l');
    vault.close().unwrap();
    let vault = open(&store);
    assert_labelled(&vault, 'l');
    assert_eq!(in_memory(&vault), 0);
}

#[test]
fn long_attributes_come_along_with_whatever_is_done_to_their_nodes() {
    let store = new_vault(MemoryStore::new());
    let vault = open(&store);
    labelled(&vault);
    vault.close().unwrap();
    for is_killed in [true, false] {
        let (from, to) = if is_killed { ('l', 'm') } else { ('m', 'n') };
        let vault = open(&store);
        for number in 0..LABELLED {
            let ino = lookup(&vault, &name(from, number));
            match number % 6 {
                1 => {
                    let another = format!("x{to}{number}").into_bytes();
                    vault.link(ino, ROOT_INO, &another).unwrap();
                }
                3 => drop(vault.write(ino, 0, &[7; 50_000], false).unwrap()),
                _ => drop(
                    vault
                        .set_attr(
                            ino,
                            &SetAttr {
                                mode: Some(0o711),
                                ..SetAttr::default()
                            },
                        )
                        .unwrap(),
                ),
            }
            // Something below changes a directory's guard, too.
            if number % 2 == 0 {
                let made = vault.make(ino, &name(to, number), NewKind::File, 0o600, 0, 0);
                made.unwrap();
            }
            let (from, to) = (name(from, number), name(to, number));
            let mode = RenameMode::Replace;
            vault.rename(ROOT_INO, &from, ROOT_INO, &to, mode).unwrap();
        }
        assert_labelled(&vault, to);
        vault.sync(ROOT_INO, false).unwrap();
        if is_killed {
            drop(vault);
        } else {
            vault.close().unwrap();
        }
        let vault = open(&store);
        assert_labelled(&vault, to);
        vault.close().unwrap();
    }
}

#[test]
fn setting_long_attributes_asks_for_a_checkpoint_before_they_fill_memory() {
    let store = new_vault(MemoryStore::new());
    let vault = open(&store);
    let mut most = 0;
    for number in 0..LABELLED * 6 {
        let ino = make(&vault, &name('l', number), NewKind::File);
        vault
            .set_xattr(ino, b"long", &noise(number, VALUE), XattrMode::Create)
            .unwrap();
        most = most.max(vault.core.held.load(Relaxed));
    }
    assert!((20 << 20..40 << 20).contains(&most), "{most}");
}
