//! What happens on a terminal: prompts, echo, and the keys that end a program.
//!
//! Each test runs the program on a pseudo-terminal of its own, as its controlling terminal, by `setsid --ctty`.

#[path = "cli/needs.rs"]
mod needs;

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use std::{
    fs::File,
    io::{Read, Write},
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long something expected may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// An empty directory for one test. A mount that a failed test leaves in it is taken away.
struct Directory(TempDir);

impl Directory {
    fn new() -> Directory {
        Directory(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if is_mounted(self) {
            let _ = Command::new("umount")
                .arg("--lazy")
                .arg(self.path().join("plain"))
                .status();
        }
    }
}

/// A program on a terminal.
struct Session {
    screen: File,
    output: Receiver<Vec<u8>>,
    seen: String,
    child: Child,
    terminal: OwnedFd,
    directory: Directory,
}

impl Session {
    fn start(arguments: &[&str]) -> Session {
        Session::start_in(Directory::new(), "", arguments)
    }

    /// `typed` is what the keyboard has in store when the program starts.
    fn start_in(directory: Directory, typed: &str, arguments: &[&str]) -> Session {
        let screen =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let terminal = open(
            name,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap();
        let mut screen = File::from(screen);
        screen.write_all(typed.as_bytes()).unwrap();
        // What was started in the background by a script ignores SIGINT, and so would all that it starts.
        let mut command = Command::new("env");
        command
            .args(["--default-signal", "setsid", "--ctty", "--wait"])
            .arg(env!("CARGO_BIN_EXE_wardfs"))
            .args(arguments)
            .current_dir(directory.path());
        command.stdin(terminal.try_clone().unwrap());
        command.stdout(terminal.try_clone().unwrap());
        command.stderr(terminal.try_clone().unwrap());
        let child = command.spawn().unwrap();
        let output = follow(screen.try_clone().unwrap());
        Session {
            screen,
            output,
            seen: String::new(),
            child,
            terminal,
            directory,
        }
    }

    /// Waits until the screen shows `text` after what was seen before.
    fn expect(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(index) = self.seen.find(text) {
                self.seen.drain(..index + text.len());
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("{error}: {text:?} was not shown after {:?}", self.seen),
            }
        }
    }

    fn send(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).unwrap();
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.terminal)
            .unwrap()
            .local_modes
            .contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// The end of the program, and what was shown that nobody expected.
    fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(200)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status, self.seen)
    }
}

