//! What can go wrong in a store. Paths in messages are stored paths: no plaintext name is known
//! here.

use std::io;

use rustix::io::Errno;

use super::ObjectPath;

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing lies there, or the directory it should lie in is missing.
    #[error("{0} not found")]
    NotFound(ObjectPath),
    /// The system refused.
    #[error("{op} {path}: {source}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which stored path.
        path: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Something else lies there, or on the way: a directory in place of an object or the other way
    /// round, a symbolic link, a pipe, a socket, a device, another file system. The store never
    /// follows or opens those.
    #[error("{op} {path}: what lies there is not what the vault put there")]
    NotAnObject {
        /// What was tried.
        op: &'static str,
        /// On which stored path.
        path: String,
    },
    /// Not the path of an object; see [`ObjectPath`].
    #[error("{0:?} cannot be the path of an object")]
    BadPath(String),
    /// Another has the lock of this vault.
    #[error("the vault is in use{}", by(*.holder))]
    Locked {
        /// The process that has it, where that can be found out.
        holder: Option<u32>,
    },
}

impl StoreError {
    /// The errno nearest to this. A damaged layout is `EIO`: the errno by which the system found it
    /// out (`ELOOP`, `ENOTDIR`) would tell a caller of the mount something false about its own
    /// path.
    pub fn raw_os_error(&self) -> i32 {
        let errno = match self {
            StoreError::NotFound(_) => Errno::NOENT,
            StoreError::Io { source, .. } => {
                return source.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
            }
            StoreError::NotAnObject { .. } => Errno::IO,
            StoreError::BadPath(_) => Errno::INVAL,
            StoreError::Locked { .. } => Errno::BUSY,
        };
        errno.raw_os_error()
    }

    /// Whether an object is longer than this store hands out in one piece (`EFBIG`).
    pub fn is_too_long(&self) -> bool {
        self.raw_os_error() == Errno::FBIG.raw_os_error()
    }

    /// Whether the disk, or the file system on it, says that it cannot read what it has.
    pub fn is_unreadable(&self) -> bool {
        [
            Errno::IO,
            Errno::UCLEAN,
            Errno::BADMSG,
            Errno::NODATA,
            Errno::REMOTEIO,
            Errno::ILSEQ,
        ]
        .map(Errno::raw_os_error)
        .contains(&self.raw_os_error())
            && matches!(self, StoreError::Io { .. })
    }

    /// Whether the system refused to show what is stored, and not to change it.
    pub fn is_of_reading(&self) -> bool {
        matches!(
            self,
            StoreError::Io {
                op: "read" | "open" | "list",
                ..
            }
        )
    }

    /// Whether nothing lies there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, StoreError::NotFound(_))
    }

    /// Whether the disk or a quota is full (`ENOSPC`, `EDQUOT`).
    pub fn is_no_space(&self) -> bool {
        [Errno::NOSPC, Errno::DQUOT]
            .map(Errno::raw_os_error)
            .contains(&self.raw_os_error())
    }

    /// A disk that is full (`ENOSPC`), as who counts what it has left sees before it says so itself.
    pub(crate) fn no_space(op: &'static str, path: &ObjectPath) -> StoreError {
        StoreError::from_errno(op, path, Errno::NOSPC)
    }

    /// Whether memory is short (`ENOMEM`).
    pub fn is_no_memory(&self) -> bool {
        self.raw_os_error() == Errno::NOMEM.raw_os_error()
    }

    /// Whether the store cannot be written at all (`EROFS`).
    pub fn is_read_only(&self) -> bool {
        self.raw_os_error() == Errno::ROFS.raw_os_error()
    }

    /// `errno` from `op` on `path`, sorted into the variants.
    pub(super) fn from_errno(op: &'static str, path: &ObjectPath, errno: Errno) -> StoreError {
        match errno {
            Errno::NOENT => StoreError::NotFound(path.clone()),
            // A symbolic link; a non-directory on the way; a directory as the object; a socket or a
            // pipe without reader; a pipe or terminal (cannot seek); a mount point.
            Errno::LOOP
            | Errno::NOTDIR
            | Errno::ISDIR
            | Errno::NXIO
            | Errno::SPIPE
            | Errno::XDEV => StoreError::not_an_object(op, path),
            _ => StoreError::Io {
                op,
                path: path.to_string(),
                source: errno.into(),
            },
        }
    }

    pub(super) fn not_an_object(op: &'static str, path: &ObjectPath) -> StoreError {
        StoreError::NotAnObject {
            op,
            path: path.to_string(),
        }
    }
}

fn by(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> ObjectPath {
        ObjectPath::new("guards/x").unwrap()
    }

    #[test]
    fn full_and_read_only_disks_are_recognised() {
        let error = |errno| StoreError::from_errno("write", &path(), errno);
        assert!(error(Errno::NOSPC).is_no_space() && error(Errno::DQUOT).is_no_space());
        assert!(error(Errno::ROFS).is_read_only());
        assert!(!error(Errno::IO).is_no_space() && !error(Errno::IO).is_read_only());
        assert_eq!(error(Errno::IO).raw_os_error(), Errno::IO.raw_os_error());
        assert!(error(Errno::NOENT).is_not_found());
        let odd = StoreError::Io {
            op: "x",
            path: String::new(),
            source: io::Error::other("no errno"),
        };
        assert_eq!(odd.raw_os_error(), Errno::IO.raw_os_error());
    }

    #[test]
    fn what_a_planted_link_or_pipe_gives_is_an_io_error_to_the_mount() {
        for errno in [
            Errno::LOOP,
            Errno::NOTDIR,
            Errno::ISDIR,
            Errno::NXIO,
            Errno::SPIPE,
            Errno::XDEV,
        ] {
            let error = StoreError::from_errno("read", &path(), errno);
            assert!(matches!(error, StoreError::NotAnObject { .. }), "{errno:?}");
            assert_eq!(error.raw_os_error(), Errno::IO.raw_os_error());
        }
    }

    #[test]
    fn messages_say_what_failed_on_what() {
        let text = StoreError::from_errno("write", &path(), Errno::NOSPC).to_string();
        assert!(text.starts_with("write guards/x: "), "{text}");
        assert_eq!(
            StoreError::NotFound(path()).to_string(),
            "guards/x not found"
        );
        assert_eq!(
            StoreError::Locked { holder: Some(7) }.to_string(),
            "the vault is in use by process 7"
        );
        assert_eq!(
            StoreError::Locked { holder: None }.to_string(),
            "the vault is in use"
        );
    }
}
