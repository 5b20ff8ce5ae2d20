//! A full disk: writers are told in time, and nothing that was there is lost.

use crate::{
    commands::{refused, run, shell},
    fixture::{Mount, mounted, wardfs},
    tree::{assert_same, describe, noise},
};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Room for everything, in bytes.
const DISK: u64 = 48 << 20;

/// A file system of its own.
pub struct Disk(PathBuf);

impl Disk {
    fn tmpfs(dir: &Path) -> Disk {
        let size = format!("size={DISK}");
        run("mount", ["-t", "tmpfs", "-o", &size, "tmpfs", text(dir)]);
        Disk(dir.to_owned())
    }

    /// A new ext4 in a file that holds so many bytes.
    pub fn ext4(image: &Path, bytes: u64, dir: &Path) -> Disk {
        Disk::made(image, bytes, &[], dir)
    }

    /// The same with so many inodes.
    pub fn ext4_of_inodes(image: &Path, bytes: u64, inodes: u64, dir: &Path) -> Disk {
        Disk::made(image, bytes, &["-N", &inodes.to_string()], dir)
    }

    /// A new btrfs.
    pub fn btrfs(image: &Path, bytes: u64, dir: &Path) -> Disk {
        File::create_new(image).unwrap().set_len(bytes).unwrap();
        run("mkfs.btrfs", ["-q", text(image)]);
        Disk::of_image(image, dir)
    }

    fn made(image: &Path, bytes: u64, options: &[&str], dir: &Path) -> Disk {
        File::create_new(image).unwrap().set_len(bytes).unwrap();
        let all = ["-q", "-F"].iter().chain(options).copied();
        run("mkfs.ext4", all.chain([text(image)]));
        Disk::of_image(image, dir)
    }

