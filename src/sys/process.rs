//! What a process does to itself: keep others out, fork into the background, leave its terminal.
//!
//! Building blocks only: the order in which a daemon comes to be is written where it is started. Contract
//! of the order: [`harden`] first of all; [`fork`] before any thread, any key and any lock on a vault
//! (kernel locks held by the parent's descriptors would be shared); then [`start_session`];
//! [`silence_standard_streams`] last, when nothing more is to be said to the terminal.
#![allow(unsafe_code)]

use super::arena;
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit};
use std::{
    fs, io,
    os::fd::{AsRawFd, BorrowedFd},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Keeps other processes of the user and core dumps away from this one's memory, and allows as much locked
/// memory, and as many open files, as the system lets it have.
///
/// Afterwards no debugger attaches without privilege, `/proc/self/mem` is closed to others, and a crash
/// leaves no core file. The files under `/proc/self` then belong to root; this process still reads its own.
///
/// # Errors
/// What prctl(2) or setrlimit(2) gives; neither fails on a sound system.
pub fn harden() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    for resource in [Resource::Memlock, Resource::Nofile, Resource::Fsize] {
        let limit = rustix::process::getrlimit(resource);
        let current = limit.maximum;
        rustix::process::setrlimit(resource, Rlimit { current, ..limit })?;
    }
    Ok(())
}

/// Lets writes past a limit on the size of files (`ulimit -f`) fail with EFBIG, where they would end the process.
/// Programs started from here on inherit that.
///
/// # Errors
/// What sigaction(2) gives; it does not fail on a sound system.
pub fn survive_file_limits() -> io::Result<()> {
    // SAFETY: no handler is set, so no code of ours runs in a signal.
    if unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Which of the two processes this is.
#[derive(Debug)]
pub enum Fork {
    /// The process that called [`fork`]; `child` is the new one, to be waited for.
    Parent {
        /// The new process.
        child: Pid,
    },
    /// The new process.
    Child,
}

/// Why the process was not forked.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// A child has none of the parent's other threads, but the locks they held: it may hang at its first
    /// allocation.
    #[error("cannot fork with {count} threads running")]
    Threads {
        /// Threads of this process, this one included.
        count: usize,
    },
    /// Secrets are not inherited: a child that touches one ends.
    #[error("cannot fork with {count} secrets in memory")]
    Secrets {
        /// Secrets alive.
        count: usize,
    },
    /// The threads cannot be counted, or fork(2) failed.
    #[error("cannot fork the process: {0}")]
    System(#[from] io::Error),
}

static FORKS: AtomicU32 = AtomicU32::new(0);

/// Forks a process that has one thread and no live secret; both are checked.
///
/// Both processes go on as before, with one difference in the child: [`fork_count`] is one higher, by which
/// per-thread generators see that they must not give the parent's numbers again. Flush what is buffered
/// (standard output) before, or both will write it.
///
/// # Errors
/// See [`ForkError`]; no process was made then.
pub fn fork() -> Result<Fork, ForkError> {
    let count = settled_thread_count()?;
    if count != 1 {
        return Err(ForkError::Threads { count });
    }
    arena::release().map_err(|count| ForkError::Secrets { count })?;
    // SAFETY: this is the only thread, so the child gets every lock and the heap in a state it can use.
    match unsafe { libc::fork() } {
        0 => {
            FORKS.fetch_add(1, Ordering::Relaxed);
            Ok(Fork::Child)
        }
        raw => match Pid::from_raw(raw) {
            Some(child) if raw > 0 => Ok(Fork::Parent { child }),
            _ => Err(io::Error::last_os_error().into()),
        },
    }
}

/// Counts the threads, and for a tenth of a second again if there are several: one that was joined just now
/// may still be counted.
fn settled_thread_count() -> io::Result<usize> {
    let start = Instant::now();
    loop {
        let count = fs::read_dir("/proc/self/task")?.count();
        if count == 1 || start.elapsed() > Duration::from_millis(100) {
            return Ok(count);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// How many forks lie between the first process of this program and this one. A generator that keeps state
/// asks before it gives numbers, and takes a new seed when the count has changed. This is the whole story
/// as long as [`fork`] is the only fork there is; commands are started by exec, which leaves no state
/// behind.
pub fn fork_count() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Makes this process the leader of a new session without a terminal: no hang-up and no Ctrl-C reaches it
/// any more.
///
/// # Errors
/// `PermissionDenied` when it leads a process group already, which a forked child does not.
pub fn start_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Sets the permission bits that new files never get, gives the ones before. Of the whole process.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(mask)).bits()
}

/// Closes every descriptor from 3 on but one, so that a process in the background holds nothing of who started it.
///
/// # Errors
/// When the kernel refuses (Linux before 5.9); nothing is closed then.
pub fn close_inherited(keep: BorrowedFd<'_>) -> io::Result<()> {
    let keep = u32::try_from(keep.as_raw_fd()).map_err(io::Error::other)?;
    for (first, last) in [
        (3, keep.saturating_sub(1)),
        (keep.saturating_add(1).max(3), u32::MAX),
    ] {
        if first > last {
            continue;
        }
        // SAFETY: the call takes numbers only. The caller is a freshly forked process in which nothing owns a descriptor
        // from 3 on but what it keeps.
        let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Puts `/dev/null` in the place of standard input, output and error.
///
/// # Errors
/// When `/dev/null` cannot be opened; the streams are then as they were.
pub fn silence_standard_streams() -> io::Result<()> {
    let null = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // What needs a process of one thread is in tests/process.rs: the test runner itself has several.
    #[test]
    fn a_process_with_threads_is_not_forked() {
        let count_before = fork_count();
        std::thread::scope(|scope| {
            let (stop, wait) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || wait.recv());
            assert!(matches!(fork(), Err(ForkError::Threads { count }) if count > 1));
            drop(stop);
        });
        assert_eq!(fork_count(), count_before);
    }
}
