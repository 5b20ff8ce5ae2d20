//! A vault and its mount, for the length of one test.
//!
//! The daemon runs in the foreground as a child, so that its warnings can be read and it can be killed. Whatever a test
//! does, panic included, nothing stays mounted; a mount that hangs is cut off after [`PATIENCE`].

use crate::{commands::run, needs};
use std::{
    fs::{self, File},
    io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long one mount of a test may last before its daemon is killed, so that what waits for it ends with errors.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long it may take until the mount shows, and until the daemon has ended.
const START_AND_END: Duration = Duration::from_secs(60);

/// Ownership of everything: the vault, the mount point, the daemon.
pub struct Mount {
    root: TempDir,
    options: String,
    daemon: Option<Daemon>,
}

struct Daemon {
    child: Child,
    /// Dropped when the daemon needs no watching any more.
    _watched: Sender<()>,
}

/// Runs a test on a new vault mounted with default options.
pub fn mounted(test: impl FnOnce(&mut Mount)) {
    mounted_with(&[], "", test);
}

/// The same with arguments for `init` and a list for `mount -o`.
pub fn mounted_with(init: &[&str], options: &str, test: impl FnOnce(&mut Mount)) {
    if !needs::given("mount") {
        return;
    }
    let mut mount = Mount::new(init, options);
    mount.mount();
    test(&mut mount);
    mount.unmount();
}

/// This build's program.
pub fn wardfs() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wardfs"))
}

impl Mount {
    fn new(init: &[&str], options: &str) -> Mount {
        let root = tempfile::Builder::new()
            .prefix("wardfs-mount-")
            .tempdir()
            .unwrap();
        fs::write(root.path().join("key"), "secret\n").unwrap();
        fs::create_dir(root.path().join("plain")).unwrap();
        let mount = Mount {
            root,
            options: options.to_owned(),
            daemon: None,
        };
        // As cheap as it goes: the tests are not about the passphrase.
        let made = wardfs()
            .args([
                "init",
                "--kdf-memory",
                "8",
                "--kdf-time",
                "1",
                "--kdf-lanes",
                "1",
            ])
            .args(init)
            .arg("--passfile")
            .arg(mount.key())
            .arg(mount.vault())
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "init: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        mount
    }

    /// The mount point.
    pub fn dir(&self) -> PathBuf {
        self.root.path().join("plain")
    }

