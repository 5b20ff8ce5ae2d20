//! Owner, permissions and times: 58 bytes, the same in a guard and in a record.

use super::{
    bytes::{Reader, Writer},
    error::{FormatError, valid},
};

/// The greatest file size: what `off_t` can say.
pub const FILE_SIZE_MAX: u64 = i64::MAX as u64;
/// Permission bits with suid, sgid and sticky.
const MODE_MAX: u16 = 0o7777;
const NANOS_PER_SEC: u32 = 1_000_000_000;

/// A point in time: seconds since the epoch, and nanoseconds (less than 10^9) after that second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time {
    /// Whole seconds since 1970-01-01 UTC, negative before it.
    pub secs: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

/// What every node has. `mode` holds permission bits and suid, sgid, sticky only (07777); the type is the `Kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attrs {
    /// Permission bits, at most 07777.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last read.
    pub atime: Time,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of anything.
    pub ctime: Time,
    /// Birth.
    pub btime: Time,
}

impl Time {
    pub(super) fn encode(self, out: &mut Writer<'_>) {
        out.i64(self.secs);
        out.u32(self.nanos);
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Time, FormatError> {
        Ok(Time {
            secs: input.i64("time: seconds")?,
            nanos: input.u32("time: nanoseconds")?,
        })
    }

    pub(super) fn check(self) -> Result<(), FormatError> {
        valid(
            self.nanos < NANOS_PER_SEC,
            "time: nanoseconds",
            u64::from(self.nanos),
        )
    }
}

impl Attrs {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u16(self.mode);
        out.u32(self.uid);
        out.u32(self.gid);
        for time in self.times() {
            time.encode(out);
        }
    }

    pub(super) fn decode(input: &mut Reader<'_>) -> Result<Attrs, FormatError> {
        Ok(Attrs {
            mode: input.u16("attributes: mode")?,
            uid: input.u32("attributes: owner")?,
            gid: input.u32("attributes: group")?,
            atime: Time::decode(input)?,
            mtime: Time::decode(input)?,
            ctime: Time::decode(input)?,
            btime: Time::decode(input)?,
        })
    }

    pub(super) fn check(&self) -> Result<(), FormatError> {
        valid(
            self.mode <= MODE_MAX,
            "attributes: mode",
            u64::from(self.mode),
        )?;
        self.times().into_iter().try_for_each(Time::check)
    }

    /// In stored order.
    fn times(&self) -> [Time; 4] {
        [self.atime, self.mtime, self.ctime, self.btime]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Attrs, FormatError> {
        let mut input = Reader::new(bytes);
        let attrs = Attrs::decode(&mut input)?;
        input.finish("attributes")?;
        attrs.check().map(|()| attrs)
    }

    fn sample() -> (Attrs, Vec<u8>) {
        let time = |secs| Time {
            secs,
            nanos: 999_999_999,
        };
        let attrs = Attrs {
            mode: 0o7777,
            uid: 1,
            gid: u32::MAX,
            atime: time(i64::MIN),
            mtime: time(i64::MAX),
            ctime: time(0),
            btime: time(-1),
        };
        let mut bytes = Vec::new();
        attrs.encode(&mut Writer::new(&mut bytes));
        (attrs, bytes)
    }

    #[test]
    fn attributes_take_58_bytes_and_come_back() {
        let (attrs, bytes) = sample();
        assert_eq!(bytes.len(), 58);
        assert_eq!(decode(&bytes), Ok(attrs));
    }

    #[test]
    fn a_file_type_in_the_mode_is_refused() {
        let (_, mut bytes) = sample();
        bytes[1] |= 0x10;
        assert_eq!(
            decode(&bytes),
            Err(FormatError::Invalid {
                what: "attributes: mode",
                found: 0o17777
            })
        );
    }

    #[test]
    fn a_whole_second_of_nanoseconds_is_refused_in_every_time() {
        for offset in [18, 30, 42, 54] {
            let (_, mut bytes) = sample();
            bytes[offset..offset + 4].copy_from_slice(&1_000_000_000_u32.to_le_bytes());
            assert_eq!(
                decode(&bytes),
                Err(FormatError::Invalid {
                    what: "time: nanoseconds",
                    found: 1_000_000_000
                })
            );
        }
    }
}
