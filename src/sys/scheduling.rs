//! How urgent a thread is to the scheduler.
//!
//! A thread that has stepped back may not run for long while others want its core. So it must hold nothing then that
//! others wait for, and somebody must be there who calls it forward.
#![allow(unsafe_code)]

use rustix::thread::Pid;
use std::io;

/// Is the calling thread scheduled as all are that nobody has asked anything for?
pub fn is_scheduled_as_usual() -> bool {
    // SAFETY: no pointers; 0 is the calling thread.
    unsafe { libc::sched_getscheduler(0) == libc::SCHED_OTHER }
}

/// From now on the calling thread runs only while no other wants its core, and its core counts as idle.
///
/// # Errors
/// What `sched_setscheduler(2)` gives.
pub fn step_back() -> io::Result<()> {
    schedule(0, libc::SCHED_IDLE)
}

/// Ends [`step_back`], of the calling thread or of another one.
///
/// # Errors
/// What `sched_setscheduler(2)` gives: EPERM without privilege (`CAP_SYS_NICE`, or a limit on niceness that allows it),
/// ESRCH where there is no such thread.
pub fn step_forward(thread: Option<Pid>) -> io::Result<()> {
    schedule(Pid::as_raw(thread), libc::SCHED_OTHER)
}

/// What the calling thread asks of a disk stays as urgent as it is by default. Otherwise that of a thread that has stepped
/// back waits for all others.
///
/// # Errors
/// What `ioprio_get(2)` and `ioprio_set(2)` give.
pub fn keep_io_priority() -> io::Result<()> {
    /// `IOPRIO_WHO_PROCESS`, which is a thread; 0 is the calling one.
    const THREAD: libc::c_int = 1;
    const CLASS_SHIFT: libc::c_long = 13;
    const BEST_EFFORT: libc::c_long = 2;
    // SAFETY: no pointers.
    let priority = unsafe { libc::syscall(libc::SYS_ioprio_get, THREAD, 0) };
    if priority < 0 {
        return Err(io::Error::last_os_error());
    }
    if priority >> CLASS_SHIFT != 0 {
        return Ok(());
    }
    // As the kernel has it for a thread that never asked: 4 for one that is not nice, 7 for the nicest.
    let niceness = rustix::process::getpriority_process(None)?;
    let level = libc::c_long::from((niceness + 20) / 5);
    // SAFETY: no pointers.
    let set = unsafe {
        libc::syscall(
            libc::SYS_ioprio_set,
            THREAD,
            0,
            BEST_EFFORT << CLASS_SHIFT | level,
        )
    };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn schedule(thread: libc::pid_t, policy: libc::c_int) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is that of a live value.
    match unsafe { libc::sched_setscheduler(thread, policy, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_steps_back_is_not_scheduled_as_usual_and_a_privileged_thread_may_come_back() {
        let thread = std::thread::spawn(|| {
            assert!(is_scheduled_as_usual());
            keep_io_priority().unwrap();
            keep_io_priority().unwrap();
            step_back().unwrap();
            assert!(!is_scheduled_as_usual());
            match step_forward(None) {
                Ok(()) => assert!(is_scheduled_as_usual()),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
            }
        });
        thread.join().unwrap();
    }
}
