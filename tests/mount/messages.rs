//! How many messages the kernel sends for what people do: they are what a mount costs.
//!
//! Counted from outside, by strace at the daemon's reads of `/dev/fuse`: a FUSE message begins with its length and its
//! opcode, 32 bits each.

use crate::{
    commands::shell,
    fixture::{Mount, mounted_with},
    trace::traced,
};
use std::collections::BTreeMap;

/// Opcodes of the kernel (`enum fuse_opcode`) that these tests are about.
const NAMES: [(u32, &str); 25] = [
    (1, "LOOKUP"),
    (2, "FORGET"),
    (3, "GETATTR"),
    (4, "SETATTR"),
    (8, "MKNOD"),
    (9, "MKDIR"),
    (14, "OPEN"),
    (15, "READ"),
    (16, "WRITE"),
    (17, "STATFS"),
    (18, "RELEASE"),
    (20, "FSYNC"),
    (21, "SETXATTR"),
    (22, "GETXATTR"),
    (23, "LISTXATTR"),
    (25, "FLUSH"),
    (27, "OPENDIR"),
    (28, "READDIR"),
    (29, "RELEASEDIR"),
    (34, "ACCESS"),
    (35, "CREATE"),
    (42, "BATCH_FORGET"),
    (44, "READDIRPLUS"),
    (46, "LSEEK"),
    (52, "STATX"),
];

/// How often each kind of message came.
#[derive(Debug, Default)]
struct Messages(BTreeMap<String, usize>);

impl Messages {
    fn of(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Those that somebody waits for.
    fn waited_for(&self) -> usize {
        self.0
            .iter()
            .filter(|(name, _)| !name.ends_with("FORGET"))
            .map(|(_, count)| count)
            .sum()
    }
}

/// Runs a script on the mount and counts messages.
fn count(mount: &Mount, script: &str) -> Messages {
    let arguments = ["-P", "/dev/fuse", "-e", "trace=read", "-xx", "-s", "8"];
    let trace = traced(mount, &arguments, script);
    let mut messages = Messages::default();
    for opcode in trace.lines().filter_map(opcode) {
        let name = NAMES.iter().find(|(code, _)| *code == opcode).map_or_else(
            || format!("opcode {opcode}"),
            |(_, name)| (*name).to_owned(),
        );
        *messages.0.entry(name).or_default() += 1;
    }
    messages
}

/// The opcode in a line such as `7 read(5, "\x38\x00\x00\x00\x01\x00\x00\x00"..., 1052672) = 56`.
fn opcode(line: &str) -> Option<u32> {
    let (_, bytes) = line.split_once("\"\\x")?;
    let (bytes, _) = bytes.split_once('"')?;
    let bytes: Vec<u8> = bytes
        .split("\\x")
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect::<Result<_, _>>()
        .ok()?;
    Some(u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?))
}

#[test]
fn a_traced_read_tells_its_opcode() {
    let line = r#"77 read(5, "\x38\x00\x00\x00\x2c\x01\x00\x00"..., 1052672) = 56"#;
    assert_eq!(opcode(line), Some(0x12c));
    assert_eq!(
        opcode(&line.replace("77 read(5, ", "77 <... read resumed>")),
        Some(0x12c)
    );
    assert_eq!(opcode("77 read(5,  <unfinished ...>"), None);
}

/// A tree of 40 small files in five directories, unpacked, listed, read, searched; one file appended to.
#[test]
fn common_work_sends_few_messages() {
    // A name looked up, made, written, and its owner, mode and times set, for each file; with extended attributes the kernel
    // also asks twice for the file's capabilities. So what may come at most is given for both.
    for (mode, options) in ["", "noxattr"].into_iter().enumerate() {
        // The kernel may drop pages at any moment, of files and of listings, and asks for them again.
        let tried: Vec<String> = (0..3).map_while(|_| too_many(mode, options)).collect();
        assert!(tried.len() < 3, "three times: {tried:#?}");
    }
}

/// What took too many messages, if anything did.
fn too_many(mode: usize, options: &str) -> Option<String> {
    let mut found = None;
    mounted_with(&[], options, |mount| {
        shell(
            &mount.outside(""),
            "mkdir tree; for d in 1 2 3 4; do mkdir tree/$d; for f in $(seq 10); do seq $((d * f * 9)) > tree/$d/$f; done; done; tar cf tree.tar tree",
        );
        let mut sent = Vec::new();
        let mut counted = |what: &'static str, limits: [usize; 2], script: &str| {
            let messages = count(mount, script);
            println!(
                "-o '{options}' {what}: {} {:?}",
                messages.waited_for(),
                messages.0
            );
            sent.push((what, limits[mode], messages));
        };
        counted("tar x", [355, 275], "tar xf ../tree.tar");
        mount.forget_all();
        // Two for each directory: its entries, and that there are no more.
        counted("ls -lR", [16, 14], "ls -lR > /dev/null");
        counted("cat", [49, 49], "find . -type f -exec cat {} + > /dev/null");
        // The first look at a file after it was read asks for its time of access.
        counted("grep -r", [43, 43], "grep -r zzz . || true");
        counted("grep -r, warm", [2, 2], "grep -r zzz . || true");
        counted(
            "50 appends",
            [52, 51],
            "for i in $(seq 50); do echo line >> tree/1/1; done",
        );
        counted("ls -lR, warm", [4, 2], "ls -lR > /dev/null");
        counted("cp -r", [175, 135], "cp -r tree copy");
        counted(
            "git add, commit",
            [660, 605],
            "cd tree; git init -q .; git add .; git -c user.name=n -c user.email=e -c gc.auto=0 commit -qm c; git status --short",
        );
        let total = |name: &str| {
            sent.iter()
                .map(|(.., messages)| messages.of(name))
                .sum::<usize>()
        };
        for (name, most) in [
            ("OPEN", 1),
            ("OPENDIR", 1),
            ("CREATE", 1),
            ("FLUSH", 1),
            ("RELEASE", 0),
            ("RELEASEDIR", 0),
            ("ACCESS", 1),
        ] {
            assert!(total(name) <= most, "{} of {name}", total(name));
        }
        found = sent.iter().find_map(|(what, limit, messages)| {
            let count = messages.waited_for();
            let is_too_many = count > *limit;
            is_too_many
                .then(|| format!("{what}: {count} messages where {limit} are enough: {messages:?}"))
        });
    });
    found
}

/// The kernel asks no ordinary FUSE file system for that (`SYNCFS` has the number 50).
#[test]
fn syncing_the_file_system_sends_no_message() {
    mounted_with(&[], "", |mount| {
        shell(&mount.dir(), "echo text > file");
        let sent = count(mount, "sync -f file");
        for name in ["FSYNC", "opcode 50"] {
            assert_eq!(sent.of(name), 0, "{sent:?}");
        }
        assert!(count(mount, "sync file").of("FSYNC") == 1);
    });
}
