//! The entries of one directory as they are stored: whether each opens and belongs there, and whether all of them together are those
//! that the directory's guard sums up. `guards/links` is a directory here, too.
use super::is_blocked;
use crate::{
    crypto::{NameKey, Tag},
    format::{
        Alias, DirId, FileId, Kind as NodeKind, Link, Name, dir_path, guard_path, is_stored_name,
        stated_len,
    },
    store::{ObjectPath, StoreError},
    vault::{
        core::Core,
        dir::StoredSums,
        error::{Result, VaultError},
        finding::{
            Finding, Kind,
            words::{self, FOREIGN, MISPLACED},
        },
    },
};
use std::collections::HashMap;

/// What the guard of a directory says, and where the directory is.
pub(super) struct DirAt<'a> {
    pub id: DirId,
    /// From `/` on; none of `guards/links`.
    pub path: Option<&'a [u8]>,
    /// The sums; none of a directory that was removed meanwhile.
    pub stored: &'a dyn Fn() -> Option<StoredSums>,
    /// How many of its entries are directories, while that is what its guard says.
    pub subdirs: &'a dyn Fn() -> Option<u64>,
}

/// What was seen of it.
#[derive(Default)]
pub(super) struct EntriesLook {
    /// Bytes that were read, and guards.
    pub bytes: u64,
    pub guards: u64,
    /// What is wrong with single entries.
    pub bad: Vec<Finding>,
    /// Something in it was put back.
    pub not_last: Option<Finding>,
    /// What is wrong with it as a whole.
    pub whole: Vec<Finding>,
    /// Something else lies in its place.
    pub is_blocked: bool,
    /// The disk did not read some of it.
    pub unread: bool,
}

/// Sums over what is there.
#[derive(Default)]
struct Sums {
    found: StoredSums,
    good: u64,
    subdirs: u64,
    /// The last bytes of some are no tag.
    tag_unknown: bool,
    /// Of the last one that opens, where it says that it belongs.
    last: Option<Link>,
}

/// An entry that is looked at.
struct EntryAt<'a> {
    dir: &'a DirId,
    key: &'a NameKey,
    stored: &'a str,
    short: Option<&'a [u8]>,
    object: &'a ObjectPath,
}

impl EntriesLook {
    /// Is there nothing to be told?
    pub fn is_whole(&self) -> bool {
        let is_note = |finding: &Finding| !finding.is_open();
        self.bad.iter().all(is_note)
            && self.whole.iter().all(is_note)
            && self.not_last.is_none()
            && !self.is_blocked
            && !self.unread
    }

    fn unread(&mut self, path: Option<&[u8]>, object: &str, error: &StoreError) {
        self.unread = true;
        let mut finding = Finding::new(words::kind_of(error), object, error.to_string());
        finding.path = path.map(<[u8]>::to_vec);
        self.whole.push(finding);
    }
}

impl Core {
    /// Looks at all entries. `told`: entries of which it was told that something else lies there, with the tags that belong there.
    pub(super) fn look_at_entries(
        &self,
        at: &DirAt<'_>,
        told: &HashMap<String, Tag>,
    ) -> EntriesLook {
        let mut look = EntriesLook::default();
        let top = dir_path(&at.id);
        let names = match self.store.list(&top) {
            Ok(names) => names,
            Err(StoreError::NotFound(_)) => Vec::new(),
            Err(error) => {
                look.is_blocked = is_blocked(&error);
                if !look.is_blocked {
                    look.unread(at.path, top.as_str(), &error);
                    return look;
                }
                Vec::new()
            }
        };
        let key = self.keys.name_key(&at.id);
        let mut sums = Sums::default();
        for name in names {
            let stray = |look: &mut EntriesLook, name: &str| {
                let object = format!("{}/{name}", top.as_str());
                let path = ObjectPath::new(object.as_str());
                let what = match path.map(|path| self.guard_at(&path)) {
                    Ok(Some(_)) => words::STRAY_GUARDS,
                    _ => words::STRAY,
                };
                look.bad.push(Finding::new(Kind::Stray, &object, what));
            };
            let name = match String::from_utf8(name) {
                Ok(name) => name,
                Err(error) => {
                    stray(&mut look, &String::from_utf8_lossy(error.as_bytes()));
                    continue;
                }
            };
            match entry_name(&at.id, &key, &name) {
                Ok(short) => {
                    let object = guard_path(&at.id, &name);
                    let entry = EntryAt {
                        dir: &at.id,
                        key: &key,
                        stored: &name,
                        short: short.as_deref(),
                        object: &object,
                    };
                    self.look_at_entry(at, &entry, told.get(&name), &mut sums, &mut look);
                }
                Err(NoEntry) => stray(&mut look, &name),
            }
        }
        self.compare(at, &top, &sums, &mut look);
        look
    }

