//! Who may do what: options, users, locks, a second mount.

use crate::{
    commands::{refused, shell, try_shell},
    fixture::{Mount, mounted, mounted_with},
    machine::Machine,
};
use rustix::fs::statvfs;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

const NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";
const DAEMON: &str = "setpriv --reuid 1 --regid 1 --clear-groups";

/// Lets other users come as far as the mount.
fn open_the_way(mount: &Mount) {
    fs::set_permissions(
        mount.dir().parent().unwrap(),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
}

#[test]
fn a_read_only_mount_shows_all_and_changes_nothing() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "mkdir dir; echo text > dir/file; ln -s dir link; ln dir/file hard; setfattr -n user.x -v y dir/file",
        );
        let before =
            |mount: &Mount| shell(&mount.vault(), "find . -type f | sort | xargs sha256sum");
        let stored = {
            let mut stored = String::new();
            mount.remount_after(|mount| stored = before(mount));
            stored
        };
        mount.remount_with("ro");
        assert_eq!(
            shell(
                &mount.dir(),
                "cat link/file hard; getfattr --only-values -n user.x hard"
            ),
            "text\ntext\ny"
        );
        for change in [
            "echo more >> dir/file",
            "> new",
            "mkdir new",
            "rm hard",
            "mv hard soft",
            "ln hard new",
            "ln -s a b",
            "chmod 600 hard",
            "touch hard",
            "truncate -s 0 hard",
            "setfattr -n user.z -v y hard",
            "rmdir dir",
            "mkfifo new",
        ] {
            refused(&mount.dir(), change, "Read-only file system");
        }
        shell(&mount.dir(), "sync; sync dir/file");
        mount.remount_after(|mount| assert_eq!(before(mount), stored));
    });
}

#[test]
fn a_vault_is_mounted_once() {
    mounted(|mount| {
        let second = mount.outside("second");
        fs::create_dir(&second).unwrap();
        let output = mount.mount_command(&second).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(7), "{message}");
        assert!(
            message.contains(&format!("in use by process {}", mount.pid())),
            "{message}"
        );
        assert!(fs::read_dir(&second).unwrap().next().is_none());
    });
}

#[test]
fn two_read_only_mounts_of_one_vault_are_possible() {
    mounted(|mount| {
        fs::write(mount.path("file"), "content").unwrap();
        mount.remount_with("ro");
        let second = mount.outside("second");
        fs::create_dir(&second).unwrap();
        let output = mount.mount_command(&second).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(fs::read(second.join("file")).unwrap(), b"content");
        let unmounted = crate::fixture::wardfs()
            .arg("unmount")
            .arg(&second)
            .output()
            .unwrap();
        assert!(unmounted.status.success());
        assert_eq!(fs::read(mount.path("file")).unwrap(), b"content");
    });
}

#[test]
fn other_users_stay_out_unless_they_are_let_in() {
    mounted(|mount| {
        open_the_way(mount);
        fs::write(mount.path("file"), "content").unwrap();
        shell(&mount.dir(), "chmod 777 . file");
        refused(
            Path::new("/"),
            &format!("{NOBODY} cat '{}'", mount.path("file").display()),
            "Permission denied",
        );
    });
}

#[test]
fn permissions_are_enforced_for_all_who_are_let_in() {
    mounted_with(&[], "allow_other", |mount| {
        open_the_way(mount);
        shell(
            &mount.dir(),
            "echo public > public; echo private > private; chmod 644 public; chmod 600 private
             mkdir closed drop; echo inside > closed/file; chmod 700 closed; chmod 1777 drop; echo mine > drop/mine; chmod 666 drop/mine",
        );
        let nobody = |script: &str| format!("{NOBODY} sh -c '{script}'");
        assert_eq!(shell(&mount.dir(), &nobody("cat public")), "public");
        for script in [
            "cat private",
            "cat closed/file",
            "ls closed",
            "echo more >> public",
            "> new",
            "mkdir new",
            "rm public",
        ] {
            refused(&mount.dir(), &nobody(script), "Permission denied");
        }
        // In a sticky directory everybody may make files, and remove only their own.
        shell(
            &mount.dir(),
            &nobody("echo text > drop/theirs; echo more >> drop/mine"),
        );
        assert_eq!(
            shell(&mount.dir(), "stat -c %u:%g drop/theirs"),
            "65534:65534"
        );
        refused(&mount.dir(), &nobody("rm -f drop/mine"), "not permitted");
        refused(
            &mount.dir(),
            &nobody("chmod 777 drop/mine"),
            "not permitted",
        );
        refused(
            &mount.dir(),
            &format!("{DAEMON} rm -f drop/theirs"),
            "not permitted",
        );
        shell(
            &mount.dir(),
            &nobody("chmod 600 drop/theirs; rm drop/theirs"),
        );
        // A set-group-id directory gives its group.
        shell(&mount.dir(), "mkdir group; chgrp 7 group; chmod 2777 group");
        shell(&mount.dir(), &nobody("> group/file; mkdir group/dir"));
        assert_eq!(
            shell(
                &mount.dir(),
                "stat -c '%u %g %a' group/file group/dir | cut -d ' ' -f 1,2"
            ),
            "65534 7\n65534 7"
        );
        assert_eq!(shell(&mount.dir(), "stat -c %A group/dir | cut -c 7"), "s");
    });
}

