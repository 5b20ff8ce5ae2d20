//! A thread of the daemon that sits on the core of the program it serves: nobody else waits for that, and nothing of it stays.

use crate::fixture::{Mount, mounted};
use rustix::fs::{SeekFrom, seek};
use std::{
    fs, hint,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

/// One message each: no name is asked for twice.
fn ask(dir: &Path, who: &str, count: usize) {
    (0..count).for_each(|at| assert!(!dir.join(format!("no {who} {at}")).exists()));
}

/// Of each thread: the cores where it may run, and its policy.
fn threads(mount: &Mount) -> Vec<(String, String)> {
    let tasks = format!("/proc/{}/task", mount.pid());
    let of = |task: &Path| {
        let status = fs::read_to_string(task.join("status")).ok()?;
        let cores = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        let stat = fs::read_to_string(task.join("stat")).ok()?;
        let policy = stat.rsplit(')').next()?.split_whitespace().nth(38)?;
        Some((cores.trim().to_owned(), policy.to_owned()))
    };
    fs::read_dir(tasks)
        .unwrap()
        .filter_map(|task| of(&task.unwrap().path()))
        .collect()
}

fn sits(mount: &Mount) -> bool {
    threads(mount)
        .iter()
        .any(|(cores, _)| cores.parse::<usize>().is_ok())
}

fn has_cores() -> bool {
    thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
}

/// Has `program` run until a thread has a place beside it.
fn seated(mount: &Mount, dir: &Path, who: &str) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0.. {
                ask(dir, &format!("{who} {round}"), 100);
                if over.load(SeqCst) {
                    return;
                }
            }
        });
        let start = Instant::now();
        while !sits(mount) {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "nobody sits anywhere"
            );
        }
        over.store(true, SeqCst);
    });
}

#[test]
fn a_program_that_keeps_its_core_keeps_no_other_from_being_answered() {
    const ROUNDS: usize = 20;
    const BUSY: Duration = Duration::from_millis(300);
    if !has_cores() {
        return;
    }
    mounted(|mount| {
        let dir = mount.dir();
        seated(mount, &dir, "first");
        let (begun, begins) = mpsc::channel();
        let busy = || {
            for round in 0..ROUNDS {
                // For long enough that nobody looks often any more.
                ask(&dir, &format!("busy {round}"), 3000);
                begun.send(()).unwrap();
                let start = Instant::now();
                while start.elapsed() < BUSY {
                    hint::spin_loop();
                }
            }
        };
        let times = thread::scope(|scope| {
            scope.spawn(busy);
            let time = |round| {
                begins.recv().unwrap();
                let start = Instant::now();
                ask(&dir, &format!("other {round}"), 1);
                start.elapsed()
            };
            let mut times: Vec<Duration> = (0..ROUNDS).map(time).collect();
            times.sort_unstable();
            times
        });
        assert!(times[ROUNDS / 2] < BUSY / 6, "{times:?}");
    });
}

#[test]
fn a_thread_that_sat_somewhere_is_free_again_when_nobody_asks() {
    if !has_cores() {
        return;
    }
    mounted(|mount| {
        let before = threads(mount);
        assert!(
            before.iter().all(|thread| *thread == before[0]),
            "{before:?}"
        );
        let dir = mount.dir();
        for round in 0..5 {
            seated(mount, &dir, &format!("round {round}"));
            // Started while a thread sits somewhere.
            fs::write(mount.path("file"), [1; 100_000]).unwrap();
            let file = fs::File::open(mount.path("file")).unwrap();
            assert_eq!(seek(&file, SeekFrom::Hole(0)), Ok(100_000));
            let start = Instant::now();
            while threads(mount).iter().any(|thread| *thread != before[0]) {
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "{:?}",
                    threads(mount)
                );
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
}
