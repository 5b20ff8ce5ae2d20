//! One key out of another, for one purpose: BLAKE3 in keyed mode over label and context, its extended output.
//!
//! The only key derivation there is, but for passphrases (`passphrase.rs`). The input is a list of parts,
//! the label first, each preceded by its length in one byte, so that no two lists give the same input. Ids,
//! labels and suite bytes are short: two ids and a label fit the 64 bytes that BLAKE3 takes at a time.

use super::{KEY_LEN, labels::Label};
use crate::sys::SecretBytes;
use zeroize::Zeroize;

/// The bytes of any key that is used by deriving from it.
pub(super) type Secret = SecretBytes<KEY_LEN>;

/// The key for the purpose that `label` names, in the context of these ids.
///
/// # Panics
/// When a part is longer than 255 bytes.
pub(super) fn derive<const N: usize>(
    key: &Secret,
    label: Label<N>,
    context: &[&[u8]],
) -> SecretBytes<N> {
    let mut hasher = blake3::Hasher::new_keyed(key.expose());
    absorb(&mut hasher, label.bytes());
    for part in context {
        absorb(&mut hasher, part);
    }
    let mut output = hasher.finalize_xof();
    let mut derived = SecretBytes::zeroed();
    output.fill(derived.expose_mut());
    output.zeroize();
    hasher.zeroize();
    derived
}

fn absorb(hasher: &mut blake3::Hasher, part: &[u8]) {
    let len = u8::try_from(part.len()).expect("labels and ids are shorter than 256 bytes");
    hasher.update(&[len]).update(part);
}

#[cfg(test)]
mod tests {
    use super::{super::labels, *};

    fn key(byte: u8) -> Secret {
        Secret::copied(&[byte; 32])
    }

    #[test]
    fn the_construction_is_as_documented() {
        let derived: SecretBytes<64> = derive(&key(7), labels::WRAP_FILE, &[&[1; 16], &[2; 16]]);
        let input = [
            &[16][..],
            b"wardfs wrap file",
            &[16],
            &[1; 16],
            &[16],
            &[2; 16],
        ]
        .concat();
        let mut expected = [0; 64];
        blake3::Hasher::new_keyed(&[7; 32])
            .update(&input)
            .finalize_xof()
            .fill(&mut expected);
        assert_eq!(derived.expose(), &expected);

        let derived = derive(&key(7), labels::CHUNK, &[&[1]]);
        let expected = blake3::keyed_hash(&[7; 32], b"\x0cwardfs chunk\x01\x01");
        assert_eq!(derived.expose(), expected.as_bytes());
    }

    #[test]
    fn another_key_label_or_context_gives_another_key() {
        let of = |byte, label, context: &[&[u8]]| *derive(&key(byte), label, context).expose();
        let one = of(1, labels::GUARD, &[&[1]]);
        assert_eq!(one, of(1, labels::GUARD, &[&[1]]));
        let others = [
            of(2, labels::GUARD, &[&[1]]),
            of(1, labels::CHUNK, &[&[1]]),
            of(1, labels::GUARD, &[&[2]]),
            of(1, labels::GUARD, &[]),
            of(1, labels::GUARD, &[&[]]),
            of(1, labels::GUARD, &[&[1], &[]]),
            of(1, labels::GUARD, &[&[], &[1]]),
            of(1, labels::GUARD, &[&[1, 0]]),
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    #[test]
    fn where_a_part_ends_makes_a_difference() {
        let of = |context: &[&[u8]]| *derive(&key(1), labels::GUARD, context).expose();
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"a", b"b"]), of(&[b"a\x01b"]));
    }
}
