//! What a process of one thread can claim of itself: hardening, forking, locked memory that is refused.
//!
//! Without the test harness, which has threads. The claims run in the order of `main`; each is a process
//! that is left behind in another state than it began, so most run in a child of their own.

use rustix::{
    process::{DumpableBehavior, Resource, Rlimit, WaitOptions, waitpid},
    thread::{CapabilitySet, capabilities, set_capabilities},
};
use std::{
    io::{Read, Write},
    panic::catch_unwind,
    process::exit,
};
use wardfs::{
    crypto::{FileKey, fill_random},
    sys::{self, Fork, ForkError, SecretBytes},
};

fn main() {
    let claims: &[(&str, fn())] = &[
        (
            "a_hardened_process_gives_no_core_dump",
            a_hardened_process_gives_no_core_dump,
        ),
        (
            "a_write_past_the_limit_of_file_sizes_fails_and_ends_nothing",
            a_write_past_the_limit_of_file_sizes_fails_and_ends_nothing,
        ),
        (
            "a_process_with_a_live_secret_is_not_forked",
            a_process_with_a_live_secret_is_not_forked,
        ),
        (
            "a_child_has_secrets_of_its_own",
            a_child_has_secrets_of_its_own,
        ),
        (
            "parent_and_child_give_different_random_bytes",
            parent_and_child_give_different_random_bytes,
        ),
        (
            "a_process_with_threads_is_not_forked",
            a_process_with_threads_is_not_forked,
        ),
        (
            "a_child_can_leave_its_terminal",
            a_child_can_leave_its_terminal,
        ),
        (
            "secrets_work_where_memory_cannot_be_locked",
            secrets_work_where_memory_cannot_be_locked,
        ),
    ];
    // Whoever lists the tests gets the names; a filter is not worth having.
    if std::env::args().any(|argument| argument == "--list") {
        for (name, _) in claims {
            println!("{name}: test");
        }
        return;
    }
    for (name, claim) in claims {
        in_child(*claim);
        println!("{name} ... ok");
    }
}

/// Runs in a child what must not fail there.
fn in_child(work: impl FnOnce()) {
    match sys::fork().expect("this process has one thread and no secret") {
        Fork::Child => {
            let ended = catch_unwind(std::panic::AssertUnwindSafe(work));
            exit(i32::from(ended.is_err()));
        }
        Fork::Parent { child } => {
            let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
            assert_eq!(status.exit_status(), Some(0), "{status:?}");
        }
    }
}

fn a_write_past_the_limit_of_file_sizes_fails_and_ends_nothing() {
    sys::survive_file_limits().unwrap();
    let limit = rustix::process::getrlimit(Resource::Fsize);
    let low = Rlimit {
        current: Some(100),
        ..limit
    };
    rustix::process::setrlimit(Resource::Fsize, low).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[1; 100]).unwrap();
    let error = file.write(&[1]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EFBIG));
}

fn a_hardened_process_gives_no_core_dump() {
    sys::harden().unwrap();
    assert_eq!(
        rustix::process::dumpable_behavior().unwrap(),
        DumpableBehavior::NotDumpable
    );
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    assert_eq!(rustix::process::getrlimit(Resource::Core), none);
    let lockable = rustix::process::getrlimit(Resource::Memlock);
    assert_eq!(lockable.current, lockable.maximum);
    // And it can still fork, which counts the threads under /proc/self.
    in_child(|| assert!(sys::fork_count() > 1));
}

fn a_process_with_a_live_secret_is_not_forked() {
    let secret = SecretBytes::<32>::zeroed();
    let wide = SecretBytes::<64>::zeroed();
    assert!(matches!(sys::fork(), Err(ForkError::Secrets { count: 2 })));
    drop(secret);
    assert!(matches!(sys::fork(), Err(ForkError::Secrets { count: 1 })));
    drop(wide);
    in_child(|| {});
}

fn a_child_has_secrets_of_its_own() {
    drop(FileKey::generate());
    in_child(|| {
        let filled =
            |i: u16| SecretBytes::<32>::copied(&std::array::from_fn(|at| i.to_le_bytes()[at % 2]));
        let secrets: Vec<_> = (0..10_000).map(filled).collect();
        for (i, secret) in (0..10_000u16).zip(&secrets) {
            assert_eq!(secret.expose()[..2], i.to_le_bytes());
        }
    });
    let secret = SecretBytes::copied(&[7; 32]);
    assert_eq!(secret.expose(), &[7; 32]);
}

fn parent_and_child_give_different_random_bytes() {
    let random = || {
        let mut bytes = [0; 32];
        fill_random(&mut bytes);
        bytes
    };
    // The generator has a seed, and a buffer of numbers, before the fork.
    random();
    let forks = sys::fork_count();
    let (mut from_child, mut to_parent) = std::io::pipe().unwrap();
    in_child(|| {
        assert_eq!(sys::fork_count(), forks + 1);
        to_parent.write_all(&random()).unwrap();
        in_child(|| to_parent.write_all(&random()).unwrap());
    });
    assert_eq!(sys::fork_count(), forks);
    drop(to_parent);
    let mut others = Vec::new();
    from_child.read_to_end(&mut others).unwrap();
    let (child, grandchild) = others.split_at(32);
    let own = random();
    assert!(own != child && own != grandchild && child != grandchild && grandchild.len() == 32);
}

fn a_process_with_threads_is_not_forked() {
    std::thread::scope(|scope| {
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || wait.recv());
        assert!(matches!(sys::fork(), Err(ForkError::Threads { count: 2 })));
        drop(stop);
    });
    // One that is about to end is waited for.
    std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_millis(20)));
    in_child(|| {});
}

fn a_child_can_leave_its_terminal() {
    sys::start_session().unwrap();
    let own = rustix::process::getpid();
    assert_eq!(rustix::process::getsid(None).unwrap(), own);
    sys::set_umask(0o077);
    assert_eq!(sys::set_umask(0o022), 0o077);
    sys::silence_standard_streams().unwrap();
    println!("seen by no one");
    assert_eq!(std::io::stdin().read(&mut [0]).unwrap(), 0);
    let null = std::fs::canonicalize("/proc/self/fd/2").unwrap();
    assert_eq!(null, std::path::Path::new("/dev/null"));
}

fn secrets_work_where_memory_cannot_be_locked() {
    // With this capability the limit does not count.
    let mut own = capabilities(None).unwrap();
    own.effective.remove(CapabilitySet::IPC_LOCK);
    set_capabilities(None, own).unwrap();
    rustix::process::setrlimit(
        Resource::Memlock,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .unwrap();

    assert!(sys::secrets_locked());
    let secrets: Vec<_> = (0..5000).map(|_| SecretBytes::copied(&[9; 32])).collect();
    assert!(!sys::secrets_locked());
    assert!(secrets.iter().all(|secret| secret.expose() == &[9; 32]));
    drop(secrets);
    assert_eq!(SecretBytes::<32>::zeroed().expose(), &[0; 32]);
    in_child(|| assert_eq!(SecretBytes::copied(&[1; 64]).expose(), &[1; 64]));
}
