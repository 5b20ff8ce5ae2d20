//! What a read alone cannot see: the vault's own past, put back with all that belongs to it. The threat model lists the
//! same, in section 4. And, beside each, the neighbour that is seen.
use crate::{
    Look,
    change::{Change, Changes},
    map::{Entry, HEADERS, Map},
    read_all,
    vaults::{
        draw::Seeded,
        image::{PASSPHRASE, open, options},
        objects::Objects,
        op::{NAMES, name_bytes},
        sums::check_sums,
    },
    victim::{Victim, copy_of},
    victims,
};
use std::sync::Arc;
use wardfs::{
    format::Kind,
    vault::{ROOT_INO, SetAttr, Vault, VaultError, change_passphrase},
};

/// What is told of the present with one change.
fn told(victim: &Victim, change: &Change) -> Vec<String> {
    let mut objects = victim.now().objects.clone();
    change.apply(victim, &mut objects);
    read_all(victim, &objects, Look::ReadOnly).unwrap_or_else(|what| panic!("{change:?}: {what}"))
}

/// Entries of the present that are not aliases, with the label of their directory.
fn entries(victim: &Victim) -> impl Iterator<Item = (&str, &Entry)> {
    let map = &victim.now().map;
    let dirs = map.nodes.keys().filter_map(|ino| map.dir(*ino));
    let all = dirs.flat_map(|dir| {
        dir.entries
            .values()
            .map(|entry| (dir.label.as_str(), entry))
    });
    all.filter(|(_, entry)| entry.apart.is_none())
}

/// Entries of the past that are not there now, though their directory is.
fn gone<'a>(victim: &'a Victim, past: &'a Map) -> Vec<(&'a str, &'a Entry)> {
    let now = victim.now();
    let dirs = past
        .nodes
        .keys()
        .filter_map(|ino| Some((now.map.dir(*ino)?, past.dir(*ino)?)));
    let all = dirs.flat_map(|(_, dir)| {
        dir.entries
            .values()
            .map(|entry| (dir.label.as_str(), entry))
    });
    all.filter(|(_, entry)| !now.objects.contains_key(&entry.path))
        .collect()
}

/// Changes of one kind, as they are drawn for all objects.
fn drawn(victim: &Victim, kind: fn(&Change) -> bool) -> Vec<Change> {
    let mut all = Changes::new(victim, &mut Seeded::new(1)).all();
    all.retain(kind);
    assert!(!all.is_empty(), "there are such changes");
    all
}

#[test]
fn a_chunk_or_an_index_block_from_its_own_past_is_an_error_at_the_read() {
    for victim in victims() {
        for change in drawn(victim, |change| {
            matches!(change, Change::PutBackBytes { .. })
        }) {
            let Change::PutBackBytes { place, .. } = &change else {
                continue;
            };
            let errors = told(victim, &change);
            assert!(
                errors
                    .iter()
                    .any(|error| error.contains("chunk") || error.contains(&place.object)),
                "{change:?}: {errors:?}"
            );
        }
    }
}

#[test]
fn a_deleted_added_or_renamed_guard_is_an_error_when_its_directory_is_read() {
    for victim in victims() {
        let renames = drawn(
            victim,
            |change| matches!(change, Change::Move { from, .. } if from.starts_with("guards/") && from.len() > 40),
        );
        for (label, entry) in entries(victim) {
            let object = entry.path.clone();
            let errors = told(victim, &Change::Remove { object });
            assert!(
                errors.iter().any(|error| error.contains(label)),
                "{errors:?}"
            );
        }
        for change in renames {
            let Change::Move { from, to } = &change else {
                continue;
            };
            let Some((label, _)) = entries(victim).find(|(_, entry)| entry.path == *from) else {
                continue;
            };
            let errors = told(victim, &change);
            // It may lie over the guard of a directory above, which hides this one. If that has a long name, it is no entry
            // any more, and so the damage is that of the directory that it was in.
            let over = entries(victim).find(|(_, entry)| entry.path == *to && entry.long);
            let hidden = [Some(to.as_str()), over.map(|(label, _)| label)];
            assert!(
                errors.iter().any(|error| error.contains(label)
                    || hidden.iter().flatten().any(|what| error.contains(what))),
                "{change:?}: {errors:?}"
            );
        }
        let mut added = 0;
        for (moment, past) in victim.past().iter().enumerate() {
            for (label, entry) in gone(victim, &past.map) {
                let objects = vec![entry.path.clone()];
                let errors = told(victim, &Change::PutBack { objects, moment });
                assert!(
                    errors.iter().any(|error| error.contains(label)),
                    "{errors:?}"
                );
                added += 1;
            }
        }
        assert!(added > 0, "some entries are gone");
    }
}

