//! Which threads wait for the next message, and how.
//!
//! The kernel wakes the threads that wait for messages in turn, so that with one program at work each message finds a thread
//! that has slept for long, on a core that sleeps too: that costs more than most answers. So while messages come one by one,
//! all threads but one are *parked*, and that one looks for the next message for some microseconds before it sleeps.
//!
//! Nobody may wait for long because of that. The reader that finds a message waiting wakes a parked thread to help; and one
//! of those that are parked, the watcher, looks every [`TICK`] (up to [`TICK_MAX`] while messages come) whether all readers are held up
//! by their messages, and becomes a reader then. While no message comes, the watcher sleeps too.
//!
//! Where the process may, the reader does not look, but sits on the core of the program that it serves, and steps back for it
//! (`place`). Nobody has a place for longer than messages come: when there is none for the time of a tick, the watcher calls
//! the reader away. And while many programs ask at once, each reader keeps to a core of its own (`crowd`).
//!
//! ```text
//! mod      who reads, who is parked     beside   when a place pays     crowd   when cores of their own do
//! reader   one thread, in between       place    the place of a thread
//! ```
mod beside;
mod crowd;
mod place;
mod reader;

pub(super) use reader::{about_to_answer, about_to_answer_early, may_answer_early};

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::time::{Duration, Instant};

use crate::engine::threads;
use crowd::Senders;
use parking_lot::{Condvar, Mutex};
use place::Guest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often the watcher looks, at most.
const TICK: Duration = Duration::from_millis(2);

/// How seldom, where it finds again and again that messages come: each look wakes a core, and the scheduler likes to put the program
/// there, away from its reader. A message that comes just after a look, and holds up all readers, does so for twice as long at most.
const TICK_MAX: Duration = Duration::from_millis(8);

/// The threads that read messages from one device.
pub(super) struct Attention {
    device: OwnedFd,
    threads: usize,
    /// With one core, looking keeps others from sending.
    may_look: bool,
    /// Readers may sit on the cores of programs.
    has_places: bool,
    /// Of each reader the core that it keeps to in a crowd; none if there are not as many of both.
    cores: Vec<usize>,
    senders: Senders,
    /// The reader that has a place.
    seated: Mutex<Option<Guest>>,
    is_seated: AtomicBool,
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

/// The time in which one message is answered.
pub(super) struct Turn<'a>(&'a Arc<Attention>);

/// The same of a message without an answer.
pub(super) struct Errand<'a>(&'a Attention);

impl Attention {
    /// For `threads` threads that read from the device, of which `device` is another descriptor.
    pub fn new(device: OwnedFd, threads: usize) -> Arc<Attention> {
        let has_cores = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        let has_places = has_cores && place::are_allowed();
        let cores: Vec<usize> = Guest::new().map_or(Vec::new(), |guest| guest.cores().collect());
        let has_core_each = threads > 1 && cores.len() == threads;
        if has_places || has_core_each {
            threads::prepare_with(reader::leave_place);
        }
        Arc::new(Attention {
            device,
            threads,
            cores: if has_core_each { cores } else { Vec::new() },
            senders: Senders::default(),
            may_look: has_cores,
            has_places,
            seated: Mutex::new(None),
            is_seated: AtomicBool::new(false),
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

    /// A message has come to this thread, from the thread `program` of some process (0 where that is not known).
    pub fn turn(self: &Arc<Self>, program: u32) -> Turn<'_> {
        let others = self.busy.fetch_add(1, SeqCst);
        self.turns.fetch_add(1, SeqCst);
        self.keep_awake();
        reader::begin(self, others, program);
        Turn(self)
    }

    /// The same of a message that nobody waits for. It says nothing about how messages come: while it is worked on, the program
    /// sends the next one.
    pub fn errand(&self) -> Errand<'_> {
        self.busy.fetch_add(1, SeqCst);
        self.turns.fetch_add(1, SeqCst);
        self.keep_awake();
        Errand(self)
    }

    /// This reader has a place from now on, until [`Attention::unseat`].
    fn seat(&self, guest: Guest) {
        *self.seated.lock() = Some(guest);
        self.is_seated.store(true, SeqCst);
        self.keep_awake();
    }

    /// The watcher is not to sleep.
    fn keep_awake(&self) {
        if self.asleep.load(SeqCst) && self.asleep.swap(false, SeqCst) {
            let _order = self.parking.lock();
            self.wake.notify_all();
        }
    }

    fn unseat(&self) -> Option<Guest> {
        let mut seated = self.seated.lock();
        self.is_seated.store(false, SeqCst);
        seated.take()
    }

    fn call_away(&self) {
        if let Some(guest) = self.unseat() {
            guest.call();
        }
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
        let mut tick = TICK;
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
                self.wake.wait_for(&mut parking, tick).timed_out()
            };
            parking.is_watched = false;
            let has_moved = self.turns.load(SeqCst) != seen;
            if waited && !has_moved && self.is_held_up(seen) {
                break;
            }
            tick = if waited && has_moved {
                TICK_MAX.min(2 * tick)
            } else {
                TICK
            };
        }
        parking.wanted = parking.wanted.saturating_sub(1);
        self.readers.fetch_add(1, SeqCst);
        // A place is for the only reader.
        self.call_away();
        // Another one has to watch.
        self.wake.notify_all();
    }

    /// No message has come since there were `seen`: are all readers held up by theirs? Lets the watcher sleep if nothing happens at all.
    fn is_held_up(&self, seen: u64) -> bool {
        // Whoever wants that core may keep it for long, and with it the reader and what it holds.
        self.call_away();
        let busy = self.busy.load(SeqCst);
        if busy == 0 {
            self.asleep.store(true, SeqCst);
            if self.turns.load(SeqCst) != seen || self.is_seated.load(SeqCst) {
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

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, SeqCst);
        if !std::thread::panicking() {
            reader::finish();
        }
    }
}

