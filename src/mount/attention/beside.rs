//! When a reader takes a place beside a program, and when it leaves.
//!
//! It pays for a program that waits for one quick answer after the other. It does not where answers take long: they cost more
//! than the wakes do, and what the program does meanwhile would wait for its core.
use std::time::Duration;

/// So many quick messages of one program, each soon after the last, and it pays.
const QUICK: u32 = 3;

/// What is soon.
pub(super) const SOON: Duration = Duration::from_millis(1);

/// What is not quick.
pub(super) const SLOW: Duration = Duration::from_micros(60);

/// So many slow answers one after the other, and the place is left.
const SLOW_MAX: u32 = 8;

/// So many messages of other programs one after the other, and the place is left.
const STRANGERS_MAX: u32 = 2;

/// Messages of a program that waits on the same core are there sooner than this.
const NEAR: Duration = Duration::from_micros(10);

/// So many messages one after the other that were not, and the program may have moved.
const APART_FEW: u32 = 3;

/// The same after it was found where it had been.
const APART_MANY: u32 = 64;

/// When a place was no good, this long none is looked for; each time twice as long.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// After so many answers it is the first time again.
const GOOD: u32 = 1000;

/// What the messages of a thread say about a place.
#[derive(Default)]
pub(super) struct Beside {
    /// Whose messages these were.
    program: u32,
    /// Quick messages of it one after the other.
    quick: u32,
    /// With a place: slow answers, messages of others, and messages that came from elsewhere, each one after the other.
    slow: u32,
    strangers: u32,
    apart: u32,
    has_stayed: bool,
    /// No place before this time.
    not_before: Duration,
    /// Places that were no good, and answers since the last of them.
    bad: u32,
    good: u32,
}

/// What to do about the place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Advice {
    Stay,
    /// See whether the program is still there.
    Follow,
    Leave,
}

impl Beside {
    /// A message from `program` (0 if that is not known) has come; the thread had waited for it so long.
    pub fn has_come(&mut self, program: u32, waited: Duration) {
        if waited >= SOON || !self.is_of(program) {
            self.quick = 0;
        }
        if program != 0 {
            self.program = program;
        }
    }

    /// The answer has taken so long.
    pub fn is_answered(&mut self, worked: Duration) {
        let is_slow = worked > SLOW;
        self.good = self.good.saturating_add(1);
        self.quick = if is_slow { 0 } else { self.quick + 1 };
        self.slow = if is_slow { self.slow + 1 } else { 0 };
    }

    /// It is answered before the work is done.
    pub fn will_take_long(&mut self) {
        self.is_answered(SLOW + SLOW);
    }

    /// The program beside which a place would pay.
    pub fn wanted(&self, now: Duration) -> Option<u32> {
        (self.quick >= QUICK && self.program != 0 && now >= self.not_before).then_some(self.program)
    }

    /// There was none, or the thread had to wait for its core there.
    pub fn put_off(&mut self, now: Duration) {
        self.bad = if self.good < GOOD { self.bad + 1 } else { 1 };
        self.good = 0;
        let pause = PAUSE * (1 << (self.bad - 1).min(16));
        self.not_before = now + pause.min(PAUSE_MAX);
    }

    /// With a place beside `host`, after [`Beside::has_come`].
    pub fn advise(&mut self, host: u32, waited: Duration) -> Advice {
        self.strangers = if self.is_of(host) {
            0
        } else {
            self.strangers + 1
        };
        self.apart = if waited > NEAR { self.apart + 1 } else { 0 };
        let patience = if self.has_stayed {
            APART_MANY
        } else {
            APART_FEW
        };
        if self.strangers >= STRANGERS_MAX || self.slow >= SLOW_MAX {
            Advice::Leave
        } else if self.apart >= patience {
            self.apart = 0;
            Advice::Follow
        } else {
            Advice::Stay
        }
    }

    /// After [`Advice::Follow`].
    pub fn has_followed(&mut self, has_moved: bool) {
        self.has_stayed = !has_moved;
    }

    /// The place is left.
    pub fn has_left(&mut self) {
        *self = Beside {
            not_before: self.not_before,
            bad: self.bad,
            good: self.good,
            ..Beside::default()
        };
    }

