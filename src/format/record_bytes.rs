//! Records as bytes: a type byte, then fields of known length. No length of the whole: records follow each other in a
//! journal frame, and one that cannot be read makes the frame unreadable.

use super::{
    Attrs, Content, FileId, FormatError, IndexEntry, Link, NewNode, PayloadId, Place, Record, Time,
    ZoneId,
    body::decode_name,
    bytes::{Reader, Writer},
    error::valid,
    index::decode_entries,
    origin,
    record::check_write,
    xattrs,
};
use crate::crypto::KEY_LEN;
use zeroize::Zeroizing;

const TOUCH: u8 = 1;
const NEW: u8 = 2;
const LINK: u8 = 3;
const UNLINK: u8 = 4;
const ATTRS: u8 = 5;
const XATTR: u8 = 6;
const SIZE: u8 = 7;
const WRITE: u8 = 8;
const PAYLOAD: u8 = 9;
const CHUNKS: u8 = 10;
const PUNCH: u8 = 11;
const ORPHANS: u8 = 12;
const KEY: u8 = 13;
const ORIGINS: u8 = 14;
const BOUND: u8 = 15;

const PLACE_ROOT: u8 = 0;
const PLACE_LINKS: u8 = 1;
const PLACE_ENTRY: u8 = 2;

impl Record {
    /// Appends it.
    ///
    /// # Panics
    /// If it breaks a bound (`check`): it could not be read again.
    pub fn encode(&self, into: &mut Vec<u8>) {
        if let Err(broken) = self.check() {
            panic!("a record keeps its bounds: {broken}");
        }
        let out = &mut Writer::new(into);
        self.encode_start(out);
        self.encode_rest(out);
    }

    /// Appends a `Write` of so many bytes, but for those: the caller has them follow.
    ///
    /// # Panics
    /// As `encode`.
    pub fn encode_write(file: FileId, offset: u64, time: Time, len: usize, into: &mut Vec<u8>) {
        if let Err(broken) = check_write(offset, time, len) {
            panic!("a record keeps its bounds: {broken}");
        }
        let out = &mut Writer::new(into);
        out.u8(WRITE);
        out.raw(&file.0);
        encode_write_head(offset, time, len, out);
    }

    /// The type, and the node that nearly all begin with.
    fn encode_start(&self, out: &mut Writer<'_>) {
        let (kind, node) = match self {
            Record::Touch { file, .. } => (TOUCH, file),
            Record::New(node) => (NEW, &node.file),
            Record::Link { dir, .. } => (LINK, dir),
            Record::Unlink { dir, .. } => (UNLINK, dir),
            Record::Attrs { file, .. } => (ATTRS, file),
            Record::Xattr { file, .. } => (XATTR, file),
            Record::Size { file, .. } => (SIZE, file),
            Record::Write { file, .. } => (WRITE, file),
            Record::Payload { file, .. } => (PAYLOAD, file),
            Record::Key { file, .. } => (KEY, file),
            Record::Origins { file, .. } => (ORIGINS, file),
            Record::Chunks { file, .. } => (CHUNKS, file),
            Record::Bound { file, .. } => (BOUND, file),
            Record::Punch { file, .. } => (PUNCH, file),
            Record::Orphans { .. } => return out.u8(ORPHANS),
        };
        out.u8(kind);
        out.raw(&node.0);
    }

    fn encode_rest(&self, out: &mut Writer<'_>) {
        match self {
            Record::Touch { place, .. } => place.encode(out),
            Record::New(node) => node.encode_rest(out),
            Record::Link {
                name, file, time, ..
            } => {
                out.bytes8(name.as_bytes());
                out.raw(&file.0);
                time.encode(out);
            }
            Record::Unlink { name, time, .. } => {
                out.bytes8(name.as_bytes());
                time.encode(out);
            }
            Record::Attrs { attrs, .. } => attrs.encode(out),
            Record::Xattr {
                name, value, ctime, ..
            } => encode_xattr(name, value.as_deref(), *ctime, out),
            Record::Size { size, time, .. } => {
                out.u64(*size);
                time.encode(out);
            }
            Record::Write {
                offset,
                bytes,
                time,
                ..
            } => {
                encode_write_head(*offset, *time, bytes.len(), out);
                out.raw(bytes);
            }
            Record::Payload { payload, .. } => out.raw(&payload.0),
            Record::Key { key, .. } => out.raw(&key[..]),
            Record::Origins { origins, .. } => origin::encode(origins, out),
            Record::Chunks {
                payload,
                first,
                entries,
                size,
                time,
                ..
            } => {
                out.raw(&payload.0);
                out.u64(*first);
                out.u64(*size);
                time.encode(out);
                encode_entries(entries, out);
            }
            Record::Bound {
                payload,
                first,
                entries,
                ..
            } => {
                out.raw(&payload.0);
                out.u64(*first);
                encode_entries(entries, out);
            }
            Record::Punch {
                offset, len, time, ..
            } => {
                out.u64(*offset);
                out.u64(*len);
                time.encode(out);
            }
            Record::Orphans { payloads } => encode_payloads(payloads, out),
        }
    }

