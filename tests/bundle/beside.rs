//! Exports and imports beside others that use the same open vault.

use super::*;
use std::{
    io::{self, Read, Write},
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use wardfs::{
    bundle::{self, Imported},
    format::Name,
    vault::{NewKind, OpenOptions, SetAttr, VaultError},
};

/// Waits in the middle until all others are in the middle too.
struct Meeting<'a> {
    bytes: &'a [u8],
    left: usize,
    barrier: &'a Barrier,
}

impl Read for Meeting<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.barrier.wait();
            self.left = usize::MAX;
        }
        let len = into.len().min(self.left);
        let len = self.bytes.read(&mut into[..len])?;
        if self.left != usize::MAX {
            self.left -= len;
        }
        Ok(len)
    }
}

/// Imports it, and waits in the middle.
fn import_meeting(
    vault: &Vault,
    bytes: &[u8],
    barrier: &Barrier,
    place: &Destination,
) -> Result<Imported, BundleError> {
    let left = bytes.len() / 2;
    let meeting = Meeting {
        bytes,
        left,
        barrier,
    };
    import_as(vault, meeting, place, &KEPT)
}

#[test]
fn imports_at_once_are_all_there_and_leave_nothing() {
    let from = filled();
    let source = open(&from);
    let stream = exported(&source, &["tree"], AS_IT_IS);
    let to = gcm();
    let target = open(&to);
    let barrier = Barrier::new(3);
    thread::scope(|scope| {
        for name in ["one", "two", "three"] {
            let (target, stream, barrier) = (&target, &stream[..], &barrier);
            scope.spawn(move || {
                let place = Destination::As(ROOT_INO, name.as_bytes().to_vec());
                import_meeting(target, stream, barrier, &place).unwrap();
            });
        }
    });
    let expected = tree(&source, find(&source, &["tree"]));
    for name in ["one", "two", "three"] {
        assert_eq!(tree(&target, find(&target, &[name])), expected, "{name}");
        target.remove_tree(ROOT_INO, name.as_bytes()).unwrap();
    }
    target.close().unwrap();
    assert_eq!(vaults::objects::left_over(&*to), Vec::<String>::new());
    assert_eq!(damage(&to), "[]");
}

#[test]
fn an_import_that_fails_takes_nothing_from_one_beside_it() {
    let from = filled();
    let source = open(&from);
    let stream = exported(&source, &["tree"], AS_IT_IS);
    let mut bad = stream.clone();
    *bad.last_mut().unwrap() ^= 1;
    let to = gcm();
    let target = open(&to);
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        for (stream, good) in [(&stream, true), (&bad, false)] {
            let (target, barrier) = (&target, &barrier);
            scope.spawn(move || {
                let place = Destination::Into(ROOT_INO);
                let done = import_meeting(target, stream, barrier, &place);
                assert_eq!(done.is_ok(), good, "{done:?}");
            });
        }
    });
    same_tree(&source, &target);
    target.remove_tree(ROOT_INO, b"tree").unwrap();
    target.close().unwrap();
    assert_eq!(vaults::objects::left_over(&*to), Vec::<String>::new());
    assert_eq!(damage(&to), "[]");
}

#[test]
fn what_is_being_built_is_shown_to_nobody() {
    let to = gcm();
    let vault = open(&to);
    let staging = vault.begin_staging().unwrap();
    file(&vault, staging.dir(), "built", b"half");
    assert_eq!(tree(&vault, ROOT_INO).len(), 1);
    let found = vault.lookup(ROOT_INO, b".wardfs-import");
    assert!(matches!(found, Err(VaultError::NotFound)), "{found:?}");
    staging.end().unwrap();
    vault.close().unwrap();
    assert_eq!(vaults::objects::left_over(&*to), Vec::<String>::new());
}

const LEN: usize = 300_000;

/// One byte for all of it, in one of two lengths, changed by one operation each.
fn change(vault: &Vault, ino: u64, turn: u64) {
    let byte = turn.to_le_bytes()[0];
    if turn.is_multiple_of(7) {
        let set = |size| SetAttr {
            size: Some(size),
            ..SetAttr::default()
        };
        vault.set_attr(ino, &set(0)).unwrap();
    }
    // Not at a border of chunks at its end.
    let len = if turn.is_multiple_of(3) {
        LEN
    } else {
        LEN - 5000
    };
    vault.write(ino, 0, &vec![byte; len], false).unwrap();
}

