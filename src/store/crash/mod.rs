//! A store that can lose power, and then holds what a disk could hold: for tests of what builds on
//! stores.
//!
//! # The model
//! What is durable is known; of what was done since, some survives. The states are those that ext4,
//! XFS or btrfs can leave, and some that none of them leaves today but POSIX allows. Never is
//! anything made up.
//!
//! **Steps.** A call is one or more steps: `put` is the name (if new), the bytes, the cut (if it
//! was longer); `make_dir` is one name a level; `remove_dir` one name after the other, leaves
//! first; `replace` is bytes, sync, name, sync. Syncs count as steps. Power can be lost between any
//! two.
//!
//! **Names.**
//! - In each directory the steps that changed its names are ordered, and a prefix of them survives.
//!   How long it is, is independent of other directories.
//! - Or (a crash chooses) a step that gives an object a name, by making or by renaming it, survives
//!   without others before it in that directory, if those were about other names: btrfs keeps the
//!   name of an object that is synced, and forgets what else was done to its directory.
//! - A rename is atomic: it survives in both directories or in neither; so it needs all before it
//!   in either.
//! - The removal of a directory survives only with all that emptied it, and the move of a directory
//!   only with all that was done to names before it, anywhere: a rename out of a directory and the
//!   removal of that directory never end as the loss of both.
//! - `sync_dir` makes the names in that directory durable, with what the rules above make them
//!   need; not its own name in its parent, and no bytes. `replace` does as much for the directory
//!   of the object.
//! - `Blob::sync` makes no name durable, not even that of a new object.
//!
//! **Bytes.**
//! - `Blob::sync` makes bytes and length of one object durable.
//! - Otherwise each sector of 512 bytes independently holds what it held after some change between
//!   the last sync and now. A crash chooses the grain by object: sectors, pages of 4 KiB, or the
//!   object whole. Nothing tears within a sector, and a sector that no change touched keeps its
//!   bytes.
//! - Or (a crash chooses, by object) each write is kept or lost whole, whatever it shares a sector
//!   with, and those that are kept came in any order. No file system with a page cache does this.
//! - The length is independently one that the object had between the last sync and now, or, within
//!   a write that extended it, any multiple of 512 on the way. What of that never got bytes is
//!   zeros. So a new object whose name survived can be empty, zeros, partial or whole; and the
//!   bytes before a cut can reappear beside those written after it.
//!
//! `sync` makes everything durable. Objects without a name are gone after a crash, and so are all
//! locks.

use std::{collections::BTreeMap, fmt, io};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    StoreError,
    tree::{Change, Lost, Medium, Node, NodeId, Step, Synced, Tree, TreeStore},
};
use names::PendingNames;

mod names;
mod tear;
#[cfg(test)]
mod tests;

/// A store in memory that can lose power; see the model in this module's source.
///
/// A clone is another handle on the same contents. Each crash gives a new store, on which all is
/// durable; this one goes on as it was, so that many crashes can be tried at one moment.
pub type SimulatedStore = TreeStore<PowerLoss>;

/// The medium that keeps apart what is durable and what is not.
#[derive(Clone)]
pub struct PowerLoss {
    durable: Tree,
    names: PendingNames,
    /// Changes since the last sync of each object, in order.
    data: BTreeMap<NodeId, Vec<Change>>,
    steps: u64,
    stop_after: Option<u64>,
}

/// What an operation gives after the stop.
#[derive(Debug)]
struct PowerLost;

impl fmt::Display for PowerLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the power is lost")
    }
}

impl std::error::Error for PowerLost {}

impl TreeStore<PowerLoss> {
    /// An empty store.
    #[must_use]
    pub fn new() -> SimulatedStore {
        SimulatedStore::from_durable(Tree::new())
    }

    fn from_durable(mut durable: Tree) -> SimulatedStore {
        durable.prune();
        let medium = PowerLoss {
            durable: durable.clone(),
            names: PendingNames::default(),
            data: BTreeMap::new(),
            steps: 0,
            stop_after: None,
        };
        TreeStore::from_tree(durable, medium, None)
    }

