//! Bundles: a file or folder taken out of one vault, to be put into another, without its payloads being opened on the way.
//!
//! A bundle is written as the plaintext of a stream and read out of one (floor `stream`, which the caller puts around it):
//! that seals and authenticates all of it, its order and its end. Section 18 of `docs/format.md` has the bytes.
//!
//! What must not be done here: nothing in the vault gets its place before the bundle was read to its verified end; no record is
//! believed for what the tree or a file would have to be asked; memory does not grow with the length of a file.
//!
//! ```text
//! export   all of a tree, in order      reseal   frames for who must not be told the file's key
//! import   building it, all or nothing  file     one file of it: frames as they are, or opened and written
//! walk     over a tree                  records  one at a time, out of a reader and into a writer
//! ```

mod error;
mod export;
mod file;
mod import;
mod records;
mod reseal;
mod walk;

pub use error::BundleError;
/// Directories that may lie in each other: far deeper than any path that a system call takes. What lies deeper is no tree that
/// somebody made, and each of them is in memory while it is open.
pub const DEPTH_MAX: usize = 1 << 14;

pub use export::{ExportOptions, export};
pub use import::{Destination, ImportOptions, Imported, Owners, import};
