//! What can be said with `-o`. Only parses and holds; what an option does is in the files that read
//! it.

/// Files that may be known if nothing else is said. See docs/performance.md, Memory: they and what else may be there at the same
/// time take less than 256 MiB.
const KNOWN_MAX: usize = 100_000;

/// Fewer would be looked up again and again by whoever works in one directory.
const KNOWN_MAX_LEAST: usize = 1000;

/// How to mount. `Default` is what no `-o` at all means.
///
/// Each flag is one word of `-o`, which is why there are so many of them.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// `ro`: nothing can be changed. The vault is to be opened read-only as well.
    pub read_only: bool,
    /// `allow_other`: other users may enter; the kernel then checks permissions.
    pub allow_other: bool,
    /// `default_permissions`: the kernel checks permissions also where only root can come in. Costs
    /// a message per new file.
    pub default_permissions: bool,
    /// `noxattr`: no extended attributes. Saves a message per new file.
    pub no_xattr: bool,
    /// `acl`: POSIX access control lists; the kernel then checks permissions.
    pub acl: bool,
    /// `writeback`: the kernel collects small writes. For many small writes to one file.
    pub writeback: bool,
    /// `shared`: the vault may change from outside, so the kernel may trust its caches for a second
    /// only.
    pub shared: bool,
    /// `suid`: set-user-id bits and file capabilities have effect. For root.
    pub suid: bool,
    /// `dev`: device files have effect. For root.
    pub dev: bool,
    /// `noexec`: nothing can be executed.
    pub no_exec: bool,
    /// `strict`: all guards of a directory are held against its own before anything in it is served. The vault is to be opened
    /// so.
    pub strict: bool,
    /// `known=NUMBER`: of so many files the daemon may know before it has the kernel forget those that nobody uses.
    pub known: Option<usize>,
    /// `fsname=NAME`: what the mount table shows as the source instead of the vault's path.
    pub fs_name: Option<String>,
}

/// An `-o` that cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// There is no such option.
    #[error("unknown mount option {name}")]
    Unknown {
        /// What was given, without a value.
        name: String,
    },
    /// The option takes a value and has none.
    #[error("mount option {name} needs a value")]
    NeedsValue {
        /// The option.
        name: String,
    },
    /// The option takes no value and has one.
    #[error("mount option {name} takes no value")]
    TakesNoValue {
        /// The option.
        name: String,
    },
    /// The value cannot be a name.
    #[error("the value of mount option {name} is not usable")]
    BadValue {
        /// The option.
        name: String,
    },
    /// The two cannot both be.
    #[error("mount options {first} and {second} exclude each other")]
    Conflict {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

impl MountOptions {
    /// Parses one list such as `ro,fsname=photos`.
    ///
    /// # Errors
    /// Names the first option that is unknown or malformed, or a pair that contradicts itself.
    pub fn parse(list: &str) -> Result<Self, OptionError> {
        let mut options = MountOptions::default();
        options.add(list)?;
        options.check()?;
        Ok(options)
    }

    /// Adds one more list; call [`MountOptions::check`] after the last. Empty items are nothing.
    ///
    /// # Errors
    /// Names the first option that is unknown or malformed.
    pub fn add(&mut self, list: &str) -> Result<(), OptionError> {
        list.split(',')
            .filter(|item| !item.is_empty())
            .try_for_each(|item| self.add_one(item))
    }

    /// Are these options together possible?
    ///
    /// # Errors
    /// Names the first pair that is not.
    pub fn check(&self) -> Result<(), OptionError> {
        // Without extended attributes there is nowhere to keep a list.
        let no_room = self.acl && self.no_xattr;
        // With a write-back cache the kernel trusts its own size and times over those of the vault.
        let two_truths = self.shared && self.writeback;
        match (no_room, two_truths) {
            (true, _) => Err(OptionError::Conflict {
                first: "acl",
                second: "noxattr",
            }),
            (_, true) => Err(OptionError::Conflict {
                first: "shared",
                second: "writeback",
            }),
            (false, false) => Ok(()),
        }
    }

    /// Does the kernel check permissions? Nobody else does: files are not opened, so there is no
    /// moment at which we could. Root may do everything anyway, so there the message per new file
    /// is saved, unless other users come in.
    pub(crate) fn kernel_checks_permissions(&self, is_root: bool) -> bool {
        self.default_permissions || self.allow_other || self.acl || !is_root
    }

    /// So many files may be known.
    pub(crate) fn known_max(&self) -> usize {
        self.known.unwrap_or(KNOWN_MAX)
    }

    fn add_one(&mut self, item: &str) -> Result<(), OptionError> {
        let (name, value) = match item.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (item, None),
        };
        match name {
            "fsname" => self.fs_name = Some(fs_name(value)?),
            "known" => self.known = Some(known(value)?),
            _ => self.flag_of(name, value)?,
        }
        Ok(())
    }

    fn flag_of(&mut self, name: &str, value: Option<&str>) -> Result<(), OptionError> {
        let name_owned = || name.to_owned();
        let flag = self
            .flag(name)
            .ok_or_else(|| OptionError::Unknown { name: name_owned() })?;
        if value.is_some() {
            return Err(OptionError::TakesNoValue { name: name_owned() });
        }
        *flag = true;
        Ok(())
    }

    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        Some(match name {
            "ro" => &mut self.read_only,
            "allow_other" => &mut self.allow_other,
            "default_permissions" => &mut self.default_permissions,
            "noxattr" => &mut self.no_xattr,
            "acl" => &mut self.acl,
            "writeback" => &mut self.writeback,
            "shared" => &mut self.shared,
            "suid" => &mut self.suid,
            "dev" => &mut self.dev,
            "noexec" => &mut self.no_exec,
            "strict" => &mut self.strict,
            _ => return None,
        })
    }
}

