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
