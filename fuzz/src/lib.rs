//! What the fuzz targets claim of the parsers, besides that they never panic.
//!
//! - What is accepted is written just so again, but for what the format lets a reader skip (unknown extensions), and what
//!   is written reads as the same value.
//! - A parser that works along its input leaves it where it was when it refuses.
//! - Memory stays in the order of the input ([`memory`]).
//!
//! Ciphertexts would stop a fuzzer at their tags. So the targets seal what the fuzzer gives, under the keys of the test
//! vectors and by what `docs/format.md` says, and the parsers open it. Keys and ids are fixed: an input fails again.

pub mod journal;
pub mod keys;
pub mod memory;
pub mod open;
pub mod sealed;
pub mod seeds;
pub mod stream;
pub mod text;

#[path = "../../src/format/vectors_test/file.rs"]
#[allow(dead_code, reason = "the tests of wardfs use the rest")]
mod vectors;

// `text` takes files of the command line in as they are; they know these by the path of their crate.
use wardfs::{crypto, format};
