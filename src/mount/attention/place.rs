//! A thread's place on the core of the program that it serves.
//!
//! A program that waits for an answer leaves its core idle. To wake it from another core costs more than most answers: a signal
//! from core to core, and a core that has to come out of its sleep; and the same again for its next message. If the thread that
//! answers runs on that very core, it is two switches between threads.
//!
//! That takes two things. The thread must be bound to the core, which `/proc` tells. And the scheduler must wake the program
//! there and not on an idle core elsewhere: it does so if whoever runs there counts as idle. So the thread *steps back*: it
//! runs if nobody else wants to. Without privilege a thread may step back, but never come forward, so there are no places then.
//!
//! A thread with a place may have to wait for its core for as long as others like, whatever it holds. So somebody must be
//! there who calls it away if it does not get on.
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::thread;

use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_setaffinity};

use crate::sys;

/// May threads of this process have places?
pub(super) fn are_allowed() -> bool {
    let may_return = || {
        sys::is_scheduled_as_usual() && sys::step_back().is_ok() && sys::step_forward(None).is_ok()
    };
    // On a thread of its own: one that may not come forward ends.
    let tried = thread::Builder::new().spawn(may_return);
    tried.is_ok_and(|thread| thread.join().unwrap_or(false))
}

fn all() -> CpuSet {
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|core| all.set(core));
    all
}

/// The calling thread steps back, at its place. Whoever is to call it away must know of it by now.
pub(super) fn sit() -> io::Result<()> {
    sys::keep_io_priority()?;
    sys::step_back()
}

/// The place of a thread.
pub(super) struct Place {
    program: Program,
    core: usize,
    guest: Guest,
}

/// A thread that has or had a place.
#[derive(Clone, Copy)]
pub(super) struct Guest {
    thread: Pid,
    /// Where it may run without a place.
    everywhere: CpuSet,
}

/// A thread of some process, by what `/proc` says of it.
struct Program {
    id: u32,
    stat: File,
}

impl Place {
    /// The calling thread moves to the core of the thread `program`.
    pub fn take(program: u32) -> io::Result<Place> {
        let program = Program::find(program)?;
        let core = program.core()?;
        let guest = Guest::new()?;
        guest.bind_to(core)?;
        Ok(Place {
            program,
            core,
            guest,
        })
    }

    /// Whose place is this?
    pub fn program(&self) -> u32 {
        self.program.id
    }

    pub fn guest(&self) -> Guest {
        self.guest
    }

    /// Goes where the program is by now. Was that elsewhere?
    pub fn follow(&mut self) -> io::Result<bool> {
        let core = self.program.core()?;
        let has_moved = core != self.core;
        if has_moved {
            self.guest.bind_to(core)?;
            self.core = core;
        }
        Ok(has_moved)
    }
}

impl Guest {
    /// The calling thread.
    pub fn new() -> io::Result<Guest> {
        Ok(Guest {
            thread: gettid(),
            everywhere: sched_getaffinity(None)?,
        })
    }

    /// Of all the cores on which it may run, in a row.
    pub fn cores(&self) -> impl Iterator<Item = usize> {
        (0..CpuSet::MAX_CPU).filter(|&core| self.everywhere.is_set(core))
    }

    /// It runs there alone until it is called, or freed.
    pub fn bind_to(&self, core: usize) -> io::Result<()> {
        if core >= CpuSet::MAX_CPU || !self.everywhere.is_set(core) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut only = CpuSet::new();
        only.set(core);
        Ok(sched_setaffinity(Some(self.thread), &only)?)
    }

    /// The place is over, or nearly so: the thread is scheduled as others are.
    pub fn call(&self) {
        if let Err(error) = sys::step_forward(Some(self.thread)) {
            log::debug!("a thread cannot be called forward: {error}");
        }
        self.free();
    }

    /// It runs wherever it might before, unless somebody else has named several cores since.
    pub fn free(&self) {
        if let Err(error) = self.unbind() {
            log::debug!("a thread stays on its core: {error}");
        }
    }