/// Reads what is shown, in a thread that ends with the terminal.
fn follow(mut screen: File) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            if sender.send(bytes[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Asks until there is an answer.
fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "it does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn made(directory: &Path) -> bool {
    directory.join("vault/wardfs.vault").exists()
}

#[test]
fn a_new_passphrase_is_asked_for_twice_and_not_shown() {
    let mut session = Session::start(&["init", "--kdf-memory", "8", "vault"]);
    session.expect("New passphrase: ");
    assert!(!session.echoes(), "nobody looks over the shoulder");
    session.send("correct horse\r");
    session.expect("Repeat it: ");
    assert!(!session.echoes());
    session.send("correct horse\r");
    session.expect("Vault made: vault");
    assert!(session.echoes(), "the terminal is as it was");
    assert!(made(session.directory.path()));
    let (status, rest) = session.end();
    assert!(status.success() && !rest.contains("horse"), "{rest}");
}

#[test]
fn ciphertext_is_not_written_to_a_terminal() {
    let directory = Directory::new();
    std::fs::write(directory.path().join("plain"), "content").unwrap();
    std::fs::write(directory.path().join("key"), [7; 32]).unwrap();
    for out in [None, Some("/dev/tty")] {
        let arguments = ["encrypt", "--key-file", "../key", "../plain"];
        let inner = Directory(tempfile::tempdir_in(directory.path()).unwrap());
        let arguments: Vec<_> = arguments.into_iter().chain(out).collect();
        let mut session = Session::start_in(inner, "", &arguments);
        session
            .expect("wardfs: encrypt: standard output is a terminal, which cannot show a stream");
        assert_eq!(session.end().0.code(), Some(2));
    }
}

/// On a terminal, with an input that takes longer than nothing is shown. Gives all that is shown.
fn slow_session(name: &str, arguments: &[&str], input: &[u8]) -> String {
    let directory = Directory::new();
    std::fs::write(directory.path().join("key"), [7; 32]).unwrap();
    let fifo = directory.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let arguments = [&[name, "--key-file", "key", "fifo"], arguments].concat();
    let session = Session::start_in(directory, "", &arguments);
    let mut writer = std::fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    let (head, tail) = input.split_at(input.len() - 1);
    writer.write_all(head).unwrap();
    std::thread::sleep(Duration::from_secs(4));
    writer.write_all(tail).unwrap();
    drop(writer);
    let (status, shown) = session.end();
    assert!(status.success(), "{shown}");
    shown
}

#[test]
fn progress_is_shown_where_it_takes_nothing_away() {
    let plain = "a line of text\n".repeat(5000);
    let shown = slow_session("encrypt", &["out"], plain.as_bytes());
    assert!(shown.contains("encrypting: 7"), "{shown:?}");
    let directory = Directory::new();
    std::fs::write(directory.path().join("key"), [7; 32]).unwrap();
    std::fs::write(directory.path().join("plain"), &plain).unwrap();
    let encrypted = Command::new(env!("CARGO_BIN_EXE_wardfs"))
        .args(["encrypt", "--key-file", "key", "plain"])
        .current_dir(directory.path())
        .output();
    let stream = encrypted.unwrap().stdout;
    let shown = slow_session("decrypt", &["out"], &stream);
    assert!(shown.contains("decrypting: 7"), "{shown:?}");
    // Nothing but the plaintext where that is shown itself.
    let shown = slow_session("decrypt", &[], &stream);
    assert!(shown == plain.replace('\n', "\r\n"), "{shown:?}");
}

#[test]
fn the_passphrase_of_a_stream_is_asked_for_where_the_data_does_not_come_from() {
    let directory = Directory::new();
    std::fs::write(directory.path().join("plain"), "content").unwrap();
    let mut session = Session::start_in(directory, "", &["encrypt", "plain", "stream"]);
    session.expect("New passphrase of the stream: ");
    assert!(!session.echoes());
    session.send("correct horse\r");
    session.expect("Repeat it: ");
    session.send("correct horse\r");
    let status = session.child.wait().unwrap();
    assert!(status.success() && session.directory.path().join("stream").exists());
    let Session { directory, .. } = session;
    let mut session = Session::start_in(directory, "", &["decrypt", "stream"]);
    session.expect("Passphrase of the stream: ");
    session.send("correct horse\r");
    session.expect("content");
    assert!(session.end().0.success());
}

/// A vault with a file, whose passphrase is `correct horse`.
fn vault_with_a_file(directory: &Directory) {
    let path = directory.path();
    std::fs::write(path.join("key"), "correct horse").unwrap();
    std::fs::write(path.join("plain"), "content").unwrap();
    let wardfs = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardfs"));
        let output = command.args(arguments).current_dir(path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    wardfs(&["init", "--kdf-memory", "8", "--passfile", "key", "vault"]);
    wardfs(&["put", "--passfile", "key", "vault", "plain"]);
}

#[test]
fn a_bundle_asks_for_the_passphrase_of_the_vault_and_then_for_its_own() {
    let directory = Directory::new();
    vault_with_a_file(&directory);
    let arguments = ["export", "vault", "plain", "bundle"];
    let mut session = Session::start_in(directory, "", &arguments);
    session.expect("Passphrase: ");
    session.send("correct horse\r");
    session.expect("New passphrase of the bundle: ");
    assert!(!session.echoes());
    session.send("battery staple\r");
    session.expect("Repeat it: ");
    session.send("battery staple\r");
    let status = session.child.wait().unwrap();
    assert!(status.success() && session.directory.path().join("bundle").exists());
    let Session { directory, .. } = session;
    let arguments = ["import", "vault", "bundle", "again"];
    let mut session = Session::start_in(directory, "", &arguments);
    session.expect("Passphrase: ");
    session.send("correct horse\r");
    session.expect("Passphrase of the bundle: ");
    session.send("battery staple\r");
    assert!(session.child.wait().unwrap().success());
}

#[test]
fn a_bundle_is_not_written_to_a_terminal() {
    let directory = Directory::new();
    vault_with_a_file(&directory);
    let arguments = ["export", "vault", "plain", "-"];
    let mut session = Session::start_in(directory, "", &arguments);
    session.expect("wardfs: export: standard output is a terminal, which cannot show a stream");
    assert_eq!(session.end().0.code(), Some(2));
}

#[test]
fn entries_that_differ_make_no_vault() {
    let mut session = Session::start(&["init", "vault"]);
    session.expect("New passphrase: ");
    session.send("one\r");
    session.expect("Repeat it: ");
    session.send("two\r");
    session.expect("wardfs: read the passphrase from the terminal: the two entries differ");
    assert!(session.echoes() && !session.directory.path().join("vault").exists());
    assert_eq!(session.end().0.code(), Some(4));
}

#[test]
fn nothing_typed_is_refused() {
    for keys in ["\r", "\x04", "abc\x7f\x7f\x7f\r", "abc\x15\r"] {
        let mut session = Session::start(&["init", "vault"]);
        session.expect("New passphrase: ");
        session.send(keys);
        session.expect("wardfs: read the passphrase from the terminal: it is empty");
        assert_eq!(session.end().0.code(), Some(4), "{keys:?}");
    }
}

#[test]
fn typing_errors_can_be_corrected() {
    let mut session = Session::start(&["init", "--kdf-memory", "8", "vault"]);
    session.expect("New passphrase: ");
    session.send("wrong\x15sesame\u{e9}\x7f\r");
    session.expect("Repeat it: ");
    session.send("sesamx\x7fe\r");
    session.expect("Vault made: vault");
    assert!(session.end().0.success());
}

#[test]
fn control_c_at_the_prompt_ends_it_and_leaves_the_terminal_as_it_was() {
    let mut session = Session::start(&["init", "vault"]);
    session.expect("New passphrase: ");
    session.send("secr\x03");
    eventually(|| session.echoes().then_some(()));
    // The group of processes got it, the one that waits for the program among them.
    let (status, rest) = session.end();
    assert!(
        status.signal() == Some(2) || status.code() == Some(130),
        "{status} {rest}"
    );
}

#[test]
fn what_was_typed_before_the_prompt_does_not_count() {
    let arguments = ["init", "--kdf-memory", "8", "vault"];
    let mut session = Session::start_in(Directory::new(), "typed ahead\r", &arguments);
    session.expect("New passphrase: ");
    session.send("one\r");
    session.expect("Repeat it: ");
    session.send("one\r");
    session.expect("Vault made: vault");
    assert!(session.end().0.success());
}

/// A vault `vault` that takes half a second to unlock, and a directory `plain`.
fn slow_vault() -> Directory {
    let arguments = ["init", "--kdf-memory", "512", "--kdf-time", "6", "vault"];
    let mut session = Session::start(&arguments);
    session.expect("New passphrase: ");
    session.send("one\r");
    session.expect("Repeat it: ");
    session.send("one\r");
    session.expect("Vault made: vault");
    session.child.wait().unwrap();
    std::fs::create_dir(session.directory.path().join("plain")).unwrap();
    session.directory
}

fn is_mounted(directory: &Directory) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.contains(directory.path().to_str().unwrap())
}

/// The process that another has started, once it has.
fn child_of(pid: u32) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
}

