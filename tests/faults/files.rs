//! Claims about a disk that has space and no inodes: what a checkpoint could not make a file for is refused before it is
//! acknowledged, what is there can be changed and removed, a vault can be closed and opened at the fullest point, after a crash
//! too, and when something is removed there is room again.
use crate::vaults::{
    image::{Image, open, options},
    logger::log_to_stderr,
    op::Fill,
};
use std::sync::Arc;
use wardfs::{
    store::{MemoryStore, Store, StoreError},
    vault::{NewKind, ROOT_INO, RenameMode, Result, State, Vault, VaultError},
};

/// Objects and directories that the disk holds.
const FILES: u64 = 1000;
/// Nobody needs so many: what is left when the disk counts as full.
const LEFT: u64 = 60;
/// More than the disk holds of anything.
const TRIES: u64 = 3000;
/// Names of one file.
const NAMES: u64 = 5;

/// What the disk is filled with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    /// Content in the guard.
    Small,
    /// Content in a payload.
    Large,
    /// Content in a payload with an index: its first bytes and its last.
    Sparse,
    /// Names of files that have several.
    Links,
    /// Directories with a file in each.
    Directories,
    /// Files that are moved to a directory of their own.
    Moved,
}

const ALL: [What; 6] = [
    What::Small,
    What::Large,
    What::Sparse,
    What::Links,
    What::Directories,
    What::Moved,
];

fn open_on(store: &MemoryStore) -> Vault {
    open(Arc::new(store.clone()), options(1 << 40)).expect("a mount")
}

fn make(vault: &Vault, dir: u64, name: &str, kind: NewKind<'_>) -> Result<u64> {
    let made = vault.make(dir, name.as_bytes(), kind, 0o700, 0, 0)?;
    Ok(made.ino)
}

fn write(vault: &Vault, file: u64, offset: u64, content: &[u8]) -> Result<()> {
    if vault.write(file, offset, content, false)? < content.len() {
        // Nothing else makes a write short.
        return Err(VaultError::from(StoreError::Io {
            op: "write",
            path: String::new(),
            source: std::io::Error::from_raw_os_error(libc::ENOSPC),
        }));
    }
    Ok(())
}

impl What {
    fn content(self, number: u64) -> Vec<u8> {
        let len = match self {
            What::Large => 20_000,
            What::Sparse => 5000,
            _ => 50,
        };
        Fill::Noise(number).bytes(len)
    }

    /// Where the content lies, too.
    fn second(self) -> Option<u64> {
        (self == What::Sparse).then_some(1 << 30)
    }

    fn add(self, vault: &Vault, number: u64) -> Result<()> {
        let name = format!("{number}");
        let mut dir = ROOT_INO;
        match self {
            What::Links if !number.is_multiple_of(NAMES) => {
                let first = format!("{}", number - number % NAMES);
                let first = vault.entry(ROOT_INO, first.as_bytes())?;
                return vault.link(first, ROOT_INO, name.as_bytes()).map(drop);
            }
            What::Directories => dir = make(vault, ROOT_INO, &name, NewKind::Directory)?,
            _ => {}
        }
        let file = make(vault, dir, &name, NewKind::File)?;
        let content = self.content(number);
        write(vault, file, 0, &content)?;
        if let Some(offset) = self.second() {
            write(vault, file, offset, &content)?;
        }
        if self == What::Moved {
            let to = make(vault, ROOT_INO, &format!("to {name}"), NewKind::Directory)?;
            let mode = RenameMode::NoReplace;
            vault.rename(ROOT_INO, name.as_bytes(), to, name.as_bytes(), mode)?;
        }
        Ok(())
    }

    /// The directory of what was added, and its name there.
    fn place(self, vault: &Vault, number: u64) -> Result<(u64, String)> {
        let name = format!("{number}");
        let dir = match self {
            What::Directories => vault.entry(ROOT_INO, name.as_bytes())?,
            What::Moved => {
                let dir = format!("to {name}");
                vault.entry(ROOT_INO, dir.as_bytes())?
            }
            _ => ROOT_INO,
        };
        Ok((dir, name))
    }

