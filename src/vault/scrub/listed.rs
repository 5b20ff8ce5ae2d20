//! What the store holds by its names when a scrub begins: all of it must be met on the way through the tree.
//!
//! What comes later is nobody's to miss, so this is listed first. A few dozen bytes for each file stay in memory, and fewer the
//! further the scrub gets.
use super::{Scrub, is_blocked};
use crate::{
    format::{
        DirId, FileId, PayloadId, index_path, new_payload_path, parse_dir_digits,
        parse_new_payload_name, payload_path,
    },
    store::{ObjectPath, StoreError},
    vault::finding::{Finding, GUARD_WORK, Kind, words},
};
use std::collections::HashSet;

/// About what a guard takes, for estimates.
const GUARD_BYTES: u64 = 700;

/// What was there and was not met yet.
#[derive(Default)]
pub(super) struct Listed {
    pub dirs: HashSet<DirId>,
    /// Guards that lie apart.
    pub files: HashSet<FileId>,
    pub payloads: HashSet<PayloadId>,
    /// Among the new ones.
    pub new: HashSet<PayloadId>,
    /// What has no name that anything of a vault has. Told at the end, if it is still there.
    pub strays: Vec<String>,
}

impl Scrub<'_> {
    /// Lists everything, and tells how much there is to do.
    pub(super) fn list_all(&mut self) {
        let mut work = 0;
        self.spread("guards", &["root", "links"], &mut |scrub, digits| {
            let Some(id) = parse_dir_digits(digits.as_bytes()) else {
                return false;
            };
            scrub.listed.dirs.insert(id);
            let path = ObjectPath::new(format!("guards/{}/{}", &digits[..2], &digits[2..]));
            let names = path.and_then(|path| scrub.core.store.list(&path));
            work += names.map_or(0, |names| names.len() as u64) * guard_work();
            true
        });
        for name in self.names_in("guards/links") {
            // Others are told with the guards that lie apart.
            if let Some(file) = FileId::from_hex(name.as_bytes()) {
                work += guard_work();
                self.listed.files.insert(file);
            }
        }
        self.spread("payloads", &["new"], &mut |scrub, digits| {
            let Some((id, suffix)) = digits.split_at_checked(32) else {
                return false;
            };
            let id = PayloadId::from_hex(id.as_bytes());
            let Some(id) = id.filter(|_| matches!(suffix, "" | ".index")) else {
                return false;
            };
            let path = if suffix.is_empty() {
                payload_path(&id)
            } else {
                index_path(&id)
            };
            let blob = scrub.core.store.open(&path, false);
            work += blob.and_then(|blob| blob.allocated()).unwrap_or(0);
            scrub.listed.payloads.insert(id);
            true
        });
        for name in self.names_in("payloads/new") {
            match parse_new_payload_name(name.as_bytes()) {
                Some(id) => {
                    let blob = self.core.store.open(&new_payload_path(&id), false);
                    work += blob.and_then(|blob| blob.allocated()).unwrap_or(0);
                    self.listed.new.insert(id);
                }
                None => self.listed.strays.push(format!("payloads/new/{name}")),
            }
        }
        self.watch.total(work);
    }

    /// Gives what lies two directories deep below `top` as one name; what is none of the format's is a stray.
    fn spread(
        &mut self,
        top: &str,
        except: &[&str],
        each: &mut dyn FnMut(&mut Self, &str) -> bool,
    ) {
        for first in self.names_in(top) {
            self.has_read(0);
            if self.stopped {
                return;
            }
            if except.contains(&first.as_str()) {
                continue;
            }
            let inner = format!("{top}/{first}");
            if first.len() != 2 || !first.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                self.listed.strays.push(inner);
                continue;
            }
            for rest in self.names_in(&inner) {
                if !each(self, &format!("{first}{rest}")) {
                    self.listed.strays.push(format!("{inner}/{rest}"));
                }
            }
        }
    }

    /// The names in a directory of the store; none where there is no directory.
    pub(super) fn names_in(&mut self, path: &str) -> Vec<String> {
        let object = if path.is_empty() {
            Ok(ObjectPath::root())
        } else {
            ObjectPath::new(path)
        };
        let listed = object.and_then(|object| self.core.store.list(&object));
        let names = match listed {
            Ok(names) => names,
            Err(StoreError::NotFound(_)) => Vec::new(),
            Err(error) if is_blocked(&error) => {
                self.blocked(path);
                Vec::new()
            }
            Err(error) => {
                self.unread = true;
                self.tell(Finding::new(Kind::Unreadable, path, error.to_string()));
                Vec::new()
            }
        };
        let text = |name: Vec<u8>| match String::from_utf8(name) {
            Ok(name) => Some(name),
            Err(error) => {
                let name = String::from_utf8_lossy(error.as_bytes());
                self.tell(Finding::new(
                    Kind::Stray,
                    &format!("{path}/{name}"),
                    words::STRAY,
                ));
                None
            }
        };
        names.into_iter().filter_map(text).collect()
    }

    /// Tells what lies in the place of a directory, or of one on the way to it; once.
    pub(super) fn blocked(&mut self, path: &str) {
        let Ok(mut at) = ObjectPath::new(path) else {
            return;
        };
        let mut found = None;
        while !at.is_root() && matches!(self.core.store.list(&at), Err(error) if is_blocked(&error))
        {
            let above = at.parent();
            found = Some(at);
            at = above;
        }
        if let Some(place) = found.filter(|place| self.in_the_way.insert(place.as_str().to_owned()))
        {
            self.tell(Finding::new(Kind::Place, place.as_str(), words::IN_THE_WAY));
        }
    }
}

fn guard_work() -> u64 {
    GUARD_BYTES + GUARD_WORK
}