    /// Decodes one record from the front of `bytes`, which it advances; an error leaves them as they are.
    ///
    /// # Errors
    /// Bytes that no writer of this version writes.
    pub fn decode(bytes: &mut &[u8]) -> Result<Record, FormatError> {
        let mut input = Reader::new(bytes);
        let record = decode_unchecked(&mut input)?;
        record.check()?;
        *bytes = input.rest();
        Ok(record)
    }
}

/// offset u64 | time | length u32.
fn encode_write_head(offset: u64, time: Time, len: usize, out: &mut Writer<'_>) {
    out.u64(offset);
    time.encode(out);
    out.len32(len);
}

/// name length u8 | name | 0 or 1 | with 1: value length u32, value | time.
fn encode_xattr(name: &[u8], value: Option<&[u8]>, ctime: Time, out: &mut Writer<'_>) {
    out.bytes8(name);
    out.bool(value.is_some());
    if let Some(value) = value {
        out.bytes32(value);
    }
    ctime.encode(out);
}

/// count u32 | entries.
fn encode_entries(entries: &[IndexEntry], out: &mut Writer<'_>) {
    out.len32(entries.len());
    for entry in entries {
        out.raw(&entry.encode());
    }
}

/// count u32 | ids.
fn encode_payloads(payloads: &[PayloadId], out: &mut Writer<'_>) {
    out.len32(payloads.len());
    for payload in payloads {
        out.raw(&payload.0);
    }
}

fn decode_unchecked(input: &mut Reader<'_>) -> Result<Record, FormatError> {
    let kind = input.u8("record: type")?;
    if kind == ORPHANS {
        return decode_orphans(input);
    }
    valid(
        (TOUCH..=BOUND).contains(&kind),
        "record: type",
        u64::from(kind),
    )?;
    let file = FileId(input.array("record: file id")?);
    match kind {
        TOUCH => Ok(Record::Touch {
            file,
            place: Place::decode(input)?,
        }),
        NEW => Ok(Record::New(Box::new(NewNode::decode_rest(file, input)?))),
        LINK => Ok(Record::Link {
            dir: file,
            name: decode_name(input, "record: name")?,
            file: FileId(input.array("record: file id of the entry")?),
            time: Time::decode(input)?,
        }),
        UNLINK => Ok(Record::Unlink {
            dir: file,
            name: decode_name(input, "record: name")?,
            time: Time::decode(input)?,
        }),
        ATTRS => Ok(Record::Attrs {
            file,
            attrs: Attrs::decode(input)?,
        }),
        XATTR => decode_xattr(file, input),
        SIZE => Ok(Record::Size {
            file,
            size: input.u64("record: size")?,
            time: Time::decode(input)?,
        }),
        WRITE => Ok(Record::Write {
            file,
            offset: input.u64("record: offset")?,
            time: Time::decode(input)?,
            bytes: input.bytes32("record: bytes written")?.to_vec(),
        }),
        PAYLOAD => Ok(Record::Payload {
            file,
            payload: PayloadId(input.array("record: payload id")?),
        }),
        KEY => Ok(Record::Key {
            file,
            key: Zeroizing::new(input.array("record: file key")?),
        }),
        ORIGINS => Ok(Record::Origins {
            file,
            origins: origin::decode(input)?,
        }),
        CHUNKS => decode_chunks(file, input),
        BOUND => Ok(Record::Bound {
            file,
            payload: PayloadId(input.array("record: payload id")?),
            first: input.u64("record: first chunk")?,
            entries: decode_counted(input)?,
        }),
        PUNCH => Ok(Record::Punch {
            file,
            offset: input.u64("record: offset")?,
            len: input.u64("record: length")?,
            time: Time::decode(input)?,
        }),
        kind => Err(FormatError::Invalid {
            what: "record: type",
            found: u64::from(kind),
        }),
    }
}