    fn unbind(&self) -> io::Result<()> {
        let thread = Some(self.thread);
        let now = sched_getaffinity(thread)?;
        let wanted = if now.count() == 1 {
            self.everywhere
        } else {
            now
        };
        // Whoever asks for certain cores is held to them, also when the system is given others. So who had all that the system
        // lets it have asks for all there are.
        sched_setaffinity(thread, &all())?;
        if sched_getaffinity(thread)? != wanted {
            sched_setaffinity(thread, &wanted)?;
        }
        Ok(())
    }
}

impl Program {
    fn find(id: u32) -> io::Result<Program> {
        let stat = File::open(format!("/proc/{id}/task/{id}/stat"))?;
        Ok(Program { id, stat })
    }

    /// The core on which it ran last.
    fn core(&self) -> io::Result<usize> {
        let mut bytes = [0; 1024];
        let len = self.stat.read_at(&mut bytes, 0)?;
        core_in(&bytes[..len]).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// The field `processor` in proc(5)'s `stat`: the 39th, and the 37th after the name in parentheses, which may have any bytes.
fn core_in(stat: &[u8]) -> Option<usize> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    fields.split_ascii_whitespace().nth(36)?.parse().ok()
}

/// For tests: the calling thread, and those that it starts, run there alone.
#[cfg(test)]
pub(super) fn restrict_to(cores: &[usize]) -> CpuSet {
    let mut only = CpuSet::new();
    cores.iter().for_each(|&core| only.set(core));
    sched_setaffinity(None, &only).unwrap();
    only
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::sched_getcpu;

    #[test]
    fn a_name_with_parentheses_does_not_hide_the_core() {
        let mut stat = b"17 (a) (b c) 1 2) R".to_vec();
        (1..=49).for_each(|field| stat.extend_from_slice(format!(" {field}").as_bytes()));
        assert_eq!(core_in(&stat), Some(36));
        assert_eq!(core_in(b"17 (short) R 1 2 3"), None);
        assert_eq!(core_in(b""), None);
    }

    #[test]
    fn a_thread_sits_on_the_core_of_the_program_until_it_leaves() {
        thread::spawn(|| {
            let everywhere = sched_getaffinity(None).unwrap();
            for core in (0..CpuSet::MAX_CPU).filter(|&core| everywhere.is_set(core)) {
                // The program is a thread of this process that stays on a core.
                let (send, receive) = std::sync::mpsc::channel::<()>();
                let (told, tell) = std::sync::mpsc::channel();
                let program = thread::spawn(move || {
                    let mut only = CpuSet::new();
                    only.set(core);
                    sched_setaffinity(None, &only).unwrap();
                    told.send(gettid()).unwrap();
                    let _ = receive.recv();
                });
                let id = tell.recv().unwrap().as_raw_nonzero().get();
                let place = Place::take(u32::try_from(id).unwrap()).unwrap();
                assert_eq!((place.core, sched_getcpu()), (core, core));
                sit().unwrap();
                place.guest().call();
                assert!(sys::is_scheduled_as_usual());
                assert_eq!(sched_getaffinity(None).unwrap(), everywhere);
                drop(send);
                program.join().unwrap();
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn who_was_told_other_cores_meanwhile_keeps_to_those_and_who_had_few_gets_no_more() {
        thread::spawn(|| {
            let cores: Vec<usize> = Guest::new().unwrap().cores().collect();
            let few = restrict_to(&cores[..cores.len().div_ceil(2)]);
            let guest = Guest::new().unwrap();
            guest.bind_to(cores[0]).unwrap();
            guest.free();
            assert_eq!(sched_getaffinity(None).unwrap(), few);
            guest.bind_to(cores[0]).unwrap();
            let others = restrict_to(&cores[cores.len() / 3..]);
            guest.free();
            assert!(cores.len() < 3 || sched_getaffinity(None).unwrap() == others);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn there_is_no_place_beside_a_program_that_has_ended() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = child.id();
        child.wait().unwrap();
        assert!(Place::take(id).is_err());
    }
}
