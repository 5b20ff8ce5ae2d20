//! Names in the directory that is made. What has a name of its own keeps it: a name that is made up, with a suffix or of an id,
//! is none that anything else is to have.
use crate::format::NAME_LEN_MAX;
use std::collections::BTreeSet;

/// A name for something that is about to be made.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub name: &'a [u8],
    /// It was planned for this; else it is made up.
    pub is_own: bool,
    /// All names that are planned in the directory.
    pub planned: Option<&'a BTreeSet<Vec<u8>>>,
}

impl Wanted<'_> {
    /// Is this one of another's, whether that is there already or not?
    pub fn is_of_another(&self, name: &[u8]) -> bool {
        let is_own = self.is_own && name == self.name;
        !is_own && self.planned.is_some_and(|names| names.contains(name))
    }
}

/// The name itself, or with the first suffix that makes it free.
pub(super) fn free_name(name: &[u8], mut is_free: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    if is_free(name) {
        return name.to_vec();
    }
    let mut number = 1_u64;
    loop {
        let free = suffixed(name, format!(".{number}").as_bytes());
        if is_free(&free) {
            return free;
        }
        number += 1;
    }
}

/// A name with a suffix, cut to what a name may have, between two characters.
pub(super) fn suffixed(name: &[u8], suffix: &[u8]) -> Vec<u8> {
    let mut len = name.len().min(NAME_LEN_MAX - suffix.len());
    if len < name.len() {
        while len > 0 && name[len] & 0xc0 == 0x80 {
            len -= 1;
        }
    }
    [&name[..len], suffix].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_fit_and_cut_no_character() {
        assert_eq!(suffixed(b"name", b".damaged"), b"name.damaged");
        assert_eq!(suffixed(&[b'n'; 255], b".1").len(), 255);
        let long = "\u{e4}".repeat(127);
        let cut = suffixed(long.as_bytes(), b".12");
        assert!(std::str::from_utf8(&cut).is_ok() && cut.len() <= 255);
        // No text at all: still a name.
        assert_eq!(suffixed(&[0x80; 255], b".1"), b".1");
    }

    #[test]
    fn names_count_up_until_one_is_free() {
        let taken = [&b"a"[..], b"a.1", b"a.2"];
        assert_eq!(free_name(b"a", |name| !taken.contains(&name)), b"a.3");
        assert_eq!(free_name(b"b", |name| !taken.contains(&name)), b"b");
    }

    #[test]
    fn a_name_that_is_made_up_is_none_that_another_is_to_have() {
        let planned = [&b"a"[..], b"a.damaged", b"a.damaged.1"];
        let planned: BTreeSet<Vec<u8>> = planned.iter().map(|name| name.to_vec()).collect();
        let wanted = |name, is_own| Wanted {
            name,
            is_own,
            planned: Some(&planned),
        };
        let made = |wanted: Wanted<'_>| free_name(wanted.name, |name| !wanted.is_of_another(name));
        assert_eq!(made(wanted(b"a.damaged", true)), b"a.damaged");
        assert_eq!(made(wanted(b"a.damaged", false)), b"a.damaged.2");
    }
}
