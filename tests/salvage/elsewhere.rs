//! Objects that are found though they lie elsewhere or under other names.
use crate::{
    expected::Expected,
    outcome::Outcome,
    salvaged,
    vaults::{image::PASSPHRASE, objects::copy_into},
    victims,
};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, sync::Arc};
use wardfs::{
    salvage::{Watch, salvage},
    store::{DirectoryStore, Store},
};

#[test]
fn guards_in_wrong_places_are_found() {
    for victim in victims() {
        let mut objects = victim.now().objects.clone();
        // All guards of entries lie in one directory that the vault does not know, under names of no meaning.
        let guards: Vec<String> = objects
            .keys()
            .filter(|path| path.starts_with("guards/") && path.matches('/').count() == 3)
            .filter(|path| !path.ends_with('/'))
            .cloned()
            .collect();
        for (number, path) in guards.iter().enumerate() {
            let bytes = objects.remove(path).unwrap();
            objects.insert(format!("guards/found/{number}"), bytes);
        }
        objects.insert("guards/found/".to_owned(), Vec::new());
        let (report, outcome) = salvaged(&objects).unwrap();
        let expected = Expected::of(victim.now(), &victim.now().objects);
        expected.check(&report, &outcome).unwrap();
    }
}

#[test]
fn objects_with_names_that_are_no_text_are_found() {
    for victim in victims() {
        let before = &victim.now().objects;
        let [vault, place] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let store = Arc::new(DirectoryStore::open(vault.path()).expect("a directory"));
        copy_into(&*store, before);
        let of = |name: &str, top: &str| name.starts_with(top) && name.len() > top.len();
        // What lies in a directory comes behind it.
        for name in before.keys().rev() {
            // Content is looked for by its own name, wherever that lies. That a guard lies apart is known by its own, or by its entry.
            let is_dir = of(name, "payloads/") && name.ends_with('/');
            if is_dir || of(name, "guards/") && !name.starts_with("guards/links/") {
                let from = vault.path().join(name.trim_end_matches('/'));
                let name = from.file_name().expect("a name").as_encoded_bytes();
                let odd = [b"\xff", &name[..name.len().min(250)]].concat();
                std::fs::rename(&from, from.with_file_name(OsStr::from_bytes(&odd))).unwrap();
            }
        }
        let out = place.path().join("out");
        let report = salvage(
            &(store as Arc<dyn Store>),
            PASSPHRASE,
            &out,
            &Watch::default(),
        )
        .unwrap();
        let expected = Expected::of(victim.now(), before);
        expected.check(&report, &Outcome::read(&out)).unwrap();
    }
}
