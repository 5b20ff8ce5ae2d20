//! What is told of a node, where it is and where a link leads, and extended attributes.
use super::{
    Kernel,
    outcome::{Effect, Fault, Outcome, both},
};
use crate::vaults::{
    dump::read_xattrs,
    model::{Body, Model, NodeId},
    op::{Op, name_bytes},
};
use wardfs::{format::Kind, vault::Vault};

/// Names of extended attributes; the last one is refused.
const XATTRS: [(&[u8], usize); 6] = [
    (b"user.a", 6),
    (b"user.b", 6),
    (b"security.c", 10),
    (b"user.long", 255),
    (b"user.e", 6),
    (b"", 0),
];

impl Kernel {
    pub(super) fn look(&mut self, vault: &Vault, op: &Op) -> Outcome<()> {
        match *op {
            Op::Stat { node } => {
                let node = self.pick(node);
                let ino = self.ino(vault, node)?;
                let stat = vault
                    .stat(ino)
                    .map_err(|error| Fault::from("failed", &error))?;
                self.same(&stat, node)
            }
            Op::Parent { dir } => {
                let dir = self.pick(dir);
                let ino = self.ino(vault, dir)?;
                let is_dir = self.model.node(dir).kind == Kind::Directory
                    && !self.model.is_orphan(dir)
                    && dir != Model::ROOT;
                let parent = vault
                    .parent(ino)
                    .map_err(|error| Fault::from("failed", &error))?;
                let expected = self.model.node(self.model.parent(dir)).ino;
                if is_dir && expected.is_some_and(|expected| expected != parent) {
                    return Err(Fault::new(format!("{parent} instead of {expected:?}")));
                }
                Ok(())
            }
            _ => {
                let Op::ReadLink { node } = *op else {
                    return Ok(());
                };
                let node = self.pick(node);
                let ino = self.ino(vault, node)?;
                let model = match &self.model.node(node).body {
                    Body::Symlink(target) => Ok(target),
                    _ => Err(libc::EINVAL),
                };
                match both(vault.read_link(ino), model)? {
                    Some((found, target)) if found != *target => Err(Fault::new("another target")),
                    _ => Ok(()),
                }
            }
        }
    }

    pub(super) fn xattr(&mut self, vault: &Vault, op: &Op) -> Outcome<Effect> {
        let (Op::SetXattr { node, .. } | Op::RemoveXattr { node, .. } | Op::ReadXattrs { node }) =
            *op
        else {
            return Ok(Effect::Nothing);
        };
        let node = self.pick(node);
        let ino = self.ino(vault, node)?;
        let done = match *op {
            Op::SetXattr {
                name, len, mode, ..
            } => {
                let name = name_bytes(XATTRS[usize::from(name) % XATTRS.len()]);
                let value = vec![u8::try_from(len % 251).expect("a byte"); len];
                both(
                    vault.set_xattr(ino, &name, &value, mode),
                    self.model.set_xattr(node, &name, &value, mode),
                )?
            }
            Op::RemoveXattr { name, .. } => {
                let name = name_bytes(XATTRS[usize::from(name) % XATTRS.len()]);
                both(
                    vault.remove_xattr(ino, &name),
                    self.model.remove_xattr(node, &name),
                )?
            }
            _ => {
                let found =
                    read_xattrs(vault, ino).map_err(|error| Fault::from("failed", &error))?;
                let same = found == self.model.node(node).xattrs;
                return if same {
                    Ok(Effect::Nothing)
                } else {
                    Err(Fault::new("other extended attributes"))
                };
            }
        };
        Ok(self.state_effect(node, done.is_some()))
    }

    /// What is logged of a node is logged at once, but for one that no entry leads to.
    pub(super) fn state_effect(&self, node: NodeId, done: bool) -> Effect {
        match (done, self.model.is_orphan(node)) {
            (false, _) => Effect::Nothing,
            (true, true) => Effect::Changed,
            (true, false) => Effect::Logged,
        }
    }
}
