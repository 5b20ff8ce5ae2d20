//! The stored objects of payloads and their indexes, kept open for the next read; those that were opened first are closed
//! when there are many.
use super::{Birth, Payload, Shared, index_source::IndexSource};
use crate::{
    crypto::{Aead, FileKey},
    format::{FileId, index_path, new_payload_path, payload_path},
    store::{Blob, StoreError},
    vault::{
        core::Core,
        error::{Result, unopened},
    },
};
use parking_lot::Mutex;
use std::sync::Arc;

/// Objects kept open, unless the store lets us keep fewer: far below the 1,024 descriptors that a process gets by default.
const OPEN_BLOBS_MAX: usize = 256;
/// Of what the store lets us keep open, the part for those that wait for a sync (`journal/commit.rs`) and others.
const OTHERS_SHARE: usize = 2;

/// What is said of a payload that is not there.
pub(super) const MISSING: &str = "the payload is missing";

/// What is open of a payload. The vault's list refers to it weakly: it must not keep the object of a payload that is gone
/// from being removed.
#[derive(Default)]
pub(in crate::vault) struct OpenBlobs {
    /// The payload.
    frames: Mutex<Option<Arc<dyn Blob>>>,
    index: Mutex<Option<Arc<OpenIndex>>>,
}

/// An index's object, with what opens its blocks: a key schedule takes as long as reading a block.
pub struct OpenIndex {
    /// Where the blocks lie.
    pub blob: Arc<dyn Blob>,
    /// What they are sealed with.
    pub aead: Aead,
}

impl OpenBlobs {
    pub fn close(&self) {
        self.frames.lock().take();
        self.index.lock().take();
    }
}

impl Core {
    /// Where index blocks of a payload come from, for the length of `use_it`. The payload's map must not be locked before.
    pub fn with_source<T>(
        &self,
        file: FileId,
        key: &FileKey,
        payload: &Shared,
        use_it: impl FnOnce(&IndexSource<'_>) -> T,
    ) -> T {
        let aead = || key.index_aead(self.keys.suite);
        let done = use_it(&IndexSource {
            store: &*self.store,
            aead: &aead,
            kept: Some(&|| self.open_index(key, payload)),
            vault: self.keys.vault,
            file,
            payload: payload.id,
        });
        self.index_blocks.note(&payload.slots);
        done
    }

    fn open_index(
        &self,
        key: &FileKey,
        payload: &Shared,
    ) -> std::result::Result<Arc<OpenIndex>, StoreError> {
        let mut open = payload.blobs.index.lock();
        if let Some(open) = &*open {
            return Ok(Arc::clone(open));
        }
        let opened = Arc::new(OpenIndex {
            blob: self.store.open(&index_path(&payload.id), false)?,
            aead: key.index_aead(self.keys.suite),
        });
        *open = Some(Arc::clone(&opened));
        drop(open);
        self.note_open(&payload.blobs);
        Ok(opened)
    }

    /// The payload's object, if it is there.
    pub fn payload_blob(&self, payload: &Payload) -> Result<Option<Arc<dyn Blob>>> {
        let mut blob = payload.blobs.frames.lock();
        if blob.is_some() {
            return Ok(blob.clone());
        }
        let path = match payload.birth {
            Birth::Unborn => return Ok(None),
            Birth::New => new_payload_path(&payload.id),
            Birth::Placing | Birth::Placed => payload_path(&payload.id),
        };
        let opened = match self.store.open(&path, false) {
            Ok(opened) => opened,
            Err(StoreError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(unopened(&path, MISSING, error)),
        };
        *blob = Some(Arc::clone(&opened));
        drop(blob);
        self.note_open(&payload.blobs);
        Ok(Some(opened))
    }

    /// Keeps the object of a payload that was just made.
    pub fn keep_blob(&self, payload: &Payload, blob: &Arc<dyn Blob>) {
        *payload.blobs.frames.lock() = Some(Arc::clone(blob));
        self.note_open(&payload.blobs);
    }

    /// Each object that is open has an entry in the list, so that there are never more of them than entries.
    fn note_open(&self, blobs: &Arc<OpenBlobs>) {
        let oldest = {
            let mut open = self.open_blobs.lock();
            open.push_back(Arc::downgrade(blobs));
            if open.len() > OPEN_BLOBS_MAX.min(self.store.open_max() / OTHERS_SHARE) {
                open.pop_front()
            } else {
                None
            }
        };
        if let Some(oldest) = oldest.and_then(|oldest| oldest.upgrade()) {
            oldest.close();
        }
    }
}
