//! What to do about an error, where that takes more than a word.

use super::{
    exit::{self, Exit},
    mountpoint::{MountpointError, Unusable},
    report::typed,
    vault_dir::open_store,
};
use crate::{mount, store::Lock, vault::VaultError};
use rustix::io::Errno;
use std::{io, path::Path};

/// For a vault that cannot be written.
pub const LOOK: &str = "`wardfs mount --ro` shows it as it is";

/// For a disk that does not read.
pub const BAD_DISK: &str =
    "the disk gives an error: copy the vault to another one, then `wardfs check` the copy";

/// For a vault of which something is damaged without which it cannot be opened, or a file not be read.
pub fn damage_hint(vault: &Path, was_checked: bool) -> String {
    let vault = typed(vault);
    let salvage = format!("`wardfs salvage {vault} OUT` copies out what can be read");
    if was_checked {
        return salvage;
    }
    format!(
        "`wardfs check {vault}` says what is damaged, and with `--repair` mends what can be mended; {salvage}"
    )
}

/// For a vault of whose journal the disk does not read what a mount needs.
pub fn half_read_hint(vault: &Path) -> String {
    let vault = typed(vault);
    format!(
        "copy the vault to another disk and mount the copy: it may be read then; else `wardfs check --repair {vault}` goes on without \
         that file, and `wardfs salvage {vault} OUT` copies out what can be read"
    )
}

/// For a vault that a mount cannot open, since the disk gives an error where it reads or writes.
pub fn bad_disk_hint(vault: &Path, error: &VaultError) -> String {
    let vault = typed(vault);
    let help = match error {
        // Without what is to be read, a repair does not go on either.
        VaultError::Store(store) if store.is_of_reading() => {
            format!("`wardfs salvage {vault} OUT` copies out what can be read")
        }
        _ => format!("`wardfs check --repair {vault}` goes on without what the disk does not read"),
    };
    format!("{BAD_DISK}; {help}")
}

/// What it means that the objects with the keys are gone or damaged.
pub fn keys_hint(error: &VaultError) -> Option<&'static str> {
    match error {
        VaultError::Damaged { object, .. } | VaultError::Format { object, .. }
            if object.starts_with("zones") =>
        {
            Some(
                "without it nothing in the vault can be decrypted; a copy of `zones` of this vault, however old, would do",
            )
        }
        VaultError::Damaged { object, .. } | VaultError::Format { object, .. }
            if object.starts_with("wardfs.vault") && exit::of_vault(error) == Exit::Damaged =>
        {
            Some(
                "without it nothing in the vault can be decrypted, and `wardfs init` does not bring it back; a copy of `wardfs.vault` of this vault, however old, would do",
            )
        }
        _ => None,
    }
}

/// For a directory that takes no more of what is salvaged.
pub fn salvage_hint(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::NOSPC | Errno::DQUOT => Some(
            "what is there under its name is whole; begin anew in an empty directory where there is more space",
        ),
        Errno::ROFS | Errno::IO => Some(
            "what is there under its name is whole; begin anew in an empty directory on another disk",
        ),
        _ => None,
    }
}

/// For a vault that is to be exported from beside somebody who uses it.
pub fn export_hint(vault: &Path, reseal: bool) -> String {
    let end = match mounted_at(vault) {
        Some(dir) => format!("`wardfs unmount {dir}` ends the mount"),
        None => "wait until it ends, or unmount the vault".to_owned(),
    };
    // What is sealed anew is only read, as by whoever has it to read alone.
    let is_only_read = || open_store(vault).is_ok_and(|store| store.lock(Lock::Shared).is_ok());
    if reseal || !is_only_read() {
        return end;
    }
    format!(
        "`--reseal` only reads the vault, as this process does, and works beside it; or else {end}"
    )
}

/// For a vault that is to be checked while somebody uses it; nothing, if it is not mounted.
pub fn check_hint(vault: &Path) -> Option<String> {
    let dir = mounted_at(vault)?;
    Some(format!(
        "`wardfs scrub {dir}` verifies it while it is mounted; `wardfs unmount {dir}` ends the mount"
    ))
}

/// The first of the directories in which a vault is mounted, as it is typed.
fn mounted_at(vault: &Path) -> Option<String> {
    let vault = vault.canonicalize().ok()?;
    let mounts = mount::mounts().unwrap_or_default();
    let mut mounts = mounts.into_iter();
    let mount = mounts.find(|mount| Path::new(&mount.source) == vault)?;
    Some(typed(&mount.dir))
}

/// For a vault whose process was killed and cannot end.
pub fn killed_hint(pid: u32, vault: &Path) -> String {
    let dir = mounted_at(vault).unwrap_or_else(|| "DIR".to_owned());
    format!(
        "process {pid} was killed and cannot end; `wardfs unmount {dir}` helps it, and then the vault can be mounted"
    )
}

/// What a mount means that does not let itself be asked.
pub fn scrub_hint(refused: &io::Error) -> Option<String> {
    let errno = Errno::from_io_error(refused)?;
    let hint = match errno {
        Errno::PERM | Errno::ACCESS => {
            "only the user who serves the mount, and root, may scrub it or ask about a scrub"
        }
        Errno::NOTTY => "the process that serves it is of another version of wardfs: mount anew",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What goes for all errors with an exit code.
pub fn exit_hint(exit: Exit) -> Option<&'static str> {
    match exit {
        Exit::NotAVault => Some("`wardfs init` makes a vault"),
        Exit::InUse => {
            Some("`wardfs info` on the vault tells more; a vault is mounted once at a time")
        }
        Exit::NoPlace => Some("name an empty directory, or a new one in a directory that exists"),
        Exit::TooNew => Some("use the wardfs that made this vault, or a newer one"),
        Exit::NotMounted => Some("`findmnt -t fuse.wardfs` lists what is mounted"),
        Exit::NoFuse => Some(
            "mounting needs /dev/fuse (`modprobe fuse`), and without root also fusermount3 (package fuse3)",
        ),
        Exit::Memory => {
            Some("unlocking needs the memory that `wardfs info` shows for the key slot")
        }
        Exit::Ok
        | Exit::Other
        | Exit::Usage
        | Exit::WrongPassphrase
        | Exit::NoPassphrase
        | Exit::Damaged
        | Exit::Mountpoint
        | Exit::Busy
        | Exit::Io
        | Exit::DamageLeft
        | Exit::Repaired
        | Exit::ReaderGone => None,
    }
}

/// What to do about a mount point.
pub fn mountpoint_hint(error: &MountpointError) -> Option<String> {
    let dir = typed(&error.dir);
    Some(match error.why {
        Unusable::Missing => format!("make it with `mkdir {dir}`"),
        Unusable::NotEmpty => {
            "a mount would hide what is there; name an empty directory".to_owned()
        }
        Unusable::Mounted => {
            format!("`wardfs info {dir}` tells more; `wardfs unmount {dir}` ends it")
        }
        Unusable::Dead => {
            format!("`wardfs unmount {dir}` takes it away; the next mount finishes what it left")
        }
        Unusable::Vault | Unusable::InVault | Unusable::HidesVault => {
            "name an empty directory beside the vault".to_owned()
        }
        Unusable::NotADirectory | Unusable::NotWritable | Unusable::Io(_) => return None,
    })
}
