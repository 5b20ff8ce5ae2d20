//! Names as they are stored, and the items by which a directory's guard knows its entries.
//!
//! A plaintext name has one stored form in its directory, and another in every other directory. Whether a
//! name is legal is not asked here: any bytes have a stored form.

use super::{
    OpenError, SetItem, Tag,
    derive::{Secret, derive},
    labels,
    siv::{SIV_LEN, SivKey},
};
use data_encoding::BASE64URL_NOPAD;
use std::fmt;

/// Longest name that file systems take, in bytes (`NAME_MAX`).
const STORED_LEN_MAX: usize = 255;
/// Most bytes that base64 fits into that, four characters for three bytes.
const SEALED_LEN_MAX: usize = STORED_LEN_MAX * 3 / 4;
/// Longest plaintext name that is stored encrypted; longer ones are stored hashed.
const SEALED_NAME_LEN_MAX: usize = SEALED_LEN_MAX - SIV_LEN;

/// Begins the stored form of a long name: not in the alphabet of base64url.
const LONG_MARK: u8 = b'~';
const LONG_HASH_LEN: usize = 32;

/// The keys of one directory: AES-SIV for names, a keyed hash for long names, keyed hashes for the set
/// hashes.
pub struct NameKey {
    siv: SivKey,
    long: Secret,
    names: Secret,
    states: Secret,
}

impl NameKey {
    pub(super) fn derive(zone: &Secret, dir: &[u8; 16]) -> NameKey {
        NameKey {
            siv: SivKey::derive(zone, labels::NAME, &[dir]),
            long: derive(zone, labels::LONG_NAME, &[dir]),
            names: derive(zone, labels::NAMES_HASH, &[dir]),
            states: derive(zone, labels::STATE_HASH, &[dir]),
        }
    }

    /// The stored (backing) name of a plaintext name: base64url(AES-SIV), or `~` + base64url(keyed hash)
    /// when that passes 255 bytes.
    pub fn stored_name(&self, name: &[u8]) -> String {
        if name.len() > SEALED_NAME_LEN_MAX {
            return self.stored_long_name(name);
        }
        let mut space = [0; SEALED_LEN_MAX];
        let sealed = &mut space[..SIV_LEN + name.len()];
        sealed[SIV_LEN..].copy_from_slice(name);
        self.siv.seal(sealed);
        BASE64URL_NOPAD.encode(sealed)
    }

    fn stored_long_name(&self, name: &[u8]) -> String {
        let mut stored = String::from(char::from(LONG_MARK));
        let hash = blake3::keyed_hash(self.long.expose(), name);
        BASE64URL_NOPAD.encode_append(hash.as_bytes(), &mut stored);
        stored
    }

    /// The plaintext name; None for a long (`~`) one, whose true name is in the guard: compare its
    /// [`stored_name`](NameKey::stored_name).
    ///
    /// # Errors
    /// [`OpenError`] for anything that [`stored_name`](NameKey::stored_name) of this directory does not
    /// give; of a long one, only the form is checked.
    pub fn open_name(&self, stored: &[u8]) -> Result<Option<Vec<u8>>, OpenError> {
        if let Some((&LONG_MARK, hash)) = stored.split_first() {
            return decode(hash, &mut [0; LONG_HASH_LEN])
                .filter(|hash| hash.len() == LONG_HASH_LEN)
                .map(|_| None)
                .ok_or(OpenError);
        }
        let mut space = [0; SEALED_LEN_MAX];
        let sealed = decode(stored, &mut space).ok_or(OpenError)?;
        Ok(Some(self.siv.open(sealed)?.to_vec()))
    }

    /// Item of the directory's names hash.
    pub fn name_item(&self, stored: &[u8]) -> SetItem {
        SetItem(blake3::keyed_hash(self.names.expose(), stored).into())
    }

    /// Item of the directory's state hash: a stored name with the tag of its guard. Hashed are the tag,
    /// then the name.
    pub fn state_item(&self, stored: &[u8], tag: &Tag) -> SetItem {
        let mut hasher = blake3::Hasher::new_keyed(self.states.expose());
        SetItem(hasher.update(&tag.0).update(stored).finalize().into())
    }
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey")
    }
}

