//! Claims about targets that do not take everything. The kernel refuses calls of this thread, and of those that it begins, as a
//! file system without links does.
#![allow(unsafe_code, reason = "there is no safe call for it")]
use crate::{Expected, Outcome, arc, copy_of, vaults::image::PASSPHRASE, victims};
use std::{mem::size_of, thread};
use wardfs::{
    format::Kind,
    salvage::{Report, SalvageError, Watch, salvage},
};

/// From here on these calls give `errno` to this thread and to those that it begins.
fn refuse(calls: &[libc::c_long], errno: libc::c_int) {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let (equal, give) = (
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::BPF_RET | libc::BPF_K,
    );
    let step = |code: u32, k: u32, jt, jf| libc::sock_filter {
        code: u16::try_from(code).expect("codes are short"),
        jt,
        jf,
        k,
    };
    let mut program = vec![step(load, 0, 0, 0)];
    for call in calls {
        program.push(step(equal, u32::try_from(*call).expect("a number"), 0, 1));
        let errno = u32::try_from(errno).expect("a number");
        program.push(step(give, libc::SECCOMP_RET_ERRNO | errno, 0, 0));
    }
    program.push(step(give, libc::SECCOMP_RET_ALLOW, 0, 0));
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).expect("short"),
        filter: program.as_mut_ptr(),
    };
    assert_eq!(size_of::<libc::sock_filter>(), 8);
    // SAFETY: the program outlives the calls, which copy it.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const filter,
            ) == 0
    };
    assert!(done, "{}", std::io::Error::last_os_error());
}

fn salvaged_without(calls: &'static [libc::c_long], victim: usize) -> (Report, Outcome) {
    let place = tempfile::tempdir().expect("a directory");
    let out = place.path().join("out");
    let store = arc(copy_of(&victims()[victim].now().objects));
    let report = thread::scope(|scope| {
        let run = scope.spawn(|| {
            refuse(calls, libc::EPERM);
            salvage(&store, PASSPHRASE, &out, &Watch::default())
        });
        run.join().expect("it does not panic")
    });
    (
        report.expect("what is refused is told"),
        Outcome::read(&out),
    )
}

#[test]
fn where_there_are_no_hard_links_further_names_are_copies() {
    for (number, victim) in victims().iter().enumerate() {
        let (report, outcome) = salvaged_without(&[libc::SYS_linkat], number);
        assert_eq!(report.counts.links, 0);
        assert!(report.copied.len() > 2, "{report:?}");
        assert!(
            report.missing.is_empty() && report.damaged.is_empty(),
            "{report:?}"
        );
        let expected = Expected::of(victim.now(), &victim.now().objects);
        expected.check_names_and_contents(&outcome).unwrap();
        assert_eq!(outcome.nodes.len(), expected.count());
    }
}

/// Nothing else is missing, and still it is not all that was in the vault.
#[test]
fn what_lacks_its_extended_attributes_is_named_and_not_whole() {
    const CALLS: &[libc::c_long] = &[libc::SYS_fsetxattr, libc::SYS_lsetxattr];
    for (number, victim) in victims().iter().enumerate() {
        let (report, outcome) = salvaged_without(CALLS, number);
        let expected = Expected::of(victim.now(), &victim.now().objects);
        expected.check_names_and_contents(&outcome).unwrap();
        assert!(report.missing.is_empty() && report.damaged.is_empty());
        assert!(!report.is_whole());
        let nodes = &victim.now().dump.nodes;
        let with = nodes.values().filter(|node| !node.xattrs.is_empty());
        assert_eq!(report.without_xattrs.len(), with.count(), "{report:?}");
        let lacks = report.unrestored;
        assert!(lacks.xattrs > 0 && lacks.modes == 0, "{lacks:?}");
    }
}

#[test]
fn what_the_target_does_not_make_is_told_and_the_rest_goes_on() {
    const CALLS: &[libc::c_long] = &[
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_mknodat,
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_fsetxattr,
        libc::SYS_lsetxattr,
        libc::SYS_renameat2,
    ];
    for (number, victim) in victims().iter().enumerate() {
        let (report, outcome) = salvaged_without(&CALLS[..9], number);
        let expected = Expected::of(victim.now(), &victim.now().objects);
        expected.check_names_and_contents(&outcome).unwrap();
        let dump = &victim.now().dump;
        let others = dump
            .nodes
            .values()
            .filter(|node| !matches!(node.stat.kind, Kind::File | Kind::Directory));
        let names: u64 = others.map(|node| u64::from(node.stat.nlink)).sum();
        assert_eq!(report.missing.len() as u64, names, "{report:?}");
        assert_eq!(outcome.nodes.len() + report.missing.len(), expected.count());
        assert!(!report.is_whole());
        let lacks = report.unrestored;
        assert!(lacks.modes > 0 && lacks.xattrs > 0, "{lacks:?}");
        // Not even a name can be given: nothing is made, and that is told, too.
        let (report, outcome) = salvaged_without(CALLS, number);
        assert!(outcome.nodes.values().all(|made| made.metadata.is_dir()));
        assert!(report.missing.len() as u64 > names);
    }
}

/// Files need it, and what was made before them is counted.
#[test]
fn of_a_target_that_is_full_it_is_told_what_was_made() {
    for victim in victims() {
        let place = tempfile::tempdir().expect("a directory");
        let out = place.path().join("out");
        let store = arc(copy_of(&victim.now().objects));
        let watch = Watch::default();
        let ended = thread::scope(|scope| {
            let run = scope.spawn(|| {
                refuse(&[libc::SYS_pwrite64], libc::ENOSPC);
                salvage(&store, PASSPHRASE, &out, &watch)
            });
            run.join().expect("it does not panic")
        });
        let is_full = |error: &SalvageError| matches!(error, SalvageError::Out { errno, .. } if errno.raw_os_error() == libc::ENOSPC);
        assert!(ended.as_ref().is_err_and(is_full), "{ended:?}");
        let counts = watch.so_far().expect("it had begun").counts;
        let outcome = Outcome::read(&out);
        let made = outcome.nodes.values();
        let dirs = made.clone().filter(|node| node.metadata.is_dir()).count();
        // The top is not made.
        assert_eq!(counts.directories, dirs as u64 - 1);
        assert_eq!(
            counts.files + counts.symlinks + counts.specials + counts.links,
            (outcome.nodes.len() - dirs) as u64
        );
        assert_eq!(counts.bytes, 0);
    }
}
