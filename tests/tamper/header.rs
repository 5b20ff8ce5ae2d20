//! Both headers with one byte changed, each byte in turn: refused before anything is derived where the header says what none
//! may say, and else as a wrong passphrase; never opened, and nothing is written. With one copy changed the other serves.
use crate::{
    map::HEADERS,
    vaults::{
        image::{Image, open, options},
        objects::{Objects, objects},
        run::on_all_cores,
    },
    victim::copy_of,
};
use std::{ops::Range, sync::Arc};
use wardfs::{
    format::{HEADER_LEN, ParsedHeader},
    store::MemoryStore,
    vault::{OpenOptions, VaultError},
};

/// What any bytes may be in, so that only the MAC or a wrapped key tells: ids, salt and wrapped key of the slot, MAC. See
/// section 6 of the format's page.
const ANY_BYTES: [Range<usize>; 3] = [16..48, 96..220, 4064..4096];

/// Neither makes a key derivation ask for more than 73 MiB or one pass and still be within the bounds.
const CHANGES: [u8; 2] = [1, 0xff];

/// New vaults of both suites: with little in them each try is fast.
fn vaults() -> [Objects; 2] {
    [Image::Small, Image::Large].map(|image| objects(&image.in_memory()))
}

fn is_any(at: usize) -> bool {
    ANY_BYTES.iter().any(|range| range.contains(&at))
}

/// The vault with a byte of some copies changed.
fn with_byte(present: &Objects, copies: &[&str], at: usize, change: u8) -> MemoryStore {
    let mut objects = present.clone();
    for copy in copies {
        objects.get_mut(*copy).expect("a header")[at] ^= change;
    }
    copy_of(&objects)
}

/// Opens it to read; the error, if there is one.
fn refusal(store: &MemoryStore) -> Option<VaultError> {
    let options = OpenOptions {
        read_only: true,
        ..options(1 << 40)
    };
    open(Arc::new(store.clone()), options).err()
}

#[test]
fn a_header_with_any_one_byte_changed_opens_nothing_and_says_why() {
    let all: Vec<(usize, u8)> = (0..HEADER_LEN)
        .flat_map(|at| CHANGES.map(|change| (at, change)))
        .collect();
    for present in &vaults() {
        on_all_cores(&all, |_, (at, change)| {
            let store = with_byte(present, &HEADERS, *at, *change);
            let before = objects(&store);
            let refused = open(Arc::new(store.clone()), options(1 << 40)).err();
            let parses = ParsedHeader::parse(&before[HEADERS[0]]).is_ok();
            let place = format!("byte {at} changed by {change:#04x}");
            match refused {
                Some(VaultError::WrongPassphrase) if parses => {}
                Some(VaultError::Format { object, .. }) if !parses && object == HEADERS[0] => {}
                None => return Err(format!("{place}: it opens")),
                Some(error) => return Err(format!("{place}: {error}")),
            }
            if is_any(*at) && !parses {
                return Err(format!("{place}: refused, whatever it may be"));
            }
            if objects(&store) != before {
                return Err(format!("{place}: refused, and written to"));
            }
            Ok(())
        });
    }
}

#[test]
fn a_copy_of_the_header_with_any_one_byte_changed_hides_nothing() {
    // Of what is refused by its shape a part is enough.
    let all: Vec<(usize, &str)> = (0..HEADER_LEN)
        .filter(|at| is_any(*at) || at.is_multiple_of(61))
        .flat_map(|at| HEADERS.map(|copy| (at, copy)))
        .collect();
    for present in &vaults() {
        on_all_cores(&all, |_, (at, copy)| {
            let store = with_byte(present, &[*copy], *at, 1);
            refusal(&store).map_or(Ok(()), |error| Err(format!("byte {at} of {copy}: {error}")))
        });
    }
}
