//! Keys, authenticated encryption, key derivation, randomness.
//!
//! No I/O and no paths; ids come in as plain bytes, so that this floor knows no format. Three rules hold
//! here and nowhere need repeating: a key has one purpose and one label (`labels.rs`); a key is a type of
//! its own, lies in locked memory, is wiped on drop and can be neither cloned nor printed; whatever fails
//! to authenticate gives [`OpenError`] and no bytes, whichever reason it had.

mod aead;
mod derive;
mod keys;
mod labels;
mod names;
mod passphrase;
mod random;
mod set_hash;
mod siv;
mod stream;
#[cfg(test)]
pub(crate) mod vectors;
mod wrap;

pub use aead::{Aead, KEY_LEN, NONCE_LEN, Nonce, OpenError, Suite, TAG_LEN, Tag};
pub use keys::{BindKey, ChunkKey, FileKey, HeaderKey, JournalKey, MasterKey, NonceKey, ZoneKey};
pub use names::NameKey;
pub use passphrase::{KdfError, KdfParams, SlotKey};
pub use random::fill_random;
pub use set_hash::{SetHash, SetItem};
pub use stream::{LockKey, StreamAead, StreamKey, StreamPart};
pub use wrap::{WRAPPED_KEY_LEN, WrappedKey};
