//! Where each object lies in the store. Plaintext names never enter here: entries come by their stored names.

use super::{DirId, FileId, PayloadId, ZoneId};
use crate::store::ObjectPath;

/// `wardfs.vault`: the header.
pub fn header_path() -> ObjectPath {
    path("wardfs.vault".to_owned())
}

/// `wardfs.vault.copy`: its second copy.
pub fn header_copy_path() -> ObjectPath {
    path("wardfs.vault.copy".to_owned())
}

/// `zones/<32 hex digits>`: a zone's wrapped key.
pub fn zone_path(zone: &ZoneId) -> ObjectPath {
    path(format!("zones/{}", zone.hex()))
}

/// `zones.copy/<32 hex digits>`: its second copy.
pub fn zone_copy_path(zone: &ZoneId) -> ObjectPath {
    path(format!("zones.copy/{}", zone.hex()))
}

/// `zones.copy`: where the second copies lie.
pub fn zones_copy_path() -> ObjectPath {
    path("zones.copy".to_owned())
}

/// `zones`: where the first copies lie.
pub fn zones_path() -> ObjectPath {
    path("zones".to_owned())
}

/// `quarantine`: what repairs and recoveries have set aside.
pub fn quarantine_path() -> ObjectPath {
    path("quarantine".to_owned())
}

/// `guards/root`: the guard of the root directory.
pub fn root_guard_path() -> ObjectPath {
    path("guards/root".to_owned())
}

/// `guards/ab/cdef...`: where the guards of a directory's entries lie; `guards/links` for `DirId::LINKS`.
pub fn dir_path(dir: &DirId) -> ObjectPath {
    path(dir_text(dir))
}

/// The guard or alias of an entry, by the name under which it is stored.
///
/// # Panics
/// If `stored` is no stored name (`is_stored_name`): those that `NameKey::stored_name` gives are.
pub fn guard_path(dir: &DirId, stored: &str) -> ObjectPath {
    assert!(
        is_stored_name(stored.as_bytes()),
        "entries are stored under base64url names"
    );
    path(format!("{}/{stored}", dir_text(dir)))
}

/// Could this be the stored name of an entry: base64url after an optional `~`, 1 to 255 bytes? What lies in a backing
/// directory under another name is stray.
pub fn is_stored_name(stored: &[u8]) -> bool {
    let text = stored.strip_prefix(b"~").unwrap_or(stored);
    let base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    stored.len() <= 255 && !text.is_empty() && text.iter().all(base64url)
}

/// `guards/links/<32 hex digits>`: the guard of a hard-linked file.
pub fn link_guard_path(file: &FileId) -> ObjectPath {
    guard_path(&DirId::LINKS, &file.hex())
}

/// `payloads/ab/cdef...`: a payload's frames.
pub fn payload_path(payload: &PayloadId) -> ObjectPath {
    path(payload_text(payload))
}

/// `payloads/ab/cdef....index`: its index blocks.
pub fn index_path(payload: &PayloadId) -> ObjectPath {
    path(format!("{}.index", payload_text(payload)))
}

/// The directory whose entries lie in `guards/ab/cdef...`, by all these digits. `None` for what is no id, and for that of
/// `guards/links`: nothing of a vault lies under its digits, and it is not the directory that lies there.
pub fn parse_dir_digits(digits: &[u8]) -> Option<DirId> {
    DirId::from_hex(digits).filter(|dir| *dir != DirId::LINKS)
}

/// `payloads/ab`: the directory of a payload.
pub fn payload_dir(payload: &PayloadId) -> ObjectPath {
    let text = payload_text(payload);
    let (dir, _) = text.rsplit_once('/').unwrap_or_default();
    path(dir.to_owned())
}

/// `payloads/new`: where payloads are born.
pub fn new_payload_dir() -> ObjectPath {
    path("payloads/new".to_owned())
}

/// `payloads/new/<32 hex digits>`: a payload that no checkpoint has reached yet.
pub fn new_payload_path(payload: &PayloadId) -> ObjectPath {
    path(format!("payloads/new/{}", payload.hex()))
}

/// The payload of a name found in `payloads/new`; `None` for what no writer puts there.
pub fn parse_new_payload_name(name: &[u8]) -> Option<PayloadId> {
    PayloadId::from_hex(name)
}

/// What the name of a payload's object says wherever it lies: the last 30 digits of the id, and whether it is the index. It may
/// have a number at its end, as what was set aside twice. `None` for what has no such name.
pub fn parse_payload_name(name: &str) -> Option<(String, bool)> {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match name.rsplit_once('.') {
        Some((name, number)) if is_number(number) => name,
        _ => name,
    };
    let (digits, is_index) = match name.strip_suffix(".index") {
        Some(digits) => (digits, true),
        None => (name, false),
    };
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = matches!(digits.len(), 30 | 32) && digits.bytes().all(is_hex);
    fits.then(|| (digits[digits.len() - 30..].to_owned(), is_index))
}

