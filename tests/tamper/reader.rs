//! Reads a vault that was tampered with, and knows of everything in it what must be the answer.
//!
//! The answer follows from the stored bytes alone. An object whose bytes are those of a moment of the vault's past is
//! *whole*, as of that moment; any other is *damaged*. So what one object says is either what was true once, or an error:
//! an entry whose guard is whole must open and show that moment, all of it, and one whose guard is damaged must fail, not
//! be missing. A chunk must be read if its frame and the index blocks above it are those that its file's guard knows, and
//! fail if not. And a listing must end well exactly if the stored entries are those that its directory's guard sums up
//! and all of them open.
use crate::{
    map::{Entry, HEADERS, MappedBody, MappedDir, MappedPayload, Piece, ROOT_GUARD},
    vaults::{
        dump::{Found, FoundBody, read_xattrs},
        objects::Objects,
        pages::Pages,
    },
    victim::Moment,
};
use std::collections::{BTreeMap, BTreeSet};
use wardfs::vault::{ROOT_INO, Result, Stat, Vault, VaultError};

/// What went wrong.
pub type Verdict = std::result::Result<(), String>;

/// An object as it is now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    /// As it was at this moment; the last one, if there are several.
    Whole(usize),
    Damaged,
    Missing,
}

/// What must be true of a vault with these objects.
pub struct Expected<'a> {
    moments: &'a [Moment],
    objects: &'a Objects,
    /// Nodes of which more than one guard is there, with the moment of the newest: that one counts, whichever is read first.
    /// What an older one leads to is shown as of its moment until the newest was read, and is an error from then on.
    double: BTreeMap<u64, usize>,
}

/// A read of a whole vault.
pub struct Reader<'a> {
    expected: &'a Expected<'a>,
    vault: &'a Vault,
    /// Access times were changed since.
    used: bool,
    done: BTreeSet<u64>,
    /// Nodes that could be looked up.
    pub met: Vec<u64>,
    /// What was told.
    pub errors: Vec<String>,
}

