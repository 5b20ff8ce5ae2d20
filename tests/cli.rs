//! Runs the transcripts in `tests/cli/*.txt` against the program, each in an empty directory of its own.
//!
//! ```text
//! # a comment; blank lines between steps mean nothing
//! @needs mount              before the first step: only where this process can mount FUSE file systems
//! $ wardfs info nowhere     a step: run by `sh -c`, with this build's wardfs as the only one
//! > | head -1               more lines of the command
//! wardfs: open the vault... what it prints to both outputs, in order
//! ? 5                       its exit code, when not 0
//! ```
//!
//! The commands have a few words of their own, such as `eventually`; they are in `tests/cli/machine.rs`.
//! In expected lines `[..]` stands for anything within the line, and a line `...` for any lines, also none. Whatever a
//! transcript leaves mounted is unmounted afterwards, and is an error. A transcript that needs what the machine lacks
//! fails where `CI=true` and says that it was skipped elsewhere.

#[path = "cli/machine.rs"]
mod machine;
#[path = "cli/needs.rs"]
mod needs;
#[path = "cli/transcript.rs"]
mod transcript;

use machine::Machine;
use std::{fs, path::Path};
use transcript::Transcript;

/// Runs one file below `tests/cli`.
fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli")
        .join(name);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let transcript = Transcript::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let Some(machine) = Machine::for_needs(&transcript.needs) else {
        return;
    };
    if let Err(failure) = transcript.run(&machine) {
        panic!("{name}:{failure}");
    }
}

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(concat!(stringify!($name), ".txt")); })*

        #[test]
        fn every_transcript_is_run() {
            let listed = [$(concat!(stringify!($name), ".txt")),*];
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
            for entry in fs::read_dir(directory).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(!name.ends_with(".txt") || listed.contains(&name.as_str()), "{name} is in the directory only");
            }
        }
    };
}

transcripts! {
    help
    usage
    passphrase_refused
    extpass
    vault_incomplete
    vault_missing
    vault_damaged
    init
    init_refused
    wrong_passphrase
    info
    check
    scrub
    header_copies
    header_hostile
    passwd
    mount
    mount_background
    mount_refused
    mount_options
    mount_read_only
    mount_foreground
    mount_idle
    mount_failed
    mount_signals
    mount_user
    unmount
    unmount_busy
    unmount_refused
    salvage
    salvage_full
    salvage_refused
    salvage_user
    speed
    encrypt
    bundle
    inside
    inside_mount
}
