//! The keys and ids of `tests/vectors/keys.txt`.

use crate::vectors::blocks;
use std::sync::LazyLock;
use wardfs::{
    crypto::{FileKey, KdfParams, MasterKey, SlotKey, Suite, WrappedKey, ZoneKey},
    format::{DirId, FileId, PayloadId, VaultId, ZoneId},
};

/// The suite that the targets seal with; the parsers do not know it from the other.
pub const SUITE: Suite = Suite::Aes256Gcm;

/// Everything that a parser needs to open what the targets seal.
pub struct Keys {
    pub vault: VaultId,
    pub zone_id: ZoneId,
    pub file_id: FileId,
    pub directory: DirId,
    pub payload: PayloadId,
    pub master: MasterKey,
    pub zone: ZoneKey,
    pub file: FileKey,
    pub wrapped_file: WrappedKey,
}

pub static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let all = blocks(include_str!("../../tests/vectors/keys.txt"));
    let chain = &all[0];
    let [memory, passes, lanes] =
        ["memory kib", "passes", "lanes"].map(|field| chain.number(field));
    let kdf = KdfParams::checked(memory, passes, lanes).expect("within bounds");
    let slot = SlotKey::derive(&chain.bytes("passphrase"), &chain.array("salt"), &kdf)
        .expect("there is memory");
    let wrapped = |field| WrappedKey(chain.array(field));
    let (vault, zone_id, file_id) = (
        chain.array("vault"),
        chain.array("zone"),
        chain.array("file"),
    );
    let master = slot
        .unwrap_master(&vault, &wrapped("wrapped master key"))
        .expect("the right passphrase");
    let zone = master
        .unwrap_zone(&vault, &zone_id, &wrapped("wrapped zone key"))
        .expect("the right key");
    Keys {
        vault: VaultId(vault),
        zone_id: ZoneId(zone_id),
        file_id: FileId(file_id),
        directory: DirId(chain.array("directory")),
        payload: PayloadId([0xe0; 16]),
        master,
        zone,
        file: FileKey::from_bytes(&chain.array("file key")),
        wrapped_file: wrapped("wrapped file key"),
    }
});
