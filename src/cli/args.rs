//! The command line: what can be asked for, and the help that explains it.
//!
//! Only shapes are checked here (numbers, durations, quotes), never the state of the world. No argument ever takes a
//! passphrase: arguments are seen by every user of the machine.

use super::{
    bundle_args::{ExportArgs, ImportArgs},
    duration,
    exit::Exit,
    extpass::ExtPass,
    help,
    inside_args::{CatArgs, GetArgs, LsArgs, PutArgs},
    passphrase::Source,
    size,
    stream_args::{DecryptArgs, EncryptArgs},
    write_back,
};
use crate::{
    crypto::{KdfParams, Suite},
    format::ChunkSize,
    mount::pages,
};
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "wardfs",
    version,
    about = "An encrypted file system: mount a vault, use it like any directory, lock it again",
    long_about = help::PROGRAM,
    after_help = Exit::help(),
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new vault
    #[command(long_about = help::INIT, after_help = help::INIT_EXAMPLES)]
    Init(InitArgs),
    /// Unlock a vault and show it in a directory
    #[command(long_about = help::MOUNT, after_help = help::MOUNT_EXAMPLES)]
    Mount(MountArgs),
    /// Lock a vault that is mounted
    #[command(visible_alias = "umount", long_about = help::UNMOUNT, after_help = help::UNMOUNT_EXAMPLES)]
    Unmount(UnmountArgs),
    /// Change the passphrase of a vault
    #[command(long_about = help::PASSWD, after_help = help::PASSWD_EXAMPLES)]
    Passwd(PasswdArgs),
    /// Show what can be told without a passphrase
    #[command(long_about = help::INFO, after_help = help::INFO_EXAMPLES)]
    Info(InfoArgs),
    /// Look for damage in a vault, and repair it
    #[command(long_about = help::CHECK, after_help = help::CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Look for damage in a vault that is mounted
    #[command(long_about = help::SCRUB, after_help = help::SCRUB_EXAMPLES)]
    Scrub(ScrubArgs),
    /// Copy what can still be read out of a damaged vault
    #[command(long_about = help::SALVAGE, after_help = help::SALVAGE_EXAMPLES)]
    Salvage(SalvageArgs),
    /// Measure what this machine reaches, and recommend options for init
    #[command(long_about = help::SPEED, after_help = help::SPEED_EXAMPLES)]
    Speed(SpeedArgs),
    /// Print a file of a vault that is not mounted
    #[command(long_about = help::CAT, after_help = help::CAT_EXAMPLES)]
    Cat(CatArgs),
    /// List a directory of a vault that is not mounted
    #[command(long_about = help::LS, after_help = help::LS_EXAMPLES)]
    Ls(LsArgs),
    /// Copy a file out of a vault that is not mounted
    #[command(long_about = help::GET, after_help = help::GET_EXAMPLES)]
    Get(GetArgs),
    /// Copy a file into a vault that is not mounted
    #[command(long_about = help::PUT, after_help = help::PUT_EXAMPLES)]
    Put(PutArgs),
    /// Take a file or folder out of a vault, still encrypted
    #[command(long_about = help::EXPORT, after_help = help::EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Put what `export` made into a vault
    #[command(long_about = help::IMPORT, after_help = help::IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Encrypt a file or a pipe
    #[command(long_about = help::ENCRYPT, after_help = help::ENCRYPT_EXAMPLES)]
    Encrypt(EncryptArgs),
    /// Decrypt what `encrypt` made
    #[command(long_about = help::DECRYPT, after_help = help::DECRYPT_EXAMPLES)]
    Decrypt(DecryptArgs),
    /// Started by a mount itself: it has the kernel write back its pages
    #[command(hide = true, name = pages::ARGUMENT)]
    WriteBackPages,
    /// The same, of all files of the mount at a directory
    #[command(hide = true, name = write_back::ARGUMENT)]
    WriteBackMount {
        /// The directory.
        dir: PathBuf,
    },
}

