//! Who or what keeps a mount from ending, as it is told to people.
//!
//! Only what this user may see; and only by tables of the kernel, since the mount itself may be hung.

use super::report::{shown, typed};
use crate::mount::{self, Holder};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// How many are named; of more only the count is told.
const NAMED_MAX: usize = 8;

/// See the top of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Processes that have something open in it or stand in it.
    pub holders: Vec<Holder>,
    /// Mounts in it, which must go before.
    pub inside: Vec<PathBuf>,
    /// Other directories that show the same mount, by bind mounts. It would live on there.
    pub elsewhere: Vec<PathBuf>,
}

impl Users {
    /// Of the mount on `dir`.
    pub fn of(dir: &Path) -> Users {
        let Some(found) = mount::find_mount(dir) else {
            return Users::default();
        };
        Users {
            holders: mount::holders(dir),
            inside: mount::submounts(&found),
            elsewhere: elsewhere(dir),
        }
    }

    /// Whether nothing is seen; something may use it all the same.
    pub fn none_seen(&self) -> bool {
        self.holders.is_empty() && self.inside.is_empty() && self.elsewhere.is_empty()
    }

    /// What to do about them.
    pub fn hint(&self, dir: &Path) -> String {
        let dir = typed(dir);
        if !self.inside.is_empty() {
            return "unmount these first".to_owned();
        }
        if !self.elsewhere.is_empty() {
            return format!("unmount these first; `umount {dir}` takes away this one alone");
        }
        format!("close what is open there, or `wardfs unmount --lazy {dir}`")
    }
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.inside.is_empty() {
            return write!(f, "mounted in it are {}", paths(&self.inside));
        }
        if !self.elsewhere.is_empty() {
            return write!(f, "it is also shown on {}", paths(&self.elsewhere));
        }
        if self.holders.is_empty() {
            return f.write_str("in use by what this user cannot see");
        }
        let holders = self
            .holders
            .iter()
            .map(|holder| format!("{} ({})", holder.pid, holder.command));
        write!(f, "in use by {}", first_few(&holders.collect::<Vec<_>>()))
    }
}

/// The other mount points of what is mounted on `dir`.
pub fn elsewhere(dir: &Path) -> Vec<PathBuf> {
    let Some(found) = mount::find_mount(dir) else {
        return Vec::new();
    };
    let mounts = mount::mounts().unwrap_or_default().into_iter();
    let others = mounts.filter(|other| other.device == found.device && other.id != found.id);
    others.map(|other| other.dir).collect()
}

fn paths(paths: &[PathBuf]) -> String {
    first_few(&paths.iter().map(|path| shown(path)).collect::<Vec<_>>())
}

fn first_few(all: &[String]) -> String {
    match all.len().checked_sub(NAMED_MAX) {
        Some(more @ 1..) => format!("{} and {more} more", all[..NAMED_MAX].join(", ")),
        _ => all.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(count: u32) -> Users {
        let holders = (1..=count).map(|pid| Holder {
            pid,
            command: "sh".to_owned(),
        });
        Users {
            holders: holders.collect(),
            ..Users::default()
        }
    }

    #[test]
    fn holders_are_named_and_many_are_counted() {
        assert_eq!(held_by(2).to_string(), "in use by 1 (sh), 2 (sh)");
        assert!(held_by(8).to_string().ends_with("7 (sh), 8 (sh)"));
        assert!(held_by(20).to_string().ends_with("8 (sh) and 12 more"));
        assert_eq!(
            held_by(0).to_string(),
            "in use by what this user cannot see"
        );
    }

    #[test]
    fn mounts_come_before_processes() {
        let mut users = held_by(1);
        users.elsewhere = vec!["/m/b".into()];
        assert_eq!(users.to_string(), "it is also shown on /m/b");
        users.inside = vec!["/m/a".into()];
        assert_eq!(users.to_string(), "mounted in it are /m/a");
        assert_eq!(users.hint(Path::new("/m")), "unmount these first");
    }

    #[test]
    fn what_is_no_mount_has_no_users() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Users::of(dir.path()).none_seen());
    }
}
