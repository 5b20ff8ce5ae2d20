//! The name of an object: a relative path that was checked once, where it was made.
//!
//! Everything below trusts an [`ObjectPath`], so no other way to make one may be added. It is made
//! on every lookup: one pass over the bytes, no allocation beyond the string itself.

use std::{borrow::Cow, fmt};

use super::{StoreError, raw};

/// Longest component, in bytes: what Linux file systems take (`NAME_MAX`).
pub const NAME_LEN_MAX: usize = 255;

/// Longest path, in bytes, so that it fits `PATH_MAX` with its closing NUL.
pub const PATH_LEN_MAX: usize = 4095;

/// What the names of a store's own temporary files begin with. No object can be called so.
pub(super) const TEMPORARY_PREFIX: &str = ".wardfs.tmp.";

/// A relative path of plain components, such as `guards/ab/cdef/name`.
///
/// No component is empty, ".", "..", over [`NAME_LEN_MAX`] bytes, has a NUL, or begins like the
/// temporary files of a store (`.wardfs.tmp.`). One that begins with `.wardfs.raw.` stands for a name that
/// is no text, and is that long. The whole is at most [`PATH_LEN_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectPath(String);

impl ObjectPath {
    /// Checks `path`.
    ///
    /// # Errors
    /// [`StoreError::BadPath`] when it is not what the type promises.
    pub fn new(path: impl Into<String>) -> Result<ObjectPath, StoreError> {
        let path = path.into();
        if is_plain(path.as_bytes()) {
            Ok(ObjectPath(path))
        } else {
            Err(StoreError::BadPath(path))
        }
    }

    /// The top directory of the store, which always exists: for listing and syncing it. It is no
    /// object, cannot be removed or renamed, and [`ObjectPath::new`] does not make it.
    #[must_use]
    pub fn root() -> ObjectPath {
        ObjectPath(String::new())
    }

    /// Whether this is [`ObjectPath::root`].
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as text; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `name` below this path. `name` may itself have several components.
    ///
    /// # Errors
    /// [`StoreError::BadPath`] when `name`, or the whole, is not plain.
    pub fn join(&self, name: &str) -> Result<ObjectPath, StoreError> {
        if !is_plain(name.as_bytes()) || self.0.len() + 1 + name.len() > PATH_LEN_MAX {
            return Err(StoreError::BadPath(format!("{}/{name}", self.0)));
        }
        let mut path = String::with_capacity(self.0.len() + 1 + name.len());
        if !self.is_root() {
            path.push_str(&self.0);
            path.push('/');
        }
        path.push_str(name);
        Ok(ObjectPath(path))
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        self.split().1
    }

    /// The directory this lies in; the root's is itself.
    #[must_use]
    pub fn parent(&self) -> ObjectPath {
        ObjectPath(self.split().0.to_owned())
    }

    /// What it is called where names are bytes.
    pub(super) fn stored(&self) -> Cow<'_, [u8]> {
        raw::unescaped_path(&self.0)
    }

    /// For what needs a name in a directory.
    pub(super) fn refuse_root(&self) -> Result<(), StoreError> {
        if self.is_root() {
            Err(StoreError::BadPath(String::new()))
        } else {
            Ok(())
        }
    }

    /// Parent (empty for the root) and last component.
    pub(super) fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

/// Whether `path` is non-empty, short enough, without NUL, and every component plain.
fn is_plain(path: &[u8]) -> bool {
    let mut start = 0;
    for (at, &byte) in path.iter().enumerate() {
        match byte {
            b'/' if !is_plain_component(&path[start..at]) => return false,
            b'/' => start = at + 1,
            0 => return false,
            _ => {}
        }
    }
    path.len() <= PATH_LEN_MAX && is_plain_component(&path[start..])
}

fn is_plain_component(name: &[u8]) -> bool {
    match name {
        [] | [b'.'] | [b'.', b'.'] => false,
        [b'.', ..] if name.starts_with(TEMPORARY_PREFIX.as_bytes()) => false,
        _ => raw::unescaped(name).is_some_and(|name| name.len() <= NAME_LEN_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_are_taken_as_they_are() {
        for path in [
            "a",
            "wardfs.vault",
            "guards/ab/cdef",
            "a/b/c/d",
            ".hidden",
            "...",
            "..a/b..",
            "a b/ä",
            ".wardfs.tmp",
        ] {
            assert_eq!(ObjectPath::new(path).unwrap().as_str(), path);
        }
        assert!(ObjectPath::new("n".repeat(NAME_LEN_MAX)).is_ok());
    }

    #[test]
    fn paths_that_could_leave_the_store_or_mean_two_things_are_refused() {
        let bad = [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "./a",
            "a/.",
            "a/./b",
            "../a",
            "a/..",
            "a/../b",
            "\0",
            "a\0b",
            "a/\0/b",
            ".wardfs.tmp.1",
            "a/.wardfs.tmp.1",
            "a/.wardfs.tmp./b",
        ];
        for path in bad {
            assert!(
                matches!(ObjectPath::new(path), Err(StoreError::BadPath(p)) if p == path),
                "{path:?}"
            );
            if !path.is_empty() {
                assert!(
                    ObjectPath::new("x").unwrap().join(path).is_err(),
                    "x joined with {path:?}"
                );
                assert!(
                    ObjectPath::root().join(path).is_err(),
                    "root joined with {path:?}"
                );
            }
        }
        assert!(ObjectPath::new("x").unwrap().join("").is_err());
    }

    #[test]
    fn lengths_past_what_the_kernel_takes_are_refused() {
        assert!(ObjectPath::new("n".repeat(NAME_LEN_MAX + 1)).is_err());
        assert!(ObjectPath::new(format!("a/{}/b", "n".repeat(NAME_LEN_MAX + 1))).is_err());
        let longest = vec!["n"; PATH_LEN_MAX / 2 + 1].join("/");
        assert_eq!(longest.len(), PATH_LEN_MAX);
        let path = ObjectPath::new(longest.as_str()).unwrap();
        assert!(path.join("n").is_err());
        assert!(ObjectPath::new(format!("{longest}n")).is_err());
    }

    #[test]
    fn join_parent_and_name_fit_together() {
        let path = ObjectPath::new("guards/ab")
            .unwrap()
            .join("cd/name")
            .unwrap();
        assert_eq!(path.as_str(), "guards/ab/cd/name");
        assert_eq!(
            (path.parent().as_str(), path.name()),
            ("guards/ab/cd", "name")
        );
        let top = ObjectPath::root().join("top").unwrap();
        assert_eq!((top.as_str(), top.name()), ("top", "top"));
        assert_eq!(top.parent(), ObjectPath::root());
        assert_eq!(ObjectPath::root().parent(), ObjectPath::root());
    }
}
