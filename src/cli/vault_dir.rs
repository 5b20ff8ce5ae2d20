//! The directory of a vault: may a new one be put there, and is there one. And others that are made.

use super::{error::CliError, mountpoint, report::shown};
use crate::store::{DirectoryStore, Store};
use rustix::{
    fs::{Access, access},
    io::Errno,
};
use std::{
    fs::{self, DirBuilder, ReadDir},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why a path cannot be used as the directory of a vault.
#[derive(Debug, thiserror::Error)]
pub enum VaultDirError {
    /// What is made needs an empty directory.
    #[error("{} {}: the directory is not empty", .0, shown(.1))]
    NotEmpty(&'static str, PathBuf),
    /// What is made needs a directory.
    #[error("{} {}: it is not a directory", .0, shown(.1))]
    Occupied(&'static str, PathBuf),
    /// Only the last directory of the path is made.
    #[error("{} {}: {} does not exist", .0, shown(.1), shown(.2))]
    NoParent(&'static str, PathBuf, PathBuf),
    /// Nothing may be put into a vault that is salvaged.
    #[error("{} {}: it lies in the vault", .0, shown(.1))]
    InVault(&'static str, PathBuf),
    /// Nothing there to open.
    #[error("open the vault {}: no such directory", shown(.0))]
    Missing(PathBuf),
    /// A vault is a directory.
    #[error("open the vault {}: it is not a directory", shown(.0))]
    NotADirectory(PathBuf),
    /// A vault to be changed, where nothing can be written.
    #[error("open the vault {}: it cannot be written: {source}", shown(path))]
    ReadOnly {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not let us look.
    #[error("{action} {}: {source}", shown(path))]
    Io {
        /// As `make a vault in`, `open the vault`
        action: &'static str,
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A place where something new may be put that is a directory.
#[derive(Debug)]
pub struct NewDir {
    /// What is to be done there, for messages.
    action: &'static str,
    path: PathBuf,
    exists: bool,
}

impl NewDir {
    /// Looks whether `path` is an empty directory, or could be made one. `action` is for messages.
    ///
    /// # Errors
    /// [`VaultDirError`] when it is neither.
    pub fn check(action: &'static str, path: &Path) -> Result<NewDir, VaultDirError> {
        let entry = fs::read_dir(path).and_then(|mut entries: ReadDir| entries.next().transpose());
        match entry {
            Ok(None) => Ok(NewDir {
                action,
                path: path.to_owned(),
                exists: true,
            }),
            Ok(Some(_)) => Err(VaultDirError::NotEmpty(action, path.to_owned())),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                Err(VaultDirError::Occupied(action, path.to_owned()))
            }
            // A link to nowhere.
            Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
                Err(VaultDirError::Occupied(action, path.to_owned()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => NewDir::missing(action, path),
            Err(source) => Err(VaultDirError::Io {
                action,
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn missing(action: &'static str, path: &Path) -> Result<NewDir, VaultDirError> {
        let parent = parent_of(path);
        if parent.is_dir() {
            return Ok(NewDir {
                action,
                path: path.to_owned(),
                exists: false,
            });
        }
        Err(VaultDirError::NoParent(
            action,
            path.to_owned(),
            parent.to_owned(),
        ))
    }

    /// Refuses what lies in a vault, or is one.
    ///
    /// # Errors
    /// [`VaultDirError::InVault`].
    pub fn check_outside(&self, vault: &Path) -> Result<(), VaultDirError> {
        let parent = parent_of(&self.path);
        let above = if self.exists { &self.path } else { parent };
        let inside = above
            .canonicalize()
            .is_ok_and(|dir| dir.ancestors().any(|above| mountpoint::same(above, vault)));
        if inside {
            return Err(VaultDirError::InVault(self.action, self.path.clone()));
        }
        Ok(())
    }

    /// Makes the directory if it is missing, open to its owner alone.
    ///
    /// # Errors
    /// [`VaultDirError::Io`].
    pub fn create(&self) -> Result<(), VaultDirError> {
        if self.exists {
            return Ok(());
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&self.path)
            .map_err(|source| VaultDirError::Io {
                action: self.action,
                path: self.path.clone(),
                source,
            })
    }

    /// Takes back what [`create`](NewDir::create) did, as far as nothing lies there.
    pub fn undo(&self) {
        if !self.exists {
            // What is not empty stays; the error that led here is the one to be told.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

/// What `init` does with a directory, for messages.
pub const NEW: &str = "make a vault in";
/// What commands do with a vault that is there, for messages.
pub const OPEN: &str = "open the vault";

/// The path of a vault without links and from the root, so that it holds wherever the process goes.
///
/// # Errors
/// [`VaultDirError::Io`].
pub fn canonical(path: &Path) -> Result<PathBuf, VaultDirError> {
    fs::canonicalize(path).map_err(|source| VaultDirError::Io {
        action: OPEN,
        path: path.to_owned(),
        source,
    })
}

/// Can the vault be written, as far as its directories tell?
///
/// # Errors
/// [`VaultDirError::ReadOnly`].
pub fn check_writable(path: &Path) -> Result<(), VaultDirError> {
    for dir in [path.to_owned(), path.join("journal")] {
        match access(&dir, Access::WRITE_OK | Access::EXEC_OK) {
            // What is missing is told when the vault is opened.
            Ok(()) | Err(Errno::NOENT) => {}
            // So is what lies in the place of a directory.
            Err(_) if fs::metadata(&dir).is_ok_and(|found| !found.is_dir()) => {}
            Err(errno) => {
                return Err(VaultDirError::ReadOnly {
                    path: path.to_owned(),
                    source: errno.into(),
                });
            }
        }
    }
    Ok(())
}

/// The store in a directory that is there; whether a vault lies in it is for the vault floor to say.
///
/// # Errors
/// [`CliError`] when it is no directory or cannot be opened.
pub fn open_store(path: &Path) -> Result<Arc<dyn Store>, CliError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(VaultDirError::NotADirectory(path.to_owned()).into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(VaultDirError::Missing(path.to_owned()).into());
        }
        Err(source) => {
            return Err(VaultDirError::Io {
                action: OPEN,
                path: path.to_owned(),
                source,
            }
            .into());
        }
    }
    match DirectoryStore::open(path) {
        Ok(store) => Ok(Arc::new(store)),
        Err(source) => Err(CliError::Store {
            action: OPEN,
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn a_missing_directory_is_made_for_its_owner_alone_and_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault");
        let place = NewDir::check(NEW, &path).unwrap();
        assert!(!path.exists(), "a check changes nothing");
        place.create().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        place.undo();
        assert!(!path.exists());
    }

    #[test]
    fn a_file_in_the_place_of_the_journal_is_not_for_want_of_permission() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("journal"), b"").unwrap();
        check_writable(dir.path()).unwrap();
    }

    #[test]
    fn what_was_there_before_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let place = NewDir::check(NEW, dir.path()).unwrap();
        place.create().unwrap();
        place.undo();
        assert!(dir.path().exists());
    }

    #[test]
    fn undo_leaves_what_is_not_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault");
        let place = NewDir::check(NEW, &path).unwrap();
        place.create().unwrap();
        fs::write(path.join("file"), "x").unwrap();
        place.undo();
        assert!(path.join("file").exists());
    }

    #[test]
    fn only_an_empty_directory_will_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let check = |path: &Path| NewDir::check(NEW, path).unwrap_err();
        assert!(matches!(check(dir.path()), VaultDirError::NotEmpty(..)));
        assert!(matches!(check(&file), VaultDirError::Occupied(..)));
        assert!(matches!(
            check(&dir.path().join("a/b")),
            VaultDirError::NoParent(..)
        ));
        assert!(matches!(
            check(&file.join("vault")),
            VaultDirError::Occupied(..) | VaultDirError::NoParent(..)
        ));
    }

    #[test]
    fn a_link_to_nowhere_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink(dir.path().join("elsewhere"), &link).unwrap();
        let refused = NewDir::check(NEW, &link).unwrap_err();
        assert!(matches!(refused, VaultDirError::Occupied(..)));
    }
}