    fn look_at_entry(
        &self,
        at: &DirAt<'_>,
        entry: &EntryAt<'_>,
        told: Option<&Tag>,
        sums: &mut Sums,
        look: &mut EntriesLook,
    ) {
        let path = at
            .path
            .map(|dir| super::names::below(dir, entry.short.unwrap_or(entry.stored.as_bytes())));
        let bytes = self.store.get(entry.object);
        let len = bytes.as_ref().map_or(0, Vec::len) as u64;
        (look.bytes, look.guards) = (look.bytes + len, look.guards + 1);
        let there = bytes.as_ref().ok();
        let tag = there.and_then(|bytes| self.keys.tag_of(entry.object, entry.dir, bytes));
        let end = there.and_then(|bytes| stated_len(bytes));
        let looked = bytes
            .map_err(VaultError::from)
            .and_then(|bytes| self.open_entry(entry, bytes));
        if matches!(looked, Err(VaultError::Damaged { what: FOREIGN, .. })) {
            let object = entry.object.as_str();
            let stray = Finding::new(Kind::Stray, object, words::STRAY_GUARDS);
            return look.bad.push(stray);
        }
        sums.found.entries += 1;
        let stored = entry.stored.as_bytes();
        sums.found.names.add(&entry.key.name_item(stored));
        match told.copied().or(tag) {
            Some(tag) => sums.found.states.add(&entry.key.state_item(stored, &tag)),
            None => sums.tag_unknown = true,
        }
        let mut finding = match looked {
            Ok((is_dir, link)) => {
                sums.good += 1;
                sums.subdirs += u64::from(is_dir);
                sums.last = link;
                let Some(end) = end.map(|end| end as u64).filter(|end| *end < len) else {
                    return;
                };
                let object = entry.object.as_str();
                let mut tail = Finding::new(Kind::Tail, object, words::BEHIND_END);
                tail.object_range = Some(end..len);
                tail
            }
            Err(error) => {
                let kind = words::kind_of_vault(&error);
                look.unread |= kind == Kind::Unreadable;
                let mut bad = Finding::new(kind, entry.object.as_str(), words::text(&error));
                bad.object_range = (len > 0).then_some(0..len);
                bad
            }
        };
        finding.path = path;
        look.bad.push(finding);
    }

    /// Does it open, and belong there? Gives whether it is a directory, and its name or one of several.
    fn open_entry(&self, entry: &EntryAt<'_>, bytes: Vec<u8>) -> Result<(bool, Option<Link>)> {
        let damaged = |what| VaultError::Damaged {
            object: entry.object.as_str().to_owned(),
            what,
        };
        let misplaced = || damaged(MISPLACED);
        let belongs = |name: &Name| match entry.short {
            Some(short) => name.as_bytes() == short,
            None => entry.key.stored_name(name.as_bytes()) == entry.stored,
        };
        if Alias::is_alias(&bytes) && *entry.dir != DirId::LINKS {
            let (alias, _) = self.keys.open_alias(entry.object, entry.dir, bytes)?;
            let dir = *entry.dir;
            return if belongs(&alias.name) {
                let name = alias.name;
                Ok((false, Some(Link { dir, name })))
            } else {
                Err(misplaced())
            };
        }
        let guard = self.keys.open_guard(entry.object, bytes)?;
        if self.keys.is_foreign(entry.dir, entry.stored, &guard) {
            return Err(damaged(FOREIGN));
        }
        let is_dir = guard.body.content.kind() == NodeKind::Directory;
        let is_here = if *entry.dir == DirId::LINKS {
            FileId::from_hex(entry.stored.as_bytes()) == Some(guard.head.file)
                && !guard.body.links.is_empty()
                && !is_dir
        } else {
            matches!(guard.body.links.as_slice(),
                [Link { dir, name }] if dir == entry.dir && belongs(name))
        };
        if is_here {
            Ok((is_dir, guard.body.links.into_iter().next()))
        } else {
            Err(misplaced())
        }
    }
}

/// Nothing of a directory has such a name in the store.
struct NoEntry;

/// The name of an entry, as far as its stored name says it: not that of a long one, nor of a file that lies apart.
fn entry_name(
    dir: &DirId,
    key: &NameKey,
    stored: &str,
) -> std::result::Result<Option<Vec<u8>>, NoEntry> {
    if !is_stored_name(stored.as_bytes()) {
        return Err(NoEntry);
    }
    if *dir == DirId::LINKS {
        let file = FileId::from_hex(stored.as_bytes());
        return file.map(|_| None).ok_or(NoEntry);
    }
    key.open_name(stored.as_bytes()).map_err(|_| NoEntry)
}

impl Core {
    fn compare(&self, at: &DirAt<'_>, top: &ObjectPath, sums: &Sums, look: &mut EntriesLook) {
        let Some(stored) = (at.stored)() else {
            return;
        };
        let subdirs = (at.subdirs)();
        let finding = |kind, what: String| {
            let mut finding = Finding::new(kind, top.as_str(), what);
            finding.path = at.path.map(<[u8]>::to_vec);
            finding
        };
        let found = &sums.found;
        if look.unread && found.entries < stored.entries {
            return;
        }
        if (found.entries, found.names) != (stored.entries, stored.names) {
            let what = words::entries(found.entries, stored.entries);
            look.whole.push(finding(Kind::Entries, what));
        } else if found.states != stored.states && !sums.tag_unknown && !look.unread {
            let are_bad = look.bad.iter().any(Finding::is_open);
            let only = sums
                .last
                .as_ref()
                .filter(|_| found.entries == 1 && !are_bad);
            let named = only.and_then(|link| match at.path {
                Some(dir) => Some(super::names::below(dir, link.name.as_bytes())),
                None => self.path_of_link(link),
            });
            let what = words::rollback(found.entries, are_bad, named.is_some());
            let mut told = finding(Kind::Rollback, what);
            told.path = named.or(told.path);
            look.not_last = Some(told);
        }
        if let Some(subdirs) = subdirs
            && sums.good == stored.entries
            && sums.subdirs != subdirs
        {
            let what = words::counts(sums.subdirs, subdirs);
            look.whole.push(finding(Kind::Counts, what));
        }
    }
}
