//! While the store keeps one file's content waiting, for as long as it likes, everything else in the vault goes on: other files are
//! written, read and synced, entries are made and moved, and attributes of that same file are told.
mod vaults;

use parking_lot::{Condvar, Mutex};
use std::{
    sync::{Arc, mpsc::channel},
    thread,
    time::Duration,
};
use vaults::{
    between::{Between, BetweenStore},
    image::{Image, open, options},
};
use wardfs::{
    store::{Blob, ObjectPath, Store, StoreError},
    vault::{NewKind, OpenOptions, ROOT_INO, RenameMode, Vault, WriteMode},
};

/// What nobody waits for takes far less, on a machine with much other work, too.
const LONG: Duration = Duration::from_secs(20);
const LEN: usize = 256 << 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Reads,
    Writes,
}

/// What waits, and who is there.
#[derive(Default)]
struct State {
    stopped: Option<(What, ObjectPath)>,
    /// So many calls still pass.
    passes: usize,
    waiting: usize,
    /// The payload that was used last.
    last: Option<ObjectPath>,
}

/// Keeps reads or writes of one payload waiting.
#[derive(Default)]
struct Barrier {
    state: Mutex<State>,
    changed: Condvar,
}

impl Barrier {
    fn pass(&self, what: What, path: &ObjectPath) {
        let mut state = self.state.lock();
        state.last = Some(path.clone());
        let here = Some((what, path.clone()));
        if state.stopped != here {
            return;
        }
        if state.passes > 0 {
            state.passes -= 1;
            return;
        }
        state.waiting += 1;
        self.changed.notify_all();
        while state.stopped == here {
            self.changed.wait(&mut state);
        }
        state.waiting -= 1;
    }

    /// From now on such calls of the payload that was used last wait.
    fn stop(&self, what: What) {
        self.stop_after(0, what);
    }

    /// The same after so many of them.
    fn stop_after(&self, passes: usize, what: What) {
        let mut state = self.state.lock();
        state.passes = passes;
        let last = state.last.clone().expect("a payload was used");
        state.stopped = Some((what, last));
    }

    fn wait_for_somebody(&self) {
        let mut state = self.state.lock();
        while state.waiting == 0 {
            let late = self.changed.wait_for(&mut state, LONG).timed_out();
            assert!(!late, "nobody reads or writes the payload");
        }
    }

    fn go_on(&self) {
        self.state.lock().stopped = None;
        self.changed.notify_all();
    }
}

struct Watched {
    blob: Arc<dyn Blob>,
    path: ObjectPath,
    barrier: Arc<Barrier>,
}

impl Between for Arc<Barrier> {
    fn opened(&self, path: &ObjectPath, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        let name = path.as_str();
        if !name.starts_with("payloads/") || name.contains(".index") {
            return blob;
        }
        let (path, barrier) = (path.clone(), Arc::clone(self));
        Arc::new(Watched {
            blob,
            path,
            barrier,
        })
    }
}

impl Blob for Watched {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.barrier.pass(What::Reads, &self.path);
        self.blob.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.barrier.pass(What::Writes, &self.path);
        self.blob.write_at(offset, bytes)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.blob.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StoreError> {
        self.blob.set_len(len)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.blob.sync()
    }

