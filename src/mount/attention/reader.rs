//! What one thread does between its messages: read on, look, park, or take a place beside the program that it serves.
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use super::Attention;
use super::beside::{Advice, Beside};
use super::crowd::Crowd;
use super::place::{self, Guest, Place};
use crate::engine::threads;

/// So many messages one by one, and a thread may park.
const CALM: u32 = 16;

/// So many messages that find another one waiting for a reader, and a parked thread comes to help.
const RUSH: u32 = 2;

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

/// Bound to a core, a message that took longer, but for what it waited for other threads, may have waited for that.
const STUCK: Duration = Duration::from_millis(1);

/// With so many messages in work, this one and one whose answer was given early, a program is waited for.
const EARLY_BUSY: usize = 2;

thread_local! {
    static READER: RefCell<Option<Reader>> = const { RefCell::new(None) };
}

/// What a thread knows of its own messages.
struct Reader {
    attention: Arc<Attention>,
    /// When its last message came, and when it was answered, in time since `Attention::start`.
    begun: Duration,
    ended: Duration,
    /// Messages one after the other during which no other was answered, and before which the thread waited.
    calm: u32,
    /// Messages one after the other before which it did not wait long.
    soon: u32,
    /// Messages one after the other that found all readers busy and another message waiting.
    rush: u32,
    /// No looking before this time.
    look_from: Duration,
    beside: Beside,
    place: Option<Place>,
    crowd: Crowd,
    /// The core that it keeps to in a crowd.
    own_core: Option<usize>,
    /// It keeps to that.
    kept: Option<Guest>,
    /// The answer is under way.
    is_answered: bool,
}

/// A message has come to this thread while `others` were being answered; from the thread `program` of some process, or 0.
pub(super) fn begin(attention: &Arc<Attention>, others: usize, program: u32) {
    READER.with_borrow_mut(|reader| {
        reader
            .get_or_insert_with(|| Reader::new(attention))
            .begin(others, program);
    });
}

/// It has been answered, and the thread will read again.
pub(super) fn finish() {
    with(Reader::finish);
}

/// The work is done, and what follows is the answer. Then the program goes on, perhaps instead of this thread.
pub(in crate::mount) fn about_to_answer() {
    with(Reader::about_to_answer);
}

/// Does it pay to answer before the work is done? Not if other threads have as much to do as there are.
pub(in crate::mount) fn may_answer_early() -> bool {
    let mut may = false;
    with(|reader| may = reader.attention.busy.load(Relaxed) <= EARLY_BUSY);
    may
}

/// What follows is the answer, and then the work goes on for long: another thread is to take the next message meanwhile, and
/// this one must not be on the program's core.
pub(in crate::mount) fn about_to_answer_early() {
    with(Reader::about_to_answer_early);
}

/// Before a thread starts another one, which would have its place, too.
pub(super) fn leave_place() {
    with(Reader::leave);
}

fn with(work: impl FnOnce(&mut Reader)) {
    READER.with_borrow_mut(|reader| {
        if let Some(reader) = reader {
            work(reader);
        }
    });
}

impl Drop for Reader {
    /// The thread ends, because the mount does.
    fn drop(&mut self) {
        self.leave();
        self.attention.end();
    }
}

impl Reader {
    fn new(attention: &Arc<Attention>) -> Reader {
        let number = attention.known.fetch_add(1, Relaxed);
        Reader {
            crowd: Crowd::default(),
            own_core: attention.cores.get(number).copied(),
            kept: None,
            attention: Arc::clone(attention),
            begun: Duration::ZERO,
            ended: Duration::ZERO,
            calm: 0,
            soon: 0,
            rush: 0,
            look_from: Duration::ZERO,
            beside: Beside::default(),
            place: None,
            is_answered: false,
        }
    }

    fn begin(&mut self, others: usize, program: u32) {
        self.begun = self.attention.start.elapsed();
        threads::take_waits();
        let waited = self.begun.saturating_sub(self.ended);
        self.calm = if others == 0 { self.calm + 1 } else { 0 };
        self.soon = if waited < LOOK { self.soon + 1 } else { 0 };
        self.beside.has_come(program, waited);
        self.think_of_place(waited);
        if self.own_core.is_some() {
            let sender = self.attention.senders.note(program);
            self.crowd.has_come(sender, waited);
            if !self.crowd.is_there() {
                self.roam();
            }
        }
        let readers = self.attention.readers.load(Relaxed);
        // A single reader looks when it has answered.
        if readers > 1 && readers < self.attention.threads && others + 1 >= readers {
            self.note_waiting();
        }
    }

