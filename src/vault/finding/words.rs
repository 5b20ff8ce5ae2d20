//! What is said of the same things by a check and a scrub, and of which sort they are.
use super::{Finding, Kind};
use crate::{
    format::DirId,
    store::{ObjectPath, StoreError},
    vault::VaultError,
};

/// Of a guard of which the vault has a newer one.
pub(crate) const OLDER: &str = "it is an old guard of a file that is elsewhere now";
/// Of a guard or alias that opens and says that it belongs elsewhere.
pub(crate) const MISPLACED: &str = "it was stored for another place";
/// Of a guard among those of another directory, under the name that it has in its own.
pub(crate) const FOREIGN: &str = "it is the guard of an entry of another directory";
/// Of an alias.
pub(crate) const NOT_NAMED: &str = "the file that it leads to does not name this entry";
/// Of an alias.
pub(crate) const LEADS_NOWHERE: &str = "the guard that this entry leads to is missing or damaged";
/// Of a name in the list of a guard.
pub(crate) const NAMED_ALONE: &str = "its guard names this entry, which is not there";
/// The same, where the directory lacks it.
pub(crate) const NAMED_AND_LACKING: &str =
    "its guard names this entry, which is not there and can be made anew";
/// Of a guard that lies apart.
pub(crate) const NO_ENTRY: &str = "no entry leads to this file any more";
/// How the path of such a file begins.
pub(crate) const NO_ENTRY_PATH: &[u8] = b"(no entry)";
/// Of what lies behind the end of a guard or alias.
pub(crate) const BEHIND_END: &str = "there are bytes behind its end, which nothing reads";
/// Of objects of a file.
pub(crate) const UNNAMED_BYTES: &str =
    "there are bytes in it that nothing names; no content is damaged, and they take space";
/// Of what has a place or name that nothing of a vault has.
pub(crate) const STRAY: &str = "it is none of the vault's, and ignored";
/// The same with guards in it.
pub(crate) const STRAY_GUARDS: &str = "it is not where the vault would use it, but guards of this vault are in it: `wardfs salvage` reads them";
/// Of what lies in the place of a directory.
pub(crate) const IN_THE_WAY: &str =
    "a directory of the vault belongs here, and something else lies in its place";
/// Of what lies in the place of a file of the journal.
pub(crate) const NO_FILE: &str =
    "a file of the journal belongs here, and something else lies in its place";
/// Of a directory in the store.
pub(crate) const HOLLOW: &str =
    "a directory that no entry leads to, with nothing in it that belongs there";
/// Of a payload in its place.
pub(crate) const LEAK: &str = "stored content that no guard names";
/// Of a payload among the new ones.
pub(crate) const NEW_LEAK: &str = "new content that the journal does not name";
/// Of something else there.
pub(crate) const NEW_DIR: &str = "a directory in the place of new content";
/// Of a payload.
pub(crate) const NO_PAYLOAD: &str = "the payload is missing";

/// The disk's own errors are no damage that a repair may touch.
pub(crate) fn kind_of(error: &StoreError) -> Kind {
    match error {
        StoreError::Io { .. } if !error.is_too_long() => Kind::Unreadable,
        _ => Kind::Guard,
    }
}

/// The same of an error of a vault.
pub(crate) fn kind_of_vault(error: &VaultError) -> Kind {
    match error {
        VaultError::Store(error) => kind_of(error),
        VaultError::Damaged { what: OLDER, .. } => Kind::Double,
        _ => Kind::Guard,
    }
}

/// What is wrong, without the object, which is named beside it.
pub(crate) fn text(error: &VaultError) -> String {
    match error {
        VaultError::Format { source, .. } => source.to_string(),
        VaultError::Damaged { what, .. } => (*what).to_owned(),
        VaultError::Chunk { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// How the path of something below a directory that no entry leads to begins.
pub(crate) fn orphan_path(dir: &DirId) -> Vec<u8> {
    format!("(directory {dir})").into_bytes()
}

/// Of a directory that no entry leads to and that has some.
pub(crate) fn orphan(entries: u64) -> String {
    let entries = counted(entries, "entry", "entries");
    format!("a directory that no entry leads to, with {entries}")
}

/// A copy of the header. `flaw`: what is wrong with it.
pub(crate) fn of_header(path: &ObjectPath, flaw: &str) -> Finding {
    let what = format!("this copy of the header {flaw}");
    Finding::new(Kind::Header, path.as_str(), what)
}

/// A copy of the zone's key.
pub(crate) fn of_zone(path: &ObjectPath, flaw: &str) -> Finding {
    let what = format!("this copy of the zone's key {flaw}");
    Finding::new(Kind::Zone, path.as_str(), what)
}

/// What repairs have set aside.
pub(crate) fn of_quarantine(path: &str, objects: u64, bytes: u64) -> Finding {
    let what = match objects {
        0 => "there is no object in it of those that repairs have set aside".to_owned(),
        objects => {
            let objects = counted(objects, "object", "objects");
            let bytes = counted(bytes, "byte", "bytes");
            format!("{objects} of {bytes} that repairs have set aside")
        }
    };
    Finding::new(Kind::Quarantine, path, what)
}

/// A directory whose entries are not those that its guard sums up: so many, and others.
pub(crate) fn entries(found: u64, stored: u64) -> String {
    if found == stored {
        "its stored entries are not those that its guard sums up: some are missing, and as many \
         were added; whether the others were put back cannot be told"
            .to_owned()
    } else {
        let found = counted(found, "entry is", "entries are");
        format!(
            "{found} stored where its guard sums up {stored}; whether the others were put back \
             cannot be told"
        )
    }
}

/// A directory that has the entries that its guard sums up, and not as stored last. `are_bad`: some do not open; `is_named`: it has
/// one, and that is named instead of the directory.
pub(crate) fn rollback(entries: u64, are_bad: bool, is_named: bool) -> String {
    if are_bad {
        return "its entries are not as stored last; whether others than the damaged ones were put \
                back cannot be told"
            .to_owned();
    }
    let which = match entries {
        1 if is_named => "it is".to_owned(),
        1 => "the entry in it is".to_owned(),
        entries => format!("of the {entries} entries in it at least one is"),
    };
    format!("{which} not as stored last: it was put back as it was once, or changed by others")
}

/// A directory whose guard counts its subdirectories otherwise.
pub(crate) fn counts(found: u64, stored: u64) -> String {
    let found = counted(found, "directory is", "directories are");
    format!("{found} in it, and its guard counts {stored}")
}

/// A number and what it counts.
pub(crate) fn counted(count: u64, one: &str, more: &str) -> String {
    let what = if count == 1 { one } else { more };
    format!("{count} {what}")
}

/// Frames of the log that do not open: how the sentence begins.
pub(crate) fn unread(frames: u64) -> String {
    counted(frames, "frame of the log does", "frames of the log do")
}