    /// A store as a power loss at this moment could leave it; which of them is up to `seed`.
    #[must_use]
    pub fn crash(&self, seed: u64) -> SimulatedStore {
        let mut rng = StdRng::seed_from_u64(seed);
        SimulatedStore::from_durable(self.with(|state| state.medium.outcome(&mut rng)))
    }

    /// The store of which nothing survived but what is durable: the hardest crash that follows no
    /// chance.
    #[must_use]
    pub fn crash_losing_all(&self) -> SimulatedStore {
        SimulatedStore::from_durable(self.with(|state| state.medium.durable.clone()))
    }

    /// The store as the next process finds it when this one was killed: all that was done is there,
    /// and durable is what was durable, so a power loss can still follow.
    #[must_use]
    pub fn survivors(&self) -> SimulatedStore {
        self.with(|state| {
            let mut tree = state.tree.clone();
            tree.prune();
            TreeStore::from_tree(
                tree,
                PowerLoss {
                    stop_after: None,
                    ..state.medium.clone()
                },
                None,
            )
        })
    }

    /// From step `count` on (counted from the beginning of this store) every operation fails, also
    /// those that read, with an error that [`SimulatedStore::is_power_loss`] knows. A call of
    /// several steps can stop in its middle.
    pub fn stop_after(&self, count: u64) {
        self.with(|state| state.medium.stop_after = Some(count));
    }

    /// Steps that were taken: a workload that takes `n` of them can be stopped after 0 to `n`.
    pub fn steps(&self) -> u64 {
        self.with(|state| state.medium.steps)
    }

    /// Whether operations fail now.
    pub fn stopped(&self) -> bool {
        self.with(|state| state.medium.admit().is_err())
    }

    /// Whether `error` comes from [`SimulatedStore::stop_after`].
    pub fn is_power_loss(error: &StoreError) -> bool {
        match error {
            StoreError::Io { source, .. } => source
                .get_ref()
                .is_some_and(<dyn std::error::Error + Send + Sync>::is::<PowerLost>),
            _ => false,
        }
    }
}

impl Default for TreeStore<PowerLoss> {
    fn default() -> SimulatedStore {
        SimulatedStore::new()
    }
}

impl PowerLoss {
    /// One tree that could be left.
    fn outcome(&self, rng: &mut StdRng) -> Tree {
        let mut tree = self.durable.clone();
        for step in self.names.surviving(rng) {
            tree.apply(step);
        }
        // Sometimes all bytes survive, or none, so that faults of names alone are found often.
        let (all, none) = (rng.random_ratio(1, 8), rng.random_ratio(1, 8));
        for (&node, changes) in &self.data {
            let Ok(before) = self.durable.object(node) else {
                continue;
            };
            if all {
                for change in changes {
                    tree.apply(&Step::Data(node, change.clone()));
                }
            } else if !none {
                tree.set_content(node, tear::torn(before, changes, rng));
            }
        }
        tree
    }
}

impl Medium for PowerLoss {
    fn admit(&self) -> io::Result<()> {
        match self.stop_after {
            Some(count) if self.steps >= count => Err(io::Error::other(PowerLost)),
            _ => Ok(()),
        }
    }

    fn created(&mut self, id: NodeId, node: &Node) {
        self.durable.insert(id, node.clone());
    }

    fn record(&mut self, step: Step, lost: Lost) {
        self.steps += 1;
        match step {
            Step::Data(node, change) => self.data.entry(node).or_default().push(change),
            step => self.names.push(step, lost),
        }
    }

    fn synced(&mut self, tree: &Tree, what: Synced) {
        self.steps += 1;
        match what {
            Synced::All => {
                self.durable = tree.clone();
                self.names = PendingNames::default();
                self.data.clear();
            }
            Synced::Names(directory) => {
                for step in self.names.take_needed_by(directory) {
                    self.durable.apply(&step);
                }
            }
            Synced::Data(node) => {
                self.data.remove(&node);
                if let Ok(content) = tree.object(node) {
                    self.durable.set_content(node, content.clone());
                }
            }
        }
    }
}