    fn is_there(self, vault: &Vault, number: u64) -> bool {
        let (dir, name) = self.place(vault, number).expect("its directory");
        let file = vault.entry(dir, name.as_bytes()).expect("the file");
        let number = match self {
            What::Links => number - number % NAMES,
            _ => number,
        };
        let content = self.content(number);
        [Some(0), self.second()].iter().flatten().all(|offset| {
            let mut found = vec![0; content.len()];
            let read = vault.read(file, *offset, &mut found);
            read.expect("a read") == found.len() && found == content
        })
    }

    fn remove(self, vault: &Vault, number: u64) -> Result<()> {
        let (dir, name) = self.place(vault, number)?;
        vault.unlink(dir, name.as_bytes())?;
        match self {
            What::Directories => vault.remove_dir(ROOT_INO, name.as_bytes()),
            What::Moved => vault.remove_dir(ROOT_INO, format!("to {name}").as_bytes()),
            _ => Ok(()),
        }
    }

    /// Adds until it is refused; gives the numbers of what was added whole. What was added in part keeps its names.
    fn fill(self, vault: &Vault, from: u64) -> Vec<u64> {
        let from = from.next_multiple_of(NAMES);
        for number in from..from + TRIES {
            if let Err(error) = self.add(vault, number) {
                assert_eq!(error.errno(), libc::ENOSPC, "{self:?} {number}: {error}");
                return (from..number).collect();
            }
        }
        panic!("{self:?}: {TRIES} on a disk of {FILES} files");
    }
}

fn files_free(store: &MemoryStore) -> u64 {
    store.space().expect("a store in memory").files_free
}

fn all_there(what: What, vault: &Vault, numbers: &[u64]) {
    assert_eq!(vault.state(), State::ReadWrite, "{what:?}");
    for number in numbers {
        assert!(what.is_there(vault, *number), "{what:?} {number}");
    }
}

#[test]
fn without_inodes_nothing_is_acknowledged_that_cannot_be_stored() {
    log_to_stderr();
    for what in ALL {
        let store = Image::Small.in_memory().with_files(FILES);
        let vault = open_on(&store);
        let mut made = what.fill(&vault, 0);
        all_there(what, &vault, &made);
        vault.checkpoint().expect("a checkpoint");
        let left = files_free(&store);
        assert!((2..LEFT).contains(&left), "{what:?}: {left} files are left");
        // What is there can be changed.
        let (dir, name) = what.place(&vault, made[0]).expect("the first one");
        let first = vault.entry(dir, name.as_bytes()).expect("the first one");
        for _ in 0..20 {
            write(&vault, first, 0, &what.content(made[0])).expect("a write");
            vault.checkpoint().expect("a checkpoint");
        }
        // At the fullest point.
        vault.close().expect("a healthy vault");
        let vault = open_on(&store);
        all_there(what, &vault, &made);
        made.extend(what.fill(&vault, TRIES));
        // A crash.
        drop(vault);
        let vault = open_on(&store);
        all_there(what, &vault, &made);
        let kept = made.split_off(made.len() / 2 / 5 * 5);
        for number in &made {
            let removed = what.remove(&vault, *number);
            removed.unwrap_or_else(|error| panic!("{what:?} {number}: {error}"));
        }
        let again = what.fill(&vault, 2 * TRIES);
        assert!(
            again.len() * 10 > made.len() * 8,
            "{what:?}: {} of {} once more",
            again.len(),
            made.len()
        );
        all_there(what, &vault, &kept);
        vault.close().expect("a healthy vault");
        let vault = open_on(&store);
        all_there(what, &vault, &kept);
        all_there(what, &vault, &again);
        vault.close().expect("a healthy vault");
    }
}

/// Nothing of it is in the store yet, and the checkpoint that is made for the next file would need inodes for all.
#[test]
fn what_was_made_and_removed_at_once_takes_no_inode_for_good() {
    let store = Image::Small.in_memory().with_files(FILES);
    let vault = open_on(&store);
    for number in 0..TRIES {
        What::Directories.add(&vault, number).expect("a file");
        What::Directories.remove(&vault, number).expect("a removal");
    }
    vault.close().expect("a healthy vault");
}
