//! A second reader of the format, which shares no code with the vault's: it says what every stored object is for, and
//! which of its bytes count. It reads healthy vaults only and trusts them.
use crate::vaults::{image::PASSPHRASE, objects::Objects};
use std::{collections::BTreeMap, ops::Range};
use wardfs::{
    crypto::{SlotKey, Suite, ZoneKey},
    format::{
        Alias, Body, ChunkSize, Content, Data, DirId, FRAME_OVERHEAD, FileId, FileState,
        INDEX_FANOUT, IndexBlock, IndexEntry, IndexRoot, ParsedHeader, PayloadId, Slot,
        StoredGuard, VaultId, ZoneFile, guard_path, index_path, link_guard_path, payload_path,
        zone_copy_path, zone_path,
    },
    vault::ROOT_INO,
};

pub const HEADERS: [&str; 2] = ["wardfs.vault", "wardfs.vault.copy"];
pub const ROOT_GUARD: &str = "guards/root";

/// What the objects of a vault are for.
pub struct Map {
    /// By inode number.
    pub nodes: BTreeMap<u64, Mapped>,
    /// Paths of the copies of the zone's key.
    pub zones: [String; 2],
    /// Guards that lie apart though only one entry leads to them, by the place of that entry. Such a guard says the same at
    /// either place, so that moved there it tells no lie.
    pub lonely: BTreeMap<String, String>,
}

/// One node.
pub struct Mapped {
    /// Its id as errors tell it.
    pub label: String,
    /// Where its guard lies.
    pub guard: String,
    pub body: MappedBody,
}

pub enum MappedBody {
    Dir(MappedDir),
    /// Content in a payload.
    Payload(MappedPayload),
    /// All of it is in the guard.
    Guard,
}

pub struct MappedDir {
    /// Its id as errors tell it.
    pub label: String,
    /// By plaintext name.
    pub entries: BTreeMap<Vec<u8>, Entry>,
}

#[derive(Clone)]
pub struct Entry {
    /// Where its guard or alias lies.
    pub path: String,
    /// Of an alias: the guard that it leads to.
    pub apart: Option<String>,
    /// The plaintext name is in the guard alone.
    pub long: bool,
    pub ino: u64,
}

pub struct MappedPayload {
    /// Paths of frames and index.
    pub objects: [String; 2],
    pub chunk_len: u64,
    /// What each chunk needs to be read: its frame, if it is no hole, and the index blocks on the way to it. All chunks
    /// that are stored, and a few holes.
    pub chunks: BTreeMap<u64, Vec<Piece>>,
}

/// A range of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub object: String,
    pub range: Range<usize>,
}

/// Keys and objects of one vault.
struct Walk<'a> {
    objects: &'a Objects,
    vault: VaultId,
    suite: Suite,
    zone: ZoneKey,
    map: Map,
}

impl Map {
    /// Reads all guards of a vault.
    pub fn of(objects: &Objects) -> Map {
        let parsed = ParsedHeader::parse(&objects[HEADERS[0]]).expect("a header");
        let header = parsed.unverified().clone();
        let Slot::Passphrase { kdf, salt, wrapped } = &header.slots[0] else {
            panic!("the first slot has the passphrase");
        };
        let slot_key = SlotKey::derive(PASSPHRASE, salt, kdf).expect("key derivation");
        let master = slot_key
            .unwrap_master(&header.vault.0, wrapped)
            .expect("the passphrase");
        let path = zone_path(&header.root_zone).as_str().to_owned();
        let file = ZoneFile::decode(&objects[&path]).expect("a zone file");
        let zone = master
            .unwrap_zone(&header.vault.0, &header.root_zone.0, &file.wrapped)
            .expect("the zone key");
        let map = Map {
            nodes: BTreeMap::new(),
            zones: [path, zone_copy_path(&header.root_zone).as_str().to_owned()],
            lonely: BTreeMap::new(),
        };
        let (vault, suite) = (header.vault, header.suite);
        let mut walk = Walk {
            objects,
            vault,
            suite,
            zone,
            map,
        };
        walk.node(ROOT_GUARD);
        walk.map
    }

