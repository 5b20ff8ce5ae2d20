//! The keys of a vault and what each is for: which key wraps or derives which (the tree is in the design,
//! section 3).
//!
//! A key shows its bytes to no one, with two exceptions: [`FileKey::expose`], for the journal, and [`ChunkKey::expose`]. The master
//! key and the zone keys are random, so that a passphrase or a zone key changes by rewrapping 32 bytes; a
//! file key is random, one a file.

use super::{
    KEY_LEN,
    aead::{Aead, NONCE_LEN, Nonce, OpenError, Suite, TAG_LEN, Tag},
    derive::{Secret, derive},
    labels,
    names::NameKey,
    random::fill_key,
    wrap::{WrappedKey, unwrap, wrap},
};
use parking_lot::Mutex;
use std::{fmt, sync::Arc};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

macro_rules! secret_keys {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name(pub(super) Secret);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

secret_keys! {
    /// The root of all keys of a vault; wrapped by slot keys.
    MasterKey;
    /// Authenticates the header of a vault.
    HeaderKey;
    /// The key of a subtree; wrapped by the master key.
    ZoneKey;
    /// The key of one file, directory or link; wrapped by a zone key.
    FileKey;
    /// Seals the chunks of a file, and nothing else of it: so much may be told to whoever is given the content.
    ChunkKey;
    /// Authenticates whole frames of a payload, where somebody else may know their chunk key. It never leaves its vault.
    BindKey;
    /// Gives nonces out of all that is sealed with them.
    NonceKey;
}

pub(super) fn random_key() -> Secret {
    let mut key = Secret::zeroed();
    fill_key(key.expose_mut());
    key
}

/// `parts` end with the suite's byte, so that no key serves two algorithms.
fn derived_aead(
    key: &Secret,
    label: labels::Label<KEY_LEN>,
    parts: &[&[u8]],
    suite: Suite,
) -> Aead {
    Aead::new(suite, derive(key, label, parts).expose())
}

impl MasterKey {
    /// A fresh one, for a new vault.
    pub fn generate() -> Self {
        MasterKey(random_key())
    }

    /// The key that authenticates the header of this vault.
    pub fn header_key(&self, vault: &[u8; 16]) -> HeaderKey {
        HeaderKey(derive(&self.0, labels::HEADER, &[vault]))
    }

    /// The key of this vault's journal.
    pub fn journal_key(&self, vault: &[u8; 16], suite: Suite) -> JournalKey {
        let secret = derive(&self.0, labels::JOURNAL, &[vault, &[suite.byte()]]);
        JournalKey {
            secret,
            suite,
            recent: Mutex::default(),
        }
    }

    /// Wraps the key of a zone of this vault.
    pub fn wrap_zone(&self, vault: &[u8; 16], zone: &[u8; 16], key: &ZoneKey) -> WrappedKey {
        wrap(&self.0, labels::WRAP_ZONE, &[vault, zone], &key.0)
    }

    /// Unwraps what [`wrap_zone`](MasterKey::wrap_zone) gave for the same vault and zone.
    ///
    /// # Errors
    /// [`OpenError`] when it was wrapped by another key, for another zone, or was changed.
    pub fn unwrap_zone(
        &self,
        vault: &[u8; 16],
        zone: &[u8; 16],
        wrapped: &WrappedKey,
    ) -> Result<ZoneKey, OpenError> {
        unwrap(&self.0, labels::WRAP_ZONE, &[vault, zone], wrapped).map(ZoneKey)
    }
}

impl HeaderKey {
    /// The code that authenticates these bytes: keyed BLAKE3.
    pub fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        blake3::keyed_hash(self.0.expose(), bytes).into()
    }

    /// Whether `mac` is that of these bytes, in constant time.
    ///
    /// # Errors
    /// [`OpenError`] when it is not.
    pub fn verify(&self, bytes: &[u8], mac: &[u8; 32]) -> Result<(), OpenError> {
        if bool::from(self.mac(bytes).ct_eq(mac)) {
            Ok(())
        } else {
            Err(OpenError)
        }
    }
}

/// Gives the keys of the journal's files: each seals so little that its seals need no counting.
pub struct JournalKey {
    secret: Secret,
    suite: Suite,
    /// The last ones used, of an even and of an odd number: a checkpoint writes a redo file beside the next segment.
    recent: Mutex<[Option<FileAead>; 2]>,
}