    /// A path in the mount.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir().join(name)
    }

    /// A path beside vault and mount, on an ordinary file system.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn vault(&self) -> PathBuf {
        self.root.path().join("vault")
    }

    pub fn key(&self) -> PathBuf {
        self.root.path().join("key")
    }

    fn log(&self) -> PathBuf {
        self.root.path().join("log")
    }

    /// Process id of the daemon.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("mounted").child.id()
    }

    /// What the daemon has said so far.
    pub fn warnings(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    /// A command that would mount the vault on a directory.
    pub fn mount_command(&self, dir: &Path) -> Command {
        let mut command = wardfs();
        command.arg("mount").arg("--passfile").arg(self.key());
        if !self.options.is_empty() {
            command.args(["-o", &self.options]);
        }
        command.arg(self.vault()).arg(dir).stdin(Stdio::null());
        command
    }

    fn mount(&mut self) {
        let mut command = self.mount_command(&self.dir());
        command
            .arg("--foreground")
            .stderr(File::create(self.log()).unwrap());
        let mut child = command.spawn().unwrap();
        let start = Instant::now();
        while !self.is_mounted() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "mount: {ended:?} {}", self.warnings());
            if start.elapsed() > START_AND_END {
                let _ = child.kill();
                panic!("not mounted after {START_AND_END:?}: {}", self.warnings());
            }
            thread::sleep(Duration::from_millis(5));
        }
        let watched = watch(child.id());
        self.daemon = Some(Daemon {
            child,
            _watched: watched,
        });
    }

    fn is_mounted(&self) -> bool {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        table.lines().any(|line| {
            line.split(' ')
                .nth(4)
                .is_some_and(|dir| Path::new(dir) == self.dir())
        })
    }

    /// Unmounts; the daemon must end well and have had nothing to say.
    pub fn unmount(&mut self) {
        let Output { status, stderr, .. } =
            wardfs().arg("unmount").arg(self.dir()).output().unwrap();
        assert!(
            status.success(),
            "unmount: {}",
            String::from_utf8_lossy(&stderr)
        );
        let status = self.wait();
        assert_eq!(
            (status.code(), self.warnings().as_str()),
            (Some(0), ""),
            "the daemon's end"
        );
        // A mount that may not write leaves what it found.
        if self.options != "ro" {
            let left = fs::read_dir(self.vault().join("journal")).unwrap().count();
            assert_eq!(left, 0, "files in the journal after a clean unmount");
        }
    }

    /// Unmounts and mounts again: nothing is left in any cache.
    pub fn remount(&mut self) {
        self.remount_after(|_| {});
    }

    /// The same, with a look at what is stored in between.
    pub fn remount_after(&mut self, look: impl FnOnce(&Mount)) {
        self.unmount();
        look(self);
        self.mount();
    }

    /// Mounts again with other options.
    pub fn remount_with(&mut self, options: &str) {
        self.unmount();
        options.clone_into(&mut self.options);
        self.mount();
    }

    /// Kills the daemon and mounts again.
    pub fn crash(&mut self) {
        self.kill();
        self.revive();
    }

    /// Kills the daemon, as the kernel does when memory is short. Whatever uses the mount gets errors until `revive`.
    pub fn kill(&self) {
        run("kill", ["-9", &self.pid().to_string()]);
    }

    /// Mounts again after `kill`, with other options.
    pub fn revive_with(&mut self, options: &str) {
        options.clone_into(&mut self.options);
        self.revive();
    }

    /// Waits for the end of the killed daemon.
    pub fn wait_killed(&mut self) {
        assert_eq!(self.wait().signal(), Some(9));
    }

    /// Waits for the end of a daemon that was unmounted by others.
    pub fn wait_ended(&mut self) {
        assert_eq!(self.wait().code(), Some(0));
    }

    /// Waits for the end of a daemon that could not store all.
    pub fn wait_failed(&mut self) {
        assert_eq!(self.wait().code(), Some(13));
    }

    /// Mounts again after `kill`, or after `wait_failed`.
    pub fn revive(&mut self) {
        if self.daemon.is_some() {
            self.wait_killed();
        }
        if self.is_mounted() {
            detach(&self.dir()).unwrap();
        }
        self.mount();
        // That an unfinished checkpoint is finished is worth a warning to people, not to this test.
        fs::write(self.log(), "").unwrap();
    }

    /// Makes the kernel forget everything of this mount that is not in use.
    pub fn forget_all(&self) {
        // A remount that changes nothing; `-i`, because there is no helper for this type.
        let status = Command::new("mount")
            .args(["-i", "-o", "remount"])
            .arg(self.dir())
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        let mut daemon = self.daemon.take().expect("mounted");
        let start = Instant::now();
        loop {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                return status;
            }
            if start.elapsed() > START_AND_END {
                let _ = daemon.child.kill();
                let _ = daemon.child.wait();
                panic!("the daemon did not end: {}", self.warnings());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.child.kill();
            let _ = daemon.child.wait();
            eprintln!("the daemon said: {}", self.warnings());
        }
        while self.is_mounted() && detach(&self.dir()).is_ok() {}
    }
}

fn detach(dir: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(
        dir,
        rustix::mount::UnmountFlags::DETACH,
    )?)
}

/// Kills the process when its mount lasts too long; until then it is a child that nobody has waited for, so that the id
/// is no other's.
fn watch(pid: u32) -> Sender<()> {
    let (watched, gone) = mpsc::channel::<()>();
    thread::spawn(move || {
        if gone.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("the test takes too long: its daemon is killed");
            run("kill", ["-9", &pid.to_string()]);
        }
    });
    watched
}
