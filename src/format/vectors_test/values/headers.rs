//! Headers of vaults, with one passphrase and two, and with other settings.

use super::{super::VAULT, ZONE, chain, chunk};
use crate::{
    crypto::{KdfParams, Suite, WrappedKey},
    format::{Header, SLOTS, Slot},
};

pub fn headers() -> Vec<(&'static str, Header)> {
    let kdf = KdfParams::checked(8192, 2, 2).unwrap();
    let slot = Slot::Passphrase {
        kdf,
        salt: chain("salt"),
        wrapped: WrappedKey(chain("wrapped master key")),
    };
    let mut slots = vec![Slot::Empty; SLOTS];
    slots[0] = slot.clone();
    let one = Header {
        vault: VAULT,
        suite: Suite::Aes256Gcm,
        chunk: chunk(14),
        compress: true,
        root_zone: ZONE,
        slots,
        generation: 0,
    };
    let mut two = Header {
        suite: Suite::Aes256GcmSiv,
        chunk: chunk(20),
        compress: false,
        ..one.clone()
    };
    two.slots[7] = slot;
    let changed = Header {
        generation: 0x0102_0304,
        ..one.clone()
    };
    vec![
        ("changed", changed),
        ("one passphrase", one.clone()),
        ("a byte behind the end", one.clone()),
        ("two passphrases, other settings", two),
        ("unknown extensions", one),
    ]
}