/// Of the journal's files of a number.
type FileAead = (u64, Arc<Aead>);

impl JournalKey {
    /// Seals and opens the frames of the log segment and of the redo file of this number.
    pub fn file_aead(&self, number: u64) -> Arc<Aead> {
        let mut recent = self.recent.lock();
        let slot = &mut recent[usize::from(number % 2 == 1)];
        match slot {
            Some((known, aead)) if *known == number => Arc::clone(aead),
            _ => {
                let parts: &[&[u8]] = &[&number.to_le_bytes()];
                let aead = derived_aead(&self.secret, labels::JOURNAL_FILE, parts, self.suite);
                let aead = Arc::new(aead);
                *slot = Some((number, Arc::clone(&aead)));
                aead
            }
        }
    }
}

impl fmt::Debug for JournalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JournalKey")
    }
}

impl NonceKey {
    /// The nonce of one message: the same for the same message, and of any other as good as random. All that the seal covers has
    /// to go in; `bound` is as long for every message.
    pub fn nonce(&self, bound: &[u8], plain: &[u8]) -> Nonce {
        let mut hasher = blake3::Hasher::new_keyed(self.0.expose());
        let hash = hasher.update(bound).update(plain).finalize();
        hasher.zeroize();
        let mut nonce = Nonce([0; NONCE_LEN]);
        nonce.0.copy_from_slice(&hash.as_bytes()[..NONCE_LEN]);
        nonce
    }
}

impl ZoneKey {
    /// A fresh one, for a new zone or for rotation.
    pub fn generate() -> Self {
        ZoneKey(random_key())
    }

    /// Wraps the key of a file in this zone.
    pub fn wrap_file(&self, vault: &[u8; 16], file: &[u8; 16], key: &FileKey) -> WrappedKey {
        wrap(&self.0, labels::WRAP_FILE, &[vault, file], &key.0)
    }

    /// Unwraps what [`wrap_file`](ZoneKey::wrap_file) gave for the same vault and file.
    ///
    /// # Errors
    /// [`OpenError`] when it was wrapped by another key, for another file, or was changed.
    pub fn unwrap_file(
        &self,
        vault: &[u8; 16],
        file: &[u8; 16],
        wrapped: &WrappedKey,
    ) -> Result<FileKey, OpenError> {
        unwrap(&self.0, labels::WRAP_FILE, &[vault, file], wrapped).map(FileKey)
    }

    /// Seals and opens the aliases (further links of a file) in a directory.
    pub fn alias_aead(&self, dir: &[u8; 16], suite: Suite) -> Aead {
        derived_aead(&self.0, labels::ALIAS, &[dir, &[suite.byte()]], suite)
    }

    /// What gives the aliases in a directory their nonces.
    pub fn alias_nonces(&self, dir: &[u8; 16]) -> NonceKey {
        NonceKey(derive(&self.0, labels::ALIAS_NONCE, &[dir]))
    }

    /// The keys for the names in a directory.
    pub fn name_key(&self, dir: &[u8; 16]) -> NameKey {
        NameKey::derive(&self.0, dir)
    }
}

impl FileKey {
    /// A fresh one, for a new file.
    pub fn generate() -> Self {
        FileKey(random_key())
    }

    /// For the journal, whose records are sealed: a new file's key must survive until its guard is stored.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        self.0.expose()
    }

    /// What [`expose`](FileKey::expose) gave. The bytes are copied; wiping those given is the caller's part.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        FileKey(Secret::copied(bytes))
    }

    /// Seals and opens the body of the guard.
    pub fn guard_aead(&self, suite: Suite) -> Aead {
        derived_aead(&self.0, labels::GUARD, &[&[suite.byte()]], suite)
    }

    /// Seals and opens the chunks of the payload of a file without origins.
    pub fn chunk_aead(&self, suite: Suite) -> Aead {
        self.chunk_key(suite, 0).aead(suite)
    }

    /// The chunk key of a file that has so many origins. Each is independent of the others: who knows those that became
    /// origins knows nothing of this one.
    pub fn chunk_key(&self, suite: Suite, origins: u8) -> ChunkKey {
        let suite = suite.byte();
        ChunkKey(match origins {
            0 => derive(&self.0, labels::CHUNK, &[&[suite]]),
            count => derive(&self.0, labels::CHUNK_AFTER, &[&[suite], &[count]]),
        })
    }

    /// Binds the index of a payload to its frames where their tags do not.
    pub fn bind_key(&self, payload: &[u8; 16]) -> BindKey {
        BindKey(derive(&self.0, labels::BIND, &[payload]))
    }

    /// Seals and opens the blocks of the index.
    pub fn index_aead(&self, suite: Suite) -> Aead {
        derived_aead(&self.0, labels::INDEX, &[&[suite.byte()]], suite)
    }
}

