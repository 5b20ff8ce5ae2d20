//! Holds a model against what a vault tells, and learns from it what the model cannot know: inode numbers and the times
//! of "now".
use super::{
    dump::{Dump, Found, FoundBody},
    model::{Body, Model, Node, NodeId, Times},
};
use std::collections::HashMap;
use wardfs::{format::Time, vault::Stat};

/// What an operation that was cut short may have done in part: a write's bytes.
#[derive(Clone)]
pub struct HalfDone {
    pub node: NodeId,
    pub before: Box<Node>,
}

impl Model {
    /// What a `stat` says that the model does not.
    pub fn compare_stat(&self, id: NodeId, stat: &Stat) -> Result<(), String> {
        let node = self.node(id);
        let expected = (
            node.kind,
            node.mode,
            node.uid,
            node.gid,
            node.rdev,
            self.size(id),
            self.nlink(id),
        );
        let found = (
            stat.kind, stat.mode, stat.uid, stat.gid, stat.rdev, stat.size, stat.nlink,
        );
        if expected != found {
            return Err(format!(
                "kind, mode, uid, gid, rdev, size, nlink: {found:?} instead of {expected:?}"
            ));
        }
        if node.ino.is_some_and(|ino| ino != stat.ino) {
            return Err(format!(
                "inode number {} instead of {:?}",
                stat.ino, node.ino
            ));
        }
        node.times.compare(stat)
    }

    /// Takes inode number and times from a `stat` that agrees.
    pub fn learn(&mut self, id: NodeId, stat: &Stat) {
        let node = self.node_mut(id);
        node.ino = Some(stat.ino);
        node.times = Times {
            atime: Some(stat.atime),
            mtime: Some(stat.mtime),
            ctime: Some(stat.ctime),
            btime: Some(stat.btime),
        };
    }

    /// Is this dump what the model says? `top` is where the dump began. If so, the model learns from it.
    pub fn agree(
        &mut self,
        top: NodeId,
        top_ino: u64,
        dump: &Dump,
        half: Option<&HalfDone>,
    ) -> Result<(), String> {
        let mut seen = HashMap::new();
        let mut path = String::new();
        self.agree_node(top, top_ino, dump, half, &mut seen, &mut path)
            .map_err(|what| format!("at /{path}: {what}"))?;
        if seen.len() != dump.nodes.len() {
            return Err(format!(
                "{} nodes instead of {}",
                dump.nodes.len(),
                seen.len()
            ));
        }
        for (ino, id) in seen {
            self.learn(id, &dump.nodes[&ino].stat);
        }
        self.unsettled.clear();
        Ok(())
    }

    fn agree_node(
        &mut self,
        id: NodeId,
        ino: u64,
        dump: &Dump,
        half: Option<&HalfDone>,
        seen: &mut HashMap<u64, NodeId>,
        path: &mut String,
    ) -> Result<(), String> {
        match seen.insert(ino, id) {
            Some(other) if other != id => return Err("one inode in place of two".to_owned()),
            Some(_) => return Ok(()),
            None => {}
        }
        let found = &dump.nodes[&ino];
        if let Some(half) = half.filter(|half| half.node == id) {
            self.take_half(id, found, half)?;
        }
        self.compare_stat(id, &found.stat)?;
        if self.node(id).xattrs != found.xattrs {
            return Err("other extended attributes".to_owned());
        }
        match (&self.node(id).body, &found.body) {
            (Body::File(pages), FoundBody::File(found)) if pages.same(found) => Ok(()),
            (Body::File(pages), FoundBody::File(found)) => Err(format!(
                "content: offset, expected, found: {:?}",
                pages.first_difference(found)
            )),
            (Body::Symlink(target), FoundBody::Symlink(found)) if target == found => Ok(()),
            (Body::Special, FoundBody::Special) => Ok(()),
            (Body::Dir(entries), FoundBody::Dir(found)) => {
                if !entries.keys().eq(found.keys()) {
                    return Err(format!(
                        "entries {} instead of {}",
                        show(found.keys()),
                        show(entries.keys())
                    ));
                }
                let pairs: Vec<_> = entries
                    .iter()
                    .map(|(name, id)| (name.clone(), *id, found[name]))
                    .collect();
                for (name, id, ino) in pairs {
                    let len = path.len();
                    path.push_str(&show_name(&name));
                    path.push('/');
                    self.agree_node(id, ino, dump, half, seen, path)?;
                    path.truncate(len);
                }
                Ok(())
            }
            _ => Err("another body".to_owned()),
        }
    }

    /// A write that was cut short: any of its bytes may be there.
    fn take_half(&mut self, id: NodeId, found: &Found, half: &HalfDone) -> Result<(), String> {
        let (Body::File(after), FoundBody::File(content), Body::File(before)) =
            (&self.node(id).body, &found.body, &half.before.body)
        else {
            return Ok(());
        };
        if !content.is_mixture(before, after) {
            return Err("content is neither what was nor what was written".to_owned());
        }
        let content = content.clone();
        let node = self.node_mut(id);
        node.body = Body::File(content);
        if found.stat.mode == half.before.mode {
            node.mode = half.before.mode;
        }
        Ok(())
    }
}

impl Times {
    fn compare(&self, stat: &Stat) -> Result<(), String> {
        let pairs = [
            ("atime", self.atime, stat.atime),
            ("mtime", self.mtime, stat.mtime),
            ("ctime", self.ctime, stat.ctime),
            ("btime", self.btime, stat.btime),
        ];
        let differs = |(_, expected, found): &(&str, Option<Time>, Time)| {
            expected.is_some_and(|expected| expected != *found)
        };
        match pairs.into_iter().find(differs) {
            Some((name, expected, found)) => {
                Err(format!("{name} {found:?} instead of {expected:?}"))
            }
            None => Ok(()),
        }
    }
}

fn show<'a>(names: impl Iterator<Item = &'a Vec<u8>>) -> String {
    let names: Vec<String> = names.map(|name| show_name(name)).collect();
    format!("{names:?}")
}

fn show_name(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    if text.len() > 20 {
        format!("{}...{}", &text[..4], name.len())
    } else {
        text.into_owned()
    }
}
