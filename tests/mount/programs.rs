//! Programs that people trust with their data, at work on a mount.

use crate::{
    commands::{run, shell},
    fixture::{mounted, mounted_with},
    tree::{self, assert_same, describe},
};
use std::{os::unix::fs::MetadataExt, path::Path};

const GIT: &str = "export HOME=$PWD/..; git() { command git -c user.name=n -c user.email=e@f -c init.defaultBranch=main -c gc.auto=0 \"$@\"; }";

#[test]
fn git_keeps_a_repository() {
    mounted(|mount| {
        let dir = mount.dir();
        let git = |script: &str| shell(&dir, &format!("{GIT}; {script}"));
        git("git init -q repo; cd repo; for i in $(seq 200); do mkdir -p $((i % 7)); seq $i $((i * 50)) > $((i % 7))/$i; done
             git add .; git commit -qm first; seq 99999 > big; git mv 0/7 1/moved; git rm -q 2/2; git add .; git commit -qm second
             git branch side HEAD~1; git checkout -q side; echo side > side; git add side; git commit -qm third; git merge -q main
             git tag -m tag v1; git gc -q; git fsck --strict --no-progress");
        git(
            "git clone -q repo clone; cd clone; git fsck --strict --no-progress; [ -z \"$(git status --porcelain)\" ]; git log --oneline | wc -l",
        );
        let log = git("cd repo; git log --format=%H; git status --porcelain");
        mount.remount();
        assert_eq!(
            git("cd repo; git log --format=%H; git status --porcelain"),
            log
        );
        git(
            "cd repo; git fsck --strict --no-progress; cd ../clone; git fsck --strict --no-progress; git worktree add -q ../tree; diff -r --exclude=.git . ../tree",
        );
    });
}

#[test]
fn sqlite_keeps_a_database() {
    for mode in ["delete", "wal", "truncate", "persist"] {
        mounted(|mount| {
            let dir = mount.dir();
            let sql =
                |sql: &str| shell(&dir, &format!("sqlite3 -cmd '.timeout 20000' db \"{sql}\""));
            sql(&format!(
                "pragma journal_mode={mode}; create table t (id integer primary key, who text, x blob)"
            ));
            let insert = "for i in $(seq 40); do sqlite3 -cmd '.timeout 20000' db \
                \"insert into t (who, x) select '$who', randomblob(300) from (values (1), (2), (3))\"; done";
            shell(
                &mount.dir(),
                &format!("(who=a; {insert}) & (who=b; {insert}) & wait"),
            );
            sql(
                "begin; delete from t where id % 7 = 0; update t set x = randomblob(5000) where id % 5 = 0; commit; vacuum",
            );
            let state = "pragma integrity_check; select count(*), sum(length(x)) from t";
            let before = sql(state);
            assert!(before.starts_with("ok\n206|"), "{mode}: {before}");
            mount.crash();
            assert_eq!(sql(state), before, "{mode}: synced, so it survives");
            mount.remount();
            assert_eq!(sql(state), before, "{mode}");
        });
    }
}

#[test]
fn rsync_brings_everything_there_and_back() {
    mounted_with(&[], "acl,dev", |mount| {
        let (there, back) = (mount.path("there"), mount.outside("back"));
        let from = mount.outside("from");
        std::fs::create_dir(&from).unwrap();
        tree::grow(&from);
        shell(
            &from,
            "setfattr -n user.x -v y 'text 4096'; setfacl -m u:7:rx a/b; setfacl -d -m u:8:rw a/b/c; mknod null c 1 3; touch -h -d @-5.5 symlink null; touch -d @5.5 .",
        );
        let rsync = |from: &Path, to: &Path| {
            let (from, to) = (format!("{}/", from.display()), format!("{}/", to.display()));
            run("rsync", ["-aHAX", "--sparse", "--delete", &from, &to]);
            // A second run finds nothing to do.
            assert_eq!(
                run("rsync", ["-aHAX", "--sparse", "--delete", "-i", &from, &to]),
                ""
            );
        };
        let all = |dir| {
            shell(
                dir,
                "find . ! -type l -print0 | sort -z | xargs -0 sh -c 'getfattr -d -m- -e hex \"$@\"; getfacl -n \"$@\"' sh",
            )
        };
        let known = all(&from);
        for text in [
            "user.x=0x79",
            "system.posix_acl_default",
            "user:7:r-x",
            "default:user:8:rw-",
        ] {
            assert!(known.contains(text), "there is {text}");
        }
        assert!(describe(&from).contains("one node: ./a/link ./text 100"));
        let is_sparse = |dir: &Path| {
            let stat = std::fs::metadata(dir.join("sparse")).unwrap();
            assert!(
                stat.len() > 1 << 20 && stat.blocks() * 512 < 1 << 17,
                "{} blocks",
                stat.blocks()
            );
        };
        is_sparse(&from);
        rsync(&from, &there);
        assert_same(&describe(&there), &describe(&from));
        assert_eq!(all(&there), known);
        mount.remount();
        assert_same(&describe(&there), &describe(&from));
        assert_eq!(all(&there), known);
        is_sparse(&there);
        rsync(&there, &back);
        assert_same(&describe(&back), &describe(&from));
        assert_eq!(all(&back), known);
        is_sparse(&back);
        shell(&from, "rm -r a; echo changed > 'text 100'; touch -d @7.5 .");
        rsync(&from, &there);
        assert_same(&describe(&there), &describe(&from));
    });
}

#[test]
fn a_tree_of_sources_is_unpacked_and_stays_as_it_is() {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    mounted(|mount| {
        shell(
            &mount.dir(),
            &format!(
                "tar cf tree.tar -C {sources} src docs tests scripts fuzz/src fuzz/fuzz_targets Cargo.toml Cargo.lock; mkdir tree; tar xf tree.tar -C tree"
            ),
        );
        mount.remount();
        let same = "for part in src docs tests scripts fuzz/src fuzz/fuzz_targets Cargo.toml Cargo.lock; do diff -r";
        assert_eq!(
            shell(
                &mount.path("tree"),
                &format!(
                    "{same} {sources}$part $part; done; find . -type f | wc -l; tar df ../tree.tar"
                )
            ),
            shell(
                sources.as_ref(),
                "find src docs tests scripts fuzz/src fuzz/fuzz_targets Cargo.toml Cargo.lock -type f | wc -l"
            ),
        );
    });
}

#[test]
fn archives_are_packed_and_unpacked() {
    mounted(|mount| {
        shell(&mount.dir(), "mkdir tree");
        tree::grow(&mount.path("tree"));
        shell(
            &mount.dir(),
            "tar cf tree.tar --format=posix --sparse -C tree .; mkdir again; tar xpf tree.tar -C again; tar df tree.tar -C again",
        );
        assert_same(
            &describe(&mount.path("again")),
            &describe(&mount.path("tree")),
        );
        mount.remount();
        assert_same(
            &describe(&mount.path("again")),
            &describe(&mount.path("tree")),
        );
        shell(
            &mount.dir(),
            "gzip -k tree.tar; gunzip -c tree.tar.gz | cmp - tree.tar; tar df tree.tar -C tree",
        );
    });
}

#[test]
fn a_program_builds_here() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "for i in $(seq 30); do echo \"int f$i(void) { return $i; }\" > f$i.c; done
             { for i in $(seq 30); do echo \"int f$i(void);\"; done; echo 'int main(void) { return f30() - 30 + f1() - 1; }'; } > main.c
             for f in *.c; do cc -c $f & done; wait; ar rc lib.a f*.o; cc -o main main.o lib.a; ./main",
        );
    });
}

