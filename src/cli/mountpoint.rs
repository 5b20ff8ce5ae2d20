//! Where a vault is to be shown: may it be shown there.
//!
//! Asked before the passphrase, so that nobody types one for nothing. The mount floor checks again what it needs.

use super::report::shown;
use crate::mount;
use rustix::{
    fs::{Access, access},
    process::geteuid,
};
use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Why a vault cannot be shown in a directory.
#[derive(Debug, thiserror::Error)]
#[error("mount on {}: {why}", shown(dir))]
pub struct MountpointError {
    /// The directory as it was given.
    pub dir: PathBuf,
    /// What is wrong with it.
    #[source]
    pub why: Unusable,
}

/// What is wrong with a mount point.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Nothing is there.
    #[error("no such directory")]
    Missing,
    /// A file is there.
    #[error("it is not a directory")]
    NotADirectory,
    /// What is in it would be hidden.
    #[error("the directory is not empty")]
    NotEmpty,
    /// A wardfs mount is there already.
    #[error("a vault is mounted there already")]
    Mounted,
    /// A wardfs mount is there, and nobody serves it any more.
    #[error("a vault was mounted there, and the process that served it is gone")]
    Dead,
    /// Without root one may only mount on what one could change anyway.
    #[error("this user may not write there, as mounting without root needs")]
    NotWritable,
    /// The vault itself.
    #[error("it is the vault itself")]
    Vault,
    /// A directory of the vault.
    #[error("it lies in the vault")]
    InVault,
    /// The vault would vanish below the mount.
    #[error("the vault lies in it and would be hidden by the mount")]
    HidesVault,
    /// The system does not let us look.
    #[error("{0}")]
    Io(#[source] io::Error),
}

/// Checks that `vault`, which exists, can be shown in `dir`; gives its canonical path.
///
/// # Errors
/// [`MountpointError`] with the first thing that is wrong.
pub fn check(vault: &Path, dir: &Path) -> Result<PathBuf, MountpointError> {
    usable(vault, dir).map_err(|why| MountpointError {
        dir: dir.to_owned(),
        why,
    })
}

fn usable(vault: &Path, dir: &Path) -> Result<PathBuf, Unusable> {
    // By the mount table, before anything looks into it: that mount may be dead or hung.
    if let Some(status) = mount::status(dir) {
        return Err(if status.dead {
            Unusable::Dead
        } else {
            Unusable::Mounted
        });
    }
    let dir = fs::canonicalize(dir).map_err(why)?;
    let vault = fs::canonicalize(vault).map_err(why)?;
    if !fs::metadata(&dir).map_err(why)?.is_dir() {
        return Err(Unusable::NotADirectory);
    }
    apart(&vault, &dir)?;
    if fs::read_dir(&dir).map_err(why)?.next().is_some() {
        return Err(Unusable::NotEmpty);
    }
    if !geteuid().is_root() && access(&dir, Access::WRITE_OK).is_err() {
        return Err(Unusable::NotWritable);
    }
    Ok(dir)
}

/// Neither may lie in the other. Compared as directories and not as texts, so that bind mounts are seen through.
fn apart(vault: &Path, dir: &Path) -> Result<(), Unusable> {
    if same(vault, dir) {
        return Err(Unusable::Vault);
    }
    if dir.ancestors().any(|above| same(above, vault)) {
        return Err(Unusable::InVault);
    }
    if vault.ancestors().any(|above| same(above, dir)) {
        return Err(Unusable::HidesVault);
    }
    Ok(())
}

/// Are both the same directory?
pub(super) fn same(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

fn why(error: io::Error) -> Unusable {
    match error.kind() {
        ErrorKind::NotFound => Unusable::Missing,
        ErrorKind::NotADirectory => Unusable::NotADirectory,
        _ => Unusable::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A directory with `vault/inside` and `plain` in it.
    fn directories() -> TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("vault/inside")).unwrap();
        fs::create_dir(root.path().join("plain")).unwrap();
        root
    }

    fn refused(root: &TempDir, dir: &str) -> Unusable {
        check(&root.path().join("vault"), &root.path().join(dir))
            .unwrap_err()
            .why
    }

    #[test]
    fn an_empty_directory_beside_the_vault_will_do() {
        let root = directories();
        let dir = check(
            &root.path().join("vault"),
            &root.path().join("plain/../plain"),
        )
        .unwrap();
        assert_eq!(dir, root.path().canonicalize().unwrap().join("plain"));
    }

    #[test]
    fn nothing_and_files_are_refused() {
        let root = directories();
        fs::write(root.path().join("file"), "x").unwrap();
        assert!(matches!(refused(&root, "missing"), Unusable::Missing));
        assert!(matches!(refused(&root, "file"), Unusable::NotADirectory));
        assert!(matches!(
            refused(&root, "file/below"),
            Unusable::NotADirectory
        ));
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        let root = directories();
        fs::write(root.path().join("plain/.hidden"), "x").unwrap();
        assert!(matches!(refused(&root, "plain"), Unusable::NotEmpty));
    }

    #[test]
    fn the_vault_and_what_lies_in_or_around_it_are_refused() {
        let root = directories();
        assert!(matches!(refused(&root, "vault"), Unusable::Vault));
        assert!(matches!(refused(&root, "vault/inside"), Unusable::InVault));
        assert!(matches!(refused(&root, "."), Unusable::HidesVault));
        assert!(matches!(
            check(&root.path().join("vault"), Path::new("/"))
                .unwrap_err()
                .why,
            Unusable::HidesVault
        ));
    }

    #[test]
    fn links_hide_none_of_this() {
        let root = directories();
        symlink(root.path().join("vault/inside"), root.path().join("link")).unwrap();
        assert!(matches!(refused(&root, "link"), Unusable::InVault));
        assert!(matches!(refused(&root, "link/.."), Unusable::Vault));
    }
}
