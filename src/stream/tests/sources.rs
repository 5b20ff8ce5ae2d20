//! Sources that change, and that end elsewhere than they said.

use super::fixture::{WAYS, key, options, plain};
use crate::stream::{Access, EncryptingReader, StreamError};
use std::{
    cell::RefCell,
    io::{self, Cursor, Read, Seek, SeekFrom},
    rc::Rc,
};

/// A file that others write to.
#[derive(Clone)]
struct Shared(Rc<RefCell<Vec<u8>>>, u64);

impl Shared {
    fn new(bytes: Vec<u8>) -> Shared {
        Shared(Rc::new(RefCell::new(bytes)), 0)
    }
}

impl Read for Shared {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.borrow();
        let mut cursor = Cursor::new(&bytes[..]);
        cursor.set_position(self.1);
        let len = cursor.read(into)?;
        self.1 += len as u64;
        Ok(len)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let bytes = self.0.borrow();
        let mut cursor = Cursor::new(&bytes[..]);
        cursor.set_position(self.1);
        self.1 = cursor.seek(to)?;
        Ok(self.1)
    }
}

#[test]
fn a_changed_source_shows_which_chunks_changed_and_nothing_else() {
    let key = key();
    let source = Shared::new(plain(5 * 4096));
    let mut reader =
        EncryptingReader::new(source.clone(), &[Access::Key(&key)], &options(false)).unwrap();
    let read = |reader: &mut EncryptingReader<Shared>| {
        let mut stream = Vec::new();
        reader.rewind().unwrap();
        reader.read_to_end(&mut stream).unwrap();
        stream
    };
    let before = read(&mut reader);
    assert!(
        read(&mut reader) == before,
        "the same content gives the same bytes"
    );
    source.0.borrow_mut()[2 * 4096 + 9] ^= 1;
    let after = read(&mut reader);
    let frames = |stream: &[u8]| -> Vec<Vec<u8>> {
        stream[161..].chunks(4112).map(<[u8]>::to_vec).collect()
    };
    for (index, (old, new)) in frames(&before).iter().zip(frames(&after)).enumerate() {
        if index != 2 {
            assert!(*old == new, "{index}");
            continue;
        }
        // With the same key stream all but one byte would be the same.
        let same = old.iter().zip(&new).filter(|(a, b)| a == b).count();
        assert!(same < 60, "{same} of 4112 bytes are the same");
    }
    assert!(WAYS[0].1(&after).0 == *source.0.borrow());
}

/// Chunks stand at their places, and belong to their header: to no version of what was read under it.
#[test]
fn versions_under_one_header_can_be_mixed_at_their_places_and_those_of_two_headers_never() {
    let key = key();
    let old = plain(5 * 4096 + 100);
    let source = Shared::new(old.clone());
    let new_reader =
        || EncryptingReader::new(source.clone(), &[Access::Key(&key)], &options(false)).unwrap();
    let read = |reader: &mut EncryptingReader<Shared>| {
        let mut stream = Vec::new();
        reader.rewind().unwrap();
        reader.read_to_end(&mut stream).unwrap();
        stream
    };
    let mut reader = new_reader();
    let one = read(&mut reader);
    let new: Vec<u8> = old[..3 * 4096 + 9].iter().map(|byte| byte ^ 0x55).collect();
    source.0.borrow_mut().clone_from(&new);
    let other = read(&mut reader);
    let of_two_headers = read(&mut new_reader());
    // The beginning of the old one with the end of the new one, which is shorter.
    let border = 161 + 2 * 4112;
    let mixed = |tail: &[u8]| [&one[..border], &tail[border..]].concat();
    let expected = [&old[..2 * 4096], &new[2 * 4096..]].concat();
    for (way, read) in WAYS {
        let (given, result) = read(&mixed(&other));
        assert!(result.is_ok() && given == expected, "{way}");
        assert!(read(&mixed(&of_two_headers)).1.is_err(), "{way}");
        let moved = [&one[..border], &other[border - 4112..]].concat();
        assert!(read(&moved).1.is_err(), "{way}: at another place");
    }
}

#[test]
fn a_source_that_becomes_shorter_is_an_error_and_no_end() {
    let key = key();
    let source = Shared::new(plain(5 * 4096));
    let mut reader =
        EncryptingReader::new(source.clone(), &[Access::Key(&key)], &options(false)).unwrap();
    reader.rewind().unwrap();
    reader.read_exact(&mut [0; 1000]).unwrap();
    source.0.borrow_mut().truncate(3 * 4096);
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    let inner = error.get_ref().and_then(|error| error.downcast_ref());
    assert!(matches!(inner, Some(StreamError::Shrunk)), "{error}");
}

#[test]
fn a_source_that_grows_is_read_up_to_what_it_was() {
    let key = key();
    let plain = plain(5 * 4096);
    let source = Shared::new(plain.clone());
    let mut reader =
        EncryptingReader::new(source.clone(), &[Access::Key(&key)], &options(false)).unwrap();
    reader.rewind().unwrap();
    source.0.borrow_mut().extend([1; 10_000]);
    let mut stream = Vec::new();
    reader.read_to_end(&mut stream).unwrap();
    assert!(WAYS[1].1(&stream).0 == plain);
}

#[test]
fn what_is_compressed_cannot_be_sought_while_it_is_encrypted() {
    let (plain, key) = (plain(10_000), key());
    let access = [Access::Key(&key)];
    let mut reader = EncryptingReader::new(Cursor::new(&plain), &access, &options(true)).unwrap();
    assert!(reader.layout().is_none());
    reader.read_exact(&mut [0; 300]).unwrap();
    assert_eq!(
        reader.rewind().unwrap_err().kind(),
        io::ErrorKind::Unsupported
    );
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!(!rest.is_empty(), "and it goes on where it was");
}
