//! What only a directory has: links, pipes and devices planted in it, modes, names that are not
//! text.

mod modes;
mod names;
mod planted;
mod removing;
mod whole;

use crate::store::{DirectoryStore, ObjectPath, StoreError, directory::Resolver};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

impl DirectoryStore {
    /// As on a kernel without openat2.
    pub(in crate::store) fn open_by_steps(root: &Path) -> Result<DirectoryStore, StoreError> {
        Ok(DirectoryStore {
            resolver: Resolver::Steps,
            ..DirectoryStore::open(root)?
        })
    }
}

fn path(path: &str) -> ObjectPath {
    ObjectPath::new(path).unwrap()
}

/// A vault directory beside another directory with things an attacker would like to reach.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir_all(place.vault("a")).unwrap();
        std::fs::create_dir_all(place.outside("inner")).unwrap();
        std::fs::write(place.outside("secret"), "secret").unwrap();
        std::fs::write(place.outside("inner/deep"), "deep").unwrap();
        place
    }

    fn vault(&self, below: &str) -> PathBuf {
        self.dir.path().join("vault").join(below)
    }

    fn outside(&self, below: &str) -> PathBuf {
        self.dir.path().join("outside").join(below)
    }

    /// With and without openat2.
    fn stores(&self) -> [DirectoryStore; 2] {
        let stores = [
            DirectoryStore::open(&self.vault("")).unwrap(),
            DirectoryStore::open_by_steps(&self.vault("")).unwrap(),
        ];
        assert_eq!(
            stores[0].resolver,
            Resolver::Kernel,
            "this kernel has no openat2"
        );
        stores
    }

    #[track_caller]
    fn assert_outside_is_untouched(&self) {
        let names: BTreeSet<_> = std::fs::read_dir(self.outside(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["inner".into(), "secret".into()].into());
        assert_eq!(std::fs::read(self.outside("secret")).unwrap(), b"secret");
        assert_eq!(std::fs::read_dir(self.outside("inner")).unwrap().count(), 1);
        assert_eq!(std::fs::read(self.outside("inner/deep")).unwrap(), b"deep");
    }
}
