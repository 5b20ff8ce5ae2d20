//! The extension area that ends a header and a guard body: room for what later versions add.
//!
//! count u16, then each: kind u16, length u32, bytes; kinds ascend. A kind with the top bit set is *critical*: a reader that
//! does not know it must not go on. This version knows three (the header's generation and, critical, a file's origins and that its
//! index has bound entries), ignores the others that are not critical, and drops them when it writes the structure anew; so what must survive an old writer has to be critical.

use super::{
    bytes::{Reader, Writer},
    error::{FormatError, valid},
};

/// The bit of a kind that says: refuse, if you do not know this.
pub const CRITICAL: u16 = 0x8000;
const ENTRY_LEN_MIN: usize = 2 + 4;

/// An area with these extensions, whose kinds ascend.
pub(super) fn encode(out: &mut Writer<'_>, extensions: &[(u16, &[u8])]) {
    out.len16(extensions.len());
    for (kind, bytes) in extensions {
        out.u16(*kind);
        out.bytes32(bytes);
    }
}

/// Gives each extension that is not critical to `each`, which ignores those that it does not know.
pub(super) fn read(
    input: &mut Reader<'_>,
    what: &'static str,
    each: impl FnMut(u16, &[u8]) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    read_knowing(input, what, &[], each)
}

/// The same, where some critical ones are known.
pub(super) fn read_knowing(
    input: &mut Reader<'_>,
    what: &'static str,
    known: &[u16],
    mut each: impl FnMut(u16, &[u8]) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let count = usize::from(input.u16(what)?);
    let mut last = 0;
    for _ in 0..input.items(count, ENTRY_LEN_MIN, what)? {
        let kind = input.u16(what)?;
        valid(kind > last, what, u64::from(kind))?;
        if kind & CRITICAL != 0 && !known.contains(&kind) {
            return Err(FormatError::UnknownExtension { what, kind });
        }
        each(kind, input.bytes32(what)?)?;
        last = kind;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(list: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut Writer::new(&mut out), list);
        out
    }

    fn skipped(bytes: &[u8]) -> Result<(), FormatError> {
        let mut input = Reader::new(bytes);
        read(&mut input, "area", |_, _| Ok(()))?;
        input.finish("area")
    }

    #[test]
    fn unknown_extensions_are_passed_over() {
        assert_eq!(skipped(&area(&[])), Ok(()));
        assert_eq!(
            skipped(&area(&[(1, b""), (2, b"abc"), (0x7fff, &[0; 1000])])),
            Ok(())
        );
    }

    #[test]
    fn unknown_critical_extensions_are_refused() {
        for kind in [0x8000, 0x8001, 0xffff] {
            assert_eq!(
                skipped(&area(&[(1, b"x"), (kind, b"")])),
                Err(FormatError::UnknownExtension { what: "area", kind })
            );
        }
    }

    #[test]
    fn a_critical_extension_that_is_known_is_given_and_the_others_are_refused() {
        let given = |list: &[(u16, &[u8])]| {
            let bytes = area(list);
            let mut kinds = Vec::new();
            read_knowing(&mut Reader::new(&bytes), "area", &[0x8001], |kind, _| {
                kinds.push(kind);
                Ok(())
            })
            .map(|()| kinds)
        };
        assert_eq!(given(&[(3, b""), (0x8001, b"x")]), Ok(vec![3, 0x8001]));
        assert!(given(&[(0x8001, b"x"), (0x8002, b"")]).is_err());
    }

    #[test]
    fn kinds_ascend_from_one() {
        for bad in [
            &[(0, &b""[..])][..],
            &[(1, b""), (1, b"")],
            &[(2, b""), (1, b"")],
        ] {
            assert!(matches!(
                skipped(&area(bad)),
                Err(FormatError::Invalid { .. })
            ));
        }
    }

    #[test]
    fn every_cut_area_is_refused() {
        let bytes = area(&[(1, b"a"), (2, b"bcd")]);
        for len in 0..bytes.len() {
            assert!(
                matches!(skipped(&bytes[..len]), Err(FormatError::Truncated { .. })),
                "{len}"
            );
        }
    }
}
