//! Changes of names that are not durable yet, and which of them can survive without which others.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, rngs::StdRng};

use crate::store::tree::{Lost, NodeId, Step};

/// In the order in which they were done.
#[derive(Clone, Default)]
pub(super) struct PendingNames(Vec<PendingStep>);

#[derive(Clone)]
struct PendingStep {
    step: Step,
    lost: Lost,
}

impl PendingStep {
    /// The directories whose names it changes.
    fn changes(&self) -> impl Iterator<Item = NodeId> {
        let (one, two) = match &self.step {
            Step::Link(entry, _) | Step::Unlink(entry) => (Some(entry.directory), None),
            Step::Move(from, to) => (Some(from.directory), Some(to.directory)),
            Step::Data(..) => (None, None),
        };
        one.into_iter().chain(two)
    }

    /// The names that it changes, with their directories.
    fn names(&self) -> impl Iterator<Item = (NodeId, &str)> {
        let (one, two) = match &self.step {
            Step::Link(entry, _) | Step::Unlink(entry) => (Some(entry), None),
            Step::Move(from, to) => (Some(from), Some(to)),
            Step::Data(..) => (None, None),
        };
        let both = one.into_iter().chain(two);
        both.map(|entry| (entry.directory, entry.name.as_str()))
    }

    /// Can it survive where steps before it in the same directory are lost? It gives an object a name.
    fn may_overtake(&self) -> bool {
        let gives = matches!(self.step, Step::Link(..) | Step::Move(..));
        gives && !self.lost.moved_directory && self.lost.directory.is_none()
    }

    /// The directories in which all that was done before must survive with it.
    fn needs(&self) -> impl Iterator<Item = NodeId> {
        self.changes().chain(self.lost.directory)
    }
}

impl PendingNames {
    pub(super) fn push(&mut self, step: Step, lost: Lost) {
        self.0.push(PendingStep { step, lost });
    }

    /// Takes out, in order, what must survive for all names in `directory` to be as they are.
    pub(super) fn take_needed_by(&mut self, directory: NodeId) -> Vec<Step> {
        let mut wanted = BTreeSet::from([directory]);
        let mut all_wanted = false;
        let mut needed = vec![false; self.0.len()];
        // Backwards, because a step needs only steps before it.
        for (step, needed) in self.0.iter().zip(&mut needed).rev() {
            *needed = all_wanted || step.changes().any(|changed| wanted.contains(&changed));
            if *needed {
                wanted.extend(step.needs());
                all_wanted |= step.lost.moved_directory;
            }
        }
        let mut needed = needed.into_iter();
        let taken = self.0.extract_if(.., |_| needed.next().unwrap_or(false));
        taken.map(|step| step.step).collect()
    }

    /// What survives a power loss, in order.
    pub(super) fn surviving(&self, rng: &mut StdRng) -> Vec<&Step> {
        let mut luck = Luck::draw(self, rng);
        let mut broken = Broken::default();
        let mut surviving = Vec::new();
        for (index, step) in self.0.iter().enumerate() {
            let whole = if matches!(luck, Luck::Overtaking(_)) && step.may_overtake() {
                !broken.holds_a_name_of(step)
            } else {
                broken.allows(step)
            };
            if luck.keeps(index, step, rng) && whole {
                surviving.push(&step.step);
            } else {
                broken.add(step);
            }
        }
        surviving
    }
}

/// What steps that are lost would have changed.
#[derive(Default)]
struct Broken<'a> {
    directories: BTreeSet<NodeId>,
    names: BTreeSet<(NodeId, &'a str)>,
}

impl<'a> Broken<'a> {
    fn add(&mut self, step: &'a PendingStep) {
        self.directories.extend(step.changes());
        self.names.extend(step.names());
    }

    /// Does all survive that this step needs?
    fn allows(&self, step: &PendingStep) -> bool {
        if step.lost.moved_directory {
            self.directories.is_empty()
        } else {
            !step
                .needs()
                .any(|directory| self.directories.contains(&directory))
        }
    }

    fn holds_a_name_of(&self, step: &PendingStep) -> bool {
        step.names().any(|name| self.names.contains(&name))
    }
}

/// How far a crash lets names survive, before the rules are applied.
enum Luck {
    /// As a journal does that has one order for all: ext4, XFS.
    Everywhere(usize),
    /// Each directory for itself: so many more of its steps.
    Each(BTreeMap<NodeId, usize>),
    /// Each step for itself, in so many cases of eight: as btrfs does with the names of objects that are synced.
    Overtaking(u32),
}

impl Luck {
    fn draw(names: &PendingNames, rng: &mut StdRng) -> Luck {
        let count = names.0.len();
        match rng.random_range(0..10) {
            0 => Luck::Everywhere(0),
            1 => Luck::Everywhere(count),
            2..4 => Luck::Everywhere(rng.random_range(0..=count)),
            4..6 => Luck::Overtaking(rng.random_range(1..8)),
            _ => {
                let mut counts = BTreeMap::new();
                for directory in names.0.iter().flat_map(PendingStep::changes) {
                    *counts.entry(directory).or_insert(0) += 1;
                }
                for count in counts.values_mut() {
                    *count = rng.random_range(0..=*count);
                }
                Luck::Each(counts)
            }
        }
    }

    fn keeps(&mut self, index: usize, step: &PendingStep, rng: &mut StdRng) -> bool {
        match self {
            Luck::Overtaking(eighths) => rng.random_ratio(*eighths, 8),
            Luck::Everywhere(count) => index < *count,
            Luck::Each(left) => step.changes().all(|directory| {
                let left = left.entry(directory).or_insert(0);
                let keeps = *left > 0;
                *left = left.saturating_sub(1);
                keeps
            }),
        }
    }
}