/// All one byte, but for what a longer state before had at the end.
fn assert_one_state(content: &[u8], what: &str) {
    let Some(first) = content.first() else {
        return;
    };
    let head = &content[..content.len().min(LEN - 5000)];
    assert!(head.iter().all(|byte| byte == first), "{what}: torn");
    let tail = &content[head.len()..];
    assert!(tail.iter().all(|byte| *byte == tail[0]), "{what}: torn");
    assert!(
        tail.is_empty() || tail.len() == 5000,
        "{what}: {}",
        content.len()
    );
}

/// Whoever waits for this goes on when it is dropped, by a failed claim too.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn what_is_exported_beside_writers_is_a_state_that_each_file_had() {
    for reseal in [true, false] {
        let from = gcm();
        // Checkpoints come and go beside it.
        let hurried = OpenOptions {
            background: true,
            checkpoint_age: Duration::from_millis(5),
            ..vaults::image::options(48 << 20)
        };
        let source = Vault::open(Arc::clone(&from), PASSPHRASE, hurried).unwrap();
        let made = source.make(ROOT_INO, b"d", NewKind::Directory, 0o755, 0, 0);
        let dir = made.unwrap().ino;
        let files = ["a", "b"].map(|name| file(&source, dir, name, &[0; LEN]));
        let stop = AtomicBool::new(false);
        let turns = AtomicU64::new(0);
        thread::scope(|scope| {
            for ino in files {
                let (source, stop, turns) = (&source, &stop, &turns);
                scope.spawn(move || {
                    while !stop.load(Relaxed) {
                        change(source, ino, turns.fetch_add(1, Relaxed));
                    }
                });
            }
            // Entries come and go, too.
            let (source, stop) = (&source, &stop);
            scope.spawn(move || {
                while !stop.load(Relaxed) {
                    let ino = file(source, dir, "short", b"short");
                    source.unlink(dir, b"short").unwrap();
                    source.forget(ino, 1);
                }
            });
            let how = ExportOptions {
                reseal,
                verify: false,
            };
            let ended = Ended(stop);
            let exports = (0..20).map(|_| {
                let before = turns.load(Relaxed);
                let stream = exported(source, &["d"], how);
                // Each export meets another state.
                while turns.load(Relaxed) < before + 10 {
                    thread::yield_now();
                }
                stream
            });
            let exports: Vec<_> = exports.collect();
            drop(ended);
            for (number, stream) in exports.iter().enumerate() {
                let to = gcm();
                let target = open(&to);
                import(&target, stream).unwrap();
                for name in ["a", "b"] {
                    let what = format!("export {number}, {name}, sealed anew: {reseal}");
                    assert_one_state(&read(&target, &["d", name]), &what);
                }
                target.close().unwrap();
                assert_eq!(damage(&to), "[]");
            }
        });
        source.close().unwrap();
        assert_eq!(damage(&from), "[]");
    }
}

/// Writes into a file of a vault.
struct Into<'a>(&'a Vault, u64, u64);

impl Write for Into<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let done = self.0.write(self.1, self.2, data, false);
        let len = done.map_err(|error| io::Error::from_raw_os_error(error.errno()))?;
        self.2 += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_is_exported_into_itself_is_an_error_and_no_wait() {
    let vault = open(&gcm());
    let ino = file(&vault, ROOT_INO, "file", &noise(100_000, 1));
    let (name, done) = (Name::new(b"file").unwrap(), AtomicU64::new(0));
    let out = Into(&vault, ino, 0);
    let refused = bundle::export(&vault, ino, &name, out, AS_IT_IS, &done);
    let busy = wardfs::vault::VaultError::Busy.errno();
    assert!(
        matches!(&refused, Err(BundleError::Io(error)) if error.raw_os_error() == Some(busy)),
        "{refused:?}"
    );
    // It is free again.
    vault.write(ino, 0, b"x", false).unwrap();
}

#[test]
fn a_file_that_was_removed_meanwhile_is_exported_as_it_was() {
    for reseal in [true, false] {
        let (source, target) = (open(&gcm()), open(&gcm()));
        let content = noise(100_000, 1);
        let ino = file(&source, ROOT_INO, "file", &content);
        source.unlink(ROOT_INO, b"file").unwrap();
        source.write(ino, 50, b"later", false).unwrap();
        let how = ExportOptions {
            reseal,
            verify: false,
        };
        let mut records = Vec::new();
        let (name, done) = (Name::new(b"file").unwrap(), AtomicU64::new(0));
        bundle::export(&source, ino, &name, &mut records, how, &done).unwrap();
        import(&target, &stream_of(&records)).unwrap();
        let found = read(&target, &["file"]);
        assert!(found[..50] == content[..50] && found[55..] == content[55..]);
        assert_eq!(&found[50..55], b"later");
    }
}
