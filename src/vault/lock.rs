//! States of several nodes, locked in the one order that is safe.
use super::node::{Node, NodeState};
use parking_lot::RwLockWriteGuard;
use std::sync::Arc;

/// Locked states, each node once.
pub(super) struct Locked<'a> {
    guards: Vec<(u64, RwLockWriteGuard<'a, NodeState>)>,
}

impl<'a> Locked<'a> {
    /// Locks by inode number; a node may be named more than once.
    pub fn all(nodes: &[&'a Arc<Node>]) -> Locked<'a> {
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable_by_key(|node| node.ino);
        nodes.dedup_by_key(|node| node.ino);
        Locked {
            guards: nodes
                .into_iter()
                .map(|node| (node.ino, node.state.write()))
                .collect(),
        }
    }

    /// The state of one of the locked nodes.
    pub fn of(&mut self, node: &Node) -> &mut NodeState {
        let found = self.guards.iter_mut().find(|(ino, _)| *ino == node.ino);
        &mut found.expect("only locked nodes are asked for").1
    }
}
