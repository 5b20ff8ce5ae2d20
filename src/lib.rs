//! wardfs: a transparent encrypted file system.
pub mod bundle;
pub mod check;
pub mod cli;
pub mod codec;
pub mod crypto;
pub mod engine;
pub mod format;
pub mod journal;
pub mod mount;
pub mod salvage;
pub mod speed;
pub mod store;
pub mod stream;
pub mod sys;
pub mod vault;

/// The tutorial, whose examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/streams.md")]
mod streams_page {}
