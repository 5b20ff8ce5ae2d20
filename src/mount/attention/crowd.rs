//! Whether many programs ask for quick answers at once.
//!
//! Then no core is idle for long, and all depends on where threads are woken. A program that is woken where its answer was given
//! sends its next message there, and the reader beside it, which never slept, has it at once: two switches between threads. If
//! readers wander, they meet on some cores and leave others, and each message is two signals from core to core. Which of the two
//! it becomes is chance, and stays for a while: 170,000 to 230,000 or 100,000 to 130,000 random reads a second by four at once, in
//! runs of half a second (`docs/choices.md`). So each reader keeps to a core of its own while there is a crowd, if there are as many
//! readers as cores.
//!
//! Not for one program or two, nor for long answers: what they take is longer than what a wake costs, and a reader that keeps to a
//! core waits for it while others are idle. Who had to wait is slower to keep to its core again.
use super::beside::{SLOW, SOON};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Of four programs whose messages come at random, the sum grows by three in four messages, of three by one in three; of two it
/// falls.
const THIRD: u32 = 2;

/// A slow answer outweighs so much of the sum. Not all of it, as one that is quick is slow where a program took the core meanwhile.
/// Chosen, not measured, as are the counts below.
const SLOW_COST: u32 = 4;

/// With so much a crowd is there, until there is nothing left: after some fifty messages of a thread, a millisecond.
const MANY: u32 = 32;

/// More is not remembered.
const MANY_MAX: u32 = 2 * MANY;

/// After a pause within a crowd a thread has to see so many messages before the next one, and twice as many after each further.
/// A pause is as long as some fifty messages, or as a program that wants the core may take.
const REST: u32 = 1024;
const REST_MAX: u32 = 4 * REST;

/// After so many messages without one it is the first time again.
const GOOD: u32 = 10_000;

/// Whose messages came last, for all readers together.
#[derive(Default)]
pub(super) struct Senders(AtomicU64);

/// Whose message is it?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// Of the program whose message came before it.
    Same,
    /// Of the one that had its turn before that.
    Second,
    /// Of neither.
    Third,
    /// Of nobody that is known.
    Unknown,
}

impl Senders {
    /// A message of `program` (0 if that is not known) has come. Readers that tell of two at once may lose one of them.
    pub fn note(&self, program: u32) -> Sender {
        let pair = self.0.load(Relaxed);
        let (last, before) = ((pair >> 32) as u32, pair & u64::from(u32::MAX));
        if program == 0 {
            return Sender::Unknown;
        }
        if program == last {
            return Sender::Same;
        }
        self.0
            .store(u64::from(program) << 32 | u64::from(last), Relaxed);
        if u64::from(program) == before {
            Sender::Second
        } else {
            Sender::Third
        }
    }
}

/// What the messages of a thread say about it.
#[derive(Default)]
pub(super) struct Crowd {
    sum: u32,
    is_there: bool,
    /// So many messages before it can be there, and the same of the last pause.
    rest: u32,
    last_rest: u32,
    /// Messages since then.
    good: u32,
}

impl Crowd {
    /// A message has come; the thread had waited for it so long.
    pub fn has_come(&mut self, sender: Sender, waited: Duration) {
        self.rest = self.rest.saturating_sub(1);
        self.good = self.good.saturating_add(1);
        if waited >= SOON {
            return self.pause();
        }
        self.sum = match sender {
            Sender::Third => MANY_MAX.min(self.sum + THIRD),
            Sender::Same => self.sum.saturating_sub(1),
            Sender::Second | Sender::Unknown => self.sum,
        };
    }

    /// The thread has waited, for a message or for its core.
    pub fn pause(&mut self) {
        self.sum = 0;
        if self.is_there {
            let is_first = self.last_rest == 0 || self.good >= GOOD;
            self.last_rest = if is_first {
                REST
            } else {
                REST_MAX.min(2 * self.last_rest)
            };
            (self.rest, self.good) = (self.last_rest, 0);
        }
    }

    /// The answer has taken so long.
    pub fn is_answered(&mut self, worked: Duration) {
        if worked > SLOW {
            self.sum = self.sum.saturating_sub(SLOW_COST);
        }
    }

    /// It is answered before the work is done.
    pub fn will_take_long(&mut self) {
        self.is_answered(SLOW + SLOW);
    }

    pub fn is_there(&mut self) -> bool {
        self.is_there = self.rest == 0 && (self.sum >= MANY || self.is_there && self.sum > 0);
        self.is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::from_micros(2);

    /// Programs whose messages come at random, by a fixed seed.
    fn at_random(programs: u32) -> impl Iterator<Item = u32> {
        let step = |state: &u64| {
            Some(
                state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1),
            )
        };
        let states = std::iter::successors(Some(5_u64), step);
        states.map(move |state| 1 + (state >> 33) as u32 % programs)
    }

    fn hear(crowd: &mut Crowd, programs: impl Iterator<Item = u32>, worked: Duration) -> usize {
        let senders = Senders::default();
        let there = programs.filter(|program| {
            crowd.has_come(senders.note(*program), AT_ONCE);
            crowd.is_answered(worked);
            crowd.is_there()
        });
        there.count()
    }

    /// For how many of so many messages a crowd is there.
    fn there(programs: impl Iterator<Item = u32>, worked: Duration) -> usize {
        hear(&mut Crowd::default(), programs, worked)
    }

    #[test]
    fn three_programs_and_more_with_quick_messages_are_a_crowd() {
        for programs in [3, 4, 5, 9] {
            let there = there(at_random(programs).take(1000), AT_ONCE);
            assert!(there > 700, "{programs}: {there}");
        }
        assert_eq!(there(at_random(4).take(16), AT_ONCE), 0);
    }

    #[test]
    fn one_program_or_two_are_none_in_whatever_turns_they_come() {
        for programs in [1, 2] {
            assert_eq!(there(at_random(programs).take(10_000), AT_ONCE), 0);
            assert_eq!(there((0..10_000).map(|at| 1 + at % programs), AT_ONCE), 0);
        }
        let unknown = |at: u32| [0, 1, 0, 2][at as usize % 4];
        assert_eq!(there((0..10_000).map(unknown), AT_ONCE), 0);
    }

    #[test]
    fn long_answers_are_not_for_a_crowd() {
        assert_eq!(there(at_random(4).take(1000), 2 * SLOW), 0);
        let mut crowd = Crowd::default();
        hear(&mut crowd, at_random(4).take(100), AT_ONCE);
        assert!(crowd.is_there());
        (0..MANY_MAX / SLOW_COST).for_each(|_| crowd.will_take_long());
        assert!(!crowd.is_there());
    }

    #[test]
    fn a_crowd_is_gone_after_a_pause_and_takes_longer_to_come_back_each_time() {
        let mut crowd = Crowd::default();
        let mut missed = || {
            crowd.has_come(Sender::Third, SOON);
            assert!(!crowd.is_there());
            5000 - hear(&mut crowd, at_random(4).take(5000), AT_ONCE)
        };
        let missed: Vec<usize> = (0..5).map(|_| missed()).collect();
        assert!(missed[0] < 100, "{missed:?}");
        let rests = [REST, 2 * REST, 4 * REST, 4 * REST].map(|rest| rest as usize);
        for (missed, rest) in missed[1..].iter().zip(rests) {
            assert!((rest - 1..rest + 100).contains(missed), "{missed} {rest}");
        }
        hear(&mut crowd, at_random(4).take(20_000), AT_ONCE);
        crowd.has_come(Sender::Third, SOON);
        assert_eq!(crowd.rest, REST);
    }
}
