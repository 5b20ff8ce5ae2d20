//! Entries of directories, and the lookups that are given back.
use super::{
    Kernel,
    outcome::{Effect, Fault, Outcome, both},
};
use crate::vaults::op::{Name, Op, Pick};
use wardfs::vault::{Stat, Vault};

impl Kernel {
    pub(super) fn lookup(&mut self, vault: &Vault, dir: Pick, name: Name) -> Outcome<Effect> {
        let dir = self.pick(dir);
        let name = self.name(dir, name);
        let ino = self.ino(vault, dir)?;
        if let Some((stat, id)) = both(vault.lookup(ino, &name), self.model.lookup(dir, &name))? {
            self.found(id, &stat)?;
        }
        Ok(Effect::Nothing)
    }

    pub(super) fn remove(
        &mut self,
        vault: &Vault,
        dir: Pick,
        name: Name,
        directory: bool,
    ) -> Outcome<Effect> {
        let dir = self.pick(dir);
        let name = self.name(dir, name);
        let ino = self.ino(vault, dir)?;
        let removed = if directory {
            vault.remove_dir(ino, &name)
        } else {
            vault.unlink(ino, &name)
        };
        let done = both(removed, self.model.remove(dir, &name, directory))?;
        Ok(if done.is_some() {
            Effect::Logged
        } else {
            Effect::Nothing
        })
    }

    pub(super) fn forget(&mut self, vault: &Vault, op: &Op) {
        let (nodes, all) = match *op {
            Op::Forget { node, all } => (vec![self.pick(node)], all),
            _ => (self.known.keys().copied().collect(), true),
        };
        for id in nodes {
            let (Some(count), Some(ino)) = (self.known.get_mut(&id), self.model.node(id).ino)
            else {
                continue;
            };
            let back = if all { *count } else { 1 };
            *count -= back;
            if *count == 0 {
                self.known.remove(&id);
                self.streams.forget(id);
                if self.model.is_orphan(id) {
                    self.model.drop_orphan(id);
                }
            }
            vault.forget(ino, back);
        }
    }

    pub(super) fn list(&mut self, vault: &Vault, dir: Pick, count: u8, plus: bool) -> Outcome<()> {
        let dir = self.pick(dir);
        let ino = self.ino(vault, dir)?;
        if let Err(errno) = self.model.entries(dir) {
            return both(vault.read_dir(ino, 0, &mut |_| true), Err::<(), _>(errno)).map(drop);
        }
        let after = self.streams.begin(dir, &self.model);
        let (mut batch, mut full) = (Vec::new(), false);
        let mut take = |name: &[u8], next: u64, stat: Option<Stat>, ino: u64| {
            full = batch.len() == usize::from(count);
            if !full {
                batch.push((name.to_vec(), next, ino, stat));
            }
            !full
        };
        let listed = if plus {
            vault.read_dir_plus(ino, after, &mut |entry, stat| {
                take(entry.name, entry.next, Some(*stat), entry.ino)
            })
        } else {
            vault.read_dir(ino, after, &mut |entry| {
                take(entry.name, entry.next, None, entry.ino)
            })
        };
        listed.map_err(|error| Fault::from("failed", &error))?;
        for (name, _, ino, stat) in &batch {
            let id = self
                .model
                .lookup(dir, name)
                .map_err(|_| Fault::new("a name that is not there"))?;
            if let Some(stat) = stat {
                self.found(id, stat)?;
            }
            if self.model.node(id).ino.is_some_and(|known| known != *ino) {
                return Err(Fault::new("an inode number that is not the node's"));
            }
        }
        let batch = batch
            .into_iter()
            .map(|(name, next, ..)| (name, next))
            .collect();
        self.streams.advance(dir, batch, !full).map_err(Fault::new)
    }
}
