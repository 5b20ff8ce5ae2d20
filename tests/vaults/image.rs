//! Vaults ready to be opened. Key derivation is the most of a run's time, so a vault is made once and copied.
use super::objects::{copy_into, objects};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};
use wardfs::{
    crypto::{KdfParams, Suite},
    format::ChunkSize,
    store::{MemoryStore, SimulatedStore, Store},
    vault::{InitOptions, OpenOptions, Result, Unlocker, Vault, init},
};

/// What opens them.
pub const PASSPHRASE: &[u8] = b"a passphrase";

/// Which vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// Chunks of 4 KiB, compressed, AES-GCM: small files have many chunks and an index.
    Small,
    /// Chunks of 16 KiB, not compressed, AES-GCM-SIV.
    Large,
}

impl Image {
    /// One of them by a number, so that both are tried.
    pub fn by(number: u64) -> Image {
        if number.is_multiple_of(2) {
            Image::Small
        } else {
            Image::Large
        }
    }

    fn chunk_log2(self) -> u8 {
        match self {
            Image::Small => 12,
            Image::Large => 14,
        }
    }

    /// What a chunk holds.
    pub fn chunk(self) -> ChunkSize {
        ChunkSize::from_log2(self.chunk_log2()).expect("a chunk size")
    }

    fn objects(self) -> &'static BTreeMap<String, Vec<u8>> {
        static SMALL: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
        static LARGE: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
        let (made, suite, compress) = match self {
            Image::Small => (&SMALL, Suite::Aes256Gcm, true),
            Image::Large => (&LARGE, Suite::Aes256GcmSiv, false),
        };
        made.get_or_init(|| {
            let store = MemoryStore::new();
            let kdf = KdfParams::checked(KdfParams::MEMORY_KIB_MIN.into(), 1, 1)
                .expect("the floor of the bounds");
            let chunk = self.chunk();
            init(
                &store,
                PASSPHRASE,
                &InitOptions {
                    suite,
                    compress,
                    chunk,
                    kdf,
                    uid: 0,
                    gid: 0,
                },
            )
            .expect("a new vault");
            objects(&store)
        })
    }

    /// A new vault in memory.
    pub fn in_memory(self) -> MemoryStore {
        let store = MemoryStore::new();
        copy_into(&store, self.objects());
        store
    }

    /// A new vault in memory that holds so many bytes.
    pub fn in_memory_of(self, bytes: u64) -> MemoryStore {
        let store = MemoryStore::with_capacity(bytes);
        copy_into(&store, self.objects());
        store
    }

    /// A new vault on a store that can lose power; all of it is durable.
    pub fn on_disk(self) -> SimulatedStore {
        let store = SimulatedStore::new();
        copy_into(&store, self.objects());
        store.sync().expect("a store in memory");
        store
    }
}

thread_local! {
    /// Deriving a key takes ten times as long as all else of an opening: each thread does it once.
    static UNLOCKER: RefCell<Unlocker<'static>> = RefCell::new(Unlocker::new(PASSPHRASE));
}

/// Opens one of these vaults.
pub fn open(store: Arc<dyn Store>, options: OpenOptions) -> Result<Vault> {
    UNLOCKER.with_borrow_mut(|unlocker| Vault::open_again(store, unlocker, options))
}

/// One thread and no other: checkpoints come when an operation asks, or when the log is three times this long.
pub fn options(checkpoint_bytes: u64) -> OpenOptions {
    OpenOptions {
        read_only: false,
        threads: Some(1),
        checkpoint_bytes,
        checkpoint_age: Duration::from_secs(3600),
        background: false,
        strict: false,
    }
}