fn fs_name(value: Option<&str>) -> Result<String, OptionError> {
    let name = || "fsname".to_owned();
    match value {
        None | Some("") => Err(OptionError::NeedsValue { name: name() }),
        // The name goes through C strings and one-line tables.
        Some(value) if value.contains(['\0', '\n']) => Err(OptionError::BadValue { name: name() }),
        Some(value) => Ok(value.to_owned()),
    }
}

fn known(value: Option<&str>) -> Result<usize, OptionError> {
    let name = || "known".to_owned();
    match value {
        None | Some("") => Err(OptionError::NeedsValue { name: name() }),
        Some(value) => value
            .parse()
            .ok()
            .filter(|known| *known >= KNOWN_MAX_LEAST)
            .ok_or_else(|| OptionError::BadValue { name: name() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_is_the_default() {
        assert_eq!(MountOptions::parse(""), Ok(MountOptions::default()));
        assert_eq!(MountOptions::parse(",,"), Ok(MountOptions::default()));
    }

    #[test]
    fn every_flag_sets_itself_and_nothing_else() {
        let names = [
            "ro",
            "allow_other",
            "default_permissions",
            "noxattr",
            "acl",
            "writeback",
            "shared",
            "suid",
            "dev",
            "noexec",
            "strict",
        ];
        for name in names {
            let mut options = MountOptions::parse(name).unwrap();
            let flag = options.flag(name).unwrap();
            assert!(*flag, "{name}");
            *flag = false;
            assert_eq!(options, MountOptions::default(), "{name}");
        }
    }

    #[test]
    fn a_list_sets_all_of_its_options() {
        let options = MountOptions::parse("ro,noexec,fsname=my photos=2").unwrap();
        assert!(options.read_only && options.no_exec);
        assert_eq!(options.fs_name.as_deref(), Some("my photos=2"));
    }

    #[test]
    fn an_unknown_option_is_named_without_its_value() {
        let unknown = |name: &str| {
            Err(OptionError::Unknown {
                name: name.to_owned(),
            })
        };
        assert_eq!(MountOptions::parse("ro,speed=fast"), unknown("speed"));
        assert_eq!(MountOptions::parse("RO"), unknown("RO"));
        assert_eq!(MountOptions::parse(" ro"), unknown(" ro"));
        assert_eq!(MountOptions::parse("=x"), unknown(""));
    }

    #[test]
    fn a_flag_with_a_value_is_refused() {
        let refused = Err(OptionError::TakesNoValue {
            name: "ro".to_owned(),
        });
        assert_eq!(MountOptions::parse("ro=1"), refused);
        assert_eq!(MountOptions::parse("ro="), refused);
    }

    #[test]
    fn fsname_needs_a_printable_value() {
        let needs = Err(OptionError::NeedsValue {
            name: "fsname".to_owned(),
        });
        assert_eq!(MountOptions::parse("fsname"), needs);
        assert_eq!(MountOptions::parse("fsname="), needs);
        let bad = Err(OptionError::BadValue {
            name: "fsname".to_owned(),
        });
        assert_eq!(MountOptions::parse("fsname=a\nb"), bad);
        assert_eq!(MountOptions::parse("fsname=a\0b"), bad);
    }

    #[test]
    fn known_needs_a_number_that_a_directory_fits_in() {
        let known = |list: &str| MountOptions::parse(list).map(|options| options.known_max());
        assert_eq!(known("known=1000"), Ok(1000));
        assert_eq!(known("known=5000000,ro"), Ok(5_000_000));
        assert_eq!(known(""), Ok(KNOWN_MAX));
        let name = "known".to_owned();
        let needs = OptionError::NeedsValue { name: name.clone() };
        assert_eq!(known("known"), Err(needs.clone()));
        assert_eq!(known("known="), Err(needs));
        let bad = OptionError::BadValue { name };
        for list in [
            "known=999",
            "known=-1",
            "known=many",
            "known=1000000000000000000000",
        ] {
            assert_eq!(known(list), Err(bad.clone()), "{list}");
        }
    }

    #[test]
    fn contradictions_are_refused_also_across_lists() {
        assert!(matches!(
            MountOptions::parse("acl,noxattr"),
            Err(OptionError::Conflict { .. })
        ));
        let mut options = MountOptions::parse("shared").unwrap();
        options.add("writeback").unwrap();
        assert!(matches!(options.check(), Err(OptionError::Conflict { .. })));
    }

    #[test]
    fn only_a_mount_for_root_alone_goes_unchecked() {
        let checked = |list, root| {
            MountOptions::parse(list)
                .unwrap()
                .kernel_checks_permissions(root)
        };
        assert!(!checked("", true) && checked("", false));
        for list in ["allow_other", "acl", "default_permissions"] {
            assert!(checked(list, true) && checked(list, false), "{list}");
        }
    }
}