/// Where the passphrase comes from.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct PassphraseArgs {
    /// Read the passphrase from the first line of FILE
    ///
    /// Without this and --extpass, wardfs asks on the terminal, or takes the next line of standard input where that is
    /// no terminal.
    #[arg(long, value_name = "FILE")]
    passfile: Option<PathBuf>,

    /// Read the passphrase from the first line that COMMAND prints
    ///
    /// COMMAND is split into words as a shell does it, quotes included, but no shell runs it and nothing in it is
    /// expanded. It must end with success.
    #[arg(long, value_name = "COMMAND", value_parser = ExtPass::parse)]
    extpass: Option<ExtPass>,
}

impl PassphraseArgs {
    /// The one source that was chosen.
    pub fn source(&self) -> Source {
        match (&self.passfile, &self.extpass) {
            (Some(path), _) => Source::File(path.clone()),
            (None, Some(command)) => Source::Command(command.clone()),
            (None, None) => Source::Ask,
        }
    }
}

/// What the KDF takes, in MiB.
const MEMORY_MIB: RangeInclusive<u64> =
    KdfParams::MEMORY_KIB_MIN as u64 / 1024..=KdfParams::MEMORY_KIB_MAX as u64 / 1024;

/// `wardfs init`
#[derive(Args, Debug)]
pub struct InitArgs {
    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    /// How content is encrypted
    #[arg(long, value_enum, value_name = "SUITE", default_value_t = SuiteArg::Aes256Gcm)]
    pub suite: SuiteArg,

    /// Whether content is compressed where that saves space
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = CompressArg::Lz4)]
    pub compress: CompressArg,

    /// Size of the pieces in which content is encrypted: a power of two from 4K to 1M
    ///
    /// Small ones suit databases, large ones films and archives.
    #[arg(long, value_name = "SIZE", default_value = "16K", value_parser = size::parse_chunk)]
    pub chunk_size: ChunkSize,

    /// Memory that one guess of the passphrase costs, in MiB [default: by the memory of this machine]
    ///
    /// Less than 64, or less than 3 passes, makes guessing cheap: wardfs warns. Every mount takes that much for a moment: a vault made for a large machine cannot be opened on a small one.
    #[arg(long, value_name = "MIB", value_parser = value_parser!(u64).range(MEMORY_MIB))]
    pub kdf_memory: Option<u64>,

    /// Passes over that memory [default: 3]
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u64).range(1..=u64::from(KdfParams::TIME_MAX)))]
    pub kdf_time: Option<u64>,

    /// Lanes of that memory, which can be filled in parallel [default: 4]
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u64).range(1..=u64::from(KdfParams::LANES_MAX)))]
    pub kdf_lanes: Option<u64>,

    /// Directory of the new vault
    #[arg(value_name = "VAULT")]
    pub vault: PathBuf,
}

/// The suites by their names on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SuiteArg {
    /// The fastest, and the usual choice
    #[value(name = "aes-256-gcm")]
    Aes256Gcm,
    /// Stays safe even if random numbers repeat; up to a third slower
    #[value(name = "aes-256-gcm-siv")]
    Aes256GcmSiv,
}

impl SuiteArg {
    /// The suite that is meant.
    pub fn suite(self) -> Suite {
        match self {
            SuiteArg::Aes256Gcm => Suite::Aes256Gcm,
            SuiteArg::Aes256GcmSiv => Suite::Aes256GcmSiv,
        }
    }
}

/// The compression methods by their names on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompressArg {
    /// Fast, piece by piece; what does not shrink is stored as it is
    Lz4,
    /// Sizes on the disk tell nothing about how compressible content is
    None,
}

/// `wardfs mount`
#[derive(Args, Debug)]
pub struct MountArgs {
    /// Stay in the foreground; Ctrl-C or SIGTERM unmounts
    #[arg(short, long)]
    pub foreground: bool,

    /// Mount options, listed below
    #[arg(short = 'o', value_name = "OPTION,...")]
    pub options: Vec<String>,

    /// Allow no changes, and write nothing to the vault (as -o ro)
    ///
    /// Works on a read-only medium, also when the vault was not unmounted cleanly.
    #[arg(long)]
    pub ro: bool,

