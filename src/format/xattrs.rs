//! Extended attributes. Names and values are plaintext: no `Debug` of a structure that holds them prints more than counts.

use super::{
    bytes::{Reader, Writer},
    error::{FormatError, valid, within},
};
use std::collections::BTreeMap;

/// Bytes in the longest attribute name (Linux `XATTR_NAME_MAX`).
pub const XATTR_NAME_LEN_MAX: usize = 255;
/// Bytes in the longest attribute value (Linux `XATTR_SIZE_MAX`).
pub const XATTR_VALUE_LEN_MAX: usize = 64 * 1024;
/// Attributes of one node: a list of more does not fit Linux `XATTR_LIST_MAX` (64 KiB of names of one byte and a NUL).
pub const XATTR_COUNT_MAX: usize = 32 * 1024;
/// Bytes of all names and values of one node.
pub const XATTRS_LEN_MAX: usize = 1024 * 1024;
/// What an attribute takes beside name and value.
const ENTRY_LEN_MIN: usize = 1 + 3;

/// Values by name.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// count u16, then each: name length u8, value length u24, name, value.
pub(super) fn encode(xattrs: &Xattrs, out: &mut Writer<'_>) {
    out.len16(xattrs.len());
    for (name, value) in xattrs {
        out.len8(name.len());
        out.len24(value.len());
        out.raw(name);
        out.raw(value);
    }
}

/// Reads what `encode` writes: names ascend, so that there is one encoding and no name twice.
pub(super) fn decode(input: &mut Reader<'_>) -> Result<Xattrs, FormatError> {
    let count = usize::from(input.u16("extended attributes: count")?);
    let mut sorted: Vec<(Vec<u8>, Vec<u8>)> =
        Vec::with_capacity(input.items(count, ENTRY_LEN_MIN, "extended attributes")?);
    for position in 0..count {
        let name_len = input.u8("extended attribute: name length")?;
        let value_len = input.u24("extended attribute: value length")?;
        let name = input.take(usize::from(name_len), "extended attribute: name")?;
        let value = input.take(value_len as usize, "extended attribute: value")?;
        let ascends = sorted.last().is_none_or(|(last, _)| last.as_slice() < name);
        valid(
            ascends,
            "extended attributes: order of names",
            position as u64,
        )?;
        sorted.push((name.to_vec(), value.to_vec()));
    }
    Ok(Xattrs::from_iter(sorted))
}

/// The bounds of all of them together and of each.
pub(super) fn check(xattrs: &Xattrs) -> Result<(), FormatError> {
    within(
        "extended attributes: count",
        xattrs.len(),
        0,
        XATTR_COUNT_MAX,
    )?;
    let mut len = 0;
    for (name, value) in xattrs {
        check_name(name)?;
        check_value(value)?;
        len += name.len() + value.len();
    }
    within(
        "extended attributes: bytes of names and values",
        len,
        0,
        XATTRS_LEN_MAX,
    )
}

pub(super) fn check_name(name: &[u8]) -> Result<(), FormatError> {
    within(
        "extended attribute: name length",
        name.len(),
        1,
        XATTR_NAME_LEN_MAX,
    )?;
    valid(
        !name.contains(&0),
        "extended attribute: NUL in a name of this length",
        name.len() as u64,
    )
}

pub(super) fn check_value(value: &[u8]) -> Result<(), FormatError> {
    within(
        "extended attribute: value length",
        value.len(),
        0,
        XATTR_VALUE_LEN_MAX,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(xattrs: &Xattrs) -> Vec<u8> {
        let mut out = Vec::new();
        encode(xattrs, &mut Writer::new(&mut out));
        out
    }

    fn decoded(bytes: &[u8]) -> Result<Xattrs, FormatError> {
        let mut input = Reader::new(bytes);
        let xattrs = decode(&mut input)?;
        input.finish("extended attributes")?;
        check(&xattrs).map(|()| xattrs)
    }

    fn of(list: &[(&[u8], usize)]) -> Xattrs {
        list.iter()
            .map(|(name, len)| (name.to_vec(), vec![7; *len]))
            .collect()
    }

    #[test]
    fn bounds_are_inclusive() {
        for good in [of(&[]), of(&[(b"a", 0)]), of(&[(&[b'n'; 255], 65_536)])] {
            assert_eq!(decoded(&encoded(&good)), Ok(good));
        }
        for bad in [of(&[(b"", 1)]), of(&[(b"a", 65_537)]), of(&[(b"a\0", 1)])] {
            assert!(decoded(&encoded(&bad)).is_err());
        }
        assert!(check(&of(&[(&[b'n'; 256], 0)])).is_err());
    }

    #[test]
    fn names_out_of_order_or_twice_are_refused() {
        let entry = |name: u8| [1, 1, 0, 0, name, b'v'];
        let list = |names: &[u8]| {
            let mut bytes = vec![u8::try_from(names.len()).unwrap(), 0];
            bytes.extend(names.iter().flat_map(|name| entry(*name)));
            bytes
        };
        assert!(decoded(&list(b"ab")).is_ok());
        for bad in [&b"ba"[..], b"aa", b"abb"] {
            assert!(matches!(
                decoded(&list(bad)),
                Err(FormatError::Invalid {
                    what: "extended attributes: order of names",
                    ..
                })
            ));
        }
    }

    #[test]
    fn all_together_have_a_bound() {
        let sixteen = |extra: usize| {
            (0..16_u8)
                .map(|n| (vec![b'a' + n], vec![0; 65_535 + extra]))
                .collect::<Xattrs>()
        };
        assert!(decoded(&encoded(&sixteen(0))).is_ok());
        assert!(decoded(&encoded(&sixteen(1))).is_err());
        let many = |count: u32| {
            (0..count)
                .map(|n| (format!("{n:05}").into_bytes(), vec![]))
                .collect::<Xattrs>()
        };
        assert!(decoded(&encoded(&many(32_768))).is_ok());
        assert!(decoded(&encoded(&many(32_769))).is_err());
    }

    #[test]
    fn a_count_without_entries_is_refused_at_once() {
        assert!(matches!(
            decoded(&[0xff, 0xff]),
            Err(FormatError::Truncated {
                needed: 262_140,
                found: 0,
                ..
            })
        ));
    }
}