    pub fn dir(&self, ino: u64) -> Option<&MappedDir> {
        match &self.nodes.get(&ino)?.body {
            MappedBody::Dir(dir) => Some(dir),
            _ => None,
        }
    }

    /// All objects that one node has to itself.
    pub fn objects_of(&self, ino: u64) -> Vec<&str> {
        let node = &self.nodes[&ino];
        let mut all = vec![node.guard.as_str()];
        if let MappedBody::Payload(payload) = &node.body {
            all.extend(payload.objects.iter().map(String::as_str));
        }
        all
    }

    /// Ranges that hold frames and index blocks, by object.
    pub fn pieces(&self) -> BTreeMap<&str, Vec<Range<usize>>> {
        let mut all: BTreeMap<&str, Vec<Range<usize>>> = BTreeMap::new();
        let payloads = self.nodes.values().filter_map(|node| match &node.body {
            MappedBody::Payload(payload) => Some(payload),
            _ => None,
        });
        for piece in payloads.flat_map(|payload| payload.chunks.values().flatten()) {
            let ranges = all.entry(&piece.object).or_default();
            if !ranges.contains(&piece.range) {
                ranges.push(piece.range.clone());
            }
        }
        all
    }
}

impl Walk<'_> {
    /// Adds the node of a guard, and all below it; gives its inode number.
    fn node(&mut self, path: &str) -> u64 {
        let stored = StoredGuard::parse(self.objects[path].clone()).expect("a guard");
        let id = stored.head.file;
        let key = self
            .zone
            .unwrap_file(&self.vault.0, &id.0, &stored.head.stanzas[0])
            .expect("a file key");
        let ino = if path == ROOT_GUARD {
            ROOT_INO
        } else {
            id.ino()
        };
        if self.map.nodes.contains_key(&ino) {
            return ino;
        }
        let body = stored
            .open(&key.guard_aead(self.suite), &self.vault)
            .expect("a body");
        let Body { content, links, .. } = body;
        if let [link] = links.as_slice() {
            let names = self.zone.name_key(&link.dir.0);
            let entry = guard_path(&link.dir, &names.stored_name(link.name.as_bytes()));
            if entry.as_str() != path {
                self.map
                    .lonely
                    .insert(entry.as_str().to_owned(), path.to_owned());
            }
        }
        let body = match content {
            Content::Directory(state) => MappedBody::Dir(self.dir(&state.id)),
            Content::File(FileState {
                data: Data::Payload {
                    id: payload, root, ..
                },
                size,
                chunk,
                ..
            }) => {
                let index = Index {
                    aead: key.index_aead(self.suite),
                    vault: self.vault,
                    file: id,
                    payload,
                    objects: self.objects,
                };
                MappedBody::Payload(index.payload(&root, chunk, chunk.count(size)))
            }
            _ => MappedBody::Guard,
        };
        let mapped = Mapped {
            label: format!("file {id}"),
            guard: path.to_owned(),
            body,
        };
        self.map.nodes.insert(ino, mapped);
        ino
    }

    fn dir(&mut self, id: &DirId) -> MappedDir {
        let names = self.zone.name_key(&id.0);
        let any = guard_path(id, "any");
        let backing = any
            .as_str()
            .strip_suffix("/any")
            .expect("just made")
            .to_owned();
        let below = format!("{backing}/");
        let paths: Vec<&String> = self
            .objects
            .range(below.clone()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(&below))
            .filter(|path| **path != below)
            .collect();
        let mut entries = BTreeMap::new();
        for path in paths {
            let bytes = self.objects[path].clone();
            let stored = &path[below.len()..];
            let short = names.open_name(stored.as_bytes()).expect("a stored name");
            let long = short.is_none();
            let (name, apart) = if Alias::is_alias(&bytes) {
                let aead = self.zone.alias_aead(&id.0, self.suite);
                let (alias, _) = Alias::open(bytes, &aead, &self.vault, id).expect("an alias");
                let apart = link_guard_path(&alias.file).as_str().to_owned();
                (alias.name.as_bytes().to_vec(), Some(apart))
            } else {
                (short.unwrap_or_else(|| self.name_in_guard(bytes)), None)
            };
            let ino = self.node(apart.as_ref().unwrap_or(path));
            let entry = Entry {
                path: path.clone(),
                apart,
                long,
                ino,
            };
            entries.insert(name, entry);
        }
        MappedDir {
            label: format!("directory {id}"),
            entries,
        }
    }

    fn name_in_guard(&self, bytes: Vec<u8>) -> Vec<u8> {
        let stored = StoredGuard::parse(bytes).expect("a guard");
        let key = self
            .zone
            .unwrap_file(&self.vault.0, &stored.head.file.0, &stored.head.stanzas[0])
            .expect("a file key");
        let body = stored.open(&key.guard_aead(self.suite), &self.vault);
        body.expect("a body").links[0].name.as_bytes().to_vec()
    }
}