    /// Unmount when nothing was used for so long: 30s, 10m, 2h, 1h30m
    ///
    /// A mount in which a file is open or a process stands is in use. Without root, what programs find in the kernel's
    /// cache and do not keep open does not count.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, allow_hyphen_values = true)]
    pub idle: Option<Duration>,

    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    /// Directory of the vault
    #[arg(value_name = "VAULT")]
    pub vault: PathBuf,

    /// Empty directory in which the plaintext is to show
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `wardfs unmount`
#[derive(Args, Debug)]
pub struct UnmountArgs {
    /// Take the mount out of sight now, and lock it when its last user is done; do not wait for that
    #[arg(long)]
    pub lazy: bool,

    /// Directory of the mount
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `wardfs passwd`
#[derive(Args, Debug)]
pub struct PasswdArgs {
    /// Read the present passphrase from the first line of FILE
    #[arg(long, value_name = "FILE")]
    pub passfile: Option<PathBuf>,

    /// Read the new passphrase from the first line of FILE
    #[arg(long, value_name = "FILE")]
    pub new_passfile: Option<PathBuf>,

    /// Directory of the vault
    #[arg(value_name = "VAULT")]
    pub vault: PathBuf,
}

/// `wardfs info`
#[derive(Args, Debug)]
pub struct InfoArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// Directory of a vault or of a mount
    #[arg(value_name = "VAULT | DIR")]
    pub path: PathBuf,
}

/// `wardfs check`
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// Mend what can be mended; what is replaced or removed is kept in VAULT/quarantine
    #[arg(long)]
    pub repair: bool,

    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    /// Directory of the vault, which must not be mounted for writing
    #[arg(value_name = "VAULT")]
    pub vault: PathBuf,
}

/// `wardfs scrub`
#[derive(Args, Debug)]
pub struct ScrubArgs {
    /// Read so many MiB a second at most; 0: as fast as it goes
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    pub rate: u64,

    /// Return when it has begun; `wardfs info DIR` tells how far it is
    #[arg(long, conflicts_with = "cancel")]
    pub background: bool,

    /// Print the report as one JSON object, as `wardfs check --json` does
    #[arg(long, conflicts_with_all = ["background", "cancel"])]
    pub json: bool,

    /// End the one that is running
    #[arg(long)]
    pub cancel: bool,

    /// Directory of the mount
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// `wardfs salvage`
#[derive(Args, Debug)]
pub struct SalvageArgs {
    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    /// Directory of the vault; it is not written
    #[arg(value_name = "VAULT")]
    pub vault: PathBuf,

    /// Empty or new directory for what is found
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
}

/// `wardfs speed`
#[derive(Args, Debug)]
pub struct SpeedArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, error::ErrorKind};

    fn parse(words: &[&str]) -> Result<Cli, ErrorKind> {
        Cli::try_parse_from(["wardfs"].iter().chain(words)).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_argument_takes_a_passphrase() {
        for word in ["--passphrase", "--password", "-p"] {
            assert_eq!(
                parse(&["mount", word, "x", "v", "d"]).unwrap_err(),
                ErrorKind::UnknownArgument,
                "{word}"
            );
        }
    }

    #[test]
    fn one_source_of_the_passphrase_at_most() {
        let both = ["mount", "--passfile", "f", "--extpass", "c", "v", "d"];
        assert_eq!(parse(&both).unwrap_err(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn a_command_that_no_shell_could_split_is_a_usage_error() {
        assert_eq!(
            parse(&["init", "--extpass", "pass 'show", "v"]).unwrap_err(),
            ErrorKind::ValueValidation
        );
    }

    #[test]
    fn options_and_durations_arrive() {
        let Command::Mount(args) = parse(&[
            "mount",
            "-f",
            "-o",
            "ro,noatime",
            "-o",
            "dev",
            "--idle",
            "1h30m",
            "v",
            "d",
        ])
        .unwrap()
        .command
        else {
            panic!("mount was asked for")
        };
        assert!(args.foreground && !args.ro);
        assert_eq!(args.options, ["ro,noatime", "dev"]);
        assert_eq!(args.idle, Some(Duration::from_mins(90)));
        assert_eq!((args.vault, args.dir), ("v".into(), "d".into()));
    }

    #[test]
    fn every_argument_has_help() {
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
        }
    }
}
