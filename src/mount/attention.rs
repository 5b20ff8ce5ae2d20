//! Which threads wait for the next message, and how.
//!
//! The kernel wakes the threads that wait for messages in turn, so that with one program at work each message finds a thread
//! that has slept for long, on a core that sleeps too: that costs more than most answers. So while messages come one by one,
//! all threads but one are *parked*, and that one looks for the next message for some microseconds before it sleeps.
//!
//! Nobody may wait for long because of that. The reader that finds a message waiting wakes a parked thread to help; and one
//! of those that are parked, the watcher, looks every [`TICK`] whether all readers are held up by their messages, and becomes
//! a reader then. While no message comes, the watcher sleeps too.
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// So many messages one by one, and a thread may park.
const CALM: u32 = 16;

/// So many messages that find another one waiting for a reader, and a parked thread comes to help.
const RUSH: u32 = 2;

/// How often the watcher looks.
const TICK: Duration = Duration::from_millis(2);

/// For how long a reader looks for the next message before it sleeps.
const LOOK: Duration = Duration::from_micros(100);

/// It does so after so many messages that came sooner than that.
const SOON: u32 = 8;

/// Who looked once in so long did not have the core: others need it more.
const TAKEN: Duration = Duration::from_micros(100);

/// Then nobody looks, for so long.
const YIELD: Duration = Duration::from_millis(100);

/// Pauses of the processor between two looks: about as long as a look takes.
const PAUSES: u32 = 16;

/// The threads that read messages from one device.
pub(super) struct Attention {
    device: OwnedFd,
    threads: usize,
    /// With one core, looking keeps others from sending.
    may_look: bool,
    start: Instant,
    /// Threads that had a message.
    known: AtomicUsize,
    /// Messages that are being answered.
    busy: AtomicUsize,
    /// Messages so far.
    turns: AtomicU64,
    /// Threads that are not parked. Changed with `parking` locked.
    readers: AtomicUsize,
    /// Nobody looks every tick: nothing happens.
    asleep: AtomicBool,
    parking: Mutex<Parking>,
    wake: Condvar,
}

#[derive(Default)]
struct Parking {
    /// Parked threads that are to become readers.
    wanted: usize,
    /// One of them is the watcher.
    is_watched: bool,
    /// A thread has ended: all will.
    is_over: bool,
}

/// What a thread knows of its own messages.
struct Reader {
    attention: Arc<Attention>,
    /// When its last message was answered, in time since `Attention::start`.
    ended: Duration,
    /// Messages one after the other during which no other was answered, and before which the thread waited.
    calm: u32,
    /// Messages one after the other before which it did not wait long.
    soon: u32,
    /// Messages one after the other that found all readers busy and another message waiting.
    rush: u32,
    /// No looking before this time.
    look_from: Duration,
}

thread_local! {
    static READER: RefCell<Option<Reader>> = const { RefCell::new(None) };
}

impl Drop for Reader {
    /// The thread ends, because the mount does.
    fn drop(&mut self) {
        self.attention.end();
    }
}

/// The time in which one message is answered.
pub(super) struct Turn<'a>(&'a Arc<Attention>);

