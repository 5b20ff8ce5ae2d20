//! How many system calls reach the stored files while somebody waits: the journal writes one frame an operation or a tenth
//! of a second, and content goes in whole runs of chunks.
//!
//! Counted by strace: calls that name a file of the vault or a descriptor of one. Calls at `/dev/fuse` and those that threads
//! wait with do not count, nor does a checkpoint, which comes when it comes. What the log's own thread writes depends on how long
//! the work takes, and is counted apart.

use crate::{
    commands::shell,
    fixture::{Mount, mounted},
    trace::traced,
    tree::noise,
};
use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt, time::Instant};

/// By name.
type Calls = BTreeMap<String, usize>;

/// Threads that do a checkpoint, as far as the kernel keeps their names.
const CHECKPOINT: [&str; 2] = ["wardfs-checkpoi", "wardfs-pool-"];

/// Writes what waits in memory every tenth of a second.
const LOG: &str = "wardfs-log";

/// Bytes of a file for which a block of its index stands.
const BLOCK: u64 = 4 << 20;

/// Made by debug builds alone, before a descriptor is closed.
const DEBUG_ONLY: &str = "fcntl";

/// Runs a script on the mount; counts the calls, and apart from them those of the log's thread.
fn count(mount: &Mount, script: &str) -> (Calls, usize) {
    let vault = mount.vault();
    let vault = vault.to_str().unwrap();
    let arguments = ["-y", "-Y", "-s", "0", "-e", "trace=%file,%desc"];
    let trace = traced(mount, &arguments, script);
    let mut calls = Calls::new();
    let mut logged = 0;
    for (thread, name) in trace
        .lines()
        .filter_map(|line| thread_and_call(line, vault))
    {
        if thread.starts_with(LOG) {
            logged += 1;
        } else {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    (calls, logged)
}

/// The thread and the name in a line such as `7<fuser-0> pwrite64(9</vault/journal/log.1>, ""..., 4096, 0) = 4096` of a call into
/// the vault. What was interrupted by another line counts once.
fn thread_and_call<'a>(line: &'a str, vault: &str) -> Option<(&'a str, &'a str)> {
    let (thread, call) = line.trim_start().split_once('>')?;
    let (_, thread) = thread.split_once('<')?;
    let call = call.trim_start();
    let (name, _) = call.split_once('(')?;
    let within = call.contains(&format!("{vault}/")) || call.contains(&format!("{vault}>"));
    let counts = within && name != DEBUG_ONLY && !call.starts_with("<...");
    (counts && !CHECKPOINT.iter().any(|name| thread.starts_with(name))).then_some((thread, name))
}

#[test]
fn a_traced_call_is_told_from_others() {
    let of = |line| thread_and_call(line, "/v");
    assert_eq!(
        of("7<fuser-0>  pwrite64(9</v/journal/log.1>, \"\"..., 4096, 0) = 4096"),
        Some(("fuser-0", "pwrite64"))
    );
    assert_eq!(
        of("7<wardfs-log> openat(3</v>, \"guards\", O_RDONLY <unfinished ...>"),
        Some(("wardfs-log", "openat"))
    );
    for other in [
        "7<fuser-0> <... openat resumed>) = 5</v/guards>",
        "7<fuser-0> read(5</dev/fuse>, \"\"..., 1052672) = 56",
        "7<fuser-0> openat(3</vvv>, \"x\") = 7",
        "7<fuser-0> fcntl(3</v/guards>, F_GETFD) = 1",
        "7<wardfs-checkpoi> fdatasync(3</v/journal/log.1>) = 0",
        "7<wardfs-pool-2> pwrite64(3</v/payloads/x>, \"\", 0, 0) = 0",
        "",
    ] {
        assert_eq!(of(other), None, "{other}");
    }
}

/// What may be called in all, for each piece of work.
#[test]
fn common_work_takes_few_system_calls() {
    mounted(|mount| {
        shell(&mount.dir(), "mkdir dir");
        let made = "for i in $(seq 100); do echo $i > dir/$i; done";
        let synced = "for i in $(seq 100); do echo $i > dir/s$i; sync dir/s$i; done";
        let appended = "for i in $(seq 100); do echo line >> dir/log; done";
        let renamed = "for i in $(seq 100); do mv dir/$i dir/r$i; done";
        let text = "seq 9000000 | head -c 64M | dd of=text bs=1M iflag=fullblock status=none";
        let at_random = "for i in $(seq 100); do dd if=large of=/dev/null bs=4K count=1 skip=$((i * 163)) status=none; done";
        let over = "dd if=/dev/urandom of=large bs=1M count=16 seek=8 conv=notrunc status=none";
        let mut too_many = Vec::new();
        for (what, limit, forgotten, script) in [
            ("100 files made", 103, false, made),
            ("100 appends", 4, false, appended),
            ("100 files made and synced", 306, false, synced),
            ("100 renames", 102, false, renamed),
            ("100 files removed", 102, false, "rm dir/r*"),
            (
                "64 MiB written",
                100,
                false,
                "dd if=/dev/urandom of=large bs=1M count=64 status=none",
            ),
            ("64 MiB of text written", 3900, false, text),
            (
                "64 MiB written in small pieces",
                4200,
                false,
                "dd if=/dev/urandom of=small bs=4K count=16384 status=none",
            ),
            ("64 MiB read", 560, true, "cat large > /dev/null"),
            ("100 pieces of 4 KiB read", 135, true, at_random),
            // As much as the log's own thread leaves.
            ("16 MiB written over", 330, false, over),
            // Three for each, as far as no other core reads it: of four cores the others do two thirds, of two a half.
            (
                "100 files looked up and read",
                310,
                true,
                "cat dir/s* > /dev/null",
            ),
            ("the same again", 0, false, "cat dir/s* > /dev/null"),
            ("105 entries listed", 330, true, "ls -l dir > /dev/null"),
        ] {
            if forgotten {
                mount.forget_all();
            }
            let begun = Instant::now();
            let (calls, logged) = count(mount, script);
            let ticks = usize::try_from(begun.elapsed().as_millis() / 100).unwrap() + 1;
            let total: usize = calls.values().sum();
            println!("{what}: {total} {calls:?}; log {logged} in {ticks} ticks");
            if total > limit {
                too_many.push(format!(
                    "{what}: {total} calls where {limit} are enough: {calls:?}"
                ));
            }
            // Content that is written over goes through the log, in pieces, with space for it.
            let pieces = if what.ends_with("over") { 16 * 50 } else { 30 };
            if logged > 3 * ticks + pieces {
                too_many.push(format!(
                    "{what}: {logged} calls of the log in {ticks} tenths of a second"
                ));
            }
        }
        assert!(too_many.is_empty(), "{too_many:#?}");
    });
}

/// In a file of more than a GiB most reads meet a block of the index that is not in memory.
#[test]
fn a_read_far_from_others_takes_one_call_for_the_index_and_one_for_the_chunk() {
    const READS: usize = 300;
    mounted(|mount| {
        let file = File::create(mount.path("wide")).unwrap();
        for block in 0..READS as u64 {
            file.write_all_at(&noise(block, 4096), block * BLOCK)
                .unwrap();
        }
        drop(file);
        mount.remount();
        let script = "for i in $(seq 0 299); do
            dd if=wide of=/dev/null bs=4K count=1 skip=$((i * 1024)) status=none; done";
        let (calls, _) = count(mount, script);
        let total: usize = calls.values().sum();
        println!("{total} {calls:?}");
        assert!(total <= 2 * READS + 40, "{total} calls: {calls:?}");
    });
}
