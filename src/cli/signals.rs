//! Signals that ask the program to end, as something that can be waited for together with a clock.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level::pipe,
};
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// What ends a program: the terminal's Ctrl-C, a service manager, a terminal that closes.
const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Caught signals. From its making on they no longer end the process; also not after it is dropped.
pub struct Signals {
    receiver: UnixStream,
    sender: UnixStream,
    stopped: AtomicBool,
}

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants the program to end.
    Signal,
    /// The time is up.
    Time,
    /// [`Signals::stop`] was called.
    Stop,
}

impl Signals {
    /// Catches them. To be called before there is something that a signal would leave behind.
    ///
    /// # Errors
    /// What the system says.
    pub fn catch() -> io::Result<Signals> {
        let (receiver, sender) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        for signal in SIGNALS {
            pipe::register(signal, sender.try_clone()?)?;
        }
        Ok(Signals {
            receiver,
            sender,
            stopped: AtomicBool::new(false),
        })
    }

    /// Waits for the next event, for so long if at all.
    ///
    /// # Errors
    /// What poll(2) says; it does not on a sound system.
    pub fn wait(&self, for_long: Option<Duration>) -> io::Result<Event> {
        let timeout = for_long
            .map(|time| Timespec::try_from(time).map_err(|_| Errno::OVERFLOW))
            .transpose()?;
        let mut descriptors = [PollFd::new(&self.receiver, PollFlags::IN)];
        let count = match poll(&mut descriptors, timeout.as_ref()) {
            // The byte that the handler wrote is there: the next look finds it.
            Err(Errno::INTR) => return self.wait(Some(Duration::ZERO)),
            other => other?,
        };
        if self.stopped.load(Ordering::Acquire) {
            return Ok(Event::Stop);
        }
        if count == 0 {
            return Ok(Event::Time);
        }
        self.drain();
        Ok(Event::Signal)
    }

    /// Ends every wait, now and later.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        // A full pipe wakes as well.
        let _ = (&self.sender).write(&[0]);
    }

    fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.receiver).read(&mut bytes), Ok(1..)) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;

    // One test, since signals belong to the whole process.
    #[test]
    fn signals_time_and_stop_are_told_apart() {
        let signals = Signals::catch().unwrap();
        assert_eq!(
            signals.wait(Some(Duration::from_millis(1))).unwrap(),
            Event::Time
        );
        for signal in SIGNALS {
            raise(signal).unwrap();
            assert_eq!(signals.wait(None).unwrap(), Event::Signal);
            assert_eq!(signals.wait(Some(Duration::ZERO)).unwrap(), Event::Time);
        }
        std::thread::scope(|scope| {
            scope.spawn(|| signals.stop());
            while signals.wait(None).unwrap() != Event::Stop {}
        });
        assert_eq!(signals.wait(None).unwrap(), Event::Stop);
    }
}