    /// Calls for help when messages wait again and again for a reader. Did it?
    fn note_waiting(&mut self) -> bool {
        if !self.attention.is_ready() {
            self.rush = 0;
            return false;
        }
        self.calm = 0;
        self.rush += 1;
        let calls = self.rush >= RUSH;
        if calls {
            self.rush = 0;
            self.attention.call_help();
        }
        calls
    }

    fn finish(&mut self) {
        self.about_to_answer();
        self.is_answered = false;
        self.ended = self.attention.start.elapsed();
        if self.place.is_some() {
            // The next message may be there by now, and always is if the program goes on: that is no rush.
            return;
        }
        let readers = self.attention.readers.load(Relaxed);
        self.think_of_crowd(readers);
        let called = readers == 1 && self.attention.threads > 1 && self.note_waiting();
        let are_all_known = self.attention.known.load(Relaxed) == self.attention.threads;
        if readers > 1 && self.calm >= CALM && are_all_known {
            self.calm = 0;
            self.soon = 0;
            self.roam();
            self.attention.park();
        } else if readers == 1
            && !called
            && !self.take_place()
            && self.soon >= SOON
            && self.attention.may_look
        {
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

    /// Takes a place if one would pay. Is there one?
    fn take_place(&mut self) -> bool {
        let may = self.attention.has_places && self.attention.threads > 1;
        let Some(program) = self.beside.wanted(self.ended).filter(|_| may) else {
            return false;
        };
        // To ask `/proc` may take as long as a program takes to end, and that may even need answers of this mount. Who is busy
        // with it is replaced.
        self.attention.busy.fetch_add(1, SeqCst);
        self.sit_beside(program);
        self.attention.busy.fetch_sub(1, SeqCst);
        self.place.is_some()
    }

    fn sit_beside(&mut self, program: u32) {
        let Ok(place) = Place::take(program) else {
            return self.beside.put_off(self.ended);
        };
        self.attention.seat(place.guest());
        let sits = place::sit();
        self.place = Some(place);
        // Who was called away in between has not heard it.
        let was_called = !self.attention.is_seated.load(SeqCst);
        if sits.is_err() || was_called || self.attention.readers.load(SeqCst) > 1 {
            self.leave();
        }
    }

    fn think_of_place(&mut self, waited: Duration) {
        let Some(place) = &mut self.place else { return };
        let advice = self.beside.advise(place.program(), waited);
        let was_called = !self.attention.is_seated.load(Relaxed);
        // Another reader would be woken instead of this one.
        if was_called || advice == Advice::Leave || self.attention.readers.load(Relaxed) > 1 {
            self.leave();
        } else if advice == Advice::Follow {
            match place.follow() {
                Ok(has_moved) => self.beside.has_followed(has_moved),
                Err(_) => self.leave(),
            }
        }
    }

    /// Keeps to a core of its own while all read for a crowd.
    fn think_of_crowd(&mut self, readers: usize) {
        let Some(core) = self.own_core else { return };
        let pays = self.crowd.is_there() && readers == self.attention.threads;
        if !pays {
            self.roam();
        } else if self.kept.is_none() {
            let bound = Guest::new().and_then(|guest| guest.bind_to(core).map(|()| guest));
            match bound {
                Ok(guest) => self.kept = Some(guest),
                // That core is not to be had.
                Err(_) => self.own_core = None,
            }
        }
    }

    fn roam(&mut self) {
        if let Some(guest) = self.kept.take() {
            guest.free();
        }
    }

    fn leave(&mut self) {
        self.roam();
        if let Some(place) = self.place.take() {
            place.guest().call();
            self.attention.unseat();
            self.beside.has_left();
        }
    }

    fn about_to_answer_early(&mut self) {
        self.is_answered = true;
        self.beside.will_take_long();
        self.crowd.will_take_long();
        self.leave();
        if self.attention.readers.load(Relaxed) == 1 {
            self.attention.call_help();
        }
    }

    /// How long the work took must be known by now: what follows may have to wait for the core.
    fn about_to_answer(&mut self) {
        if self.is_answered {
            return;
        }
        self.is_answered = true;
        let now = self.attention.start.elapsed();
        let worked = now.saturating_sub(self.begun);
        self.beside.is_answered(worked);
        self.crowd.is_answered(worked);
        let alone = worked.saturating_sub(threads::take_waits());
        if alone > STUCK && self.place.is_some() {
            self.leave();
            self.beside.put_off(now);
        }
        if alone > STUCK && self.kept.is_some() {
            self.crowd.pause();
            self.roam();
        }
    }
}
