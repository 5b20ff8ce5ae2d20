//! A disk that is full until it is synced: what was given back is nobody's before that on ext4 and btrfs.
use crate::store::StoreError;

/// Does something, and if there is no space for it once more after a sync.
pub(super) fn again_if_full<T, E: From<StoreError>>(
    mut attempt: impl FnMut() -> Result<T, StoreError>,
    sync: impl FnOnce() -> Result<(), E>,
) -> Result<T, E> {
    match attempt() {
        Err(full) if full.is_no_space() => {
            sync()?;
            Ok(attempt()?)
        }
        done => Ok(done?),
    }
}