impl Attention {
    /// For `threads` threads that read from the device, of which `device` is another descriptor.
    pub fn new(device: OwnedFd, threads: usize) -> Arc<Attention> {
        Arc::new(Attention {
            device,
            threads,
            may_look: std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1),
            start: Instant::now(),
            known: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            turns: AtomicU64::new(0),
            readers: AtomicUsize::new(threads),
            asleep: AtomicBool::new(false),
            parking: Mutex::default(),
            wake: Condvar::new(),
        })
    }

    /// A message has come to this thread.
    pub fn turn(self: &Arc<Self>) -> Turn<'_> {
        let others = self.busy.fetch_add(1, SeqCst);
        self.turns.fetch_add(1, SeqCst);
        if self.asleep.load(SeqCst) && self.asleep.swap(false, SeqCst) {
            let _order = self.parking.lock();
            self.wake.notify_all();
        }
        READER.with_borrow_mut(|reader| {
            reader
                .get_or_insert_with(|| Reader::new(self))
                .begin(others);
        });
        Turn(self)
    }

    /// Is there a message, or the end?
    fn is_ready(&self) -> bool {
        let mut fds = [PollFd::new(&self.device, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Asks for one more reader.
    fn call_help(&self) {
        let mut parking = self.parking.lock();
        let parked = self.threads - self.readers.load(Relaxed);
        if parking.wanted < parked {
            parking.wanted += 1;
            self.wake.notify_all();
        }
    }

    /// Returns when this thread is to read again; at once if there is no other.
    fn park(&self) {
        let mut parking = self.parking.lock();
        if parking.is_over || self.readers.load(Relaxed) == 1 {
            return;
        }
        self.readers.fetch_sub(1, Relaxed);
        while !parking.is_over && parking.wanted == 0 {
            if parking.is_watched {
                self.wake.wait(&mut parking);
                continue;
            }
            parking.is_watched = true;
            let seen = self.turns.load(SeqCst);
            let waited = if self.asleep.load(SeqCst) {
                self.wake.wait(&mut parking);
                false
            } else {
                self.wake.wait_for(&mut parking, TICK).timed_out()
            };
            parking.is_watched = false;
            if waited && self.is_held_up(seen) {
                break;
            }
        }
        parking.wanted = parking.wanted.saturating_sub(1);
        self.readers.fetch_add(1, Relaxed);
        // Another one has to watch.
        self.wake.notify_all();
    }

    /// Do all readers answer the same messages as when there were `seen`? Lets the watcher sleep if nothing happens at all.
    fn is_held_up(&self, seen: u64) -> bool {
        if self.turns.load(SeqCst) != seen {
            return false;
        }
        let busy = self.busy.load(SeqCst);
        if busy == 0 {
            self.asleep.store(true, SeqCst);
            if self.turns.load(SeqCst) != seen {
                self.asleep.store(false, SeqCst);
            }
        }
        busy >= self.readers.load(Relaxed)
    }

    fn end(&self) {
        self.parking.lock().is_over = true;
        self.wake.notify_all();
    }
}

impl Reader {
    fn new(attention: &Arc<Attention>) -> Reader {
        attention.known.fetch_add(1, Relaxed);
        Reader {
            attention: Arc::clone(attention),
            ended: Duration::ZERO,
            calm: 0,
            soon: 0,
            rush: 0,
            look_from: Duration::ZERO,
        }
    }

    fn begin(&mut self, others: usize) {
        let waited = self.attention.start.elapsed().saturating_sub(self.ended);
        self.calm = if others == 0 { self.calm + 1 } else { 0 };
        self.soon = if waited < LOOK { self.soon + 1 } else { 0 };
        let readers = self.attention.readers.load(Relaxed);
        // A single reader looks when it has answered.
        if readers > 1 && readers < self.attention.threads && others + 1 >= readers {
            self.note_waiting();
        }
    }

    /// Calls for help when messages wait again and again for a reader.
    fn note_waiting(&mut self) {
        if !self.attention.is_ready() {
            self.rush = 0;
            return;
        }
        self.calm = 0;
        self.rush += 1;
        if self.rush >= RUSH {
            self.rush = 0;
            self.attention.call_help();
        }
    }

    /// Before the thread reads again.
    fn finish(&mut self) {
        self.ended = self.attention.start.elapsed();
        let readers = self.attention.readers.load(Relaxed);
        if readers == 1 && self.attention.threads > 1 {
            self.note_waiting();
        }
        let are_all_known = self.attention.known.load(Relaxed) == self.attention.threads;
        if readers > 1 && self.calm >= CALM && are_all_known {
            self.calm = 0;
            self.soon = 0;
            self.attention.park();
        } else if readers == 1 && self.soon >= SOON && self.attention.may_look {
            self.look();
        }
    }

    /// Looks for the next message.
    fn look(&mut self) {
        let mut last = self.ended;
        if last < self.look_from {
            return;
        }
        while !self.attention.is_ready() {
            let now = self.attention.start.elapsed();
            if now > last + TAKEN {
                self.look_from = now + YIELD;
            }
            if now > last + TAKEN || now > self.ended + LOOK {
                self.soon = 0;
                return;
            }
            last = now;
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, SeqCst);
        READER.with_borrow_mut(|reader| {
            if let Some(reader) = reader {
                reader.finish();
            }
        });
    }
}

/// Another descriptor of the device, to look at.
///
/// # Errors
/// The process has no more descriptors.
pub(super) fn second(device: impl AsFd) -> io::Result<OwnedFd> {
    device.as_fd().try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;

    /// Threads that read messages of eight bytes from a pipe, each a time in milliseconds to answer it in; 0xff.. is the end.
    struct Rig {
        attention: Arc<Attention>,
        to: OwnedFd,
        answered: Receiver<u64>,
        threads: Vec<thread::JoinHandle<()>>,
    }

    fn serve(attention: &Arc<Attention>, from: &OwnedFd, done: &Sender<u64>) {
        let mut bytes = [0; 8];
        while rustix::io::read(from, &mut bytes).is_ok_and(|len| len == 8) {
            let message = u64::from_ne_bytes(bytes);
            let _turn = attention.turn();
            thread::sleep(Duration::from_millis(message));
            done.send(message).unwrap();
        }
    }

    fn rig(threads: usize) -> Rig {
        let (from, to) = io::pipe().unwrap();
        let (from, to) = (OwnedFd::from(from), OwnedFd::from(to));
        let attention = Attention::new(second(&from).unwrap(), threads);
        let (done, answered) = channel();
        let from = Arc::new(from);
        let threads = (0..threads)
            .map(|_| {
                let (attention, from, done) =
                    (Arc::clone(&attention), Arc::clone(&from), done.clone());
                thread::spawn(move || serve(&attention, &from, &done))
            })
            .collect();
        Rig {
            attention,
            to,
            answered,
            threads,
        }
    }

    impl Rig {
        fn send(&self, message: u64) {
            assert_eq!(rustix::io::write(&self.to, &message.to_ne_bytes()), Ok(8));
        }

        /// One message after the other, until `readers` threads read.
        fn calm_down_to(&self, readers: usize) {
            for _ in 0..10_000 {
                if self.attention.readers.load(SeqCst) == readers {
                    return;
                }
                self.send(0);
                self.answered.recv().unwrap();
            }
            panic!("{} threads read still", self.attention.readers.load(SeqCst));
        }

        fn end(self) {
            drop(self.to);
            self.threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        }
    }

    #[test]
    fn messages_one_by_one_leave_one_reader_and_all_threads_end_with_it() {
        let rig = rig(4);
        rig.calm_down_to(1);
        rig.send(0);
        assert_eq!(rig.answered.recv(), Ok(0));
        rig.end();
    }

    #[test]
    fn a_message_that_takes_long_keeps_none_from_being_answered() {
        let rig = rig(4);
        for _ in 0..5 {
            rig.calm_down_to(1);
            // The watcher is to sleep in some rounds.
            thread::sleep(TICK * 3);
            rig.send(300);
            rig.send(301);
            rig.send(302);
            rig.send(0);
            assert_eq!(rig.answered.recv_timeout(Duration::from_millis(250)), Ok(0));
            let mut later: Vec<u64> = (0..3).map(|_| rig.answered.recv().unwrap()).collect();
            later.sort_unstable();
            assert_eq!(later, [300, 301, 302]);
        }
        rig.end();
    }

    #[test]
    fn many_messages_at_once_bring_all_threads_back() {
        let rig = rig(3);
        rig.calm_down_to(1);
        (0..60).for_each(|_| rig.send(1));
        (0..60).for_each(|_| assert_eq!(rig.answered.recv(), Ok(1)));
        assert_eq!(rig.attention.readers.load(SeqCst), 3);
        rig.calm_down_to(1);
        rig.end();
    }
}
