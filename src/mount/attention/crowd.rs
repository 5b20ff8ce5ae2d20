//! Whether many programs ask for quick answers at once.
//!
//! Then no core is idle for long, and all depends on where threads are woken. A program that is woken where its answer was given
//! sends its next message there, and the reader beside it, which never slept, has it at once: two switches between threads. If
//! readers wander, they meet on some cores and leave others, and each message is two signals from core to core. Which of the two
//! it becomes is chance, and stays for seconds: 200,000 or 100,000 random reads a second by four at once. So each reader keeps
//! to a core of its own while there is a crowd, if there are as many readers as cores.
//!
//! Not for one program, nor for long answers: what they take is longer than what a wake costs, and a reader that keeps to a core
//! waits for it while others are idle.
use std::time::Duration;

/// What is soon.
const SOON: Duration = Duration::from_millis(1);

/// What is not quick.
const SLOW: Duration = Duration::from_micros(60);

/// A slow answer outweighs so many messages.
const SLOW_COST: u32 = 4;

/// A crowd is there with so many more messages of another program than the one before than of the same, quick and soon, and until
/// they are as many.
const MANY: u32 = 32;

/// More than that are not remembered.
const MANY_MAX: u32 = 2 * MANY;

/// What the messages of a thread say about it.
#[derive(Default)]
pub(super) struct Crowd {
    many: u32,
    is_there: bool,
}

impl Crowd {
    /// A message has come; the thread had waited for it so long. Was the last one, whoever got that, of another program?
    pub fn has_come(&mut self, is_other: bool, waited: Duration) {
        self.many = if waited >= SOON {
            0
        } else if is_other {
            MANY_MAX.min(self.many + 1)
        } else {
            self.many.saturating_sub(1)
        };
    }

    /// The answer has taken so long.
    pub fn is_answered(&mut self, worked: Duration) {
        if worked > SLOW {
            self.many = self.many.saturating_sub(SLOW_COST);
        }
    }

    pub fn is_there(&mut self) -> bool {
        self.is_there = self.many >= MANY || self.is_there && self.many > 0;
        self.is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::from_micros(2);

    /// After so many messages of programs in turn, each answered in the time.
    fn after(count: u32, programs: u32, worked: Duration) -> Crowd {
        let mut crowd = Crowd::default();
        for number in 0..count {
            crowd.has_come(number % programs != 0, AT_ONCE);
            crowd.is_answered(worked);
            crowd.is_there();
        }
        crowd
    }

    #[test]
    fn several_programs_with_quick_messages_are_a_crowd_and_one_or_two_are_none() {
        assert!(after(100, 4, AT_ONCE).is_there());
        assert!(after(100, 3, AT_ONCE).is_there());
        assert!(!after(20, 4, AT_ONCE).is_there());
        assert!(!after(1000, 1, AT_ONCE).is_there());
        assert!(!after(1000, 2, AT_ONCE).is_there());
    }

    #[test]
    fn long_answers_are_not_for_a_crowd() {
        assert!(!after(1000, 4, 2 * SLOW).is_there());
        let mut crowd = after(100, 4, AT_ONCE);
        (0..MANY_MAX / SLOW_COST).for_each(|_| crowd.is_answered(2 * SLOW));
        assert!(!crowd.is_there());
    }

    #[test]
    fn a_crowd_stays_for_a_while_and_is_gone_after_a_pause() {
        let mut crowd = after(100, 4, AT_ONCE);
        (0..MANY).for_each(|_| crowd.has_come(false, AT_ONCE));
        assert!(crowd.is_there());
        crowd.has_come(true, SOON);
        assert!(!crowd.is_there());
        crowd.has_come(true, AT_ONCE);
        assert!(!crowd.is_there(), "it has to come anew");
    }
}
