//! Streams: encrypted bytes that stand for themselves, in a pipe, in a file, or between two parts of a program.
//!
//! A stream has a fresh random key, in its header for everybody who may open it. Its chunks are sealed with AES-256-GCM-SIV; what
//! a chunk is and where it stands is in its nonce, which nobody can choose. So a stream that was cut, extended, reordered or
//! put together of others is an error, and reading a source twice that has changed meanwhile gives nothing away but that.
//! Section 17 of `docs/format.md` has the bytes, `docs/streams.md` examples.
//!
//! What must not be done here: no plaintext leaves that did not authenticate at its place; nothing is held but one chunk (two
//! and the index with compression), however long the stream; no file is opened and no vault is known.
//!
//! ```text
//! access    ways to lock and open     encrypting_reader, encrypting_writer  over  sealer
//! forward   from start to end         decrypting_writer                     over  forward
//! random    anywhere                  decrypting_reader                     over  forward, random
//! frames    one frame to plaintext    index     of a compressed stream, while it is written or read forward
//! ```

mod access;
mod decrypting_reader;
mod decrypting_writer;
mod encrypting_reader;
mod encrypting_writer;
mod error;
mod forward;
mod frames;
mod index;
mod position;
mod random;
mod sealer;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors_test;

pub use access::{Access, Options};
pub use decrypting_reader::DecryptingReader;
pub use decrypting_writer::DecryptingWriter;
pub use encrypting_reader::EncryptingReader;
pub use encrypting_writer::EncryptingWriter;
pub use error::StreamError;