#[test]
fn a_crate_builds_and_is_tested_here() {
    mounted(|mount| {
        shell(
            &mount.dir(),
            "mkdir -p crate/src; cd crate; printf '[package]\\nname = \"tiny\"\\nversion = \"0.1.0\"\\nedition = \"2024\"\\n' > Cargo.toml
             printf 'pub fn two() -> u32 { 2 }\\n#[test]\\nfn it_is() { assert_eq!(two(), 2); }\\n' > src/lib.rs
             printf 'fn main() { assert_eq!(tiny::two(), 2); }\\n' > src/main.rs
             unset CARGO_TARGET_DIR; cargo build --offline --quiet; cargo test --offline --quiet; ./target/debug/tiny
             echo '// more' >> src/lib.rs; cargo build --offline --quiet; ./target/debug/tiny",
        );
        mount.remount();
        shell(
            &mount.path("crate"),
            "unset CARGO_TARGET_DIR; ./target/debug/tiny; cargo run --offline --quiet",
        );
    });
}

#[test]
fn a_tree_is_copied_with_all_its_attributes() {
    mounted(|mount| {
        let (from, there, back) = (
            mount.outside("from"),
            mount.path("there"),
            mount.outside("back"),
        );
        std::fs::create_dir(&from).unwrap();
        tree::grow(&from);
        run("cp", ["-a".as_ref(), from.as_os_str(), there.as_os_str()]);
        assert_same(&describe(&there), &describe(&from));
        mount.remount();
        run("cp", ["-a".as_ref(), there.as_os_str(), back.as_os_str()]);
        assert_same(&describe(&back), &describe(&from));
        shell(
            &mount.dir(),
            "cp -a there again; diff -r --no-dereference -x fifo there again",
        );
    });
}
