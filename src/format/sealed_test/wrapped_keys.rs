//! Keys that lie wrapped in a zone file and in the slot of a header come out again, and in their place alone.

use super::{VAULT, header};
use crate::{
    crypto::{KdfParams, MasterKey, SlotKey, ZoneKey},
    format::{FormatError, ParsedHeader, Slot, ZoneFile, ZoneId},
};

#[test]
fn a_zone_file_unwraps_in_its_vault_and_zone_alone() {
    let (master, key, zone) = (MasterKey::generate(), ZoneKey::generate(), ZoneId([9; 16]));
    let file = ZoneFile {
        zone,
        wrapped: master.wrap_zone(&VAULT.0, &zone.0, &key),
    };
    let sealed = file.encode();
    assert_eq!(sealed.len(), ZoneFile::LEN);
    let opens = |bytes: &[u8]| {
        let file = ZoneFile::decode(bytes)?;
        let unwrapped = master.unwrap_zone(&VAULT.0, &file.zone.0, &file.wrapped);
        unwrapped.map_err(|_| FormatError::Authentication { what: "zone key" })
    };
    assert!(opens(&sealed).is_ok());
    assert!(opens(&[&sealed[..], b"more"].concat()).is_ok());
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut bytes = sealed.clone();
            bytes[at] ^= 1 << bit;
            assert!(opens(&bytes).is_err(), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn a_slot_key_of_a_parsed_header_unwraps_the_master_key() {
    let kdf = KdfParams::checked(8192, 1, 1).unwrap();
    let (salt, master) = ([6; 32], MasterKey::generate());
    let wrapped = SlotKey::derive(b"passphrase", &salt, &kdf)
        .unwrap()
        .wrap_master(&VAULT.0, &master);
    let mut header = header();
    header.slots[3] = Slot::Passphrase { kdf, salt, wrapped };
    let parsed = ParsedHeader::parse(&header.encode(&master.header_key(&VAULT.0))).unwrap();
    let Slot::Passphrase { kdf, salt, wrapped } = &parsed.unverified().slots[3] else {
        panic!("slot 3 was filled");
    };
    let unwrapped = SlotKey::derive(b"passphrase", salt, kdf)
        .unwrap()
        .unwrap_master(&VAULT.0, wrapped)
        .unwrap();
    assert_eq!(parsed.verify(&unwrapped.header_key(&VAULT.0)), Ok(header));
}
