//! Sealed structures against change, cutting and moving: whatever is not exactly what was sealed for this place is refused.

mod aliases;
mod guards;
mod headers;
mod index_blocks;
mod printed;
mod wrapped_keys;

use super::{
    Body, ChunkSize, Content, Data, DirId, FileId, FileState, GuardHead, Header, PayloadId, SLOTS,
    Slot, VaultId, ZoneId, samples,
};
use crate::crypto::{Aead, FileKey, KdfParams, Suite, WRAPPED_KEY_LEN, WrappedKey};

const VAULT: VaultId = VaultId([0xa1; 16]);
const OTHER_VAULT: VaultId = VaultId([0xa2; 16]);
const FILE: FileId = FileId([0xb1; 16]);
const PAYLOAD: PayloadId = PayloadId([0xc1; 16]);
const DIR: DirId = DirId([0xd1; 16]);

const SUITES: [Suite; 2] = [Suite::Aes256Gcm, Suite::Aes256GcmSiv];

fn head(suite: Suite) -> GuardHead {
    let wrapped = WrappedKey([0x77; WRAPPED_KEY_LEN]);
    GuardHead {
        suite,
        file: FILE,
        zone: ZoneId([0xe1; 16]),
        stanzas: vec![wrapped],
    }
}

fn aead(suite: Suite) -> Aead {
    FileKey::from_bytes(&[0x42; 32]).guard_aead(suite)
}

/// A file with so many bytes of inline content.
fn inline(len: usize) -> Body {
    let mut body = samples::plain_body();
    body.content = Content::File(FileState {
        size: len as u64,
        chunk: ChunkSize::from_log2(14).unwrap(),
        compress: true,
        checksum: None,
        data: Data::Inline(vec![0x5a; len]),
    });
    body
}

/// Every position of a small structure; of a large one both ends and some between.
fn positions(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |at| *at < 800 || len - at < 100 || at % 97 == 0)
}

fn header() -> Header {
    let mut slots = vec![Slot::Empty; SLOTS];
    let kdf = KdfParams::checked(65_536, 3, 4).unwrap();
    slots[0] = Slot::Passphrase {
        kdf,
        salt: [1; 32],
        wrapped: WrappedKey([2; WRAPPED_KEY_LEN]),
    };
    slots[7] = Slot::Passphrase {
        kdf,
        salt: [3; 32],
        wrapped: WrappedKey([4; WRAPPED_KEY_LEN]),
    };
    Header {
        vault: VAULT,
        suite: Suite::Aes256Gcm,
        chunk: ChunkSize::from_log2(14).unwrap(),
        compress: true,
        root_zone: ZoneId([5; 16]),
        slots,
        generation: 0,
    }
}