impl Drop for Errand<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, SeqCst);
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

    const ROUNDS: u32 = 100;

    /// A message without an answer.
    const ERRAND: u64 = 1 << 40;

    /// Threads that read messages of eight bytes from a pipe, each a time in milliseconds to answer it in.
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
            if message == ERRAND {
                drop(attention.errand());
                continue;
            }
            let _turn = attention.turn(0);
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
    fn messages_that_nobody_waits_for_are_no_rush() {
        let rig = rig(4);
        let messages: Vec<u8> = [0, ERRAND, 0].map(u64::to_ne_bytes).concat();
        let mut called = 0;
        for _ in 0..ROUNDS {
            rig.calm_down_to(1);
            assert_eq!(rustix::io::write(&rig.to, &messages), Ok(messages.len()));
            assert_eq!((rig.answered.recv(), rig.answered.recv()), (Ok(0), Ok(0)));
            called += u32::from(rig.attention.readers.load(SeqCst) > 1);
        }
        // On a busy machine the watcher may come to help.
        assert!(called < ROUNDS / 2, "{called}");
        rig.end();
    }

    #[test]
    fn a_message_that_takes_long_keeps_none_from_being_answered() {
        let rig = rig(4);
        for round in 0..6 {
            rig.calm_down_to(1);
            // The watcher sleeps in every second round.
            let start = Instant::now();
            while round % 2 == 1 && !rig.attention.asleep.load(SeqCst) {
                assert!(start.elapsed() < Duration::from_secs(20), "it sleeps");
                thread::sleep(TICK);
            }

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

    /// Each message is the program that sent it, and is answered with the number of cores on which the thread may run.
    fn tell_cores(attention: &Arc<Attention>, from: &OwnedFd, done: &Sender<usize>) {
        let mut bytes = [0; 4];
        while rustix::io::read(from, &mut bytes).is_ok_and(|len| len == 4) {
            let _turn = attention.turn(u32::from_ne_bytes(bytes));
            done.send(Guest::new().unwrap().cores().count()).unwrap();
        }
    }

    #[test]
    fn in_a_crowd_readers_keep_to_cores_of_their_own_and_roam_when_it_is_gone() {
        thread::spawn(|| {
            // As many as there are readers of a mount at most; the threads that follow inherit it.
            let cores: Vec<usize> = Guest::new().unwrap().cores().take(4).collect();
            place::restrict_to(&cores);
            keep_to_cores(cores.len());
        })
        .join()
        .unwrap();
    }

    fn keep_to_cores(cores: usize) {
        let (from, to) = io::pipe().unwrap();
        let (from, to) = (OwnedFd::from(from), OwnedFd::from(to));
        let attention = Attention::new(second(&from).unwrap(), cores);
        assert_eq!(attention.cores.len(), if cores > 1 { cores } else { 0 });
        let (done, told) = channel();
        thread::scope(|scope| {
            for _ in 0..cores {
                let (attention, from, done) = (&attention, &from, done.clone());
                scope.spawn(move || tell_cores(attention, from, &done));
            }
            let crowd: Vec<u8> = (0..512_u32)
                .flat_map(|number| (1 + number % 4).to_ne_bytes())
                .collect();
            // On a busy machine answers take long now and then.
            let has_kept = (0..500).any(|_| {
                assert_eq!(rustix::io::write(&to, &crowd), Ok(crowd.len()));
                let kept = (0..512).filter(|_| told.recv() == Ok(1)).count();
                kept > 0
            });
            assert!(has_kept);
            for _ in 0..2 * cores {
                thread::sleep(5 * TICK);
                rustix::io::write(&to, &1_u32.to_ne_bytes()).unwrap();
                assert_eq!(told.recv(), Ok(cores));
            }
            drop(to);
        });
    }
}
