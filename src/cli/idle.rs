//! `--idle`: ends a mount that nobody uses.
//!
//! A mount whose files are open, or in which a process stands, is never ended: the kernel refuses. What else counts as
//! use is harder to see, since the kernel answers most of it from its caches without a word to us. It does remember
//! whether anybody walked into a mount since it was *marked expired* (umount2(2), `MNT_EXPIRE`), but only tells root. So as
//! root such use counts too; as an ordinary user only what caused a message does.

use crate::mount::{self, Activity, Detach, UnmountError, Unmounter};
use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    mount::UnmountFlags,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The shortest and the longest time between two looks.
const LOOK_MIN: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(30);

/// The watch over one mount.
pub struct Idle {
    after: Duration,
    unmounter: Unmounter,
    activity: Arc<Activity>,
    /// Since when nothing was seen that the activity does not know of.
    unused_since: Instant,
    /// When the kernel was told to watch; `None` when it does not.
    marked: Option<Instant>,
    /// Whether we may ask the kernel; found out by asking.
    may_mark: bool,
}

impl Idle {
    /// Ends the mount when it was not used for `after`.
    pub fn new(after: Duration, unmounter: Unmounter, activity: Arc<Activity>) -> Idle {
        Idle {
            after,
            unmounter,
            activity,
            unused_since: Instant::now(),
            marked: None,
            may_mark: true,
        }
    }

    /// How long to wait before the next [`look`](Idle::look).
    pub fn pause(&self) -> Duration {
        (self.after / 8).clamp(LOOK_MIN, LOOK_MAX)
    }

    /// Unmounts if the time has come.
    pub fn look(&mut self) {
        if self.may_mark && self.look_as_root() {
            return;
        }
        if self.unused_for() >= self.after {
            self.unmount();
        }
    }

    fn unused_for(&self) -> Duration {
        self.activity.idle().min(self.unused_since.elapsed())
    }

    fn unmount(&mut self) {
        match self.unmounter.unmount(Detach::Clean) {
            Ok(()) => {}
            // Being open is being used, up to now.
            Err(UnmountError::Busy { .. }) => self.unused_since = Instant::now(),
            Err(error) => {
                self.unused_since = Instant::now();
                log::warn!("the mount was not used for long, but cannot be ended: {error}");
            }
        }
    }

    /// Gives false where the kernel does not let us ask.
    fn look_as_root(&mut self) -> bool {
        let now = Instant::now();
        let marked_for = self
            .marked
            .map(|marked| now.saturating_duration_since(marked));
        match marked_for {
            // Used since, as a message shows: the time begins anew, and so does the mark.
            Some(marked_for) if self.activity.idle() < marked_for => self.mark(),
            None => self.mark(),
            Some(marked_for) if marked_for >= self.after => self.expire(),
            Some(_) => true,
        }
    }

    /// Marks the mount. A mark that is there already would make this end it, so one is taken away before: walking in
    /// does that.
    fn mark(&mut self) -> bool {
        self.marked = None;
        match open(
            self.unmounter.dir(),
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(walked_in) => drop(walked_in),
            Err(_) => return true,
        }
        self.expire()
    }

    /// Ends the mount if it carries a mark, else marks it.
    fn expire(&mut self) -> bool {
        let dir = self.unmounter.dir();
        if mount::find_mount(dir).is_none_or(|mount| mount.device != self.unmounter.device()) {
            // Gone, or covered by another, which must not be hit.
            return true;
        }
        match rustix::mount::unmount(dir, UnmountFlags::EXPIRE | UnmountFlags::NOFOLLOW) {
            Err(Errno::AGAIN) => self.marked = Some(Instant::now()),
            Err(Errno::PERM) => self.may_mark = false,
            // Busy, so in use; or gone.
            Ok(()) | Err(_) => self.marked = None,
        }
        self.may_mark
    }
}
