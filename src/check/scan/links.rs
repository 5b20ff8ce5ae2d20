//! Guards that lie apart because several entries lead to them, and the aliases that were met.
use super::{
    super::report::{Finding, Kind, Outcome},
    Scan, Task,
    dir::{Dir, DirWork, Reached, Sums},
    entry::Known,
    made::Apart,
};
use crate::{
    crypto::Tag,
    engine::Pool,
    format::{DirId, FileId, Kind as NodeKind, Link, Name, link_guard_path},
    store::ObjectPath,
    vault::{
        ReadGuard, VaultError,
        finding::{names, words},
    },
};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::SeqCst},
};

/// An alias that was met.
pub(super) struct AliasAt {
    pub dir: Arc<Dir>,
    pub name: Name,
    pub tag: Tag,
}

impl AliasAt {
    fn link(&self) -> Link {
        Link {
            dir: self.dir.id,
            name: self.name.clone(),
        }
    }

    fn path(&self) -> Vec<u8> {
        self.dir.path_of(self.name.as_bytes())
    }
}

/// The one under whose name the file is told.
fn first_of<'a>(aliases: impl IntoIterator<Item = &'a AliasAt>) -> Option<&'a AliasAt> {
    let mut aliases = aliases.into_iter();
    let first = aliases.next()?;
    let Some(second) = aliases.next() else {
        return Some(first);
    };
    let all = [first, second].into_iter().chain(aliases);
    let with_path = all.map(|alias| (alias.path(), alias));
    let first = with_path.min_by(|one, other| names::order(&one.0, &other.0));
    first.map(|(_, alias)| alias)
}

impl Scan<'_> {
    /// Looks at all guards that lie apart; `root` has their sums.
    pub(super) fn scan_links(
        &self,
        root: Option<&(Arc<Dir>, Sums)>,
        pool: &Pool,
    ) -> Option<Arc<Dir>> {
        let dir = Dir::new(DirId::LINKS, Reached::Links, None);
        let mut names = self.stored_names(&dir);
        let is_listed = !dir.present.lock().unread;
        names.retain(|name| {
            let is_ours = FileId::from_hex(name.as_bytes()).is_some();
            if !is_ours {
                self.stray(&format!("guards/links/{name}"));
            }
            is_ours
        });
        let task = |work, names| Task::Linked(work, names);
        self.share_out(Arc::clone(&dir), names, &task);
        self.run(pool);
        if is_listed {
            self.lost_guards();
        }
        let (_, sums) = root?;
        self.compare_sums(&dir, sums);
        Some(dir)
    }

    /// Looks at a guard that lies apart.
    pub(super) fn linked(&self, work: &Arc<DirWork>, stored: &str) {
        let Some(file) = FileId::from_hex(stored.as_bytes()) else {
            return;
        };
        let path = link_guard_path(&file);
        let at = {
            let aliases = self.aliases.lock();
            let first = aliases.get(&file).and_then(first_of);
            first.map(AliasAt::path)
        };
        let wrong = self.take(work, stored, &path, at, |bytes| {
            self.look_at_linked(work, &path, &file, bytes)
        });
        if wrong == Some(Kind::Unreadable) {
            // Not lost: not read now.
            self.aliases.lock().remove(&file);
        }
    }

    fn look_at_linked(
        &self,
        work: &Arc<DirWork>,
        path: &ObjectPath,
        file: &FileId,
        bytes: Vec<u8>,
    ) -> Result<Known, VaultError> {
        let guard = self.keys.open_guard(path, bytes)?;
        self.note_named(&guard);
        let is_dir = guard.body.content.kind() == NodeKind::Directory;
        if guard.head.file != *file || guard.body.links.is_empty() || is_dir {
            return Err(VaultError::Damaged {
                object: path.as_str().to_owned(),
                what: words::MISPLACED,
            });
        }
        self.refuse_older(&work.dir, &guard)?;
        let tag = guard.tag;
        let aliases = self.aliases.lock().remove(file).unwrap_or_default();
        self.compare_links(path, &guard, &aliases);
        let links = &guard.body.links;
        let named = aliases.iter().filter(|one| links.contains(&one.link()));
        if let Some(first) = first_of(named).or_else(|| first_of(&aliases)) {
            self.node(&first.dir, &first.name, guard);
        } else if let Ok(name) = Name::new(file.hex().as_bytes()) {
            self.node(&work.dir, &name, guard);
        }
        Ok(Known { tag, subdir: false })
    }

    fn compare_links(&self, path: &ObjectPath, guard: &ReadGuard, aliases: &[AliasAt]) {
        let present: BTreeSet<Link> = aliases.iter().map(AliasAt::link).collect();
        let named: BTreeSet<Link> = guard.body.links.iter().cloned().collect();
        // An entry that was not met may lie where the disk does not read.
        if present == named || self.unread.load(SeqCst) {
            return;
        }
        for alias in aliases
            .iter()
            .filter(|alias| !named.contains(&alias.link()))
        {
            let finding = Finding::new(Kind::Links, path.as_str(), words::NOT_NAMED);
            self.find(finding.at(alias.path()));
        }
        self.apart.lock().push(Apart {
            path: path.clone(),
            file: guard.head.file,
            kind: guard.body.content.kind(),
            named,
            present,
        });
    }

    /// Aliases whose guard was not found, or is damaged.
    fn lost_guards(&self) {
        let lost = std::mem::take(&mut *self.aliases.lock());
        for (file, aliases) in lost {
            let object = link_guard_path(&file);
            let count = aliases.len() as u64;
            let known = (object.as_str().to_owned(), count);
            self.fixes.lock().lost.push(known);
            for alias in aliases {
                let key = self.keys.name_key(&alias.dir.id);
                let stored = key.stored_name(alias.name.as_bytes());
                let mut present = alias.dir.present.lock();
                present.good.remove(&key, &stored, &alias.tag, false);
                present.bad.push(stored);
                drop(present);
                let finding = Finding::new(Kind::Links, object.as_str(), words::LEADS_NOWHERE);
                let finding = finding.at(alias.path());
                self.find(finding.with(Outcome::Mendable));
            }
        }
    }
}