#[test]
fn programs_run_from_the_mount_unless_forbidden() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "cp \"$(command -v seq)\" program; printf '#!/bin/sh\\necho \"script $1\"\\n' > script; chmod +x script",
        );
        assert_eq!(
            shell(&mount.dir(), "./program 3 | xargs; ./script said"),
            "1 2 3\nscript said"
        );
        mount.remount();
        assert_eq!(
            shell(&mount.dir(), "./program 3 | xargs; ./script said"),
            "1 2 3\nscript said"
        );
        refused(
            &mount.dir(),
            "sleep 1; cp program busy; ./busy 1 100000000 > /dev/null & sleep 0.3; echo x > busy; kill $!",
            "Text file busy",
        );
        mount.remount_with("noexec");
        refused(&mount.dir(), "./program 3", "Permission denied");
    });
}

#[test]
fn set_user_id_programs_have_effect_only_when_asked_for() {
    const MAKE: &str = "cp \"$(command -v id)\" id; chown 65534:65534 id; chmod 4755 id";
    mounted_with(&[], "suid,allow_other", |mount| {
        open_the_way(mount);
        shell(&mount.dir(), MAKE);
        assert_eq!(shell(&mount.dir(), "./id -u"), "65534");
        mount.remount_with("allow_other");
        assert_eq!(shell(&mount.dir(), "./id -u"), "0");
    });
}

#[test]
fn space_is_that_of_the_disk_below() {
    mounted(|mount| {
        let (inside, below) = (
            statvfs(mount.dir()).unwrap(),
            statvfs(mount.vault()).unwrap(),
        );
        assert_eq!(inside.f_namemax, 255);
        assert_eq!(
            inside.f_blocks * inside.f_frsize,
            below.f_blocks * below.f_frsize
        );
        let difference =
            (inside.f_bavail * inside.f_frsize).abs_diff(below.f_bavail * below.f_frsize);
        assert!(
            difference < 4 << 30,
            "others write too, but not that much: {difference}"
        );
        shell(&mount.dir(), "df . | grep -q '%'");
    });
}

/// Something that holds a lock until it is told to let go.
struct Holder(Child);

impl Holder {
    fn start(dir: &Path, script: &str) -> Holder {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).current_dir(dir);
        let mut child = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(child.stdout.take().unwrap()),
            &mut ready,
        )
        .unwrap();
        assert_eq!(ready, "locked\n");
        Holder(child)
    }

    fn let_go(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn flock_keeps_others_out() {
    mounted(|mount| {
        let holder = Holder::start(
            &mount.dir(),
            "exec 9> lock; flock 9; echo locked; read done; exit 0",
        );
        assert!(
            !try_shell(&mount.dir(), "flock -n lock true")
                .status
                .success()
        );
        assert!(
            !try_shell(&mount.dir(), "flock -n -s lock true")
                .status
                .success()
        );
        holder.let_go();
        shell(&mount.dir(), "flock -n lock true");
        let shared = Holder::start(
            &mount.dir(),
            "exec 9> lock; flock -s 9; echo locked; read done; exit 0",
        );
        shell(&mount.dir(), "flock -n -s lock true");
        assert!(
            !try_shell(&mount.dir(), "flock -n lock true")
                .status
                .success()
        );
        shared.let_go();
    });
}

/// sqlite locks ranges of bytes with fcntl(2).
#[test]
fn locks_on_ranges_keep_others_out() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "sqlite3 db 'create table t (x); insert into t values (1)'",
        );
        let script = "(echo 'begin exclusive; select \"locked\";'; read done; echo 'commit;') | stdbuf -oL sqlite3 db";
        let holder = Holder::start(&mount.dir(), script);
        refused(
            &mount.dir(),
            "sqlite3 db 'insert into t values (2)'",
            "locked",
        );
        holder.let_go();
        thread::sleep(Duration::from_millis(50));
        shell(&mount.dir(), "sqlite3 db 'insert into t values (2)'");
    });
}

#[test]
fn an_ordinary_user_mounts_and_works() {
    let Some(machine) = Machine::for_needs(&["user".to_owned()]) else {
        return;
    };
    let run = |script: &str| {
        let (output, code) = machine.shell(&format!("set -eu; {script}"));
        assert_eq!(code, 0, "{script}\n{output}");
        output
    };
    run(
        "echo secret > key; mkdir plain; wardfs init --kdf-memory 8 --kdf-time 1 --passfile key vault",
    );
    run(
        "wardfs mount --passfile key vault plain; mkdir -p plain/dir/sub; cp /etc/passwd plain/dir; ln plain/dir/passwd plain/hard",
    );
    run(
        "cd plain; seq 100000 > seq; ln -s seq link; chmod 600 seq; setfattr -n user.x -v y seq; truncate -s 3G sparse; mv dir moved",
    );
    run(
        "git init -q plain/repo; cd plain/repo; seq 9 > f; git add .; git -c user.name=n -c user.email=e commit -qm m; git fsck",
    );
    run(
        "wardfs unmount plain; [ -z \"$(ls plain)\" ]; eventually wardfs mount --passfile key vault plain",
    );
    assert_eq!(
        run(
            "cat plain/moved/passwd | cmp - /etc/passwd; seq 100000 | cmp - plain/link; stat -c '%u %a %h' plain/seq plain/hard"
        ),
        "65534 600 1\n65534 644 2\n"
    );
    assert_eq!(
        run(
            "getfattr --only-values -n user.x plain/seq; git -C plain/repo status --porcelain; stat -c %s plain/sparse"
        ),
        "y3221225472\n"
    );
    // Devices and set-user-id programs would be a way to become somebody else.
    run("grep -q ' '$PWD/plain' .*nosuid,nodev' /proc/self/mountinfo");
    run("wardfs unmount plain");
}
