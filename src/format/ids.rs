//! Random 128-bit identities. They are public (they show in paths and clear heads) and never derived from content.

use crate::crypto::fill_random;
use data_encoding::HEXLOWER;
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// A fresh one.
            pub fn random() -> Self {
                let mut bytes = [0; 16];
                fill_random(&mut bytes);
                $name(bytes)
            }

            /// 32 lower-case hex digits.
            pub fn hex(&self) -> String {
                HEXLOWER.encode(&self.0)
            }

            /// Reads what `hex` writes, and nothing else.
            pub fn from_hex(digits: &[u8]) -> Option<Self> {
                if digits.len() != 32 {
                    return None;
                }
                let mut bytes = [0; 16];
                HEXLOWER.decode_mut(digits, &mut bytes).ok()?;
                Some($name(bytes))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.hex())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.hex())
            }
        }
    };
}

id! {
    /// A vault, for ever: what is sealed in one vault does not open in another.
    VaultId
}
id! {
    /// A file, directory, link or special file, whatever its names are.
    FileId
}
id! {
    /// A directory's backing directory: where the guards of its entries lie.
    DirId
}
id! {
    /// One version of a file's stored content.
    PayloadId
}
id! {
    /// A subtree with its own key.
    ZoneId
}
id! {
    /// A stream: binds its wrapped keys to it.
    StreamId
}

impl FileId {
    /// The inode number: the first 8 bytes little-endian with the top bit cleared. 0 (no inode) and 1 (the root's number)
    /// become 2 and 3.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the first 8 bytes are the low ones"
    )]
    pub fn ino(&self) -> u64 {
        match u128::from_le_bytes(self.0) as u64 & (u64::MAX >> 1) {
            reserved @ 0..=1 => reserved + 2,
            number => number,
        }
    }
}

impl DirId {
    /// The pseudo directory `guards/links`, where the guards of hard-linked files lie. No directory has this id.
    pub const LINKS: DirId = DirId([0; 16]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_comes_back() {
        let id = FileId([
            0x00, 0xff, 0x10, 0xab, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        ]);
        assert_eq!(id.hex(), "00ff10ab0405060708090a0b0c0d0e0f");
        assert_eq!(FileId::from_hex(id.hex().as_bytes()), Some(id));
        assert_eq!(format!("{id:?} {id}"), format!("FileId({0}) {0}", id.hex()));
    }

    #[test]
    fn only_32_lower_case_hex_digits_are_an_id() {
        for bad in [
            "",
            "00",
            "00FF10AB0405060708090A0B0C0D0E0F",
            "00ff10ab0405060708090a0b0c0d0e0",
            "00ff10ab0405060708090a0b0c0d0e0f0",
            "00ff10ab0405060708090a0b0c0d0e0f00",
            "g0ff10ab0405060708090a0b0c0d0e0f",
            " 0ff10ab0405060708090a0b0c0d0e0f",
        ] {
            assert_eq!(PayloadId::from_hex(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn inode_numbers_are_positive_and_leave_0_and_1_free() {
        let ino = |first: u64| {
            let mut bytes = [0xee; 16];
            bytes[..8].copy_from_slice(&first.to_le_bytes());
            FileId(bytes).ino()
        };
        assert_eq!(ino(0), 2);
        assert_eq!(ino(1), 3);
        assert_eq!(ino(2), 2);
        assert_eq!(ino(1 << 63), 2);
        assert_eq!(ino(u64::MAX), u64::MAX >> 1);
        assert_eq!(ino(0x0102_0304_0506_0708), 0x0102_0304_0506_0708);
    }
}
