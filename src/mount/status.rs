//! What another process may ask a mount: which vault it shows, who serves it, and whether it is
//! well. The answers are extended attributes of the root directory that exist nowhere; `listxattr`
//! does not show them and nobody can set them.
//!
//! They hold nothing that the mount table and the process list do not show as well. Whoever reads
//! them must know that the daemon of *that mount* wrote them, and any user can mount something that
//! calls itself wardfs: show them, wait for the process, but never send it a signal because of
//! them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::{fs::statfs, io::Errno};

use crate::vault::{State, Vault};

use super::{FSTYPE, find_mount, processes, scrub};

/// No attribute whose name starts so can be set.
pub(crate) const RESERVED_PREFIX: &[u8] = b"user.wardfs.";

const VAULT: &str = "user.wardfs.vault";
const PID: &str = "user.wardfs.pid";
const STATE: &str = "user.wardfs.state";
/// How many files the daemon has in memory, used or not. For tests and for who measures.
const KNOWN: &str = "user.wardfs.known";

/// How long a mount may take to answer before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest answer: a path.
const ANSWER_LEN_MAX: usize = 4096;

/// What a mount says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountStatus {
    /// The mount point.
    pub dir: PathBuf,
    /// The vault's path. Where the mount did not answer, the source in the mount table, which
    /// `fsname=` can change.
    pub vault: PathBuf,
    /// The process that serves the mount: by the word of the kernel where it tells us (it tells root,
    /// and not others about a process that is closed to debuggers), else by that of the mount.
    pub pid: Option<u32>,
    /// `read-write`, `read-only` or `failed: ` and why. `None` when the mount did not answer: it is
    /// hung or dead, or closed to us.
    pub state: Option<String>,
    /// The process that served it is gone. Nobody answers any more, and nobody has anything to store.
    pub dead: bool,
}

/// Asks the mount on `dir` about itself. `None` when no wardfs mount is there. Takes a few seconds
/// when it is hung.
pub fn status(dir: &Path) -> Option<MountStatus> {
    let mount = find_mount(dir).filter(|mount| mount.fstype == FSTYPE)?;
    let answers = ask(&mount.dir).unwrap_or_default();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
    Some(MountStatus {
        dir: mount.dir,
        vault: answers
            .vault
            .map_or(mount.source, OsString::from_vec)
            .into(),
        // The kernel's word before the mount's own.
        pid: processes::server(mount.device).or_else(|| answers.pid.and_then(text)?.parse().ok()),
        state: answers.state.and_then(text),
        dead: answers.dead,
    })
}

#[derive(Default)]
struct Answers {
    vault: Option<Vec<u8>>,
    pid: Option<Vec<u8>>,
    state: Option<Vec<u8>>,
    dead: bool,
}

/// Reads the attributes in a thread of its own, which is left behind if the mount does not answer.
fn ask(dir: &Path) -> Option<Answers> {
    let dir = dir.to_owned();
    let (sender, receiver) = mpsc::channel();
    let read_all = move || {
        let answers = Answers {
            vault: read(&dir, VAULT),
            pid: read(&dir, PID),
            // Of a mount with `noxattr` there are no attributes.
            state: read(&dir, STATE).or_else(|| scrub::state(&dir)),
            // Not by an attribute: of a mount with `noxattr` the kernel says itself that there are none.
            dead: statfs(&dir).is_err_and(|errno| errno == Errno::NOTCONN),
        };
        // Nobody waits any more when this fails.
        let _ = sender.send(answers);
    };
    thread::Builder::new()
        .name("status".into())
        .spawn(read_all)
        .ok()?;
    receiver.recv_timeout(PATIENCE).ok()
}

fn read(dir: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(ANSWER_LEN_MAX);
    rustix::fs::getxattr(dir, name, rustix::buffer::spare_capacity(&mut value)).ok()?;
    Some(value)
}

/// The daemon's side: the value of a reserved attribute of the root directory.
pub(crate) fn answer(name: &[u8], vault_path: &Path, vault: &Vault) -> Option<Vec<u8>> {
    match std::str::from_utf8(name).ok()? {
        VAULT => Some(vault_path.as_os_str().as_bytes().to_vec()),
        // Not remembered from the start: the program may have moved to the background since.
        PID => Some(std::process::id().to_string().into_bytes()),
        STATE => Some(describe(&vault.state()).into_bytes()),
        KNOWN => Some(vault.node_count().to_string().into_bytes()),
        _ => None,
    }
}

pub(super) fn describe(state: &State) -> String {
    match state {
        State::ReadWrite => "read-write".to_owned(),
        State::ReadOnly => "read-only".to_owned(),
        State::Failed(why) => format!("failed: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_a_reserved_name() {
        for name in [VAULT, PID, STATE, KNOWN] {
            assert!(name.as_bytes().starts_with(RESERVED_PREFIX), "{name}");
        }
    }

    #[test]
    fn states_are_told_apart() {
        assert_eq!(describe(&State::ReadWrite), "read-write");
        assert_eq!(describe(&State::ReadOnly), "read-only");
        assert_eq!(
            describe(&State::Failed("journal".into())),
            "failed: journal"
        );
    }

    #[test]
    fn other_mounts_have_no_status() {
        assert_eq!(status(Path::new("/proc")), None);
        assert_eq!(status(tempfile::tempdir().unwrap().path()), None);
    }
}
