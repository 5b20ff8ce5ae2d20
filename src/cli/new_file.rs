//! A file that appears under its name when it is whole, and not at all otherwise.
//!
//! It has no name until then, where the file system can do that (`O_TMPFILE`): then not even a process that is killed leaves
//! anything behind. Elsewhere it has another name beside, which is removed on errors and signals. What is no regular file, such
//! as a device or a pipe, is written as it is; and so is what is named as an open file of this process (`/dev/stdout`,
//! `/dev/fd/3`), from where it stands on: replacing it would destroy what others have written there.

use super::{
    error::CliError,
    exit::Exit,
    signals::{Event, Signals},
};
use crate::{crypto::fill_random, sys};
use data_encoding::HEXLOWER;
use rustix::{
    fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, fchmod, fchown, linkat, openat},
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

/// Links that the system follows on one way.
const LINKS_MAX: usize = 40;

/// A file on its way to its name.
pub struct NewFile {
    file: File,
    /// As it was given, for messages.
    named: PathBuf,
    way: Way,
}

/// How it gets its name.
enum Way {
    /// It has it already: it is something else than a regular file, or open for others.
    There,
    /// It has none.
    Nameless { target: PathBuf },
    /// It has this one.
    Beside { target: PathBuf, temporary: PathBuf },
}

impl NewFile {
    /// A file that is to become `path`, with these permissions (less the umask) if there is none yet.
    ///
    /// # Errors
    /// [`CliError::Write`] when there can be no such file.
    pub fn begin(path: &Path, mode: u32) -> Result<NewFile, CliError> {
        begin(path, mode).map_err(|source| CliError::Write {
            path: path.to_owned(),
            source,
        })
    }

    /// For messages.
    pub fn path(&self) -> &Path {
        &self.named
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// May it have holes? What is something else than a regular file, or open for others, may not.
    pub fn is_regular(&self) -> bool {
        !matches!(self.way, Way::There)
    }

    /// What writing failed with.
    pub fn failed(&self, source: io::Error) -> CliError {
        CliError::Write {
            path: self.named.clone(),
            source,
        }
    }

    /// Gives it its name, in the place of what has that. Its content is durable before.
    ///
    /// # Errors
    /// [`CliError::Write`]; what had the name then still has it.
    pub fn commit(mut self) -> Result<(), CliError> {
        let done = self.file.flush().and_then(|()| match &self.way {
            Way::There => Ok(()),
            Way::Nameless { target } => {
                self.file.sync_all()?;
                self.give_name(target)
            }
            Way::Beside { target, temporary } => {
                self.file.sync_all()?;
                fs::rename(temporary, target)
            }
        });
        if done.is_ok() {
            self.way = Way::There;
        }
        done.map_err(|source| CliError::Write {
            path: self.named.clone(),
            source,
        })
    }
}

impl NewFile {
    /// At once where nothing has the name; over another name where something does. Whoever is killed between the two leaves that
    /// other name, of a file that is whole.
    fn give_name(&self, target: &Path) -> io::Result<()> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let link = |name: &Path| linkat(CWD, &own, CWD, name, AtFlags::SYMLINK_FOLLOW);
        match link(target) {
            Err(Errno::EXIST) => {}
            done => return Ok(done?),
        }
        let temporary = temporary_beside(target);
        link(&temporary)?;
        fs::rename(&temporary, target).inspect_err(|_| remove(&temporary))
    }
}

impl Drop for NewFile {
    /// Without [`commit`](NewFile::commit) nothing is left.
    fn drop(&mut self) {
        if let Way::Beside { temporary, .. } = &self.way {
            remove(temporary);
        }
    }
}

fn begin(path: &Path, mode: u32) -> io::Result<NewFile> {
    let named = path.to_owned();
    if let Some(file) = open_already(path)? {
        let way = Way::There;
        return Ok(NewFile { file, named, way });
    }
    let old = match fs::metadata(path) {
        Ok(old) if old.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        Ok(old) if !old.is_file() => {
            let file = OpenOptions::new().write(true).open(path)?;
            let way = Way::There;
            return Ok(NewFile { file, named, way });
        }
        Ok(old) => Some(old),
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => None,
        Err(error) => return Err(error),
    };
    // A link stays one: what it leads to is replaced.
    let target = if old.is_some() {
        // Who may not write it must not replace it either.
        OpenOptions::new().write(true).open(path)?;
        path.canonicalize()?
    } else {
        path.to_owned()
    };
    let (file, way) = open_new(target, mode)?;
    if let Some(old) = old {
        // Root gives it to whom it was; others may not, and have it themselves.
        let (uid, gid) = (Uid::from_raw(old.uid()), Gid::from_raw(old.gid()));
        if fchown(&file, Some(uid), Some(gid)).is_err() {
            let _ = fchown(&file, None, Some(gid));
        }
        fchmod(&file, Mode::from_raw_mode(old.permissions().mode() & 0o777))?;
    }
    Ok(NewFile { file, named, way })
}

