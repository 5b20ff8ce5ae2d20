//! A disk below that fails while a vault is mounted: who writes is told, nothing more is accepted, and when the disk is well
//! again, all that was promised is there.
//!
//! The disk is an ext4 in a sparse file on a tmpfs. When the tmpfs is filled up, what the ext4 writes to places where nothing
//! was written before gives I/O errors.

use crate::{
    commands::{refused, run, shell},
    fixture::{Mount, mounted, wardfs},
    full::{Disk, text},
    needs,
    tree::noise,
};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

/// The ext4, and the room for what is written to it.
const DISK: u64 = 256 << 20;
const ROOM: &str = "size=48M";
/// What is written is more than this, so that it cannot lie where something was written before.
const LARGE: usize = 4 << 20;

/// The disk of a vault.
struct Failing {
    outer: PathBuf,
    dir: PathBuf,
    disk: Option<Disk>,
}

impl Failing {
    /// Moves the vault of a mount to a new one.
    fn below(mount: &mut Mount) -> Failing {
        let (outer, dir) = (mount.outside("outer"), mount.outside("disk"));
        fs::create_dir(&outer).unwrap();
        fs::create_dir(&dir).unwrap();
        run("mount", ["-t", "tmpfs", "-o", ROOM, "tmpfs", text(&outer)]);
        let disk = Some(Disk::ext4(&outer.join("image"), DISK, &dir));
        let failing = Failing { outer, dir, disk };
        mount.remount_after(|mount| {
            let (vault, moved) = (mount.vault(), failing.dir.join("vault"));
            run("cp", ["-a", text(&vault), text(&moved)]);
            run("sync", ["-f", text(&failing.dir)]);
            fs::remove_dir_all(&vault).unwrap();
            std::os::unix::fs::symlink(&moved, &vault).unwrap();
        });
        failing
    }

    fn filler(&self) -> PathBuf {
        self.outer.join("filler")
    }

    /// From now on.
    fn fail(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        let full = (0..).find_map(|_| filler.write_all(&[1; 4096]).err());
        assert_eq!(full.map(|error| error.kind()), Some(ErrorKind::StorageFull));
    }

    /// The disk as it is, and nothing of what the kernel believes of it.
    fn heal(&mut self) {
        run("umount", [text(&self.dir)]);
        self.disk = None;
        fs::remove_file(self.filler()).unwrap();
        self.disk = Some(Disk::of_image(&self.outer.join("image"), &self.dir));
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.disk = None;
        let _ = rustix::mount::unmount(&self.outer, rustix::mount::UnmountFlags::DETACH);
    }
}

fn info(mount: &Mount) -> String {
    run(env!("CARGO_BIN_EXE_wardfs"), ["info", text(&mount.dir())])
}

/// Until then the daemon may have needed no disk.
fn until_failed(mount: &Mount) {
    let begun = Instant::now();
    while !info(mount)
        .lines()
        .any(|line| line.starts_with("state: ") && line.contains("failed"))
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", info(mount));
        thread::sleep(Duration::from_millis(20));
    }
}

/// What must be true of a mount after its disk has failed, and of the vault after that.
fn failed(mount: &mut Mount, disk: &mut Failing) {
    until_failed(mount);
    let before = fs::read(mount.path("kept")).unwrap();
    refused(&mount.dir(), "echo new > new", "Read-only file system");
    refused(&mount.dir(), "mv kept moved", "Read-only file system");
    let mut file = File::options()
        .append(true)
        .open(mount.path("kept"))
        .unwrap();
    let wrote = file
        .write_all(b"more")
        .map_err(|error| error.raw_os_error());
    assert_eq!(wrote, Err(Some(libc::EROFS)));
    drop(file);
    refused(&mount.dir(), "sync kept", "Input/output error");
    refused(&mount.dir(), "sync kept", "Input/output error");
    assert_eq!(
        fs::read(mount.path("kept")).unwrap(),
        before,
        "reading goes on"
    );
    let said = mount.warnings();
    assert!(
        said.contains("the vault is read-only from now on"),
        "{said}"
    );
    let ended = wardfs().arg("unmount").arg(mount.dir()).output().unwrap();
    assert_eq!(ended.status.code(), Some(13));
    mount.wait_failed();
    disk.heal();
    mount.revive();
}

fn on_a_failing_disk(test: impl FnOnce(&mut Mount, &mut Failing)) {
    if !needs::given("loop") {
        return;
    }
    mounted(|mount| {
        let mut disk = Failing::below(mount);
        fs::write(mount.path("kept"), noise(1, 300_000)).unwrap();
        shell(&mount.dir(), "mkdir dir; echo text > dir/small; sync kept");
        test(mount, &mut disk);
        assert!(fs::read(mount.path("kept")).unwrap() == noise(1, 300_000));
        assert_eq!(shell(&mount.dir(), "cat dir/small"), "text");
        // Nothing that is there is unreadable, and the vault is as good as before.
        shell(
            &mount.dir(),
            "find . -type f -exec cat {} + > /dev/null; echo again > again; sync again",
        );
        mount.remount();
        assert_eq!(shell(&mount.dir(), "cat again"), "again");
        // Back, so that the mount may end where it began.
        let (vault, moved) = (mount.vault(), disk.dir.join("vault"));
        mount.remount_after(|_| {
            fs::remove_file(&vault).unwrap();
            run("cp", ["-a", text(&moved), text(&vault)]);
        });
    });
}

#[test]
fn a_log_that_cannot_be_synced_is_told_and_loses_nothing_promised() {
    on_a_failing_disk(|mount, disk| {
        disk.fail();
        // More than the log has room for already.
        fs::write(mount.path("lost"), noise(2, LARGE)).unwrap();
        // What a disk says that fails so, its file system passes on as the one or the other.
        refused(
            &mount.dir(),
            "sync lost 2>&1 | grep 'Input/output error\\|No space left' && exit 1",
            "sync",
        );
        failed(mount, disk);
    });
}

#[test]
fn a_checkpoint_that_fails_without_anybody_waiting_is_told_to_the_next_who_changes_something() {
    on_a_failing_disk(|mount, disk| {
        shell(
            &mount.dir(),
            "echo synced > synced; mkdir dir/new; mv dir/small dir/new; mv dir/new/small dir/; sync synced",
        );
        disk.fail();
        failed(mount, disk);
        assert_eq!(
            shell(&mount.dir(), "cat synced; ls dir"),
            "synced\nnew\nsmall"
        );
    });
}
