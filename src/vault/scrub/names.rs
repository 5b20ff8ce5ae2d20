//! Under which names things are told: under those that they have at that moment. While a scrub is under way, others move them.
use super::{APART, Scrub};
use crate::{
    format::{Link, Place},
    vault::{
        core::Core,
        finding::{Finding, names::order},
        node::Node,
    },
};
use std::sync::Arc;

impl Scrub<'_> {
    /// The present path of a node; `path`: the one by which it was met.
    pub(super) fn path_now(&self, node: &Arc<Node>, path: &[u8]) -> Vec<u8> {
        if node.is_root() {
            return b"/".to_vec();
        }
        if node.place() != Some(Place::Links) {
            return path_of(node).unwrap_or_else(|| path.to_vec());
        }
        let links: Vec<Link> = node.state.read().links.iter().cloned().collect();
        let mut paths = links.iter().filter_map(|link| self.core.path_of_link(link));
        let mut first = None;
        let is_same = paths.any(|other| {
            let is_same = other == path;
            first.get_or_insert(other);
            is_same
        });
        if is_same {
            return path.to_vec();
        }
        first.unwrap_or_else(|| path.to_vec())
    }

    /// A name of a file with several, of whose guard something is to be told.
    pub(super) fn name_apart(&mut self, object: &str, path: &[u8]) {
        if let Some(held) = self.held[APART].get_mut(object) {
            let is_first = |known: &Vec<u8>| order(path, known).is_lt();
            if held.path.as_ref().is_none_or(is_first) {
                held.path = Some(path.to_vec());
            }
        }
    }

    /// Tells of something in a directory that was at `path`.
    pub(super) fn tell_within(&mut self, dir: &Arc<Node>, path: &[u8], mut finding: Finding) {
        let now = self.path_now(dir, path);
        let rest = finding.path.as_ref().and_then(|at| at.strip_prefix(path));
        if now != path
            && let Some(rest) = rest
        {
            finding.path = Some([&now[..], rest].concat());
        }
        self.tell(finding);
    }
}

impl Core {
    /// Of an entry, if its directory is in memory.
    pub(super) fn path_of_link(&self, link: &Link) -> Option<Vec<u8>> {
        let dir = path_of(&self.table.dir(&link.dir)?)?;
        Some(below(&dir, link.name.as_bytes()))
    }
}

/// The path of an entry of the directory at a path.
pub(super) fn below(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let dir = if dir == b"/" { b"" } else { dir };
    [dir, b"/", name].concat()
}

/// Where a node is now; nothing of one that no entry leads to any more.
pub(super) fn path_of(node: &Arc<Node>) -> Option<Vec<u8>> {
    let mut names = Vec::new();
    let mut at = Arc::clone(node);
    while !at.is_root() {
        let Some(Place::Entry(link)) = at.place() else {
            return None;
        };
        names.push(link.name);
        at = at.parent()?;
    }
    let mut path = Vec::new();
    for name in names.iter().rev() {
        path.push(b'/');
        path.extend_from_slice(name.as_bytes());
    }
    Some(path)
}
