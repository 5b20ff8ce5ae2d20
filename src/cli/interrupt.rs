//! Asks work to end when a signal comes, so that it leaves nothing behind. If it waits for its input it cannot: then the process
//! ends after a while, and the next opening of the vault removes what is left.

use super::{
    error::CliError,
    exit::Exit,
    signals::{Event, Signals},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// So long it may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Watches for signals until it is dropped.
pub struct Interrupt {
    /// Set when one came.
    pub asked: Arc<AtomicBool>,
    signals: Arc<Signals>,
    watch: Option<JoinHandle<()>>,
}

impl Interrupt {
    /// Begins to watch.
    ///
    /// # Errors
    /// [`CliError::Signals`]
    pub fn watched() -> Result<Interrupt, CliError> {
        let signals = Arc::new(Signals::catch().map_err(CliError::Signals)?);
        let asked = Arc::new(AtomicBool::new(false));
        let (own, flag) = (Arc::clone(&signals), Arc::clone(&asked));
        let watch = std::thread::spawn(move || {
            if !matches!(own.wait(None), Ok(Event::Signal)) {
                return;
            }
            flag.store(true, Ordering::Relaxed);
            if !matches!(own.wait(Some(GRACE)), Ok(Event::Stop)) {
                std::process::exit(i32::from(Exit::Other.code()));
            }
        });
        Ok(Interrupt {
            asked,
            signals,
            watch: Some(watch),
        })
    }

    /// Did a signal come?
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.signals.stop();
        if let Some(watch) = self.watch.take() {
            // A panic there has been printed; nothing depends on it.
            let _ = watch.join();
        }
    }
}