impl<'a> Expected<'a> {
    pub fn new(moments: &'a [Moment], objects: &'a Objects) -> Expected<'a> {
        let mut expected = Expected {
            moments,
            objects,
            double: BTreeMap::new(),
        };
        let mut guards: BTreeMap<u64, BTreeMap<&str, usize>> = BTreeMap::new();
        for (number, moment) in moments.iter().enumerate() {
            for (ino, node) in &moment.map.nodes {
                if expected.version(&node.guard) == Version::Whole(number) {
                    guards.entry(*ino).or_default().insert(&node.guard, number);
                }
                for (home, apart) in &moment.map.lonely {
                    if *apart == node.guard && expected.come_home(home) == Some(number) {
                        guards.entry(*ino).or_default().insert(home, number);
                    }
                }
            }
        }
        let double = guards.into_iter().filter(|(_, guards)| guards.len() > 1);
        expected.double = double
            .filter_map(|(ino, guards)| Some((ino, *guards.values().max()?)))
            .collect();
        expected
    }

    /// Is this an older one of several guards of a node?
    fn is_older(&self, ino: u64, moment: usize) -> bool {
        self.double.get(&ino).is_some_and(|newest| moment < *newest)
    }

    fn version(&self, path: &str) -> Version {
        let Some(bytes) = self.objects.get(path) else {
            let is_dir = self.objects.contains_key(&format!("{path}/"));
            return if is_dir {
                Version::Damaged
            } else {
                Version::Missing
            };
        };
        let same = |moment: &Moment| {
            let then = moment.objects.get(path);
            then.is_some_and(|then| is_as(bytes, then))
        };
        let whole = self.moments.iter().rposition(same);
        whole.map_or(Version::Damaged, Version::Whole)
    }

    fn is_whole(&self, path: &str) -> bool {
        matches!(self.version(path), Version::Whole(_))
    }

    /// The same of what has a length of its own: nobody reads on.
    fn begins_whole(&self, path: &str) -> bool {
        let Some(now) = self.objects.get(path) else {
            return false;
        };
        let begins = |moment: &Moment| {
            let then = moment.objects.get(path);
            then.is_some_and(|then| now.starts_with(then))
        };
        self.moments.iter().any(begins)
    }

    /// Must the vault open? Else, what the error may name.
    pub fn opens(&self) -> std::result::Result<(), Vec<&str>> {
        let zones = self.moments[0].map.zones.each_ref().map(String::as_str);
        if !HEADERS.iter().any(|path| self.begins_whole(path)) {
            // A header that is not whole may be one for another passphrase.
            Err(vec!["header", HEADERS[0]])
        } else if !zones.iter().any(|path| self.begins_whole(path)) {
            Err(zones.to_vec())
        } else if !self.is_whole(ROOT_GUARD) {
            Err(vec![ROOT_GUARD])
        } else {
            Ok(())
        }
    }

    /// Is this what the node's guard knew at that moment?
    fn has(&self, piece: &Piece, moment: usize) -> bool {
        let range = piece.range.clone();
        let now = self
            .objects
            .get(&piece.object)
            .and_then(|bytes| bytes.get(range.clone()));
        now.is_some() && now == self.moments[moment].objects[&piece.object].get(range)
    }

    /// Every name that the directory ever had, with where it lies.
    fn names(&self, ino: u64) -> BTreeMap<&'a [u8], &'a Entry> {
        let dirs = self.moments.iter().filter_map(|moment| moment.map.dir(ino));
        dirs.flat_map(|dir| &dir.entries)
            .map(|(name, entry)| (name.as_slice(), entry))
            .collect()
    }

    /// The moment of a guard that lay apart and lies at its one entry now.
    fn come_home(&self, path: &str) -> Option<usize> {
        let bytes = self.objects.get(path)?;
        self.moments.iter().rposition(|moment| {
            let apart = moment.map.lonely.get(path);
            apart.is_some_and(|apart| is_as(bytes, &moment.objects[apart]))
        })
    }

    /// Does something lie there that a listing takes for this entry?
    fn is_listed(&self, entry: &Entry) -> bool {
        match self.version(&entry.path) {
            Version::Missing => false,
            Version::Damaged => !entry.long || self.come_home(&entry.path).is_some(),
            Version::Whole(_) => true,
        }
    }

    /// The node that an entry must lead to, and as of which moment. Else, what an error about it may name.
    fn resolve(
        &self,
        dir: u64,
        name: &[u8],
        entry: &'a Entry,
    ) -> std::result::Result<(u64, usize), Vec<&'a str>> {
        if let Some(moment) = self.come_home(&entry.path) {
            return Ok((entry.ino, moment));
        }
        let Version::Whole(moment) = self.version(&entry.path) else {
            return Err(vec![entry.path.as_str()]);
        };
        let at = |moment: usize| self.moments[moment].map.dir(dir)?.entries.get(name);
        let entry = at(moment).expect("an object that was there was an entry");
        let Some(apart) = &entry.apart else {
            return Ok((entry.ino, moment));
        };
        match self.version(apart) {
            Version::Whole(moment) if at(moment).is_some_and(|then| then.apart == entry.apart) => {
                Ok((entry.ino, moment))
            }
            _ => Err(vec![apart.as_str(), entry.path.as_str()]),
        }
    }
}