impl ChunkKey {
    /// For a guard's or bundle's list of origins, which is sealed.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        self.0.expose()
    }

    /// What [`expose`](ChunkKey::expose) gave. The bytes are copied; wiping those given is the caller's part.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        ChunkKey(Secret::copied(bytes))
    }

    /// Seals and opens chunks, with the suite that it was derived for.
    pub fn aead(&self, suite: Suite) -> Aead {
        Aead::new(suite, self.0.expose())
    }
}

impl BindKey {
    /// The code that stands for all bytes of a frame, and for the chunk that it is: keyed BLAKE3 of `frame | chunk u64`, cut to the
    /// length of a tag.
    pub fn mac(&self, frame: &[u8], chunk: u64) -> Tag {
        let mut hasher = blake3::Hasher::new_keyed(self.0.expose());
        hasher.update(frame).update(&chunk.to_le_bytes());
        let mut mac = Tag([0; TAG_LEN]);
        hasher.finalize_xof().fill(&mut mac.0);
        mac
    }

    /// Whether `mac` is that of this frame, in constant time.
    ///
    /// # Errors
    /// [`OpenError`] when it is not.
    pub fn verify(&self, frame: &[u8], chunk: u64, mac: &Tag) -> Result<(), OpenError> {
        if bool::from(self.mac(frame, chunk).0.ct_eq(&mac.0)) {
            Ok(())
        } else {
            Err(OpenError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Nonce, *};

    const VAULT: &[u8; 16] = b"vault identifier";
    const OTHER: &[u8; 16] = b"another identity";

    /// Sixteen bytes that only this key gives.
    fn mark(aead: &Aead) -> [u8; 16] {
        aead.seal(&Nonce([0; 12]), &[], &mut []).0
    }

    #[test]
    fn keys_may_be_shared_and_sent() {
        fn shared<T: Send + Sync>() {}
        shared::<MasterKey>();
        shared::<HeaderKey>();
        shared::<ZoneKey>();
        shared::<FileKey>();
        shared::<JournalKey>();
        shared::<NameKey>();
        shared::<Aead>();
        shared::<super::super::SlotKey>();
    }

    #[test]
    fn debug_prints_names_only() {
        let text = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            MasterKey::generate(),
            MasterKey::generate().header_key(VAULT),
            ZoneKey::generate(),
            FileKey::from_bytes(&[0xab; 32]),
            FileKey::from_bytes(&[0xab; 32]).chunk_aead(Suite::Aes256Gcm),
            MasterKey::generate().journal_key(VAULT, Suite::Aes256Gcm),
        );
        assert_eq!(text, "MasterKey HeaderKey ZoneKey FileKey Aead JournalKey");
    }

    #[test]
    fn generated_keys_differ() {
        assert_ne!(
            MasterKey::generate().0.expose(),
            MasterKey::generate().0.expose()
        );
        assert_ne!(
            ZoneKey::generate().0.expose(),
            ZoneKey::generate().0.expose()
        );
        assert_ne!(FileKey::generate().expose(), FileKey::generate().expose());
    }

    #[test]
    fn wrapped_keys_open_at_their_own_place_only() {
        let (master, zone, file) = (
            MasterKey::generate(),
            ZoneKey::generate(),
            FileKey::generate(),
        );
        let wrapped = master.wrap_zone(VAULT, OTHER, &zone);
        assert_eq!(
            master
                .unwrap_zone(VAULT, OTHER, &wrapped)
                .unwrap()
                .0
                .expose(),
            zone.0.expose()
        );
        assert!(master.unwrap_zone(OTHER, VAULT, &wrapped).is_err());
        assert!(
            MasterKey::generate()
                .unwrap_zone(VAULT, OTHER, &wrapped)
                .is_err()
        );

        let wrapped = zone.wrap_file(VAULT, OTHER, &file);
        assert_eq!(
            zone.unwrap_file(VAULT, OTHER, &wrapped).unwrap().expose(),
            file.expose()
        );
        assert!(zone.unwrap_file(VAULT, VAULT, &wrapped).is_err());
        assert!(
            ZoneKey::generate()
                .unwrap_file(VAULT, OTHER, &wrapped)
                .is_err()
        );
    }

    #[test]
    fn a_file_key_survives_the_journal() {
        let key = FileKey::generate();
        let again = FileKey::from_bytes(key.expose());
        assert_eq!(
            mark(&key.chunk_aead(Suite::Aes256Gcm)),
            mark(&again.chunk_aead(Suite::Aes256Gcm))
        );
    }

    #[test]
    fn the_header_is_authenticated_bit_by_bit() {
        let key = MasterKey::generate().header_key(VAULT);
        let mac = key.mac(b"header");
        key.verify(b"header", &mac).unwrap();
        assert!(key.verify(b"Header", &mac).is_err());
        for bit in 0..256 {
            let mut bad = mac;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(key.verify(b"header", &bad).is_err());
        }
        assert!(
            MasterKey::generate()
                .header_key(VAULT)
                .verify(b"header", &mac)
                .is_err()
        );
    }

    #[test]
    fn a_bound_frame_is_authenticated_bit_by_bit_and_at_its_place() {
        let file = FileKey::generate();
        let key = file.bind_key(VAULT);
        let frame: Vec<u8> = (0..=255).cycle().take(3000).collect();
        let mac = key.mac(&frame, 7);
        key.verify(&frame, 7, &mac).unwrap();
        for at in 0..frame.len() {
            let mut bad = frame.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(key.verify(&bad, 7, &mac).is_err(), "byte {at}");
        }
        for bit in 0..128 {
            let mut bad = mac;
            bad.0[bit / 8] ^= 1 << (bit % 8);
            assert!(key.verify(&frame, 7, &bad).is_err(), "bit {bit}");
        }
        assert!(key.verify(&frame[..2999], 7, &mac).is_err());
        assert!(key.verify(&frame, 8, &mac).is_err());
        for other in [&file.bind_key(OTHER), &FileKey::generate().bind_key(VAULT)] {
            assert!(other.verify(&frame, 7, &mac).is_err());
        }
    }

    #[test]
    fn every_derived_aead_has_a_key_of_its_own() {
        let bytes = [5; 32];
        let (master, zone, file) = (
            MasterKey(Secret::copied(&bytes)),
            ZoneKey(Secret::copied(&bytes)),
            FileKey::from_bytes(&bytes),
        );
        let mut marks = std::collections::HashSet::new();
        for suite in [Suite::Aes256Gcm, Suite::Aes256GcmSiv] {
            for aead in [
                &file.guard_aead(suite),
                &file.chunk_aead(suite),
                &file.chunk_key(suite, 1).aead(suite),
                &file.chunk_key(suite, 2).aead(suite),
                &file.index_aead(suite),
                &zone.alias_aead(VAULT, suite),
                &zone.alias_aead(OTHER, suite),
                &master.journal_key(VAULT, suite).file_aead(1),
                &master.journal_key(VAULT, suite).file_aead(3),
                &master.journal_key(OTHER, suite).file_aead(1),
            ] {
                assert!(marks.insert(mark(aead)));
            }
        }
        assert_eq!(marks.len(), 20);
    }

    #[test]
    fn the_suite_is_in_the_derivation_and_not_in_the_algorithm_alone() {
        let file = Secret::copied(&[5; 32]);
        let of = |suite: Suite| *derive(&file, labels::CHUNK, &[&[suite.byte()]]).expose();
        let key = FileKey::from_bytes(&[5; 32]);
        for suite in [Suite::Aes256Gcm, Suite::Aes256GcmSiv] {
            assert_eq!(
                mark(&key.chunk_aead(suite)),
                mark(&Aead::new(suite, &of(suite)))
            );
        }
        assert_ne!(of(Suite::Aes256Gcm), of(Suite::Aes256GcmSiv));
    }
}
