//! What opens and seals the objects of a vault one by one: for the open vault, and for those who do not go through its nodes.
//!
//! Nothing is read or written here, and where an object belongs is not asked.
use super::{
    error::{Result, in_object},
    file::index_source::IndexSource,
    guard::{self, ReadGuard},
};
use crate::{
    codec::{ChunkCodec, FramePlace},
    crypto::{Aead, ChunkKey, FileKey, NameKey, Suite, Tag, ZoneKey},
    format::{
        Alias, Body, ChunkSize, DirId, FileId, GuardHead, Header, Origin, PayloadId, SealedGuard,
        VaultId, ZoneId, seal_guard,
    },
    store::{ObjectPath, Store},
};

/// What seals and opens the chunks of a payload that lies at `place` now and has these origins.
pub(super) fn codec(
    key: &FileKey,
    place: FramePlace,
    chunk: ChunkSize,
    compress: bool,
    origins: &[Origin],
) -> ChunkCodec {
    let count = u8::try_from(origins.len()).expect("a file has at most 15 origins");
    let aead = key.chunk_key(place.suite, count).aead(place.suite);
    let origins = origins.iter().map(|origin| {
        let aead = ChunkKey::from_bytes(&origin.key).aead(place.suite);
        let place = FramePlace {
            suite: place.suite,
            vault: origin.vault,
            file: origin.file,
            payload: origin.payload,
        };
        (aead, place)
    });
    ChunkCodec::new(aead, place, chunk, compress)
        .after(origins.collect())
        .bound_with(key.bind_key(&place.payload.0))
}

/// The keys of a vault's tree.
pub struct Keyring {
    pub(super) vault: VaultId,
    pub(super) suite: Suite,
    pub(super) zone: ZoneId,
    pub(super) zone_key: ZoneKey,
}

impl Keyring {
    /// The keys of the vault that has this header.
    pub(super) fn new(header: &Header, zone_key: ZoneKey) -> Keyring {
        Keyring {
            vault: header.vault,
            suite: header.suite,
            zone: header.root_zone,
            zone_key,
        }
    }

    /// The vault.
    pub fn vault(&self) -> VaultId {
        self.vault
    }

    /// The zone of all that is in it.
    pub fn zone(&self) -> ZoneId {
        self.zone
    }

    /// The keys of a directory's names and sums.
    pub fn name_key(&self, dir: &DirId) -> NameKey {
        self.zone_key.name_key(&dir.0)
    }

    /// Does a guard that lies in a directory under this name say that it has the name in another one? A long name is the hash of one in
    /// a certain directory: it was never an entry of this one.
    pub fn is_foreign(&self, dir: &DirId, stored: &str, guard: &ReadGuard) -> bool {
        let [link] = guard.body.links.as_slice() else {
            return false;
        };
        link.dir != *dir && self.name_key(&link.dir).stored_name(link.name.as_bytes()) == stored
    }

    /// Opens a guard; `path` is for errors alone.
    ///
    /// # Errors
    /// Bytes that are no guard of this vault.
    pub fn open_guard(&self, path: &ObjectPath, bytes: Vec<u8>) -> Result<ReadGuard> {
        guard::open(self, path, bytes)
    }

    /// The tag of what lies under the name of an entry of a directory, whether it opens or not; nothing of what is shorter than a
    /// tag.
    pub fn tag_of(&self, path: &ObjectPath, dir: &DirId, bytes: &[u8]) -> Option<Tag> {
        guard::tag_of(self, path, dir, bytes)
    }

    /// Opens an alias that was found in a directory.
    ///
    /// # Errors
    /// Bytes that are no alias of this directory.
    pub fn open_alias(
        &self,
        path: &ObjectPath,
        dir: &DirId,
        bytes: Vec<u8>,
    ) -> Result<(Alias, Tag)> {
        let aead = self.zone_key.alias_aead(&dir.0, self.suite);
        in_object(path.as_str(), Alias::open(bytes, &aead, &self.vault, dir))
    }

    /// Seals an alias of a directory: always to the same bytes.
    pub fn seal_alias(&self, dir: &DirId, alias: &Alias) -> SealedGuard {
        let aead = self.zone_key.alias_aead(&dir.0, self.suite);
        let nonces = self.zone_key.alias_nonces(&dir.0);
        alias.seal(&aead, &nonces, self.suite, &self.vault, dir)
    }

    /// Seals a guard anew, with the key that it had.
    pub fn seal_again(&self, head: &GuardHead, key: &FileKey, body: &Body) -> SealedGuard {
        seal_guard(head, &key.guard_aead(self.suite), &self.vault, body)
    }

    /// Seals the first guard of a new file, with a key of its own.
    pub fn seal_new(&self, body: &Body) -> (FileId, SealedGuard) {
        let (file, key) = (FileId::random(), FileKey::generate());
        let head = GuardHead {
            suite: self.suite,
            file,
            zone: self.zone,
            stanzas: vec![self.zone_key.wrap_file(&self.vault.0, &file.0, &key)],
        };
        (file, self.seal_again(&head, &key, body))
    }

    /// What opens the chunks of a payload.
    pub fn codec(
        &self,
        file: FileId,
        key: &FileKey,
        payload: PayloadId,
        chunk: ChunkSize,
        origins: &[Origin],
    ) -> ChunkCodec {
        let place = FramePlace {
            suite: self.suite,
            vault: self.vault,
            file,
            payload,
        };
        codec(key, place, chunk, false, origins)
    }

    /// What opens the index blocks of a file.
    pub fn index_aead(&self, key: &FileKey) -> Aead {
        key.index_aead(self.suite)
    }

    /// Where the index blocks of a payload are read from.
    pub fn index<'a>(
        &self,
        store: &'a dyn Store,
        aead: &'a dyn Fn() -> Aead,
        file: FileId,
        payload: PayloadId,
    ) -> IndexSource<'a> {
        IndexSource {
            store,
            aead,
            kept: None,
            vault: self.vault,
            file,
            payload,
        }
    }
}