/// The exception. The sums of states in the guards above know of it; a read does not look at them.
#[test]
fn a_file_put_back_with_all_its_objects_is_shown_as_it_was() {
    for victim in victims() {
        let mut count = 0;
        for (moment, past) in victim.past().iter().enumerate() {
            let kept = past.map.nodes.iter().filter(|(ino, node)| {
                let now = victim.now().map.nodes.get(ino);
                now.is_some_and(|now| now.guard == node.guard) && past.map.dir(**ino).is_none()
            });
            for (ino, node) in kept {
                if !node.guard.starts_with("guards/links") {
                    let objects = past
                        .map
                        .objects_of(*ino)
                        .into_iter()
                        .map(str::to_owned)
                        .collect();
                    assert_eq!(told(victim, &Change::PutBack { objects, moment }), [""; 0]);
                    count += 1;
                }
            }
        }
        assert!(count > 0);
    }
}

/// The exception goes no further than that: without its content, a changed file's old guard shows errors.
#[test]
fn an_old_guard_without_its_content_shows_errors_where_it_changed() {
    for victim in victims() {
        let payload = at(victim, &[b"dir", b"payload"]);
        for moment in 0..victim.past().len() {
            let past = &victim.moments[moment].map;
            let objects = vec![past.nodes[&payload].guard.clone()];
            assert!(!told(victim, &Change::PutBack { objects, moment }).is_empty());
        }
    }
}

/// What a read does not see the sums of states tell, from the first vault on: those of every moment fit, and none fits a
/// file that was put back, not even when a mount has stored it anew since.
#[test]
fn the_sums_of_states_know_of_a_file_that_was_put_back() {
    for victim in victims() {
        for moment in &victim.moments {
            assert_eq!(check_sums(&moment.objects), Ok(()));
        }
        let mut count = 0;
        for (moment, past) in victim.past().iter().enumerate() {
            for (ino, node) in &past.map.nodes {
                let now = victim.now();
                let guard = |objects: &Objects| objects.get(&node.guard).cloned();
                // Where no directory is any more, nothing is seen.
                let (dir, _) = node.guard.rsplit_once('/').expect("it lies in one");
                let is_seen = now.objects.contains_key(&format!("{dir}/"));
                if !is_seen
                    || past.map.dir(*ino).is_some()
                    || guard(&now.objects) == guard(&past.objects)
                {
                    continue;
                }
                let objects = past.map.objects_of(*ino).into_iter();
                let objects = objects.map(str::to_owned).collect();
                let mut there = now.objects.clone();
                Change::PutBack { objects, moment }.apply(victim, &mut there);
                assert!(check_sums(&there).is_err(), "{}", node.guard);
                if now.map.nodes.contains_key(ino) && now.map.nodes[ino].guard == node.guard {
                    assert!(
                        check_sums(&worked_on(&there, *ino)).is_err(),
                        "{}",
                        node.guard
                    );
                    count += 1;
                }
            }
        }
        assert!(count > 0, "some files were changed in place");
    }
}

