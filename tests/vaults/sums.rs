//! What the guards of directories say of their entries, held against what is stored: counts, sums of names, and sums of
//! states, which no read looks at. Reads a closed vault by `format` and `crypto` alone.
use super::{image::PASSPHRASE, objects::Objects};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex},
};
use wardfs::{
    crypto::{SetHash, SlotKey, Tag, ZoneKey},
    format::{
        Alias, Body, Content, DirId, Kind, ParsedHeader, Slot, StoredGuard, VaultId, ZoneFile,
        dir_path, zone_path,
    },
};

/// One vault's keys.
struct Keys {
    vault: VaultId,
    zone: ZoneKey,
}

/// Derived once for each header: that is meant to be slow.
fn keys(objects: &Objects) -> Arc<Keys> {
    static KNOWN: LazyLock<Mutex<BTreeMap<Vec<u8>, Arc<Keys>>>> = LazyLock::new(Mutex::default);
    let header = &objects["wardfs.vault"];
    if let Some(keys) = KNOWN.lock().expect("no panic").get(header) {
        return Arc::clone(keys);
    }
    let parsed = ParsedHeader::parse(header).expect("a header");
    let said = parsed.unverified();
    let Slot::Passphrase { kdf, salt, wrapped } = &said.slots[0] else {
        panic!("the first slot has the passphrase");
    };
    let slot = SlotKey::derive(PASSPHRASE, salt, kdf).expect("key derivation");
    let master = slot
        .unwrap_master(&said.vault.0, wrapped)
        .expect("the passphrase");
    let file =
        ZoneFile::decode(&objects[zone_path(&said.root_zone).as_str()]).expect("a zone file");
    let zone = master.unwrap_zone(&said.vault.0, &said.root_zone.0, &file.wrapped);
    let vault = said.vault;
    let keys = Arc::new(Keys {
        vault,
        zone: zone.expect("the zone key"),
    });
    let mut known = KNOWN.lock().expect("no panic");
    known.insert(header.clone(), Arc::clone(&keys));
    keys
}

impl Keys {
    fn body(&self, bytes: &[u8]) -> Result<Body, String> {
        let stored = StoredGuard::parse(bytes.to_vec()).map_err(|error| error.to_string())?;
        let (id, suite) = (stored.head.file, stored.head.suite);
        let key = self
            .zone
            .unwrap_file(&self.vault.0, &id.0, &stored.head.stanzas[0]);
        let key = key.map_err(|_| "a guard of another key".to_owned())?;
        let body = stored.open(&key.guard_aead(suite), &self.vault);
        body.map_err(|error| error.to_string())
    }

    /// Is what lies in a directory of guards, or what its alias leads to, a directory?
    fn is_dir(&self, bytes: &[u8]) -> Result<bool, String> {
        Ok(!Alias::is_alias(bytes) && self.body(bytes)?.content.kind() == Kind::Directory)
    }

    /// Count of entries, of directories among them, sum of names, sum of states.
    fn sums(&self, objects: &Objects, id: &DirId) -> Result<(u64, u64, SetHash, SetHash), String> {
        let key = self.zone.name_key(&id.0);
        let below = format!("{}/", dir_path(id).as_str());
        let mut sums = (0, 0, SetHash::default(), SetHash::default());
        for (path, bytes) in objects.range(below.clone()..) {
            let Some(name) = path.strip_prefix(&below) else {
                break;
            };
            if name.is_empty() {
                continue;
            }
            let tag = Tag(*bytes.last_chunk().ok_or("a guard without a tag")?);
            sums.0 += 1;
            sums.1 += u64::from(self.is_dir(bytes)?);
            sums.2.add(&key.name_item(name.as_bytes()));
            sums.3.add(&key.state_item(name.as_bytes(), &tag));
        }
        Ok(sums)
    }
}

/// Does every directory of a closed vault sum up what is stored of it? Takes what [`super::objects::guards`] gives.
///
/// # Errors
/// The first guard that does not.
pub fn check_sums(objects: &Objects) -> Result<(), String> {
    let keys = keys(objects);
    let guards = objects.iter().filter(|(path, bytes)| {
        path.starts_with("guards/") && !path.ends_with('/') && !Alias::is_alias(bytes)
    });
    for (path, bytes) in guards {
        let body = keys.body(bytes).map_err(|what| format!("{path}: {what}"))?;
        let Content::Directory(dir) = body.content else {
            continue;
        };
        let said = (dir.entries, dir.subdirs, dir.names, dir.states);
        let found = keys.sums(objects, &dir.id)?;
        if said != found {
            return Err(format!("{path} sums up {said:?}, stored are {found:?}"));
        }
        let Some(links) = dir.links else {
            continue;
        };
        let said = (links.entries, 0, links.names, links.states);
        let found = keys.sums(objects, &DirId::LINKS)?;
        if said != found {
            return Err(format!(
                "{path} sums up links {said:?}, stored are {found:?}"
            ));
        }
    }
    Ok(())
}