fn decode_xattr(file: FileId, input: &mut Reader<'_>) -> Result<Record, FormatError> {
    let name = input.bytes8("record: attribute name")?.to_vec();
    let set = input.bool("record: attribute set or dropped")?;
    let value = if set {
        Some(input.bytes32("record: attribute value")?.to_vec())
    } else {
        None
    };
    Ok(Record::Xattr {
        file,
        name,
        value,
        ctime: Time::decode(input)?,
    })
}

fn decode_chunks(file: FileId, input: &mut Reader<'_>) -> Result<Record, FormatError> {
    let payload = PayloadId(input.array("record: payload id")?);
    let first = input.u64("record: first chunk")?;
    let size = input.u64("record: size")?;
    let time = Time::decode(input)?;
    let entries = decode_counted(input)?;
    Ok(Record::Chunks {
        file,
        payload,
        first,
        entries,
        size,
        time,
    })
}

/// count u32 | entries.
fn decode_counted(input: &mut Reader<'_>) -> Result<Vec<IndexEntry>, FormatError> {
    let count = input.u32("record: count of chunks")?;
    decode_entries(input, count as usize)
}

fn decode_orphans(input: &mut Reader<'_>) -> Result<Record, FormatError> {
    let count = input.u32("record: count of payloads")? as usize;
    let mut payloads = Vec::with_capacity(input.items(count, 16, "record: payloads")?);
    for _ in 0..count {
        payloads.push(PayloadId(input.array("record: payload id")?));
    }
    Ok(Record::Orphans { payloads })
}

impl Place {
    fn encode(&self, out: &mut Writer<'_>) {
        match self {
            Place::Root => out.u8(PLACE_ROOT),
            Place::Links => out.u8(PLACE_LINKS),
            Place::Entry(link) => {
                out.u8(PLACE_ENTRY);
                link.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Place, FormatError> {
        match input.u8("record: place")? {
            PLACE_ROOT => Ok(Place::Root),
            PLACE_LINKS => Ok(Place::Links),
            PLACE_ENTRY => Ok(Place::Entry(Link::decode(input)?)),
            other => Err(FormatError::Invalid {
                what: "record: place",
                found: u64::from(other),
            }),
        }
    }
}

/// Copied once, straight to where it is wiped.
fn decode_key(input: &mut Reader<'_>) -> Result<Zeroizing<[u8; KEY_LEN]>, FormatError> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    key.copy_from_slice(input.take(KEY_LEN, "record: file key")?);
    Ok(key)
}

impl NewNode {
    /// zone 16 | file key 32 | attributes | extended attributes | content.
    fn encode_rest(&self, out: &mut Writer<'_>) {
        out.raw(&self.zone.0);
        out.raw(&*self.key);
        self.attrs.encode(out);
        xattrs::encode(&self.xattrs, out);
        self.content.encode(out);
    }

    fn decode_rest(file: FileId, input: &mut Reader<'_>) -> Result<NewNode, FormatError> {
        Ok(NewNode {
            file,
            zone: ZoneId(input.array("record: zone id")?),
            key: decode_key(input)?,
            attrs: Attrs::decode(input)?,
            xattrs: xattrs::decode(input)?,
            content: Content::decode(input)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_bytes_can_follow_their_record() {
        let (file, offset) = (FileId([7; 16]), 5000);
        let time = Time { secs: 1, nanos: 2 };
        for len in [0, 1, 4096, 65_536] {
            let bytes = vec![3; len];
            let mut laid = vec![9];
            Record::encode_write(file, offset, time, len, &mut laid);
            laid.extend_from_slice(&bytes);
            let mut whole = vec![9];
            let record = Record::Write {
                file,
                offset,
                bytes,
                time,
            };
            record.encode(&mut whole);
            assert!(laid == whole, "{len} bytes");
        }
    }
}