/// The file that a path names as an open one, by a link or several: as it was opened, so that its position counts, and whether it
/// appends.
fn open_already(path: &Path) -> io::Result<Option<File>> {
    let own = Path::new("/proc/self").canonicalize();
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let (Ok(dir), Some(name)) = (dir_of(&path).canonicalize(), path.file_name()) else {
            return Ok(None);
        };
        if dir.ends_with("fd") && dir.starts_with("/proc") {
            let number = name.to_str().and_then(|name| name.parse().ok());
            let is_own = own.as_ref().is_ok_and(|own| dir.starts_with(own));
            return match number {
                Some(number) if is_own => Ok(Some(sys::inherited(number)?.into())),
                _ if fs::metadata(&path)?.is_file() => Err(io::Error::new(
                    ErrorKind::Unsupported,
                    "another process has it open; name the file itself",
                )),
                _ => Ok(None),
            };
        }
        match fs::read_link(dir.join(name)) {
            Ok(to) => path = dir.join(to),
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

fn open_new(target: PathBuf, mode: u32) -> io::Result<(File, Way)> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(file) = openat(CWD, dir_of(&target), flags, Mode::from_raw_mode(mode)) {
        return Ok((file.into(), Way::Nameless { target }));
    }
    // What cannot be there needs nobody who waits for signals.
    fs::metadata(dir_of(&target))?;
    let temporary = temporary_beside(&target);
    // Before it is there: no signal may come in between.
    remove_at_signals(temporary.clone())?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    let way = Way::Beside { target, temporary };
    Ok((file, way))
}

/// Ends the process at a signal, which would leave the file behind otherwise.
fn remove_at_signals(temporary: PathBuf) -> io::Result<()> {
    let signals = Signals::catch()?;
    std::thread::Builder::new().spawn(move || {
        if matches!(signals.wait(None), Ok(Event::Signal)) {
            remove(&temporary);
            std::process::exit(i32::from(Exit::Other.code()));
        }
    })?;
    Ok(())
}

fn dir_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

fn temporary_beside(target: &Path) -> PathBuf {
    let mut random = [0; 8];
    fill_random(&mut random);
    dir_of(target).join(format!(".wardfs-{}", HEXLOWER.encode(&random)))
}

fn remove(temporary: &Path) {
    // The error that led here is the one to be told.
    let _ = fs::remove_file(temporary);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_is_there_when_it_is_whole_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        let new = NewFile::begin(&path, 0o600).unwrap();
        new.file().write_all(b"content").unwrap();
        assert!(!path.exists());
        new.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert_eq!(names(dir.path()), ["new"]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn what_is_not_finished_leaves_nothing_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "old").unwrap();
        let new = NewFile::begin(&path, 0o600).unwrap();
        new.file().write_all(b"half").unwrap();
        drop(new);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn a_temporary_name_goes_away_too() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("file");
        let temporary = temporary_beside(&target);
        let make = || NewFile {
            file: File::create(&temporary).unwrap(),
            named: target.clone(),
            way: Way::Beside {
                target: target.clone(),
                temporary: temporary.clone(),
            },
        };
        drop(make());
        assert!(names(dir.path()).is_empty());
        make().commit().unwrap();
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn what_is_replaced_keeps_its_permissions_and_a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        let new = NewFile::begin(&link, 0o600).unwrap();
        new.file().write_all(b"new").unwrap();
        new.commit().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }

    #[test]
    fn no_directory_and_no_link_to_nowhere_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("nowhere", &link).unwrap();
        for path in [dir.path(), &link, &dir.path().join("none/file")] {
            assert!(NewFile::begin(path, 0o600).is_err(), "{path:?}");
        }
    }
}
