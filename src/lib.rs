//! wardfs: a transparent encrypted file system.
pub mod sys;
pub mod crypto;
pub mod store;
pub mod format;
pub mod engine;
pub mod codec;
pub mod journal;
pub mod vault;
pub mod mount;
pub mod cli;
