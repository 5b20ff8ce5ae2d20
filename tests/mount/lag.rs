//! How late the machine is: it may let a thread wait that wants to run, and the disk a write; the daemon's too.
use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Tries again and again to do a little in time, until told that it is over.
pub struct Lag {
    /// On the disk of the vault.
    scratch: PathBuf,
    over: AtomicBool,
    total: Mutex<Duration>,
}

impl Lag {
    pub fn new(scratch: PathBuf) -> Lag {
        Lag {
            scratch,
            over: AtomicBool::new(false),
            total: Mutex::default(),
        }
    }

    pub fn watch(&self) {
        const NAP: Duration = Duration::from_millis(5);
        let mut file = File::create(&self.scratch).unwrap();
        while !self.over.load(Relaxed) {
            let start = Instant::now();
            thread::sleep(NAP);
            file.write_all(&[1; 4096]).unwrap();
            let late = start.elapsed().saturating_sub(NAP);
            // To be a little late is what timers are.
            if late > NAP / 5 {
                *self.total.lock().unwrap() += late;
            }
        }
    }

    /// Ends it, and gives by how much it was late in all.
    pub fn end(&self) -> Duration {
        self.over.store(true, Relaxed);
        *self.total.lock().unwrap()
    }
}

/// How long the thread of a daemon that writes the log has waited for a processor, in all; nothing where the system does not tell.
pub fn log_waited(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let waited = tasks.flatten().filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let nanos = stat.split_whitespace().nth(1)?.parse().ok()?;
        (name == "wardfs-log\n").then_some(Duration::from_nanos(nanos))
    });
    waited.sum()
}