#[test]
fn what_takes_long_shows_a_sign_of_life_and_takes_it_away() {
    if !needs::given("mount") {
        return;
    }
    let mut session = Session::start_in(slow_vault(), "", &["mount", "vault", "plain"]);
    session.expect("Passphrase: ");
    session.send("one\r");
    // As slow as it has to be: the process in the background is stopped until the line has shown.
    let child = eventually(|| child_of(session.child.id()));
    kill_process(child, Signal::STOP).unwrap();
    session.expect("unlocking the vault");
    kill_process(child, Signal::CONT).unwrap();
    let status = session.child.wait().unwrap();
    let mounted = is_mounted(&session.directory);
    let dir = session.directory.path().join("plain");
    let unmounted = Command::new(env!("CARGO_BIN_EXE_wardfs"))
        .arg("unmount")
        .arg(dir)
        .status()
        .unwrap();
    assert!(status.success() && mounted && unmounted.success());
    let (_, rest) = session.end();
    assert!(rest.ends_with("\x1b[2K"), "the line is gone: {rest:?}");
}

#[test]
fn control_c_while_a_mount_is_made_ends_both_processes_and_leaves_none() {
    if !needs::given("mount") {
        return;
    }
    let mut session = Session::start_in(slow_vault(), "", &["mount", "vault", "plain"]);
    session.expect("Passphrase: ");
    session.send("one\r");
    session.expect("\n");
    std::thread::sleep(Duration::from_millis(200));
    session.send("\x03");
    let vault = session.directory.path().join("vault");
    // The lock goes with the last of the processes.
    eventually(|| {
        let vault = File::open(&vault).unwrap();
        flock(vault, FlockOperation::NonBlockingLockExclusive).ok()
    });
    assert!(
        !is_mounted(&session.directory),
        "it is mounted all the same"
    );
    let (status, rest) = session.end();
    assert!(
        status.signal() == Some(2) || status.code() == Some(130),
        "{status} {rest}"
    );
}

#[test]
fn passwd_asks_for_the_present_one_once_and_the_new_one_twice() {
    let directory = Directory::new();
    let mut session = Session::start_in(directory, "", &["init", "--kdf-memory", "8", "vault"]);
    session.expect("New passphrase: ");
    session.send("old\r");
    session.expect("Repeat it: ");
    session.send("old\r");
    session.expect("Vault made: vault");
    session.child.wait().unwrap();
    let mut session = Session::start_in(session.directory, "", &["passwd", "vault"]);
    session.expect("Present passphrase: ");
    session.send("old\r");
    session.expect("New passphrase: ");
    session.send("new\r");
    session.expect("Repeat it: ");
    session.send("new\r");
    session.expect("Passphrase changed: vault");
    assert!(session.end().0.success());
}