impl<'a> Reader<'a> {
    pub fn new(expected: &'a Expected<'a>, vault: &'a Vault, used: bool) -> Reader<'a> {
        Reader {
            expected,
            vault,
            used,
            done: BTreeSet::new(),
            met: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Reads everything.
    pub fn read(&mut self) -> Verdict {
        let Version::Whole(moment) = self.expected.version(ROOT_GUARD) else {
            return Err("it opens without a root".to_owned());
        };
        let stat = self.vault.stat(ROOT_INO);
        let stat = stat.map_err(|error| format!("root: {error}"))?;
        self.node(&stat, ROOT_INO, moment)
    }

    /// `id`: its number in the past; of a node with several guards the present may have another.
    fn node(&mut self, stat: &Stat, id: u64, moment: usize) -> Verdict {
        if !self.done.insert(stat.ino) {
            return Ok(());
        }
        let moments = self.expected.moments;
        let (truth, mapped) = (
            &moments[moment].dump.nodes[&id],
            &moments[moment].map.nodes[&id],
        );
        self.same_state(stat, truth)?;
        if self.expected.is_older(id, moment) {
            // What it leads to may become an error at any time.
            return Ok(());
        }
        self.met.push(stat.ino);
        match (&truth.body, &mapped.body) {
            (FoundBody::Dir(_), MappedBody::Dir(dir)) => self.dir(stat.ino, dir),
            (FoundBody::File(pages), MappedBody::Payload(payload)) => {
                self.payload(stat, pages, payload, moment, &mapped.label)
            }
            (FoundBody::File(pages), _) => {
                let (count, wrong) = self
                    .compare(stat.ino, 0, stat.size, pages)
                    .map_err(|error| format!("inline content: {error}"))?;
                right(!wrong && count == stat.size, "other inline content")
            }
            (FoundBody::Symlink(target), _) => {
                let found = self.vault.read_link(stat.ino);
                right(found.is_ok_and(|found| found == *target), "another target")
            }
            _ => Ok(()),
        }
    }

    fn same_state(&self, stat: &Stat, truth: &Found) -> Verdict {
        let mut expected = truth.stat;
        if self.expected.double.contains_key(&expected.ino) {
            expected.ino = stat.ino;
        }
        if self.used {
            (expected.atime, expected.ctime) = (stat.atime, stat.ctime);
        }
        right(*stat == expected, "other attributes")
            .map_err(|what| format!("{what}: {stat:?} instead of {expected:?}"))?;
        let xattrs = read_xattrs(self.vault, stat.ino);
        right(
            xattrs.is_ok_and(|found| found == truth.xattrs),
            "other extended attributes",
        )
    }

    /// Reads a range; gives how many bytes there are and whether they are others.
    fn compare(&self, ino: u64, from: u64, until: u64, pages: &Pages) -> Result<(u64, bool)> {
        let len = usize::try_from(until - from).expect("a short range");
        let (mut found, mut expected) = (vec![0xa5; len], vec![0xa5; len]);
        let right = pages.read(from, &mut expected);
        let count = self.vault.read(ino, from, &mut found)?;
        Ok((
            count as u64,
            count != right || found[..count] != expected[..count],
        ))
    }

    fn payload(
        &mut self,
        stat: &Stat,
        pages: &Pages,
        payload: &MappedPayload,
        moment: usize,
        label: &str,
    ) -> Verdict {
        for (chunk, pieces) in &payload.chunks {
            let from = chunk * payload.chunk_len;
            let until = (from + payload.chunk_len).min(stat.size);
            let whole = pieces.iter().all(|piece| self.expected.has(piece, moment));
            match self.compare(stat.ino, from, until, pages) {
                Ok((_, true)) => return Err(format!("{stat:?}: other content in chunk {chunk}")),
                Ok(_) if !whole => return Err(format!("chunk {chunk} is damaged and is read")),
                Ok(_) => {}
                Err(error) if whole => return Err(format!("chunk {chunk} is whole: {error}")),
                Err(error) => {
                    let [frames, index] = &payload.objects;
                    self.told(&error, &[label, frames, index])?;
                }
            }
        }
        Ok(())
    }

    /// An error that must come; it names one of these.
    fn told(&mut self, error: &VaultError, names: &[&str]) -> Verdict {
        self.errors.push(is_damage(error, names)?);
        Ok(())
    }

    fn dir(&mut self, ino: u64, dir: &MappedDir) -> Verdict {
        let expected = self.expected;
        let names = expected.names(ino);
        let listed = |name: &&[u8]| expected.is_listed(names[name]);
        let stored: BTreeSet<&[u8]> = names.keys().copied().filter(|name| listed(name)).collect();
        let summed: BTreeSet<&[u8]> = dir.entries.keys().map(Vec::as_slice).collect();
        let fits = stored == summed;
        self.listing(ino, dir, &names, &stored, fits)?;
        for (name, entry) in &names {
            let found = self.vault.lookup(ino, name);
            let at = |what: String| format!("{:?}: {what}", String::from_utf8_lossy(name));
            if stored.contains(name) {
                self.entry(ino, dir, name, entry, found).map_err(at)?;
            } else {
                self.no_entry(dir, fits && !summed.contains(name), found)
                    .map_err(at)?;
            }
        }
        let found = self.vault.lookup(ino, b"never there");
        self.no_entry(dir, fits, found)
    }

    fn entry(
        &mut self,
        ino: u64,
        dir: &MappedDir,
        name: &[u8],
        entry: &'a Entry,
        found: Result<Stat>,
    ) -> Verdict {
        match (self.expected.resolve(ino, name, entry), found) {
            (Ok((child, moment)), Ok(stat)) => {
                right(
                    stat.ino == child || self.expected.double.contains_key(&child),
                    "it leads to another node",
                )?;
                self.node(&stat, child, moment)
            }
            (Ok((child, moment)), Err(error)) if self.expected.is_older(child, moment) => {
                let label = &self.expected.moments[moment].map.nodes[&child].label;
                let known = is_damage(&error, &[&entry.path, label, &dir.label, "guards/links"]);
                known.map(drop)
            }
            (Ok(_), Err(error)) => Err(format!("it is whole: {error}")),
            (Err(_), Ok(stat)) => Err(format!("it is damaged and shows {stat:?}")),
            (Err(names), Err(error)) => self.told(&error, &names),
        }
    }

    /// A name without an entry: not there, or nobody can tell.
    fn no_entry(&mut self, dir: &MappedDir, known: bool, found: Result<Stat>) -> Verdict {
        match found {
            Err(VaultError::NotFound) if known => Ok(()),
            Err(error) if !known => self.told(&error, &[&dir.label]),
            found => Err(format!("there is no such entry: {found:?}")),
        }
    }

    fn listing(
        &mut self,
        ino: u64,
        dir: &MappedDir,
        names: &BTreeMap<&'a [u8], &'a Entry>,
        stored: &BTreeSet<&[u8]>,
        fits: bool,
    ) -> Verdict {
        let mut shown = BTreeMap::new();
        let mut twice = false;
        let result = self.vault.read_dir(ino, 0, &mut |entry| {
            twice |= shown
                .insert(entry.name.to_vec(), (entry.ino, entry.kind))
                .is_some();
            true
        });
        right(!twice, "a listing shows a name twice")?;
        let mut whole = fits;
        let mut sure = true;
        for name in stored {
            let resolved = self.expected.resolve(ino, name, names[name]);
            let told = shown.remove(*name);
            match (resolved, told) {
                (Ok((child, moment)), None) if self.expected.is_older(child, moment) => {
                    sure = false;
                }
                (Ok((child, moment)), Some(told)) => {
                    let truth = &self.expected.moments[moment].dump.nodes[&child].stat;
                    let (ino, kind) = told;
                    let same = ino == child || self.expected.double.contains_key(&child);
                    right(same && kind == truth.kind, "a listing tells another node")?;
                    sure &= !self.expected.is_older(child, moment);
                }
                (Ok(_), None) => return Err("a listing leaves a whole entry out".to_owned()),
                (Err(_), Some(_)) => return Err("a listing shows a damaged entry".to_owned()),
                (Err(_), None) => whole = false,
            }
        }
        right(shown.is_empty(), "a listing shows what is not stored")?;
        match result {
            Ok(()) if !whole => Err("a listing that is not whole ends well".to_owned()),
            Ok(()) => Ok(()),
            Err(error) if whole && sure => Err(format!("a listing that is whole fails: {error}")),
            Err(error) if whole => is_damage(&error, &[&dir.label]).map(drop),
            Err(error) => self.told(&error, &[&dir.label]),
        }
    }
}

/// A guard or alias ends where it says, whatever lies behind.
fn is_as(now: &[u8], then: &[u8]) -> bool {
    !then.is_empty() && now.starts_with(then)
}

/// An error of damage names one of these; gives its text.
fn is_damage(error: &VaultError, names: &[&str]) -> std::result::Result<String, String> {
    let text = error.to_string();
    right(
        error.errno() == libc::EIO && names.iter().any(|name| text.contains(name)),
        "an error that is not EIO or names nothing",
    )
    .map_err(|what| format!("{what}: {text:?} instead of one of {names:?}"))?;
    Ok(text)
}

/// A claim.
pub fn right(claim: bool, otherwise: &str) -> Verdict {
    if claim {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}
