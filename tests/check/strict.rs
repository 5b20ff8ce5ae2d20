//! Mounts that hold a directory against the sum of states in its guard.
use crate::{
    change::Change,
    look, paths,
    vaults::{
        dump::Dump,
        image::{open, options},
        objects::objects,
    },
    victim::{Victim, copy_of},
    victims,
};
use std::sync::Arc;
use wardfs::{
    store::MemoryStore,
    vault::{NewKind, OpenOptions, ROOT_INO, Result, Vault},
};

fn strict(store: &MemoryStore) -> Result<Vault> {
    let options = OpenOptions {
        strict: true,
        ..options(1 << 40)
    };
    open(Arc::new(store.clone()), options)
}

#[test]
fn a_whole_vault_is_served_whole() {
    for victim in victims() {
        for moment in &victim.moments {
            let vault = strict(&copy_of(&moment.objects)).expect("a healthy vault");
            let dump = Dump::of(&vault).expect("a healthy vault");
            assert_eq!(moment.dump.difference(&dump), None);
        }
    }
}

#[test]
fn recovery_is_as_ever() {
    for victim in victims() {
        for objects in std::iter::once(&victim.killed.objects).chain(&victim.interrupted) {
            let vault = strict(&copy_of(objects)).expect("a healthy vault");
            let dump = Dump::of(&vault).expect("a healthy vault");
            let last = victim.killed.past.last().expect("a state");
            assert_eq!(last.difference(&dump), None);
            vault.close().expect("a healthy vault");
        }
    }
}

#[test]
fn work_and_checkpoints_leave_a_vault_that_is_served_strictly() {
    let store = copy_of(&victims()[0].now().objects);
    let vault = strict(&store).expect("a healthy vault");
    let paths = paths(&victims()[0].now().dump);
    for round in 0..3_u8 {
        for path in paths.keys() {
            let ino = look(&vault, path).expect("it is there");
            let set = wardfs::vault::SetAttr {
                mode: Some(0o700 + u16::from(round)),
                ..Default::default()
            };
            vault.set_attr(ino, &set).expect("a healthy vault");
        }
        let name = [b'n', b'0' + round];
        vault
            .make(ROOT_INO, &name, NewKind::File, 0o600, 0, 0)
            .expect("a healthy vault");
        vault.checkpoint().expect("a healthy vault");
        // Everything leaves memory and is read again.
        for ino in paths.values() {
            vault.forget(*ino, u64::from(u32::MAX));
        }
    }
    vault.close().expect("a healthy vault");
    let dump = Dump::of(&strict(&store).expect("a healthy vault"));
    dump.expect("a healthy vault");
}

/// Files that can be put back so that a plain mount serves them.
fn put_backs(victim: &Victim) -> Vec<(Vec<u8>, u64, Change)> {
    let mut all = Vec::new();
    for (moment, past) in victim.past().iter().enumerate() {
        for (path, ino) in paths(&victim.now().dump) {
            let now = &victim.now().map.nodes[&ino];
            let same = past
                .map
                .nodes
                .get(&ino)
                .is_some_and(|old| old.guard == now.guard);
            if !same || ino == ROOT_INO || past.map.dir(ino).is_some() {
                continue;
            }
            if past.objects[&now.guard] == victim.now().objects[&now.guard] {
                continue;
            }
            let objects = past.map.objects_of(ino).into_iter().map(str::to_owned);
            let objects = objects.collect();
            all.push((path, ino, Change::PutBack { objects, moment }));
        }
    }
    assert!(!all.is_empty());
    all
}

#[test]
fn a_file_that_was_put_back_is_refused_and_others_are_served() {
    for victim in victims() {
        for (path, ino, change) in put_backs(victim) {
            let mut damaged = victim.now().objects.clone();
            change.apply(victim, &mut damaged);
            let store = copy_of(&damaged);
            let plain = open(Arc::new(store.clone()), options(1 << 40)).expect("it opens");
            look(&plain, &path).expect("a plain mount does not see it");
            plain.close().expect("nothing was changed");
            let vault = strict(&store).expect("it opens");
            assert!(look(&vault, &path).is_err(), "{change:?}");
            let is_apart = victim.now().map.nodes[&ino]
                .guard
                .starts_with("guards/links");
            if path.starts_with(b"/dir/") || is_apart {
                look(&vault, b"/empty dir").expect("the damage stays where it is");
            }
        }
    }
}

#[test]
fn nothing_is_written_by_refusing() {
    let victim = &victims()[0];
    let (path, _, change) = put_backs(victim).swap_remove(0);
    let mut damaged = victim.now().objects.clone();
    change.apply(victim, &mut damaged);
    let store = copy_of(&damaged);
    let vault = strict(&store).expect("it opens");
    assert!(look(&vault, &path).is_err());
    vault.close().expect("nothing was changed");
    assert!(objects(&store) == damaged);
}