    /// The file system in a file.
    pub fn of_image(image: &Path, dir: &Path) -> Disk {
        run("mount", ["-o", "loop", text(image), text(dir)]);
        Disk(dir.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn on_a_small_disk(test: impl FnOnce(&mut Mount)) {
    on(|_, dir| Disk::tmpfs(dir), test);
}

/// Moves the vault of a fresh mount to the disk that is made for it.
pub fn on(make: impl FnOnce(&Mount, &Path) -> Disk, test: impl FnOnce(&mut Mount)) {
    mounted(|mount| {
        let (disk, vault) = (mount.outside("disk"), mount.vault());
        fs::create_dir(&disk).unwrap();
        let small = make(mount, &disk);
        mount.remount_after(|_| {
            run(
                "cp",
                [
                    "-a",
                    vault.to_str().unwrap(),
                    disk.join("vault").to_str().unwrap(),
                ],
            );
            run("sync", ["-f", text(&disk)]);
            fs::remove_dir_all(&vault).unwrap();
            std::os::unix::fs::symlink("disk/vault", &vault).unwrap();
        });
        test(mount);
        mount.remount_after(|mount| {
            // Back, so that the mount may end where it began.
            fs::remove_file(mount.vault()).unwrap();
            run(
                "cp",
                [
                    "-a",
                    disk.join("vault").to_str().unwrap(),
                    mount.vault().to_str().unwrap(),
                ],
            );
        });
        drop(small);
    });
}

/// Writes and syncs files until there is no room; gives how many were acknowledged.
fn fill(mount: &Mount, prefix: &str, len: usize) -> u64 {
    for number in 0.. {
        let written = File::create(mount.path(format!("{prefix}{number}"))).and_then(|mut file| {
            file.write_all(&noise(number, len))?;
            file.sync_all()
        });
        if let Err(error) = written {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            return number;
        }
    }
    unreachable!("the disk is small")
}

fn all_there(mount: &Mount, prefix: &str, count: u64, len: usize) {
    for number in 0..count {
        assert!(
            fs::read(mount.path(format!("{prefix}{number}"))).unwrap() == noise(number, len),
            "{prefix}{number}"
        );
    }
}

#[test]
fn a_full_disk_refuses_writes_and_loses_nothing() {
    on_a_small_disk(|mount| {
        let large = fill(mount, "large", 1 << 20);
        assert!((20..46).contains(&large), "{large} MiB of 48");
        let small = fill(mount, "small", 1000);
        refused(&mount.dir(), "seq 1000000 > more", "No space left");
        all_there(mount, "large", large, 1 << 20);
        all_there(mount, "small", small, 1000);
        mount.remount();
        all_there(mount, "large", large, 1 << 20);
        all_there(mount, "small", small, 1000);
        // Room that is given back can be used.
        shell(
            &mount.dir(),
            "rm large1 large2 large3 large4 large5; sync .; sleep 7; seq 200000 > again; sync again; rm -f more",
        );
        let before = describe(&mount.dir());
        mount.remount();
        assert_same(&describe(&mount.dir()), &before);
    });
}

#[test]
fn a_daemon_killed_on_a_full_disk_comes_back() {
    on_a_small_disk(|mount| {
        let large = fill(mount, "large", 1 << 20);
        let small = fill(mount, "small", 5000);
        mount.crash();
        all_there(mount, "large", large, 1 << 20);
        all_there(mount, "small", small, 5000);
        shell(
            &mount.dir(),
            "rm large*; sync .; sleep 7; seq 200000 > again; sync again",
        );
        mount.remount();
        all_there(mount, "small", small, 5000);
    });
}

/// The kernel remembers that for whoever syncs all of a file system next, though an fsync has told of it.
#[test]
fn what_the_kernel_could_not_hand_over_is_no_loss_of_what_it_did() {
    on_a_small_disk(|mount| {
        mount.remount_with("writeback");
        fs::write(mount.path("kept"), noise(1, 300_000)).unwrap();
        let mut file = File::create(mount.path("large")).unwrap();
        let stored = file
            .write_all(&noise(2, 2 * usize::try_from(DISK).unwrap()))
            .and_then(|()| file.sync_all());
        assert_eq!(stored.unwrap_err().kind(), ErrorKind::StorageFull);
        drop(file);
        fs::remove_file(mount.path("large")).unwrap();
        let ended = wardfs().arg("unmount").arg(mount.dir()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{said}");
        assert!(
            said.contains("could not hand over") && !said.contains("journal"),
            "{said}"
        );
        mount.wait_ended();
        let left = fs::read_dir(mount.vault().join("journal")).unwrap();
        assert_eq!(left.count(), 0, "files in the journal");
        mount.revive();
        assert!(fs::read(mount.path("kept")).unwrap() == noise(1, 300_000));
    });
}

/// Of pages that it writes back the kernel looks at errors only: a count that is less than all is none.
#[test]
fn what_the_kernel_collected_and_does_not_fit_is_told_by_fsync() {
    on_a_small_disk(|mount| {
        mount.remount_with("writeback");
        let large = fill(mount, "large", 1 << 20);
        for number in 0..5 {
            fs::remove_file(mount.path(format!("large{number}"))).unwrap();
        }
        shell(&mount.dir(), "sync .; sleep 7");
        let mut kept = Vec::new();
        for number in 0..14 {
            let path = mount.path(format!("odd{number}"));
            let file = File::create(&path).unwrap();
            let bytes = noise(number, 700_000);
            let offset = 50_000 + 777 * number;
            let stored = file
                .write_all_at(&bytes, offset)
                .and_then(|()| file.sync_all());
            match stored {
                Ok(()) => kept.push((path, offset, bytes)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}"),
            }
        }
        assert!((1..14).contains(&kept.len()), "{} of 14 fit", kept.len());
        mount.crash();
        for (path, offset, bytes) in kept {
            let mut there = vec![0; bytes.len()];
            File::open(&path)
                .and_then(|file| file.read_exact_at(&mut there, offset))
                .unwrap();
            assert!(there == bytes, "{}", path.display());
        }
        for number in 5..large {
            let there = fs::read(mount.path(format!("large{number}"))).unwrap();
            assert!(there == noise(number, 1 << 20), "large{number}");
        }
    });
}
