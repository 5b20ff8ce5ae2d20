//! What every key gives for fixed inputs: these bytes are on disks, so a change here is a change of the
//! format.
//!
//! Computed by another implementation, not by this one: BLAKE3 written down from its specification, AES by
//! OpenSSL.

use super::{
    Aead, FileKey, MasterKey, NameKey, Nonce, OpenError, SlotKey, Suite, Tag, WrappedKey, ZoneKey,
    derive::Secret, labels, wrap::wrap_with_nonce,
};
use data_encoding::HEXLOWER;

const VAULT: &[u8; 16] = b"vault identifier";
const OTHER: &[u8; 16] = b"another identity";
const KEY: [u8; 32] = [5; 32];

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The master key of these bytes, for vectors of other floors.
pub(crate) fn master(bytes: &[u8; 32]) -> MasterKey {
    MasterKey(Secret::copied(bytes))
}

fn name_key() -> NameKey {
    NameKey::derive(&Secret::copied(&[1; 32]), &[2; 16])
}

#[test]
fn stored_names_are_frozen() {
    assert_eq!(
        name_key().stored_name(b"hello.txt"),
        "CLBQVzaG6J9agWB1CEQXCMJD7Im4ID4ymQ"
    );
    let long: Vec<u8> = (0..255u8).map(|i| b'a' + i % 26).collect();
    assert_eq!(
        name_key().stored_name(&long),
        "~E4ppUWf5dbqkLvTsnBRWoJhwrKN89bzSWgt8yqUJy8M"
    );
}

#[test]
fn set_items_are_frozen() {
    let item = name_key().name_item(b"stored");
    assert_eq!(
        hex(&item.0),
        "84382a599bc19ab9bb01f77c8dc9c776f740edc3e09f0776a5049846251d341b"
    );
    let item = name_key().state_item(b"stored", &Tag([1; 16]));
    assert_eq!(
        hex(&item.0),
        "0186ea70223ee007915bca675c75bb2b9fcf74db27afa29ac185760faf10ebef"
    );
}

#[test]
fn derived_aeads_are_frozen() {
    let mark = |aead: &Aead| hex(&aead.seal(&Nonce([0; 12]), &[], &mut []).0);
    let (file, gcm) = (FileKey::from_bytes(&KEY), Suite::Aes256Gcm);
    assert_eq!(
        mark(&file.guard_aead(gcm)),
        "d94d50ebc5146c2e451cda921c3b4587"
    );
    assert_eq!(
        mark(&file.chunk_aead(gcm)),
        "8e3310f863ccdd6dd01f994295bd453f"
    );
    assert_eq!(
        mark(&file.chunk_key(gcm, 2).aead(gcm)),
        "cff30e997219fe3b9819d7163229d004"
    );
    assert_eq!(
        mark(&file.index_aead(gcm)),
        "6f468d9ed186eafe9b5bb1b8a41d0254"
    );
    let (master, zone) = (
        MasterKey(Secret::copied(&KEY)),
        ZoneKey(Secret::copied(&KEY)),
    );
    assert_eq!(
        mark(&zone.alias_aead(VAULT, gcm)),
        "04a1a2019110c15d0535d19bcfdb5750"
    );
    assert_eq!(
        mark(&master.journal_key(VAULT, gcm).file_aead(3)),
        "d4c96ee5acbd90b46ef1aab57a692be3"
    );
}

#[test]
fn the_header_mac_is_frozen() {
    let mac = MasterKey(Secret::copied(&KEY))
        .header_key(VAULT)
        .mac(b"header");
    assert_eq!(
        hex(&mac),
        "82870bee0f75b2a9f8a1a4d1eecaf8b88240e2bdf0c1fe023df17dea9534db7a"
    );
}

/// A key that wraps another one, by what it wraps, for the vectors of whole files: the parts of the label are its ids.
pub(crate) enum Wrap {
    Master([u8; 16]),
    Zone([u8; 16], [u8; 16]),
    File([u8; 16], [u8; 16]),
}

impl Wrap {
    /// The wrapped key that a wrapping key gives with a nonce.
    pub(crate) fn seal(&self, by: &[u8; 32], key: &[u8; 32], nonce: Nonce) -> WrappedKey {
        let (by, key) = (Secret::copied(by), Secret::copied(key));
        let (label, ids): (_, Vec<&[u8]>) = match self {
            Wrap::Master(vault) => (labels::WRAP_MASTER, vec![vault]),
            Wrap::Zone(vault, zone) => (labels::WRAP_ZONE, vec![vault, zone]),
            Wrap::File(vault, file) => (labels::WRAP_FILE, vec![vault, file]),
        };
        wrap_with_nonce(&by, label, &ids, &key, nonce)
    }

    /// The key that a wrapping key finds in it.
    pub(crate) fn open(&self, by: &[u8; 32], wrapped: &WrappedKey) -> Result<[u8; 32], OpenError> {
        let by = Secret::copied(by);
        let key = match self {
            Wrap::Master(vault) => SlotKey(by).unwrap_master(vault, wrapped)?.0,
            Wrap::Zone(vault, zone) => MasterKey(by).unwrap_zone(vault, zone, wrapped)?.0,
            Wrap::File(vault, file) => {
                return ZoneKey(by)
                    .unwrap_file(vault, file, wrapped)
                    .map(|key| *key.expose());
            }
        };
        Ok(*key.expose())
    }
}

fn wrapped(text: &str) -> WrappedKey {
    WrappedKey(
        HEXLOWER
            .decode(text.as_bytes())
            .unwrap()
            .try_into()
            .unwrap(),
    )
}

/// Each wraps 32 bytes of 6 under [`KEY`], with a nonce of zeros.
#[test]
fn wrapped_keys_are_frozen() {
    let slot = SlotKey(Secret::copied(&KEY));
    let master = wrapped(
        "5c4c8fc752b79639404e7b5e174d1a73edf5626b9e6e8fbabd49be59fc7bd467000000000000000000000000621a539a058a8dcbc4b2b810b51ff4e0ce6003435576e2bf0ebf86d94188433c5b69f4dece890f3c30f0fed56c2c0c3f",
    );
    assert_eq!(
        slot.unwrap_master(VAULT, &master).unwrap().0.expose(),
        &[6; 32]
    );
    let zone = wrapped(
        "f3c3c59f3314deac788f916a607ba28e10539b0a0a47a49d72eebb11c970f4b8000000000000000000000000103d9448c10821f61ebd85fd8b0a1da10fc65382c61c5bbc4352cb28a57fa86da6e1ed2b1f950bc6bdf30856ce573656",
    );
    let zone = MasterKey(Secret::copied(&KEY))
        .unwrap_zone(VAULT, OTHER, &zone)
        .unwrap();
    assert_eq!(zone.0.expose(), &[6; 32]);
    let file = wrapped(
        "a84fcffe0017877b9607855b758a71774510b6a5c0c654f3bf55e75c3258bd9900000000000000000000000033177f5241c8c19d33011565172fc496372524269576a0cad4806ed23e4f988e920926f9297a5ccc24e5bb39b322adde",
    );
    let file = ZoneKey(Secret::copied(&KEY))
        .unwrap_file(VAULT, OTHER, &file)
        .unwrap();
    assert_eq!(file.expose(), &[6; 32]);
}