/// The index of one payload.
struct Index<'a> {
    aead: wardfs::crypto::Aead,
    vault: VaultId,
    file: FileId,
    payload: PayloadId,
    objects: &'a Objects,
}

impl Index<'_> {
    fn payload(&self, root: &IndexRoot, chunk: ChunkSize, count: u64) -> MappedPayload {
        let mut chunks = BTreeMap::new();
        let top = root.entries.iter().enumerate();
        for (number, entry) in top {
            self.add(root.height, number as u64, entry, &[], chunk, &mut chunks);
        }
        // The holes at the borders of what is stored, and the last one.
        let stored: Vec<u64> = chunks.keys().copied().collect();
        let around = stored
            .iter()
            .flat_map(|chunk| [chunk.saturating_sub(1), chunk + 1]);
        for hole in around
            .chain([count.saturating_sub(1)])
            .filter(|chunk| *chunk < count)
        {
            chunks
                .entry(hole)
                .or_insert_with(|| self.way_to(root, hole));
        }
        let objects = [payload_path(&self.payload), index_path(&self.payload)];
        MappedPayload {
            objects: objects.map(|path| path.as_str().to_owned()),
            chunk_len: chunk.len() as u64,
            chunks,
        }
    }

    /// Adds all chunks below an entry: of a chunk at height 0, of a block of the level below elsewhere.
    fn add(
        &self,
        height: u8,
        number: u64,
        entry: &IndexEntry,
        way: &[Piece],
        chunk: ChunkSize,
        chunks: &mut BTreeMap<u64, Vec<Piece>>,
    ) {
        if !entry.present {
            return;
        }
        let mut way = way.to_vec();
        if height == 0 {
            let from = usize::try_from(chunk.frame_offset(number)).expect("in memory");
            way.push(Piece {
                object: payload_path(&self.payload).as_str().to_owned(),
                range: from..from + entry.stored_len as usize + FRAME_OVERHEAD,
            });
            chunks.insert(number, way);
            return;
        }
        let (piece, block) = self.block(height - 1, number, entry);
        way.push(piece);
        for (child, entry) in (number * INDEX_FANOUT as u64..).zip(&block.entries[..]) {
            self.add(height - 1, child, entry, &way, chunk, chunks);
        }
    }

    /// The blocks that lead to a hole.
    fn way_to(&self, root: &IndexRoot, chunk: u64) -> Vec<Piece> {
        let mut way = Vec::new();
        let number = usize::try_from(IndexRoot::entry_of(root.height, chunk)).expect("small");
        let mut entry = root
            .entries
            .get(number)
            .copied()
            .unwrap_or(IndexEntry::HOLE);
        for level in (0..root.height).rev() {
            if !entry.present {
                break;
            }
            let (piece, block) = self.block(level, IndexBlock::number_of(level, chunk), &entry);
            way.push(piece);
            entry = block.entries[IndexBlock::entry_of(level, chunk)];
        }
        way
    }

    fn block(&self, level: u8, number: u64, entry: &IndexEntry) -> (Piece, IndexBlock) {
        let object = index_path(&self.payload).as_str().to_owned();
        let from = usize::try_from(IndexBlock::offset(level, number)).expect("in memory");
        let range = from..from + IndexBlock::STORED_LEN;
        let block = IndexBlock::open(
            &self.objects[&object][range.clone()],
            entry,
            &self.aead,
            &self.vault,
            &self.file,
            &self.payload,
            level,
            number,
        );
        (Piece { object, range }, block.expect("an index block"))
    }
}
