//! The two threads of a vault that is open for writing: one writes what waits in memory to the log every 75 ms, one runs
//! checkpoints.
use super::core::{Core, Signal};
use crate::journal::Fullness;
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

/// So long what was acknowledged may wait in memory. 150 ms are promised: the rest is for waking up and writing on a busy machine.
const TAIL_INTERVAL: Duration = Duration::from_millis(75);
/// How often the age of changes is looked at.
const AGE_INTERVAL: Duration = Duration::from_millis(500);
/// How long after a checkpoint that found no space the next one is tried.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(500);

/// The running threads.
pub(super) struct Background {
    threads: Vec<JoinHandle<()>>,
}

impl Background {
    /// Starts them.
    pub fn start(core: &Arc<Core>) -> std::io::Result<Background> {
        let (log, store) = (Arc::clone(core), Arc::clone(core));
        let log = Builder::new()
            .name("wardfs-log".into())
            .spawn(move || write_tails(&log))?;
        let store = Builder::new()
            .name("wardfs-checkpoint".into())
            .spawn(move || run_checkpoints(&store))?;
        Ok(Background {
            threads: vec![log, store],
        })
    }

    /// Ends them; what they were doing is finished.
    pub fn stop(self, core: &Core) {
        core.signal.state.lock().stop = true;
        core.signal.log.notify_all();
        core.signal.checkpoint.notify_all();
        core.signal.done.notify_all();
        for thread in self.threads {
            if thread.join().is_err() {
                core.fail("a thread of the vault panicked");
            }
        }
    }
}

fn write_tails(core: &Core) {
    while core.sleep_until_tail() {
        // While more and more comes, nobody need say so.
        loop {
            core.signal.pause_for_log(TAIL_INTERVAL);
            if !core.tail_waits.swap(false, SeqCst) {
                break;
            }
            if let Err(error) = core.write_tails() {
                log::error!("writing the log failed: {error}");
            }
            if core.checkpoint_due() {
                let _order = core.signal.state.lock();
                core.signal.checkpoint.notify_all();
            }
        }
    }
}

impl Signal {
    /// The checkpoint's thread sleeps, but not past the end of the mount.
    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.state.lock();
        while !state.stop && !self.checkpoint.wait_until(&mut state, until).timed_out() {}
    }

    /// The log's thread does, but not longer than until somebody asks for the log to be written.
    fn pause_for_log(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.state.lock();
        while !state.stop && !state.log && !self.log.wait_until(&mut state, until).timed_out() {}
        state.log = false;
    }
}

fn run_checkpoints(core: &Core) {
    loop {
        {
            let mut state = core.signal.state.lock();
            if !state.stop && !state.checkpoint && !core.checkpoint_due() {
                core.signal.checkpoint.wait_for(&mut state, AGE_INTERVAL);
            }
            if state.stop {
                return;
            }
            if !state.checkpoint && !core.checkpoint_due() {
                continue;
            }
        }
        let failed = core.writable().is_err() || core.checkpoint_beside().is_err();
        if failed && core.writable().is_err() {
            return give_up(core);
        }
        if failed {
            // A full disk: somebody else may give space back.
            core.signal.pause(FULL_DISK_PAUSE);
        }
    }
}

/// No checkpoint will ever come: nobody may wait for one.
fn give_up(core: &Core) {
    let mut state = core.signal.state.lock();
    while !state.stop {
        state.count += 1;
        core.signal.done.notify_all();
        core.signal.checkpoint.wait_for(&mut state, AGE_INTERVAL);
    }
}

impl Core {
    /// Puts everything acknowledged into the log, and what of it is durable.
    pub fn write_tails(&self) -> super::error::Result<()> {
        self.settle_now()?;
        self.journaled(
            self.journal
                .write_pushed()
                .and_then(|()| self.journal.mark()),
        )
    }

    fn settle_now(&self) -> super::error::Result<()> {
        if self.has_tails() {
            self.settle_all(&self.gate_alone())?;
        }
        Ok(())
    }

    /// Something waits in memory for the log.
    pub fn wake_log(&self) {
        if !self.tail_waits.swap(true, SeqCst) && self.signal.log_sleeps.load(SeqCst) {
            let _order = self.signal.state.lock();
            self.signal.log.notify_all();
        }
    }

    /// Until something does; `false` at the end of the mount.
    fn sleep_until_tail(&self) -> bool {
        let mut state = self.signal.state.lock();
        self.signal.log_sleeps.store(true, SeqCst);
        while !state.stop && !self.tail_waits.load(SeqCst) {
            self.signal.log.wait(&mut state);
        }
        self.signal.log_sleeps.store(false, SeqCst);
        !state.stop
    }

    /// Sees to it that not too much waits in memory for the log. To write it takes a thousand times as long as a small change, so
    /// another thread does, if it can keep up.
    pub fn relieve_log(&self) -> super::error::Result<()> {
        match self.journal.fullness() {
            Fullness::Little => Ok(()),
            Fullness::Enough if self.options.background => {
                // Of a call that writes much, nothing may have said so yet.
                self.wake_log();
                let mut state = self.signal.state.lock();
                if !state.log {
                    state.log = true;
                    self.signal.log.notify_all();
                }
                Ok(())
            }
            Fullness::Enough | Fullness::TooMuch => self.write_tails(),
        }
    }

    /// Everything acknowledged is durable on return.
    pub fn sync_everything(&self) -> super::error::Result<()> {
        if self.writable().is_ok() {
            self.settle_now()?;
        }
        self.journaled(self.journal.flush())?;
        if !self.options.background {
            return self.journaled(self.journal.mark());
        }
        // Nobody has to wait for it.
        if self.journal.wants_mark() {
            self.wake_log();
        }
        Ok(())
    }
}
