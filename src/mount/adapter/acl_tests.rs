//! Expected results are those of Linux itself (setfacl, mkdir and touch on ext4).

use super::*;

/// A list from `tag, id, allowed`, as bytes.
fn bytes(entries: &[(u16, u32, u16)]) -> Vec<u8> {
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, id, allowed) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(allowed.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn acl(entries: &[(u16, u32, u16)]) -> Acl {
    Acl::parse(&bytes(entries)).unwrap().unwrap()
}

const ANY: u32 = u32::MAX;

/// `user::rwx user:8:rwx group::r-x mask::rwx other::---`
const EXTENDED: [(u16, u32, u16); 5] = [
    (1, ANY, 7),
    (2, 8, 7),
    (4, ANY, 5),
    (0x10, ANY, 7),
    (0x20, ANY, 0),
];

/// `user::rw- group::r-- other::---`
const MINIMAL: [(u16, u32, u16); 3] = [(1, ANY, 6), (4, ANY, 4), (0x20, ANY, 0)];

#[test]
fn bytes_come_back_as_they_went() {
    for entries in [EXTENDED.as_slice(), &MINIMAL] {
        assert_eq!(acl(entries).encode(), bytes(entries));
    }
}

#[test]
fn no_entries_are_no_list() {
    assert_eq!(Acl::parse(&bytes(&[])), Ok(None));
}

#[test]
fn malformed_bytes_are_refused() {
    let whole = bytes(&EXTENDED);
    for len in 0..whole.len() {
        let cut = Acl::parse(&whole[..len]);
        assert!(
            cut == Err(Malformed) || len == 4 && cut == Ok(None),
            "{len}"
        );
    }
    let mut other_version = whole.clone();
    other_version[0] = 1;
    assert_eq!(Acl::parse(&other_version), Err(Malformed));
}

#[test]
fn invalid_lists_are_refused() {
    let lists: [&[(u16, u32, u16)]; 8] = [
        // Without others, without an owner, without a group.
        &[(1, ANY, 7), (4, ANY, 5)],
        &[(4, ANY, 5), (0x20, ANY, 0)],
        &[(1, ANY, 7), (0x20, ANY, 0)],
        // A named user without a mask; two masks; two owners.
        &[(1, ANY, 7), (2, 8, 7), (4, ANY, 5), (0x20, ANY, 0)],
        &[
            (1, ANY, 7),
            (4, ANY, 5),
            (0x10, ANY, 7),
            (0x10, ANY, 7),
            (0x20, ANY, 0),
        ],
        &[(1, ANY, 7), (1, ANY, 7), (4, ANY, 5), (0x20, ANY, 0)],
        // Out of order; more than three bits.
        &[(4, ANY, 5), (1, ANY, 7), (0x20, ANY, 0)],
        &[(1, ANY, 8), (4, ANY, 5), (0x20, ANY, 0)],
    ];
    for list in lists {
        assert_eq!(Acl::parse(&bytes(list)), Err(Malformed), "{list:?}");
    }
    assert_eq!(
        Acl::parse(&bytes(&[(1, ANY, 7), (3, ANY, 5), (0x20, ANY, 0)])),
        Err(Malformed)
    );
}

#[test]
fn the_group_bits_of_the_mode_are_the_mask() {
    assert_eq!(acl(&MINIMAL).mode(), 0o640);
    assert_eq!(acl(&EXTENDED).mode(), 0o770);
    assert!(acl(&MINIMAL).is_minimal() && !acl(&EXTENDED).is_minimal());
}

#[test]
fn a_mask_alone_is_more_than_a_mode_can_say() {
    let with_mask = acl(&[(1, ANY, 6), (4, ANY, 4), (0x10, ANY, 4), (0x20, ANY, 0)]);
    assert!(!with_mask.is_minimal());
}

#[test]
fn a_chmod_shows_in_the_list_without_touching_who_is_named() {
    let shown = acl(&EXTENDED).with_mode(0o4641);
    let expected = [
        (1, ANY, 6),
        (2, 8, 7),
        (4, ANY, 5),
        (0x10, ANY, 4),
        (0x20, ANY, 1),
    ];
    assert_eq!(shown, acl(&expected));
    assert_eq!(acl(&MINIMAL).with_mode(0o751).mode(), 0o751);
}

#[test]
fn a_new_file_gets_the_default_list_cut_down_to_its_mode() {
    // touch (0666) below EXTENDED: user::rw- user:8:rwx group::r-x mask::rw- other::---
    let expected = [
        (1, ANY, 6),
        (2, 8, 7),
        (4, ANY, 5),
        (0x10, ANY, 6),
        (0x20, ANY, 0),
    ];
    let inherited = acl(&EXTENDED).inherited(0o666);
    assert_eq!(inherited, acl(&expected));
    assert_eq!(inherited.mode(), 0o660);
    // mkdir (0777) gets all of it.
    assert_eq!(acl(&EXTENDED).inherited(0o777), acl(&EXTENDED));
}

#[test]
fn a_minimal_default_list_is_just_another_mode() {
    let inherited = acl(&MINIMAL).inherited(0o666);
    assert!(inherited.is_minimal());
    assert_eq!(inherited.mode(), 0o640);
    assert_eq!(acl(&MINIMAL).inherited(0o400).mode(), 0o400);
}

#[test]
fn waiting_for_its_list_a_node_is_never_more_open_than_with_it() {
    // group::r-x under mask::rwx: as a bare mode the mask would let the group write.
    assert_eq!(acl(&EXTENDED).mode_without_list(), 0o750);
    let closed_mask = [
        (1, ANY, 7),
        (2, 8, 7),
        (4, ANY, 5),
        (0x10, ANY, 0),
        (0x20, ANY, 0),
    ];
    assert_eq!(acl(&closed_mask).mode_without_list(), 0o700);
    assert_eq!(acl(&MINIMAL).mode_without_list(), 0o640);
}

#[test]
fn special_bits_stay_out_of_lists() {
    assert_eq!(with_permissions(0o6777, 0o640), 0o6640);
    assert_eq!(acl(&MINIMAL).inherited(0o7777).mode(), 0o640);
}
