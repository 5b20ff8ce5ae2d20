//! A vault, read whole through its counter.
use super::pages::Pages;
use std::collections::{BTreeMap, HashMap};
use wardfs::{
    format::Kind,
    vault::{ROOT_INO, Stat, Vault, VaultError, Whence},
};

/// Bytes read at a time: not a multiple of any chunk.
const READ_LEN: usize = 100_003;

/// Everything in a vault.
pub struct Dump {
    /// By inode number.
    pub nodes: HashMap<u64, Found>,
}

/// One node as it was read.
pub struct Found {
    pub stat: Stat,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub body: FoundBody,
}

pub enum FoundBody {
    File(Pages),
    /// Inode numbers by name.
    Dir(BTreeMap<Vec<u8>, u64>),
    Symlink(Vec<u8>),
    Special,
}

impl Dump {
    /// Reads all below the root.
    ///
    /// # Errors
    /// The first thing that cannot be read, or that two calls tell differently.
    pub fn of(vault: &Vault) -> Result<Dump, String> {
        Dump::below(vault, ROOT_INO)
    }

    /// What another dump of the same vault tells otherwise. How many blocks a file takes may differ: a checkpoint stores whole
    /// chunks for a few bytes.
    pub fn difference(&self, other: &Dump) -> Option<String> {
        if self.nodes.len() != other.nodes.len() {
            return Some(format!(
                "{} nodes and {}",
                self.nodes.len(),
                other.nodes.len()
            ));
        }
        self.nodes.iter().find_map(|(ino, one)| {
            let Some(two) = other.nodes.get(ino) else {
                return Some(format!("{ino} is there only once"));
            };
            let stat = Stat {
                blocks: two.stat.blocks,
                ..one.stat
            };
            let same = stat == two.stat && one.xattrs == two.xattrs && one.body.same(&two.body);
            (!same).then(|| format!("{:?} and {:?}", one.stat, two.stat))
        })
    }

    /// Reads all below a directory. Every lookup is given back.
    pub fn below(vault: &Vault, top: u64) -> Result<Dump, String> {
        let mut dump = Dump {
            nodes: HashMap::new(),
        };
        let mut lookups: HashMap<u64, u64> = HashMap::new();
        let stat = vault
            .stat(top)
            .map_err(|error| format!("stat of the top: {error}"))?;
        let result = dump.add(vault, &stat, &mut lookups);
        for (ino, count) in lookups {
            vault.forget(ino, count);
        }
        result.map(|()| dump)
    }

    fn add(
        &mut self,
        vault: &Vault,
        stat: &Stat,
        lookups: &mut HashMap<u64, u64>,
    ) -> Result<(), String> {
        let ino = stat.ino;
        if let Some(known) = self.nodes.get(&ino) {
            // A checkpoint in between may have stored a whole chunk for a few bytes.
            let known_stat = Stat {
                blocks: stat.blocks,
                ..known.stat
            };
            return if known_stat == *stat {
                Ok(())
            } else {
                Err(format!("{ino} is told as {stat:?} and as {:?}", known.stat))
            };
        }
        let failed =
            |what: &'static str| move |error: VaultError| format!("{what} of {stat:?}: {error}");
        let mut children = Vec::new();
        let body = match stat.kind {
            Kind::File => FoundBody::File(read_file(vault, stat).map_err(failed("content"))?),
            Kind::Symlink => FoundBody::Symlink(vault.read_link(ino).map_err(failed("target"))?),
            Kind::Directory => {
                let mut names = BTreeMap::new();
                let mut twice = false;
                let listed = vault.read_dir_plus(ino, 0, &mut |entry, stat| {
                    *lookups.entry(entry.ino).or_default() += 1;
                    twice |= names.insert(entry.name.to_vec(), entry.ino).is_some()
                        || entry.ino != stat.ino
                        || entry.kind != stat.kind;
                    children.push(*stat);
                    true
                });
                listed.map_err(failed("listing"))?;
                if twice {
                    return Err(format!(
                        "listing of {stat:?}: a name twice, or entries that are not what they say"
                    ));
                }
                FoundBody::Dir(names)
            }
            _ => FoundBody::Special,
        };
        let xattrs = read_xattrs(vault, ino).map_err(failed("extended attributes"))?;
        self.nodes.insert(
            ino,
            Found {
                stat: *stat,
                xattrs,
                body,
            },
        );
        children
            .iter()
            .try_for_each(|child| self.add(vault, child, lookups))
    }
}

impl FoundBody {
    /// Zeros may be holes in the one and not in the other.
    pub fn same(&self, other: &FoundBody) -> bool {
        match (self, other) {
            (FoundBody::File(one), FoundBody::File(two)) => one.same(two),
            (FoundBody::Dir(one), FoundBody::Dir(two)) => one == two,
            (FoundBody::Symlink(one), FoundBody::Symlink(two)) => one == two,
            (FoundBody::Special, FoundBody::Special) => true,
            _ => false,
        }
    }
}

/// The data of a file, found by seeking, so that a file of a terabyte is read at once when it is a hole.
pub fn read_file(vault: &Vault, stat: &Stat) -> Result<Pages, VaultError> {
    let mut pages = Pages::default();
    pages.resize(stat.size);
    let mut at = 0;
    loop {
        let data = match vault.seek(stat.ino, at, Whence::Data) {
            Ok(data) => data,
            Err(VaultError::NoData) => return Ok(pages),
            Err(error) => return Err(error),
        };
        let end = vault.seek(stat.ino, data, Whence::Hole)?;
        at = data;
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(READ_LEN).min(READ_LEN);
            let mut bytes = vec![0xa5; len];
            let got = vault.read(stat.ino, at, &mut bytes)?;
            if got != len {
                return Err(VaultError::Invalid("a read within the file was short"));
            }
            pages.write(at, &bytes);
            at += len as u64;
        }
    }
}

/// Extended attributes by name.
pub fn read_xattrs(vault: &Vault, ino: u64) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, VaultError> {
    let list = vault.list_xattr(ino)?;
    let names = list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    names
        .map(|name| Ok((name.to_vec(), vault.get_xattr(ino, name)?)))
        .collect()
}
