//! What else is sealed or wrapped: heads of guards, aliases, zone files.

use super::{bodies::content, name, suite, wrapped_key};
use crate::format::{Alias, FileId, GuardHead, ZoneFile, ZoneId};
use proptest::{collection::vec, prelude::*};

pub fn guard_head() -> impl Strategy<Value = GuardHead> {
    (
        suite(),
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        vec(wrapped_key(), 1..=8),
    )
        .prop_map(|(suite, file, zone, stanzas)| GuardHead {
            suite,
            file: FileId(file),
            zone: ZoneId(zone),
            stanzas,
        })
}

pub fn alias() -> impl Strategy<Value = Alias> {
    (any::<[u8; 16]>(), content(), name()).prop_map(|(file, content, name)| Alias {
        file: FileId(file),
        kind: content.kind(),
        name,
    })
}

pub fn zone_file() -> impl Strategy<Value = ZoneFile> {
    (any::<[u8; 16]>(), wrapped_key()).prop_map(|(zone, wrapped)| ZoneFile {
        zone: ZoneId(zone),
        wrapped,
    })
}
