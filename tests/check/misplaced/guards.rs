//! Single guards, the root's among them, under other names and in other places.
use super::{comes_back, moved};
use crate::{
    repaired,
    vaults::{
        dump::Dump,
        image::{open, options},
        run::on_all_cores,
    },
    victims,
};
use std::sync::Arc;

#[test]
fn guards_under_names_of_no_meaning_go_back() {
    for victim in victims() {
        let mut damaged = victim.now().objects.clone();
        damaged.insert("found/".to_owned(), Vec::new());
        let guard = |name: &&String| name.starts_with("guards/") && name.matches('/').count() == 3;
        let guards: Vec<String> = damaged.keys().filter(guard).cloned().collect();
        for (number, name) in guards
            .iter()
            .filter(|name| !name.ends_with('/'))
            .enumerate()
        {
            let bytes = damaged.remove(name).expect("it is there");
            damaged.insert(format!("found/{number}"), bytes);
        }
        comes_back(victim, &damaged).unwrap();
    }
}

/// A directory in its place, and what belongs there in it, or elsewhere.
#[test]
fn a_guard_goes_back_though_a_directory_holds_its_place() {
    for victim in victims() {
        let before = &victim.now().objects;
        let is_guard = |name: &&String| name.starts_with("guards/") && !name.ends_with('/');
        let guards: Vec<&String> = before.keys().filter(is_guard).collect();
        let guards: Vec<&String> = guards
            .into_iter()
            .filter(|name| *name != "guards/root")
            .collect();
        on_all_cores(&guards, |at, guard| {
            let mut damaged = before.clone();
            let bytes = damaged.remove(*guard).expect("it is there");
            damaged.insert(format!("{guard}/"), Vec::new());
            damaged.insert(format!("{guard}/junk"), b"of no use".to_vec());
            if at % 2 == 0 {
                damaged.insert(format!("{guard}/deep/"), Vec::new());
                damaged.insert(format!("{guard}/deep/it"), bytes);
            } else {
                damaged.insert("it".to_owned(), bytes);
            }
            comes_back(victim, &damaged).map_err(|what| format!("{guard}: {what}"))
        });
    }
}

/// Renamed, moved, in another place of the vault, with something else in its own place, and with an older one beside it.
#[test]
fn the_root_s_guard_goes_back() {
    for victim in victims() {
        let before = &victim.now().objects;
        let root = "guards/root".to_owned();
        let older = &victim.past()[0].objects[&root];
        let places = [
            "guards/root.bak",
            "root",
            "moved/deep/root",
            "payloads/root",
        ];
        for to in places {
            for there in [None, Some("root"), Some("root/")] {
                let mut damaged = before.clone();
                let bytes = damaged.remove(&root).expect("it is there");
                damaged.insert("moved/deep/".to_owned(), Vec::new());
                damaged.insert("moved/".to_owned(), Vec::new());
                damaged.insert("moved/old".to_owned(), older.clone());
                damaged.insert("zzz".to_owned(), older.clone());
                damaged.insert(to.to_owned(), bytes);
                damaged.extend(there.map(|name| (format!("guards/{name}"), vec![])));
                comes_back(victim, &damaged).unwrap_or_else(|what| panic!("{to}: {what}"));
            }
        }
        let mut all = before.clone();
        moved(&mut all, "guards", "guards.bak");
        comes_back(victim, &all).unwrap();
        let is_entry = |name: &&String| name.starts_with("guards/") && !name.ends_with('/');
        let entries: Vec<&String> = before.keys().filter(is_entry).collect();
        on_all_cores(&entries, |_, entry| {
            if **entry == root {
                return Ok(());
            }
            let mut damaged = before.clone();
            damaged.insert(root.clone(), before[*entry].clone());
            damaged.insert((*entry).clone(), before[&root].clone());
            comes_back(victim, &damaged).map_err(|what| format!("with {entry}: {what}"))
        });
    }
}

/// What the journal of a killed mount holds is done after it.
#[test]
fn the_root_s_guard_goes_back_before_the_journal_is_done() {
    for victim in victims() {
        for before in std::iter::once(&victim.killed.objects).chain(&victim.interrupted) {
            let mut damaged = before.clone();
            let bytes = damaged.remove("guards/root").expect("it is there");
            damaged.insert("guards/root.bak".to_owned(), bytes);
            let (_, store) = repaired(&damaged).unwrap();
            let vault = open(Arc::new(store), options(1 << 40)).unwrap();
            let last = victim.killed.past.last().expect("a state");
            assert_eq!(last.difference(&Dump::of(&vault).unwrap()), None);
        }
    }
}