    fn is_of(&self, program: u32) -> bool {
        program == 0 || program == self.program
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::from_micros(2);

    fn after(messages: &[(u32, Duration, Duration)]) -> Beside {
        let mut beside = Beside::default();
        for &(program, waited, worked) in messages {
            beside.has_come(program, waited);
            beside.is_answered(worked);
        }
        beside
    }

    fn wanted(messages: &[(u32, Duration, Duration)]) -> Option<u32> {
        after(messages).wanted(Duration::ZERO)
    }

    #[test]
    fn quick_messages_of_one_program_want_a_place() {
        let quick = (7, AT_ONCE, AT_ONCE);
        assert_eq!(wanted(&[quick; 2]), None);
        assert_eq!(wanted(&[quick; 3]), Some(7));
        let nobody = (0, AT_ONCE, AT_ONCE);
        assert_eq!(wanted(&[quick, nobody, quick, quick]), Some(7));
        assert_eq!(wanted(&[nobody; 9]), None);
    }

    #[test]
    fn others_slow_answers_and_long_pauses_begin_anew() {
        let quick = (7, AT_ONCE, AT_ONCE);
        for other in [
            (8, AT_ONCE, AT_ONCE),
            (7, SOON, AT_ONCE),
            (7, AT_ONCE, SLOW * 2),
        ] {
            assert_eq!(wanted(&[quick, quick, other, quick]), None);
        }
    }

    #[test]
    fn no_place_is_wanted_soon_after_none_could_be_had() {
        let mut beside = after(&[(7, AT_ONCE, AT_ONCE); 4]);
        beside.put_off(AT_ONCE);
        beside.has_left();
        (0..4).for_each(|_| {
            beside.has_come(7, AT_ONCE);
            beside.is_answered(AT_ONCE);
        });
        assert_eq!(beside.wanted(PAUSE), None);
        assert_eq!(beside.wanted(AT_ONCE + PAUSE), Some(7));
    }

    #[test]
    fn bad_places_are_put_off_longer_and_longer_until_there_are_good_ones() {
        let mut beside = Beside::default();
        let mut put_off = || {
            beside.put_off(Duration::ZERO);
            beside.not_before
        };
        assert_eq!(
            [put_off(), put_off(), put_off()],
            [PAUSE, PAUSE * 2, PAUSE * 4]
        );
        assert_eq!((0..100).map(|_| put_off()).last(), Some(PAUSE_MAX));
        (0..GOOD).for_each(|_| beside.is_answered(AT_ONCE));
        beside.put_off(Duration::ZERO);
        assert_eq!(beside.not_before, PAUSE);
    }

    fn advice(messages: &[(u32, Duration, Duration)]) -> Vec<Advice> {
        let mut beside = after(&[(7, AT_ONCE, AT_ONCE); 4]);
        let mut advise = |&(program, waited, worked): &(u32, Duration, Duration)| {
            beside.has_come(program, waited);
            let advice = beside.advise(7, waited);
            beside.is_answered(worked);
            advice
        };
        messages.iter().map(&mut advise).collect()
    }

    #[test]
    fn a_place_is_left_for_another_program_and_for_slow_answers() {
        use Advice::{Leave, Stay};
        let (own, other) = ((7, AT_ONCE, AT_ONCE), (8, AT_ONCE, AT_ONCE));
        assert_eq!(
            advice(&[own, other, own, other, other]),
            [Stay, Stay, Stay, Stay, Leave]
        );
        let slow = advice(&[(7, AT_ONCE, SLOW * 2); 9]);
        assert!(slow.ends_with(&[Stay, Leave]), "{slow:?}");
    }

    #[test]
    fn a_program_that_is_slower_to_come_is_looked_for_and_less_often_when_it_had_stayed() {
        let far = [(7, NEAR * 2, AT_ONCE); 7];
        let follows: Vec<usize> = (0..7)
            .filter(|&at| advice(&far)[at] == Advice::Follow)
            .collect();
        assert_eq!(follows, [2, 5]);
        let mut beside = after(&[(7, AT_ONCE, AT_ONCE); 4]);
        beside.has_followed(false);
        let calm = (0..63).all(|_| beside.advise(7, NEAR * 2) == Advice::Stay);
        assert!(calm && beside.advise(7, NEAR * 2) == Advice::Follow);
    }
}
