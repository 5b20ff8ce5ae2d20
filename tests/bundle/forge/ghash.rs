//! Frames with the tag of another: whoever has the key can solve for 16 bytes of the text.

use super::*;
use keys::associated_data;
use wardfs::{
    crypto::{Aead, ChunkKey, Nonce},
    format::Origin,
};

/// What the frames that are exchanged hold.
const FORGED: &[u8] = b"I OWE THE PROVIDER ONE MILLION.\n";

/// In the field of GHASH (NIST SP 800-38D, section 6.3); the first bit is the highest.
fn multiplied(mut one: u128, other: u128) -> u128 {
    let mut product = 0;
    for bit in (0..128).rev() {
        if other >> bit & 1 == 1 {
            product ^= one;
        }
        let carry = one & 1 == 1;
        one >>= 1;
        if carry {
            one ^= 0xe1 << 120;
        }
    }
    product
}

fn power(base: u128, mut exponent: u128) -> u128 {
    let (mut result, mut base) = (1 << 127, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiplied(result, base);
        }
        base = multiplied(base, base);
        exponent >>= 1;
    }
    result
}

fn inverse(of: u128) -> u128 {
    power(of, u128::MAX - 1)
}

fn blocks(data: &[u8], text: &[u8]) -> Vec<u128> {
    let block = |bytes: &[u8]| {
        let mut block = [0; 16];
        block[..bytes.len()].copy_from_slice(bytes);
        u128::from_be_bytes(block)
    };
    let lens = (data.len() as u128 * 8) << 64 | (text.len() as u128 * 8);
    let blocks = data.chunks(16).chain(text.chunks(16)).map(block);
    blocks.chain([lens]).collect()
}

fn ghash(key: u128, blocks: &[u128]) -> u128 {
    let step = |sum, block: &u128| multiplied(sum ^ block, key);
    blocks.iter().fold(0, step)
}

fn tag_of(aead: &Aead, nonce: &Nonce, data: &[u8]) -> u128 {
    u128::from_be_bytes(aead.seal(nonce, data, &mut []).0)
}

/// Another frame of the chunk with the head and the tag of this one, which opens to `FORGED` over and over but for 16 bytes.
pub fn forged(origin: &Origin, chunk: u64, frame: &[u8]) -> Vec<u8> {
    let aead = ChunkKey::from_bytes(&origin.key).aead(Suite::Aes256Gcm);
    let (head, tag) = (&frame[..4], &frame[frame.len() - 16..]);
    let data = associated_data(origin, chunk, head);
    let nonce = Nonce([0x5a; 12]);
    // The tag of nothing is the mask of this nonce; with it, the tag of one block of zeros gives the key of GHASH.
    let mask = tag_of(&aead, &nonce, &[]);
    let of_zeros = tag_of(&aead, &nonce, &[0; 16]) ^ mask;
    let key = multiplied(of_zeros, inverse(128 << 64));
    let mut text: Vec<u8> = FORGED
        .iter()
        .copied()
        .cycle()
        .take(frame.len() - 32)
        .collect();
    aead.seal(&nonce, &data, &mut text);
    let free = text.len() / 16 - 1;
    let free = free * 16..free * 16 + 16;
    text[free.clone()].fill(0);
    let all = blocks(&data, &text);
    let at = data.len().div_ceil(16) + free.start / 16;
    let wanted = u128::from_be_bytes(tag.try_into().unwrap()) ^ mask;
    let missing = wanted ^ ghash(key, &all);
    let weight = power(key, (all.len() - at) as u128);
    let block = multiplied(missing, inverse(weight));
    text[free].copy_from_slice(&block.to_be_bytes());
    [head, &nonce.0, &text, tag].concat()
}