/// The same after a mount that looked everything up and changed the attributes of one node.
fn worked_on(objects: &Objects, ino: u64) -> Objects {
    let store = copy_of(objects);
    let vault = open(Arc::new(store.clone()), options(1 << 40)).expect("it opens");
    let mut waiting = vec![ROOT_INO];
    while let Some(dir) = waiting.pop() {
        let mut names = Vec::new();
        vault
            .read_dir(dir, 0, &mut |entry| {
                names.push(entry.name.to_vec());
                true
            })
            .expect("names are whole");
        for name in names {
            let stat = vault.lookup(dir, &name).expect("all of it opens");
            if stat.kind == Kind::Directory {
                waiting.push(stat.ino);
            }
        }
    }
    let set = SetAttr {
        mode: Some(0o601),
        ..SetAttr::default()
    };
    vault.set_attr(ino, &set).expect("it is there");
    vault.close().expect("all is stored");
    crate::vaults::objects::guards(&store)
}

#[test]
fn a_directory_put_back_with_all_below_is_shown_as_it_was() {
    for victim in victims() {
        let dir = at(victim, &[b"dir", &name_bytes(NAMES[7])]);
        let changed = |change: &Change| matches!(change, Change::PutBack { .. });
        let backs = drawn(victim, changed)
            .into_iter()
            .filter(|change| match change {
                Change::PutBack { objects, moment } => {
                    objects.len() > 1 && objects[0] == victim.moments[*moment].map.nodes[&dir].guard
                }
                _ => false,
            });
        let backs: Vec<Change> = backs.collect();
        assert_eq!(backs.len(), victim.past().len());
        for change in backs {
            assert_eq!(told(victim, &change), [""; 0]);
        }
    }
}

#[test]
fn the_whole_vault_put_back_is_shown_as_it_was() {
    for victim in victims() {
        for moment in 0..victim.past().len() {
            assert_eq!(told(victim, &Change::PutBackAll { moment }), [""; 0]);
        }
    }
}

/// No exception: the root knows how far the journal was applied.
#[test]
fn an_old_journal_put_back_is_without_effect() {
    for victim in victims() {
        for interrupted in [None, Some(0), Some(1), Some(2)] {
            assert_eq!(told(victim, &Change::OldJournal { interrupted }), [""; 0]);
        }
    }
}

#[test]
fn an_old_header_put_back_lets_the_old_passphrase_in() {
    let victim = &victims()[0];
    let store = copy_of(&victim.now().objects);
    change_passphrase(&store, PASSPHRASE, b"another", None).expect("a healthy vault");
    let with =
        |passphrase| Vault::open(Arc::new(store.clone()), passphrase, options(1 << 40)).map(drop);
    assert!(matches!(with(PASSPHRASE), Err(VaultError::WrongPassphrase)));
    let old = HEADERS.map(|path| (path.to_owned(), victim.now().objects[path].clone()));
    crate::vaults::objects::copy_into(&store, &old.into());
    assert!(matches!(with(b"another"), Err(VaultError::WrongPassphrase)));
    open(Arc::new(store.clone()), options(1 << 40)).expect("the old passphrase");
}

#[test]
fn the_threat_model_lists_these() {
    let page = include_str!("../../docs/threat-model.md");
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with("4. "))
        .expect("section 4");
    let (_, possible) = section
        .split_once("**What stays possible:**")
        .expect("a list");
    for exception in [
        "- **Rollback of the whole vault**",
        "- **Rollback of one file**",
        "The same is true for a directory put back with all that is below it",
        "- **Rollback to a prefix of the journal**",
        "- **An old header put back**",
    ] {
        assert!(
            possible
                .replace('\n', " ")
                .replace("  ", " ")
                .contains(exception),
            "{exception}"
        );
    }
}

/// The node at a path of the present.
fn at(victim: &Victim, path: &[&[u8]]) -> u64 {
    path.iter().fold(ROOT_INO, |dir, name| {
        victim.now().map.dir(dir).expect("a directory").entries[*name].ino
    })
}
