//! Shows that something is still going on, when it takes longer than people wait without asking.
//!
//! Only on a terminal, only after [`PATIENCE`], and gone without a trace at the end: logs and scripts see nothing of it.

use crate::check::Watch;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::Duration,
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

/// How far a check is, in bytes, with an estimate. Only on a terminal.
pub struct CheckProgress {
    bar: Option<ProgressBar>,
}

impl CheckProgress {
    /// Begins with nothing done.
    pub fn start() -> CheckProgress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "checking {bar:30} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left",
            );
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        CheckProgress { bar }
    }
}

impl Watch for CheckProgress {
    fn total(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(bytes);
        }
    }

    fn wants_total(&self) -> bool {
        self.bar.is_some()
    }

    fn read(&self, bytes: u64) -> bool {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
        true
    }
}

impl Drop for CheckProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
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