    fn punch(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.blob.punch(offset, len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.blob.allocate(offset, len)
    }
}

fn new_file(vault: &Vault, name: &[u8]) -> u64 {
    let made = vault.make(ROOT_INO, name, NewKind::File, 0o600, 0, 0);
    made.expect("a new file").ino
}

fn write(vault: &Vault, ino: u64, offset: u64, data: &[u8]) {
    let written = vault.write(ino, offset, data, false).expect("a write");
    assert_eq!(written, data.len());
}

/// A vault with two files whose content is stored; what is used last is the payload of the first.
fn two_files() -> (Arc<Barrier>, Vault, u64, u64) {
    let barrier = Arc::new(Barrier::default());
    let store: Arc<dyn Store> = Arc::new(BetweenStore {
        inner: Arc::new(Image::Small.on_disk()),
        between: Arc::clone(&barrier),
    });
    let vault = open(store, options(1 << 40)).expect("a new vault");
    let (other, slow) = (new_file(&vault, b"other"), new_file(&vault, b"slow"));
    for ino in [other, slow] {
        write(&vault, ino, 0, &vec![1; LEN]);
        assert!(vault.checkpoint().is_ok());
    }
    write(&vault, slow, 5, b"some bytes");
    // A checkpoint that stores some of the file would have to wait.
    assert!(vault.checkpoint().is_ok());
    // Noted, but not logged: who settles has to look at this file, too.
    write(&vault, slow, LEN as u64, &vec![2; LEN]);
    let mut one = [0];
    vault.read(slow, 0, &mut one).expect("a read");
    (barrier, vault, slow, other)
}

/// Everything else that can be done in a vault.
fn go_on_beside(vault: &Vault, slow: u64, other: u64) {
    write(vault, other, 5, b"a patch");
    write(vault, other, LEN as u64, &vec![3; LEN]);
    let mut found = vec![0; 2 * LEN];
    let got = vault.read(other, 0, &mut found).expect("a read");
    assert_eq!(got, found.len());
    new_file(vault, b"new");
    vault
        .rename(ROOT_INO, b"new", ROOT_INO, b"moved", RenameMode::Replace)
        .expect("a rename");
    vault.stat(slow).expect("attributes");
    vault.sync(other, false).expect("a sync");
    write(vault, other, 9, b"and again");
    vault.sync(ROOT_INO, false).expect("a sync");
    assert!(vault.checkpoint().is_ok(), "a checkpoint of what is left");
}

/// Has somebody wait in a read or a write of `slow`, and everything else done meanwhile.
fn done_beside(what: What, work: impl Fn(&Vault, u64) + Send + Copy) {
    let (barrier, vault, slow, other) = two_files();
    barrier.stop(what);
    let vault = &vault;
    thread::scope(|scope| {
        let waiting = scope.spawn(move || work(vault, slow));
        barrier.wait_for_somebody();
        let (tell, told) = channel();
        scope.spawn(move || {
            go_on_beside(vault, slow, other);
            tell.send(()).expect("somebody waits");
        });
        let done = told.recv_timeout(LONG);
        assert!(!waiting.is_finished(), "it waits all the time");
        barrier.go_on();
        assert!(done.is_ok(), "others waited for one file's content");
        waiting.join().expect("a read or a write");
    });
}

#[test]
fn nobody_waits_while_one_file_is_read() {
    done_beside(What::Reads, |vault, slow| {
        let mut found = vec![0; LEN];
        let got = vault.read(slow, 0, &mut found).expect("a read");
        assert_eq!(got, LEN);
        assert_eq!(&found[5..15], b"some bytes");
    });
}

#[test]
fn nobody_waits_while_one_file_is_written() {
    done_beside(What::Writes, |vault, slow| {
        // Some bytes of a chunk, whole chunks, and some bytes.
        write(vault, slow, 2 * LEN as u64 - 10, &vec![4; LEN]);
    });
}

/// Who logs something waits for what was answered before; who reads and writes other files does not.
#[test]
fn after_an_early_answer_other_files_are_read_and_written() {
    let (barrier, vault, slow, other) = two_files();
    barrier.stop(What::Writes);
    let vault = &vault;
    thread::scope(|scope| {
        let tell = |_| {};
        let waiting = scope.spawn(move || {
            let mode = WriteMode::default();
            let written =
                vault.write_telling(slow, 2 * LEN as u64, &vec![2; LEN], mode, Some(&tell));
            assert_eq!(written.expect("a write"), LEN);
        });
        barrier.wait_for_somebody();
        let syncing = scope.spawn(move || vault.sync(other, false));
        let (done, is_done) = channel();
        scope.spawn(move || {
            // With somebody waiting to log.
            thread::sleep(Duration::from_millis(50));
            write(vault, other, 5, b"a patch");
            write(vault, other, LEN as u64, &vec![3; LEN]);
            let mut found = vec![0; 2 * LEN];
            vault.read(other, 0, &mut found).expect("a read");
            done.send(()).expect("somebody waits");
        });
        let done = is_done.recv_timeout(LONG);
        assert!(!syncing.is_finished(), "what was answered is to be logged");
        barrier.go_on();
        assert!(done.is_ok(), "others waited for one file's content");
        waiting.join().expect("a write");
        let synced = syncing.join().expect("no panic");
        synced.expect("a sync");
    });
}

/// The log waits for the store, but not for a checkpoint as a whole: what that has stored makes room.
#[test]
fn who_waits_for_room_goes_on_when_some_of_the_log_is_stored() {
    const CHUNK: usize = 16 << 10;
    let barrier = Arc::new(Barrier::default());
    let store: Arc<dyn Store> = Arc::new(BetweenStore {
        inner: Arc::new(Image::Large.on_disk()),
        between: Arc::clone(&barrier),
    });
    let options = OpenOptions {
        threads: Some(4),
        background: true,
        ..options(1 << 20)
    };
    let vault = &open(store, options).expect("a new vault");
    let (other, slow) = (new_file(vault, b"other"), new_file(vault, b"slow"));
    for ino in [other, slow] {
        write(vault, ino, 0, &vec![1; 100 * CHUNK]);
        assert!(vault.checkpoint().is_ok());
    }
    write(vault, slow, 5, b"some bytes");
    assert!(vault.checkpoint().is_ok());
    // Most of the 64 chunks that a checkpoint will store, eight neighbours with one write.
    barrier.stop_after(6, What::Writes);
    let write_over = |ino: u64, chunks: usize| {
        for chunk in 0..chunks {
            write(vault, ino, (chunk * CHUNK) as u64, &[2; CHUNK]);
            vault.sync(ino, false).expect("a sync");
        }
    };
    write_over(slow, 64);
    barrier.wait_for_somebody();
    thread::scope(|scope| {
        let (tell, told) = channel();
        scope.spawn(move || {
            // With all of those 64 there would be no room for them.
            write_over(other, 96);
            tell.send(()).expect("somebody waits");
        });
        let done = told.recv_timeout(LONG);
        barrier.go_on();
        assert!(done.is_ok(), "all of the log waited for some of it");
    });
}
