//! Where the commands of a transcript run: an empty directory, this build's wardfs, a user.
//!
//! Nothing here outlives the test: what is still mounted below the directory at the end is detached, and is an error.

use crate::needs;
use std::{
    fs::{self, File, Permissions},
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// What the commands find beside the system's own:
/// - `eventually COMMAND...` tries for ten seconds until it succeeds;
/// - `mounted DIR` and `unmounted DIR` ask the mount table, which is no use of the mount, as a look at `DIR` would be;
/// - `free VAULT` tells whether nobody has it open;
/// - `daemon PATH` gives the process that serves a mount or has a vault open; `ended PID` tells whether it is gone.
const PRELUDE: &str = "
eventually() {
  tries=0
  until \"$@\" >/dev/null 2>&1; do
    tries=$((tries + 1)); [ $tries -lt 200 ] || return 1; sleep 0.05
  done
}
mounted() { grep -q \" $PWD/$1 .* - fuse.wardfs \" /proc/self/mountinfo; }
unmounted() { ! mounted \"$1\"; }
free() { wardfs info \"$1\" | grep -q '^in use: *no$'; }
daemon() { wardfs info --json \"$1\" | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p' | head -1; }
ended() { ! grep -q '^State:.[^Z]' /proc/$1/status 2> /dev/null; }
";

/// How long a command may take before it counts as hung, in seconds.
const PATIENCE: &str = "60";

/// The ordinary user of the tests: `nobody`, who owns nothing else.
const USER: u32 = 65534;

/// See the top of the file.
pub struct Machine {
    root: TempDir,
    /// Set where the commands run as [`USER`].
    user: Option<User>,
}

/// What an ordinary user needs that the machine does not give.
struct User {
    /// A process that holds a mount namespace in which `/dev/fuse` is open to all, where it is not anyway.
    namespace: Option<Child>,
}

impl Machine {
    /// A machine that can do all of this, or none: then the test is skipped, loudly where it must not be.
    pub fn for_needs(needs: &[String]) -> Option<Machine> {
        let given = needs.iter().all(|need| needs::given(need));
        given.then(|| Machine::new(needs.iter().any(|need| need == "user")))
    }

    fn new(as_user: bool) -> Machine {
        let root = tempfile::Builder::new()
            .prefix("wardfs-cli-")
            .tempdir()
            .unwrap();
        let bin = root.path().join("bin");
        let home = root.path().join("home");
        fs::create_dir(&bin).unwrap();
        fs::create_dir(&home).unwrap();
        // Copied, since the build directory may lie where the other user cannot go; and not by this process, whose other
        // tests could start a program meanwhile and leave the copy open for writing in it.
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_wardfs"))
            .arg(&bin)
            .status();
        assert!(copied.unwrap().success());
        let user = as_user.then(|| {
            fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
            chown(&home, Some(USER), Some(USER)).unwrap();
            User {
                namespace: private_namespace(root.path()),
            }
        });
        Machine { root, user }
    }

    /// The directory in which the commands start.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// Runs a command line; gives what it wrote to both outputs, in order, and its exit code.
    pub fn shell(&self, command: &str) -> (String, i32) {
        // To a file and not a pipe: a process that stays in the background must not keep the test waiting.
        let output = self.root.path().join("output");
        let file = File::create(&output).unwrap();
        let mut shell = self.command();
        shell.args([
            "timeout",
            "--kill-after=5",
            PATIENCE,
            "sh",
            "-c",
            &format!("{PRELUDE}\n{command}"),
        ]);
        shell
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let status = shell.status().unwrap();
        let text = String::from_utf8_lossy(&fs::read(output).unwrap()).into_owned();
        (text, status.code().unwrap_or(-1))
    }

    /// What comes before every command: who runs it where, and the environment.
    fn command(&self) -> Command {
        let root = self.root.path().display();
        let mut words: Vec<String> = Vec::new();
        if let Some(user) = &self.user {
            words.extend(user.namespace.iter().flat_map(enter));
            words.extend(
                [
                    "setpriv",
                    &format!("--reuid={USER}"),
                    &format!("--regid={USER}"),
                    "--clear-groups",
                    "--",
                ]
                .map(str::to_owned),
            );
        }
        // The directory is gone into last: one from outside a mount namespace shows what lies below its mounts.
        words.extend(
            [
                "env",
                "-i",
                "-C",
                &format!("{root}/home"),
                &format!("HOME={root}/home"),
                "LC_ALL=C.UTF-8",
            ]
            .map(str::to_owned),
        );
        words.push(format!(
            "PATH={root}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        ));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }

    /// Detaches what is still mounted below the directory; gives the mount points.
    fn unmount_all(&self) -> Vec<PathBuf> {
        let table = match self.user.as_ref().and_then(|user| user.namespace.as_ref()) {
            Some(holder) => format!("/proc/{}/mountinfo", holder.id()),
            None => "/proc/self/mountinfo".to_owned(),
        };
        let table = fs::read_to_string(table).unwrap_or_default();
        let points = table
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .map(PathBuf::from);
        let left: Vec<PathBuf> = points
            .filter(|point| point.starts_with(self.home()))
            .collect();
        for point in &left {
            let _ = self
                .root_command("umount")
                .arg("--lazy")
                .arg(point)
                .status();
        }
        left
    }

    fn root_command(&self, program: &str) -> Command {
        match self.user.as_ref().and_then(|user| user.namespace.as_ref()) {
            Some(holder) => {
                let words = enter(holder);
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]).arg(program);
                command
            }
            None => Command::new(program),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let left = self.unmount_all();
        if let Some(holder) = self.user.as_mut().and_then(|user| user.namespace.as_mut()) {
            let _ = holder.kill();
            let _ = holder.wait();
        }
        assert!(
            left.is_empty() || std::thread::panicking(),
            "left mounted: {left:?}"
        );
    }
}

/// What runs a command in the mount namespace of a process.
fn enter(holder: &Child) -> [String; 5] {
    [
        "nsenter",
        "--mount",
        "--target",
        &holder.id().to_string(),
        "--",
    ]
    .map(str::to_owned)
}

/// Distributions give everybody `/dev/fuse`, bare machines only root. There the tests get a device node of their own,
/// seen by themselves alone.
fn private_namespace(root: &Path) -> Option<Child> {
    if fs::metadata("/dev/fuse").unwrap().mode() & 0o006 == 0o006 {
        return None;
    }
    // Mounts of other tests came along and would outlive their end there.
    let script = "umount --lazy --all --types fuse.wardfs; mount -t tmpfs -o mode=755 tmpfs \"$0\" && mknod -m 666 \"$0/fuse\" c 10 229 \
        && mount --bind \"$0/fuse\" /dev/fuse && echo ready && exec sleep infinity";
    let dev = root.join("dev");
    fs::create_dir(&dev).unwrap();
    let mut holder = Command::new("unshare");
    holder
        .args(["--mount", "--propagation=private", "sh", "-c", script])
        .arg(&dev)
        .stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n", "the private /dev/fuse cannot be made");
    Some(holder)
}
