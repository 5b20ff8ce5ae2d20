//! POSIX access control lists, with `-o acl`.

use crate::{
    commands::{refused, shell},
    fixture::mounted_with,
};

const NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";
const DAEMON: &str = "setpriv --reuid 1 --regid 1 --clear-groups";

#[test]
fn an_access_list_says_who_may_what() {
    mounted_with(&[], "acl,allow_other", |mount| {
        shell(
            &mount.dir(),
            "echo text > file; chmod 640 file; setfacl -m u:65534:r,g:1:rw file",
        );
        let list = "user::rw-\nuser:65534:r--\ngroup::r--\ngroup:1:rw-\nmask::rw-\nother::---";
        for _ in 0..2 {
            assert_eq!(shell(&mount.dir(), "getfacl -cn file"), list);
            assert_eq!(shell(&mount.dir(), "stat -c %a file"), "660");
            assert_eq!(shell(&mount.dir(), &format!("{NOBODY} cat file")), "text");
            refused(
                &mount.dir(),
                &format!("{NOBODY} sh -c 'echo more >> file'"),
                "Permission denied",
            );
            shell(&mount.dir(), &format!("{DAEMON} sh -c 'echo text > file'"));
            refused(
                &mount.dir(),
                "setpriv --reuid 2 --regid 2 --clear-groups cat file",
                "Permission denied",
            );
            mount.remount();
        }
        // The group bits of a mode are the mask.
        shell(&mount.dir(), "chmod 600 file");
        refused(
            &mount.dir(),
            &format!("{NOBODY} cat file"),
            "Permission denied",
        );
        assert!(shell(&mount.dir(), "getfacl -cn file").contains("mask::---"));
        shell(&mount.dir(), "setfacl -b file");
        assert_eq!(
            shell(&mount.dir(), "getfacl -cn file; stat -c %a file"),
            "user::rw-\ngroup::---\nother::---\n\n600"
        );
    });
}

#[test]
fn default_lists_are_inherited_and_override_the_umask() {
    mounted_with(&[], "acl,allow_other", |mount| {
        shell(
            &mount.dir(),
            "mkdir -m 750 dir; setfacl -d -m u:65534:rwx,g::rx,o::- dir; umask 077; mkdir dir/sub; > dir/file; mkfifo dir/fifo",
        );
        for _ in 0..2 {
            let of_dir = "user::rwx\nuser:65534:rwx\ngroup::r-x\nmask::rwx\nother::---";
            assert_eq!(shell(&mount.dir(), "getfacl -acn dir/sub"), of_dir);
            let default = shell(&mount.dir(), "getfacl -dcn dir/sub");
            assert_eq!(default, of_dir);
            for name in ["file", "fifo"] {
                let list = shell(&mount.dir(), &format!("getfacl -cn dir/{name}"));
                // Asked for with 0666: the mask keeps out execution.
                assert_eq!(
                    list,
                    "user::rw-\nuser:65534:rwx\t#effective:rw-\ngroup::r-x\t#effective:r--\nmask::rw-\nother::---"
                );
            }
            assert_eq!(
                shell(&mount.dir(), "stat -c %a dir dir/sub dir/file dir/fifo"),
                "750\n770\n660\n660"
            );
            mount.remount();
        }
        shell(&mount.dir(), "setfacl -k dir; umask 077; > dir/other");
        assert_eq!(shell(&mount.dir(), "stat -c %a dir/other"), "600");
    });
}

#[test]
fn lists_travel_with_copies() {
    mounted_with(&[], "acl", |mount| {
        shell(
            &mount.dir(),
            "mkdir dir; setfacl -m u:7:rx -d -m u:8:rw dir; echo text > dir/file; setfacl -m g:9:w dir/file; cp -a dir copy",
        );
        shell(
            &mount.dir(),
            "getfacl -Rcn dir > ../one; getfacl -Rcn copy > ../two; cmp ../one ../two; grep -q user:7 ../one",
        );
        mount.remount();
        shell(
            &mount.dir(),
            "getfacl -Rcn copy > ../two; cmp ../one ../two",
        );
    });
}

#[test]
fn without_the_option_lists_are_refused_and_not_forgotten() {
    mounted_with(&[], "acl", |mount| {
        shell(&mount.dir(), "> file; setfacl -m u:7:rx file");
        mount.remount_with("");
        refused(&mount.dir(), "setfacl -m u:8:rx file", "not supported");
        mount.remount_with("acl");
        assert!(shell(&mount.dir(), "getfacl -cn file").contains("user:7:r-x"));
    });
}
