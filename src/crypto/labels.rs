//! Every purpose a key can have, by the label under which it is derived. One label, one purpose, one length.
//!
//! Labels are part of the format: a new purpose takes a new label, and none is changed or used again.

/// Names a purpose in [`derive`](super::derive::derive), and how many bytes it takes. Only this file makes
/// one.
#[derive(Clone, Copy)]
pub(super) struct Label<const N: usize>(&'static str);

impl<const N: usize> Label<N> {
    pub(super) fn bytes(self) -> &'static [u8] {
        self.0.as_bytes()
    }
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident: $len:literal = $text:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: Label<$len> = Label($text);)*
        #[cfg(test)]
        const ALL: &[&str] = &[$($text),*];
    };
}

labels! {
    /// Slot key, of a vault: wraps the master key.
    WRAP_MASTER: 64 = "wardfs wrap master";
    /// Master key, of a vault and zone: wraps the zone key.
    WRAP_ZONE: 64 = "wardfs wrap zone";
    /// Zone key, of a vault and file: wraps the file key.
    WRAP_FILE: 64 = "wardfs wrap file";
    /// Master key, of a vault: authenticates the header.
    HEADER: 32 = "wardfs header";
    /// Master key, of a vault and suite: gives the keys of the journal's files.
    JOURNAL: 32 = "wardfs journal";
    /// Journal key, of a number: seals the log segment and the redo file of that number.
    JOURNAL_FILE: 32 = "wardfs journal file";
    /// Zone key, of a directory and suite: seals its aliases.
    ALIAS: 32 = "wardfs alias";
    /// Zone key, of a directory: gives aliases their nonces.
    ALIAS_NONCE: 32 = "wardfs alias nonce";
    /// Zone key, of a directory: encrypts names.
    NAME: 64 = "wardfs name";
    /// Zone key, of a directory: hashes names too long to be stored encrypted.
    LONG_NAME: 32 = "wardfs long name";
    /// Zone key, of a directory: hashes items of its names hash.
    NAMES_HASH: 32 = "wardfs names hash";
    /// Zone key, of a directory: hashes items of its state hash.
    STATE_HASH: 32 = "wardfs state hash";
    /// File key, of a suite: seals the guard's body.
    GUARD: 32 = "wardfs guard";
    /// File key, of a suite: seals chunks.
    CHUNK: 32 = "wardfs chunk";
    /// File key, of a suite and a count of origins: seals chunks of a file that has origins.
    CHUNK_AFTER: 32 = "wardfs chunk after";
    /// File key, of a payload: authenticates whole frames whose chunk key somebody else may know.
    BIND: 32 = "wardfs bind frame";
    /// File key, of a suite: seals index blocks.
    INDEX: 32 = "wardfs index";
    /// Lock key, of a stream: wraps the stream key.
    WRAP_STREAM: 64 = "wardfs wrap stream";
    /// Stream key: authenticates the stream's header.
    STREAM_HEADER: 32 = "wardfs stream header";
    /// Stream key, of the shape that the header gives: seals the stream's parts.
    STREAM_PART: 32 = "wardfs stream part";
    /// Master key, of a vault: the lock key of streams that the vault opens.
    VAULT_STREAMS: 32 = "wardfs vault streams";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn labels_are_all_distinct() {
        let texts: HashSet<_> = ALL.iter().collect();
        assert_eq!(texts.len(), ALL.len());
        assert!(ALL.len() >= 18);
    }

    #[test]
    fn labels_say_whose_they_are() {
        for label in ALL {
            assert!(label.starts_with("wardfs "));
            assert!(
                label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b' ')
            );
        }
    }
}
