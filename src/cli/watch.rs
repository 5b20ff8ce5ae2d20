//! Ends a mount when it is asked to end: by a signal, or by nobody using it.
//!
//! Nothing that was acknowledged may be lost by this. A mount that is in use is taken out of sight and served until its
//! last user is done, with everything stored that is there so far; only a second signal cuts them off.

use super::{
    idle::Idle,
    signals::{Event, Signals},
    users::Users,
    write_back::write_back,
};
use crate::{
    mount::{Detach, UnmountError, Unmounter},
    vault::Vault,
};
use std::time::{Duration, Instant};

/// Signals so close together are one wish: a closing terminal and its shell both send one.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Watches over one mount.
pub struct Watch<'a> {
    vault: &'a Vault,
    unmounter: Unmounter,
    idle: Option<Idle>,
    /// When the mount was taken out of sight, because it was asked to end while in use.
    detached: Option<Instant>,
}

impl<'a> Watch<'a> {
    /// For the mount that `unmounter` ends.
    pub fn new(vault: &'a Vault, unmounter: Unmounter, idle: Option<Idle>) -> Watch<'a> {
        Watch {
            vault,
            unmounter,
            idle,
            detached: None,
        }
    }

    /// Watches until [`Signals::stop`].
    pub fn run(mut self, signals: &Signals) {
        loop {
            match signals.wait(self.idle.as_ref().map(Idle::pause)) {
                Ok(Event::Stop) => return,
                Ok(Event::Signal) => self.end(),
                Ok(Event::Time) => self.idle.iter_mut().for_each(Idle::look),
                Err(error) => {
                    log::error!("signals cannot be waited for any more: {error}");
                    return;
                }
            }
        }
    }

    fn end(&mut self) {
        match self.detached {
            Some(when) if when.elapsed() < SAME_WISH => {}
            Some(_) => self.cut_off(),
            None => self.unmount(),
        }
    }

    fn unmount(&mut self) {
        match self.unmounter.unmount(Detach::Clean) {
            Ok(()) => {}
            Err(UnmountError::Busy { .. }) => self.detach(),
            Err(error) => log::error!("cannot be unmounted: {error}"),
        }
    }

    /// Takes the mount out of sight; it ends with its last user.
    fn detach(&mut self) {
        self.idle = None;
        log::warn!(
            "asked to end while {}; a second signal cuts them off",
            Users::of(self.unmounter.dir())
        );
        self.flush_kernel();
        self.sync();
        match self.unmounter.unmount(Detach::Lazy) {
            Ok(()) => self.detached = Some(Instant::now()),
            Err(error) => log::error!("cannot be unmounted: {error}"),
        }
    }

    /// Ends the mount under its users, who get errors from now on.
    fn cut_off(&self) {
        self.sync();
        if let Err(error) = self.unmounter.abort() {
            // Without the kernel's help only the end of this process cuts them off. The journal has everything.
            log::warn!("the kernel does not cut the mount off, so this process ends: {error}");
            std::process::exit(0);
        }
    }

    /// Has the kernel hand over what it collected, while there is a path to ask by.
    fn flush_kernel(&self) {
        if let Err(error) = write_back(self.unmounter.dir()) {
            log::warn!("the kernel may keep writes back until the last user is done: {error}");
        }
    }

    fn sync(&self) {
        if let Err(error) = self.vault.sync_all() {
            log::error!("not everything could be stored: {error}");
        }
    }
}