/// The same of a payload that is looked for.
pub fn payload_key(payload: &PayloadId, is_index: bool) -> (String, bool) {
    (payload.hex().split_off(2), is_index)
}

fn dir_text(dir: &DirId) -> String {
    if *dir == DirId::LINKS {
        "guards/links".to_owned()
    } else {
        spread("guards", &dir.hex())
    }
}

fn payload_text(payload: &PayloadId) -> String {
    spread("payloads", &payload.hex())
}

/// Two digits of an id as a directory of its own, so that no directory grows with the vault alone.
fn spread(top: &str, hex: &str) -> String {
    let (first, rest) = hex.split_at(2);
    format!("{top}/{first}/{rest}")
}

fn path(text: String) -> ObjectPath {
    ObjectPath::new(text).expect("paths of the format are plain relative ones")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "00112233445566778899aabbccddeeff";

    fn id() -> [u8; 16] {
        FileId::from_hex(HEX.as_bytes()).unwrap().0
    }

    #[test]
    fn every_object_has_its_place() {
        for (path, text) in [
            (header_path(), "wardfs.vault"),
            (header_copy_path(), "wardfs.vault.copy"),
            (
                zone_path(&ZoneId(id())),
                "zones/00112233445566778899aabbccddeeff",
            ),
            (
                zone_copy_path(&ZoneId(id())),
                "zones.copy/00112233445566778899aabbccddeeff",
            ),
            (root_guard_path(), "guards/root"),
            (
                dir_path(&DirId(id())),
                "guards/00/112233445566778899aabbccddeeff",
            ),
            (dir_path(&DirId::LINKS), "guards/links"),
            (
                guard_path(&DirId(id()), "~Ab-_9"),
                "guards/00/112233445566778899aabbccddeeff/~Ab-_9",
            ),
            (
                link_guard_path(&FileId(id())),
                "guards/links/00112233445566778899aabbccddeeff",
            ),
            (
                payload_path(&PayloadId(id())),
                "payloads/00/112233445566778899aabbccddeeff",
            ),
            (payload_dir(&PayloadId(id())), "payloads/00"),
            (new_payload_dir(), "payloads/new"),
            (
                index_path(&PayloadId(id())),
                "payloads/00/112233445566778899aabbccddeeff.index",
            ),
            (
                new_payload_path(&PayloadId(id())),
                "payloads/new/00112233445566778899aabbccddeeff",
            ),
        ] {
            assert_eq!(path.as_str(), text);
        }
    }

    #[test]
    fn a_new_payload_is_found_again_by_its_name_alone() {
        assert_eq!(
            parse_new_payload_name(HEX.as_bytes()),
            Some(PayloadId(id()))
        );
        assert_eq!(
            parse_new_payload_name(b"00112233445566778899aabbccddeeff.index"),
            None
        );
    }

    #[test]
    fn payloads_are_known_by_the_end_of_their_names() {
        let end = &HEX[2..];
        for (name, is_index) in [
            (end.to_owned(), false),
            (HEX.to_owned(), false),
            (format!("{end}.index"), true),
            (format!("{end}.2"), false),
            (format!("{end}.index.2"), true),
        ] {
            let parsed = parse_payload_name(&name);
            assert_eq!(parsed, Some((end.to_owned(), is_index)), "{name}");
        }
        // A repair keeps parts of payloads under such names.
        let parts = ["", ".2", ".index.2"].map(|number| format!("{end}.from-4096{number}"));
        for part in &parts {
            assert_eq!(parse_payload_name(part), None, "{part}");
        }
        for odd in ["", "ff", ".index", &end[1..], &end.to_uppercase()] {
            assert_eq!(parse_payload_name(odd), None, "{odd}");
        }
        let key = payload_key(&PayloadId(id()), true);
        assert_eq!(key, (end.to_owned(), true));
    }

    #[test]
    fn stray_names_are_no_stored_names() {
        for good in ["a", "~a", "Ab-_9", &"x".repeat(255)] {
            assert!(is_stored_name(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "~",
            "~~a",
            ".",
            "..",
            "a/b",
            "a.txt",
            "a=",
            "a b",
            "a\0",
            "\u{e9}",
            &"x".repeat(256),
        ] {
            assert!(!is_stored_name(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    #[should_panic(expected = "base64url")]
    fn no_name_leads_out_of_its_directory() {
        guard_path(&DirId(id()), "../escape");
    }
}
