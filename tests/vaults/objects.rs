//! The objects of a store, as somebody finds them who reads the disk.
use std::collections::BTreeMap;
use wardfs::{
    format::{Kind, header_path},
    store::{ObjectPath, Store, StoreError},
    vault::{ROOT_INO, Vault},
};

/// Contents by path. Directories are named with a slash at the end and hold nothing.
pub type Objects = BTreeMap<String, Vec<u8>>;

/// Where the frames of a log end, of which nothing is damaged: behind them it has space ahead. That is not where its zeros begin,
/// seen from its end: the sum of one frame in 256 ends with one.
pub fn written(log: &[u8]) -> usize {
    // length u32 | nonce 12 | ciphertext | tag 16
    let mut end = 0;
    while let Some(head) = log.get(end..).and_then(<[u8]>::first_chunk) {
        match u32::from_le_bytes(*head) {
            0 => break,
            len => end += 4 + 12 + len as usize + 16,
        }
    }
    end
}

/// All that a store holds.
pub fn objects(store: &dyn Store) -> Objects {
    objects_below(store, &[""])
}

/// The header, the zone's key and all guards and aliases: everything but content, which may be longer than memory.
pub fn guards(store: &dyn Store) -> Objects {
    let mut found = objects_below(store, &["zones", "zones.copy", "guards"]);
    let header = header_path();
    let bytes = store.get(&header).expect("a header");
    found.insert(header.as_str().to_owned(), bytes);
    found
}

fn objects_below(store: &dyn Store, tops: &[&str]) -> Objects {
    let mut found = BTreeMap::new();
    let mut waiting: Vec<String> = tops.iter().map(|top| (*top).to_owned()).collect();
    while let Some(dir) = waiting.pop() {
        for name in store
            .list(&path(&dir))
            .expect("a directory of a healthy store")
        {
            let name = String::from_utf8(name).expect("stored names are text");
            let child = if dir.is_empty() {
                name
            } else {
                format!("{dir}/{name}")
            };
            match store.get(&path(&child)) {
                Ok(bytes) => drop(found.insert(child, bytes)),
                Err(StoreError::NotAnObject { .. }) => {
                    found.insert(format!("{child}/"), Vec::new());
                    waiting.push(child);
                }
                Err(error) => panic!("an object of a healthy store: {error}"),
            }
        }
    }
    found
}

/// Puts objects into a store that has none.
pub fn copy_into(store: &dyn Store, objects: &Objects) {
    for (name, bytes) in objects {
        match name.strip_suffix('/') {
            Some(dir) => store.make_dir(&path(dir)),
            None => store.put(&path(name), bytes),
        }
        .expect("a healthy store");
    }
}

/// The path of an object.
pub fn path(text: &str) -> ObjectPath {
    if text.is_empty() {
        ObjectPath::root()
    } else {
        ObjectPath::new(text).expect("a path of an object")
    }
}

/// Removes all that a vault holds, through its counter.
///
/// # Errors
/// What cannot be removed.
pub fn remove_everything(vault: &Vault) -> Result<(), String> {
    remove_below(vault, ROOT_INO).map_err(|error| format!("removing everything: {error}"))
}

fn remove_below(vault: &Vault, dir: u64) -> wardfs::vault::Result<()> {
    let mut entries = Vec::new();
    vault.read_dir(dir, 0, &mut |entry| {
        entries.push((entry.name.to_vec(), entry.kind));
        true
    })?;
    for (name, kind) in entries {
        if kind != Kind::Directory {
            vault.unlink(dir, &name)?;
            continue;
        }
        let stat = vault.lookup(dir, &name)?;
        remove_below(vault, stat.ino)?;
        vault.remove_dir(dir, &name)?;
        vault.forget(stat.ino, 1);
    }
    Ok(())
}

/// What a closed vault keeps though nothing is in it any more.
pub fn left_over(store: &dyn Store) -> Vec<String> {
    let belongs = |name: &String| {
        let parts: Vec<&str> = name.split('/').collect();
        match parts[..] {
            ["wardfs.vault" | "wardfs.vault.copy"] | ["guards", "root"] => true,
            ["zones" | "zones.copy", _] => true,
            // Of a log that lost a part: nobody can tell whether the disk or the power took it.
            ["quarantine", "recovery", ..] => true,
            // Directories that spread what lies in them stay.
            ["guards" | "payloads", _, ""] | [_, ""] => true,
            _ => false,
        }
    };
    let is_dir_of_entries = |name: &String| name.starts_with("guards/") && name.ends_with('/');
    let (dirs, others): (Vec<String>, Vec<String>) = objects(store)
        .into_keys()
        .filter(|name| !belongs(name))
        .partition(is_dir_of_entries);
    // The root's own stays; which it is, cannot be told from outside.
    others.into_iter().chain(dirs.into_iter().skip(1)).collect()
}
