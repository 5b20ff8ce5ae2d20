//! Shows that something is still going on, when it takes longer than people wait without asking.
//!
//! Only on a terminal, only after [`PATIENCE`], and gone without a trace at the end: logs and scripts see nothing of it.

use crate::check::Watch;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the sign of life moves.
const TICK: Duration = Duration::from_millis(120);

/// A line on the terminal from two seconds after its start until it is dropped.
///
/// It runs a thread, so none may exist when the process forks.
pub struct Progress {
    shown: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Starts waiting; `text` says what is going on.
    pub fn start(text: &'static str) -> Progress {
        Progress::follow(move || text.to_owned())
    }

    /// Starts waiting; `text` is asked again and again for what is going on.
    pub fn follow(text: impl Fn() -> String + Send + 'static) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { shown: None };
        }
        let (done, wait) = channel();
        let thread = std::thread::spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let bar = ProgressBar::new_spinner();
                while wait.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    bar.set_message(text());
                    bar.tick();
                }
                bar.finish_and_clear();
            }
        });
        Progress {
            shown: Some((done, thread)),
        }
    }
}

/// How much of some work is done, with an estimate of the time that is left. Only on a terminal.
pub struct WorkProgress {
    bar: Option<ProgressBar>,
    start: Instant,
}

impl WorkProgress {
    /// Begins with nothing done; `doing` says what is.
    pub fn start(doing: &'static str) -> WorkProgress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {bar:30} {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style).with_prefix(doing)
        });
        WorkProgress {
            bar,
            start: Instant::now(),
        }
    }

    /// Is anything shown?
    pub fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// So much of all is done, and so many bytes are verified.
    pub fn is_at(&self, done: u64, total: u64, bytes: u64) {
        let Some(bar) = &self.bar else { return };
        // What is there now may be more than what was there in the beginning.
        let total = total.max(done);
        bar.set_length(total);
        bar.set_position(done);
        let left = left(self.start.elapsed(), done, total);
        let left = left.map_or(String::new(), |left| {
            format!(", about {} left", HumanDuration(left))
        });
        let percent = (done * 100).checked_div(total).unwrap_or(0);
        bar.set_message(format!("{percent}%, {} verified{left}", about(bytes)));
    }
}

impl Drop for WorkProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What is left at the pace of all that was done; none while too little was.
fn left(elapsed: Duration, done: u64, total: u64) -> Option<Duration> {
    if total == 0 || elapsed < PATIENCE || done < total / 200 {
        return None;
    }
    let secs = u128::from(elapsed.as_secs()) * u128::from(total.saturating_sub(done));
    let secs = secs.checked_div(u128::from(done))?;
    Some(Duration::from_secs(u64::try_from(secs).ok()?))
}

/// How far a check is.
pub struct CheckProgress {
    shown: WorkProgress,
    total: AtomicU64,
    done: AtomicU64,
    bytes: AtomicU64,
}

impl CheckProgress {
    /// Begins with nothing done.
    pub fn start() -> CheckProgress {
        CheckProgress {
            shown: WorkProgress::start("checking"),
            total: AtomicU64::new(0),
            done: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }
}

impl Watch for CheckProgress {
    /// A repair looks several times.
    fn total(&self, work: u64) {
        self.total.store(self.done.load(Relaxed) + work, Relaxed);
    }

    fn wants_total(&self) -> bool {
        self.shown.is_shown()
    }

    fn done(&self, work: u64) {
        self.done.fetch_add(work, Relaxed);
    }

    fn read(&self, bytes: u64) -> bool {
        let bytes = self.bytes.fetch_add(bytes, Relaxed) + bytes;
        let (done, total) = (self.done.load(Relaxed), self.total.load(Relaxed));
        self.shown.is_at(done, total, bytes);
        true
    }
}

impl Drop for Progress {
    /// Returns when the line is gone, so that whatever is printed next stands alone.
    fn drop(&mut self) {
        if let Some((done, thread)) = self.shown.take() {
            drop(done);
            // A panic there has been printed; nothing depends on the line.
            let _ = thread.join();
        }
    }
}

/// About how many bytes, as `576.59 MiB`.
pub fn about(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECS: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn what_is_left_is_told_at_the_pace_of_what_was_done() {
        assert_eq!(left(SECS(10), 25, 100), Some(SECS(30)));
        assert_eq!(left(SECS(10), 100, 100), Some(SECS(0)));
        assert_eq!(left(SECS(3600), 1 << 40, 1 << 42), Some(SECS(3 * 3600)));
    }

    #[test]
    fn nothing_is_estimated_from_next_to_nothing() {
        assert_eq!(left(SECS(1), 50, 100), None);
        assert_eq!(left(SECS(60), 4, 1000), None);
        assert_eq!(left(SECS(60), 0, 0), None);
        assert_eq!(left(SECS(60), 0, 100), None);
    }
}
