//! What `wardfs encrypt` and `wardfs decrypt` can be asked for.

use super::{args::CompressArg, args::PassphraseArgs, size};
use crate::format::ChunkSize;
use clap::Args;
use std::path::PathBuf;

/// What locks a stream, and opens it.
#[derive(Args, Debug)]
pub struct LockArgs {
    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    /// Use what VAULT has for streams: the passphrase is that of the vault, which may be mounted
    #[arg(long, value_name = "VAULT")]
    pub vault: Option<PathBuf>,

    /// Use the key in FILE: 32 random bytes, or 64 hex digits
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vault", "passfile", "extpass"])]
    pub key_file: Option<PathBuf>,
}

/// Where it comes from and goes to.
#[derive(Args, Debug)]
pub struct WayArgs {
    /// File to read; standard input if it is missing or `-`
    #[arg(value_name = "IN")]
    pub input: Option<PathBuf>,

    /// File to write, which is replaced as a whole; standard output if it is missing or `-`
    #[arg(value_name = "OUT")]
    pub output: Option<PathBuf>,
}

/// `wardfs encrypt`
#[derive(Args, Debug)]
pub struct EncryptArgs {
    #[command(flatten)]
    pub lock: LockArgs,

    /// Whether content is compressed where that makes it shorter
    ///
    /// Compressed streams tell by their length how compressible the content is.
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = CompressArg::None)]
    pub compress: CompressArg,

    /// Size of the pieces in which content is encrypted: a power of two from 4K to 256K
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = size::parse_stream_chunk)]
    pub chunk_size: ChunkSize,

    #[command(flatten)]
    pub way: WayArgs,
}

/// `wardfs decrypt`
#[derive(Args, Debug)]
pub struct DecryptArgs {
    #[command(flatten)]
    pub lock: LockArgs,

    #[command(flatten)]
    pub way: WayArgs,
}
