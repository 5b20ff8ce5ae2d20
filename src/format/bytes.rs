//! Little-endian integers and length-prefixed byte strings, read and appended.
//!
//! Nothing here allocates by what a length field says: a byte string is borrowed from the input, so it is never longer
//! than the input, and `items` refuses a count that the rest of the input could not hold.

use super::error::{FormatError, valid, within};

/// Reads from the front of a byte slice. Every method takes `what`: the structure and field for the error.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], FormatError> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(FormatError::Truncated {
                what,
                needed: len,
                found: self.rest.len(),
            })?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes, as an array.
    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], FormatError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(FormatError::Truncated {
                what,
                needed: N,
                found: self.rest.len(),
            })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, FormatError> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u24(&mut self, what: &'static str) -> Result<u32, FormatError> {
        let [a, b, c] = self.array(what)?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, FormatError> {
        Ok(i64::from_le_bytes(self.array(what)?))
    }

    /// A byte that is 0 or 1.
    pub(crate) fn bool(&mut self, what: &'static str) -> Result<bool, FormatError> {
        let byte = self.u8(what)?;
        valid(byte <= 1, what, u64::from(byte))?;
        Ok(byte == 1)
    }

    /// A byte of flags, none of them outside `known`.
    pub(crate) fn flags(&mut self, known: u8, what: &'static str) -> Result<u8, FormatError> {
        let flags = self.u8(what)?;
        valid(flags & !known == 0, what, u64::from(flags))?;
        Ok(flags)
    }

    /// A byte string with a one-byte length.
    pub(crate) fn bytes8(&mut self, what: &'static str) -> Result<&'a [u8], FormatError> {
        let len = self.u8(what)?;
        self.take(usize::from(len), what)
    }

    /// A byte string with a two-byte length.
    pub(crate) fn bytes16(&mut self, what: &'static str) -> Result<&'a [u8], FormatError> {
        let len = self.u16(what)?;
        self.take(usize::from(len), what)
    }

    /// A byte string with a four-byte length.
    pub(crate) fn bytes32(&mut self, what: &'static str) -> Result<&'a [u8], FormatError> {
        let len = self.u32(what)?;
        self.take(len as usize, what)
    }

    /// `count` as the length of a list whose items take `len_min` bytes at least: safe to reserve memory by.
    pub(crate) fn items(
        &self,
        count: usize,
        len_min: usize,
        what: &'static str,
    ) -> Result<usize, FormatError> {
        let needed = count.saturating_mul(len_min);
        if needed > self.rest.len() {
            return Err(FormatError::Truncated {
                what,
                needed,
                found: self.rest.len(),
            });
        }
        Ok(count)
    }

    /// Everything that is left: at most `len_max` bytes, all of them zero.
    pub(crate) fn padding(self, len_max: usize, what: &'static str) -> Result<(), FormatError> {
        within(what, self.rest.len(), 0, len_max)?;
        match self.rest.iter().find(|byte| **byte != 0) {
            None => Ok(()),
            Some(byte) => Err(FormatError::Invalid {
                what,
                found: u64::from(*byte),
            }),
        }
    }

    /// Nothing may be left.
    pub(crate) fn finish(self, what: &'static str) -> Result<(), FormatError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(FormatError::Trailing { what, count }),
        }
    }
}

/// Appends to a vector. Lengths that do not fit their field are a broken invariant of the caller, who has checked them.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Writer { out }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn u24(&mut self, value: u32) {
        let [a, b, c, top] = value.to_le_bytes();
        assert!(top == 0, "a 24-bit field holds less than 2^24");
        self.raw(&[a, b, c]);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// A count or length as one byte.
    pub(crate) fn len8(&mut self, len: usize) {
        self.u8(u8::try_from(len).expect("a one-byte length is at most 255"));
    }

    /// A count or length as two bytes.
    pub(crate) fn len16(&mut self, len: usize) {
        self.u16(u16::try_from(len).expect("a two-byte length is at most 65,535"));
    }

    /// A count or length as three bytes.
    pub(crate) fn len24(&mut self, len: usize) {
        self.u24(u32::try_from(len).expect("a three-byte length is less than 2^24"));
    }

    /// A count or length as four bytes.
    pub(crate) fn len32(&mut self, len: usize) {
        self.u32(u32::try_from(len).expect("a four-byte length is less than 2^32"));
    }

    /// A byte string with a one-byte length.
    pub(crate) fn bytes8(&mut self, bytes: &[u8]) {
        self.len8(bytes.len());
        self.raw(bytes);
    }

    /// A byte string with a two-byte length.
    pub(crate) fn bytes16(&mut self, bytes: &[u8]) {
        self.len16(bytes.len());
        self.raw(bytes);
    }

    /// A byte string with a four-byte length.
    pub(crate) fn bytes32(&mut self, bytes: &[u8]) {
        self.len32(bytes.len());
        self.raw(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_little_endian() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.u8(1);
        writer.u16(0x0302);
        writer.u24(0x06_0504);
        writer.u32(0x0a09_0807);
        writer.u64(0x1211_100f_0e0d_0c0b);
        writer.i64(-2);
        assert_eq!(out[..18], (1..=18).collect::<Vec<u8>>());
        let mut reader = Reader::new(&out);
        assert_eq!(reader.u8("").unwrap(), 1);
        assert_eq!(reader.u16("").unwrap(), 0x0302);
        assert_eq!(reader.u24("").unwrap(), 0x06_0504);
        assert_eq!(reader.u32("").unwrap(), 0x0a09_0807);
        assert_eq!(reader.u64("").unwrap(), 0x1211_100f_0e0d_0c0b);
        assert_eq!(reader.i64("").unwrap(), -2);
        reader.finish("").unwrap();
    }

    #[test]
    fn byte_strings_come_back_at_the_borders_of_their_length_fields() {
        for len in [0, 1, 254, 255] {
            let mut out = Vec::new();
            Writer::new(&mut out).bytes8(&vec![7; len]);
            assert_eq!(Reader::new(&out).bytes8("").unwrap(), vec![7; len]);
        }
        for len in [0, 255, 256, 65_535] {
            let mut out = Vec::new();
            Writer::new(&mut out).bytes16(&vec![7; len]);
            assert_eq!(Reader::new(&out).bytes16("").unwrap(), vec![7; len]);
        }
        for len in [0, 65_535, 65_536] {
            let mut out = Vec::new();
            Writer::new(&mut out).bytes32(&vec![7; len]);
            assert_eq!(Reader::new(&out).bytes32("").unwrap(), vec![7; len]);
        }
    }

    #[test]
    fn a_length_past_the_end_says_what_was_needed() {
        let error = Reader::new(&[0xff, 0xff, 0xff, 0xff, 1])
            .bytes32("thing")
            .unwrap_err();
        assert_eq!(
            error,
            FormatError::Truncated {
                what: "thing",
                needed: 0xffff_ffff,
                found: 1
            }
        );
    }

    #[test]
    fn a_count_that_the_input_cannot_hold_is_refused() {
        let reader = Reader::new(&[0; 40]);
        assert_eq!(reader.items(4, 10, "list"), Ok(4));
        assert!(reader.items(5, 10, "list").is_err());
        assert!(reader.items(usize::MAX, usize::MAX, "list").is_err());
    }

    #[test]
    fn padding_is_zero_and_short() {
        assert!(Reader::new(&[]).padding(4, "pad").is_ok());
        assert!(Reader::new(&[0; 4]).padding(4, "pad").is_ok());
        assert!(Reader::new(&[0; 5]).padding(4, "pad").is_err());
        assert!(Reader::new(&[0, 0, 1, 0]).padding(4, "pad").is_err());
    }

    #[test]
    fn flags_and_bools_refuse_unknown_bits() {
        assert_eq!(Reader::new(&[3]).flags(3, "flags"), Ok(3));
        assert!(Reader::new(&[4]).flags(3, "flags").is_err());
        assert_eq!(Reader::new(&[1]).bool("bool"), Ok(true));
        assert!(Reader::new(&[2]).bool("bool").is_err());
    }

    #[test]
    #[should_panic(expected = "2^24")]
    fn a_number_too_great_for_its_field_is_not_written() {
        Writer::new(&mut Vec::new()).u24(1 << 24);
    }
}
