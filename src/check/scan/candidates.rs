//! Of all that may belong into one directory, what does: its guard sums up how many entries it has, and their names.
//!
//! Nothing is read here.
use super::{dir::Sums, places::Place};
use crate::{
    crypto::NameKey,
    format::{DirId, FileId, Kind, Name, Time},
    store::ObjectPath,
};
use std::collections::{BTreeMap, HashMap};

/// So many candidates are tried in all combinations.
const SEARCH_MAX: usize = 14;

/// Something for one entry of a directory.
#[derive(Clone)]
pub(super) struct Candidate {
    /// Where it lies; nowhere: an alias that is to be made anew.
    pub from: Option<ObjectPath>,
    pub stored: String,
    /// Of two files of one name the one that was changed last is taken.
    pub ctime: Time,
    pub subdir: Option<(FileId, Sums, DirId)>,
    /// What an alias says.
    pub alias: Option<(FileId, Kind, Name)>,
}

impl Candidate {
    fn is_made(&self) -> bool {
        self.from.is_none()
    }

    fn leads_to(&self) -> Option<FileId> {
        self.alias.as_ref().map(|(file, ..)| *file)
    }
}

/// An alias is not made anew if the one that was lost lies elsewhere. Where the guards that lie apart are known to be those that
/// were stored last (`is_sure`), what they name is so, and anything else of that name is older.
pub(super) fn without_rivals(all: Vec<Candidate>, is_sure: bool) -> Vec<Candidate> {
    let (made, mut found): (Vec<Candidate>, Vec<Candidate>) =
        all.into_iter().partition(Candidate::is_made);
    let mut kept = Vec::new();
    for one in made {
        let is_same =
            |other: &Candidate| other.stored == one.stored && other.leads_to() == one.leads_to();
        if found.iter().any(is_same) {
            continue;
        }
        if is_sure {
            found.retain(|other| other.stored != one.stored);
        }
        kept.push(one);
    }
    kept.extend(found);
    kept
}

/// One for each entry.
pub(super) fn best(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let rank = |one: &Candidate| {
        let from = std::cmp::Reverse(one.from.clone());
        (!one.is_made(), one.ctime, from)
    };
    let mut best: BTreeMap<String, Candidate> = BTreeMap::new();
    for one in candidates {
        match best.get(&one.stored) {
            Some(known) if rank(known) >= rank(&one) => {}
            _ => drop(best.insert(one.stored.clone(), one)),
        }
    }
    best.into_values().collect()
}

/// Which of these a directory lacks, as its guard sums them up. They may be more, if there are copies of what was removed since.
pub(super) fn chosen(
    place: &Place,
    key: &NameKey,
    new: Vec<Candidate>,
    is_sure: bool,
) -> Vec<Candidate> {
    if place.is_whole() {
        return Vec::new();
    }
    let Some(stored) = place.stored else {
        return best(new);
    };
    let fits = |some: &[Candidate]| {
        let mut sums = place.found;
        some.iter()
            .for_each(|one| sums.add(key, &one.stored, None, false));
        (sums.entries, sums.names) == (stored.entries, stored.names)
    };
    if let Some(some) = all_of_one_source(&new, &fits) {
        return some;
    }
    let lacks = stored.entries.saturating_sub(place.found.entries);
    let all = best(new.clone());
    if fits(&all) || all.len() as u64 <= lacks {
        return all;
    }
    subset(&all, lacks, &fits).unwrap_or_else(|| likeliest(all, &new, lacks, is_sure))
}

/// What lies in one directory, or what can be made anew, or both.
fn all_of_one_source(
    all: &[Candidate],
    fits: &dyn Fn(&[Candidate]) -> bool,
) -> Option<Vec<Candidate>> {
    let made: Vec<Candidate> = all.iter().filter(|one| one.is_made()).cloned().collect();
    let mut by_dir: BTreeMap<ObjectPath, Vec<Candidate>> = BTreeMap::new();
    for one in all {
        if let Some(from) = &one.from {
            by_dir.entry(from.parent()).or_default().push(one.clone());
        }
    }
    let with_made = |some: &Vec<Candidate>| best([&some[..], &made[..]].concat());
    let both: Vec<Vec<Candidate>> = by_dir.values().map(with_made).collect();
    let alone = by_dir.into_values().map(best);
    let mut sources = alone.chain([best(made)]).chain(both);
    sources.find(|some| fits(some))
}

/// As many as are missing, if there are few enough to try all combinations.
fn subset(
    all: &[Candidate],
    lacks: u64,
    fits: &dyn Fn(&[Candidate]) -> bool,
) -> Option<Vec<Candidate>> {
    if all.len() > SEARCH_MAX {
        return None;
    }
    let sets = (0..1_u32 << all.len()).filter(|set| u64::from(set.count_ones()) == lacks);
    let some_of = |set: u32| {
        let within = all.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        within.map(|(_, one)| one.clone()).collect::<Vec<_>>()
    };
    sets.map(some_of).find(|some| fits(some))
}

/// What the list of links in a guard names was there; then, what lies beside most others. If none are too few, others were put in.
fn likeliest(all: Vec<Candidate>, new: &[Candidate], lacks: u64, is_sure: bool) -> Vec<Candidate> {
    let mut sizes: HashMap<ObjectPath, usize> = HashMap::new();
    for from in new.iter().filter_map(|one| one.from.as_ref()) {
        *sizes.entry(from.parent()).or_default() += 1;
    }
    let (mut made, mut found): (Vec<Candidate>, Vec<Candidate>) =
        all.into_iter().partition(Candidate::is_made);
    if !is_sure && made.len() as u64 > lacks {
        made.clear();
    }
    let left = match lacks.max(1).saturating_sub(made.len() as u64) {
        0 => return made,
        left => usize::try_from(left).unwrap_or(usize::MAX),
    };
    let beside = |one: &Candidate| {
        let from = one.from.as_ref()?;
        sizes.get(&from.parent()).copied()
    };
    found.sort_by_key(|one| std::cmp::Reverse(beside(one)));
    found.truncate(left);
    made.extend(found);
    made
}