/// Decodes into the front of `space`; None when that is too short or the text is not what encoding gives: a
/// foreign character, padding, an impossible length, a last character with bits beyond the last byte.
fn decode<'s>(text: &[u8], space: &'s mut [u8]) -> Option<&'s mut [u8]> {
    let len = BASE64URL_NOPAD.decode_len(text.len()).ok()?;
    let bytes = space.get_mut(..len)?;
    let decoded = BASE64URL_NOPAD.decode_mut(text, bytes).ok()?;
    bytes.get_mut(..decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> NameKey {
        NameKey::derive(&Secret::copied(&[1; 32]), &[2; 16])
    }

    fn name(len: usize) -> Vec<u8> {
        (0..len)
            .map(|i: usize| b'a' + (i % 26).to_le_bytes()[0])
            .collect()
    }

    #[test]
    fn names_of_every_length_are_stored_within_the_limit() {
        for len in 0..=255 {
            let stored = key().stored_name(&name(len));
            assert!(stored.len() <= 255, "{len}");
            assert!(
                stored
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"-_~".contains(&c))
            );
            assert_eq!(stored.starts_with('~'), len > 175, "{len}");
            let expected = (len <= 175).then(|| name(len));
            assert_eq!(key().open_name(stored.as_bytes()), Ok(expected));
        }
        assert_eq!(key().stored_name(&name(175)).len(), 255);
        assert_eq!(key().stored_name(&name(176)).len(), 44);
    }

    #[test]
    fn long_names_that_differ_in_a_byte_are_stored_apart() {
        let mut other = name(255);
        other[254] ^= 1;
        assert_ne!(key().stored_name(&name(255)), key().stored_name(&other));
        assert_ne!(key().stored_name(&name(255)), key().stored_name(&name(254)));
    }

    #[test]
    fn a_name_is_stored_otherwise_in_another_directory_or_zone() {
        let keys = [
            key(),
            NameKey::derive(&Secret::copied(&[1; 32]), &[3; 16]),
            NameKey::derive(&Secret::copied(&[9; 32]), &[2; 16]),
        ];
        for len in [1, 20, 200] {
            let stored: std::collections::HashSet<_> =
                keys.iter().map(|key| key.stored_name(&name(len))).collect();
            assert_eq!(stored.len(), 3);
        }
        let stored = keys[0].stored_name(b"name");
        assert!(keys[1].open_name(stored.as_bytes()).is_err());
        assert!(keys[2].open_name(stored.as_bytes()).is_err());
    }

    #[test]
    fn every_other_spelling_of_a_stored_name_is_refused() {
        for len in [1, 2, 3, 16, 17, 18, 174, 175, 200] {
            let stored = key().stored_name(&name(len)).into_bytes();
            for at in 0..stored.len() {
                for byte in 0..=255u8 {
                    let mut other = stored.clone();
                    other[at] = byte;
                    let opened = key().open_name(&other);
                    match opened {
                        Ok(Some(_)) => assert_eq!(byte, stored[at], "{len} {at}"),
                        // The hash of a long name is checked against the guard's name; the mark cannot
                        // change.
                        Ok(None) => assert!(len > 175 && (at > 0 || byte == b'~')),
                        Err(OpenError) => assert_ne!(byte, stored[at]),
                    }
                }
            }
            for tail in ["=", "==", "A", "\n", "\0", " "] {
                assert!(
                    key()
                        .open_name(&[&stored[..], tail.as_bytes()].concat())
                        .is_err(),
                    "{len} {tail:?}"
                );
            }
            assert!(key().open_name(&stored[..stored.len() - 1]).is_err());
        }
    }

    #[test]
    fn bits_beyond_the_last_byte_are_refused() {
        // 43 characters hold 258 bits of which 256 count, so the last character is one of sixteen.
        let long = key().stored_name(&name(200));
        let (head, _) = long.split_at(43);
        let specification = BASE64URL_NOPAD.specification();
        let spellings = specification
            .symbols
            .chars()
            .map(|last| format!("{head}{last}"));
        let accepted = spellings.filter(|stored| key().open_name(stored.as_bytes()).is_ok());
        assert_eq!(accepted.count(), 16);
    }

    #[test]
    fn foreign_file_names_are_refused() {
        let strays: [&[u8]; 9] = [
            b"",
            b"~",
            b".DS_Store",
            b"desktop.ini",
            b"~lock",
            b"A",
            b"AAAA",
            &[b'A'; 256],
            &[b'~'; 44],
        ];
        for stray in strays {
            assert_eq!(key().open_name(stray), Err(OpenError));
        }
        let long = key().stored_name(&name(200));
        assert!(key().open_name(format!("~{long}").as_bytes()).is_err());
        assert!(key().open_name(&long.as_bytes()[1..]).is_err());
    }

    #[test]
    fn items_depend_on_name_tag_and_purpose() {
        let (tag, other_tag) = (Tag([1; 16]), Tag([2; 16]));
        let items = [
            key().name_item(b"stored"),
            key().name_item(b"Stored"),
            key().state_item(b"stored", &tag),
            key().state_item(b"Stored", &tag),
            key().state_item(b"stored", &other_tag),
            NameKey::derive(&Secret::copied(&[1; 32]), &[3; 16]).name_item(b"stored"),
            NameKey::derive(&Secret::copied(&[1; 32]), &[3; 16]).state_item(b"stored", &tag),
        ];
        let distinct: std::collections::HashSet<_> = items.iter().map(|item| item.0).collect();
        assert_eq!(distinct.len(), items.len());
        assert_eq!(key().name_item(b"stored").0, items[0].0);
    }

    proptest! {
        #[test]
        fn any_name_opens_to_itself(name in prop::collection::vec(any::<u8>(), 0..=175)) {
            let stored = key().stored_name(&name);
            prop_assert_eq!(key().open_name(stored.as_bytes()), Ok(Some(name)));
        }

        #[test]
        fn what_opens_is_stored_as_it_was(stored: Vec<u8>) {
            if let Ok(Some(name)) = key().open_name(&stored) {
                prop_assert_eq!(key().stored_name(&name).into_bytes(), stored);
            }
        }
    }
}
