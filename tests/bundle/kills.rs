//! `wardfs import` is killed at random moments: what was there is there, what it was to bring is there as a whole or not at all, and
//! the next import does what that one was to do.
//!
//! `WARDFS_TEST_SECS` is how long; `WARDFS_TEST_SEED` repeats the choices of a run, not its moments.

use super::*;
use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};
use vaults::{
    draw::{Seeded, Source},
    objects::left_over,
    run::number,
};
use wardfs::{
    store::DirectoryStore,
    stream::{Access, EncryptingWriter, Options},
    vault::NewKind,
};

/// How long, if the environment does not say otherwise.
const SECS: u64 = 6;

/// A vault on the disk, two bundles of one name for it, and the passphrases.
struct Scene {
    dir: tempfile::TempDir,
    bundles: [Vec<u8>; 2],
    /// What is there besides, and with the one and the other bundle.
    states: [Tree; 3],
}

const NOTHING: usize = 0;

impl Scene {
    fn make() -> Scene {
        // In memory, where syncs take no time, more moments are hit. What a kill leaves is the same.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let dir = dir.unwrap();
        let scene = Scene {
            dir,
            bundles: [1, 2].map(bundle),
            states: Default::default(),
        };
        fs::write(scene.path("key"), PASSPHRASE).unwrap();
        fs::write(scene.path("bundle-key"), b"of the bundle").unwrap();
        fs::create_dir(scene.path("vault")).unwrap();
        let store = DirectoryStore::open(&scene.path("vault")).unwrap();
        let vault = open(&make(store, Suite::Aes256Gcm, 12));
        fill(&vault);
        vault.close().unwrap();
        let nothing = scene.tree();
        let [one, other] = [1, 2].map(|number| {
            scene.import_whole(number);
            scene.tree()
        });
        let store = scene.store();
        let vault = open(&store);
        vault.remove_tree(ROOT_INO, b"d").unwrap();
        vault.close().unwrap();
        Scene {
            states: [nothing, one, other],
            ..scene
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(DirectoryStore::open(&self.path("vault")).unwrap())
    }

    /// What who may not write is shown. The root's times depend on when it was.
    fn tree(&self) -> Tree {
        let vault = open_strict(&self.store());
        let mut found = tree(&vault, ROOT_INO);
        found.remove(&b""[..]);
        found
    }

    fn program(&self, command: &str) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_wardfs"));
        program.arg(command).arg("--passfile").arg(self.path("key"));
        program
    }

    /// Out of its standard input.
    fn import(&self, options: &[&str]) -> Child {
        let mut program = self.program("import");
        program.args(["--replace", "--bundle-passfile"]);
        program.arg(self.path("bundle-key")).args(options);
        program.arg(self.path("vault")).arg("-");
        program.stdin(Stdio::piped()).stderr(Stdio::piped());
        program.spawn().unwrap()
    }

    fn import_whole(&self, number: usize) {
        let mut import = self.import(&[]);
        let mut input = import.stdin.take().unwrap();
        // What it ends with says more.
        let _ = input.write_all(&self.bundles[number - 1]);
        drop(input);
        let output = import.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
    }

    /// What is there, by the program too, which finds no damage.
    fn state(&self, what: &str) -> usize {
        let found = self.tree();
        let state = self.states.iter().position(|state| *state == found);
        let output = self.program("check").arg(self.path("vault")).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(0), "{what}: {}", told(&output));
        state.unwrap_or_else(|| panic!("{what}: half of it is there: {:?}", found.keys()))
    }
}

fn told(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(&[&out[..], err].concat()).into_owned()
}

/// A folder `d` with files of many lengths, other names of some, and folders.
fn bundle(seed: u64) -> Vec<u8> {
    let vault = open(&gcm());
    let dir = |parent, name: &str| {
        let made = vault.make(parent, name.as_bytes(), NewKind::Directory, 0o755, 0, 0);
        made.unwrap().ino
    };
    let mut at = dir(ROOT_INO, "d");
    for level in 0..4 {
        for number in 0..8 {
            let len = 37 << (2 * number);
            let ino = file(&vault, at, &format!("{number}"), &noise(len, seed + level));
            if number % 3 == 0 {
                vault
                    .link(ino, at, format!("{number} too").as_bytes())
                    .unwrap();
            }
        }
        at = dir(at, &format!("level {level} of {seed}"));
    }
    let ino = find(&vault, &["d"]);
    let mut records = Vec::new();
    let (name, done) = (wardfs::format::Name::new(b"d").unwrap(), 0.into());
    wardfs::bundle::export(&vault, ino, &name, &mut records, AS_IT_IS, &done).unwrap();
    let options = Options {
        kdf: quick_kdf(),
        ..Options::default()
    };
    let access = [Access::Passphrase(b"of the bundle")];
    let mut out = EncryptingWriter::new(Vec::new(), &access, &options).unwrap();
    out.write_all(&records).unwrap();
    out.finish().unwrap()
}

/// Gives it a part of the bundle that is drawn, or all of it, and kills it then or a little later, if it has not ended by then. Gives
/// whether it was killed. `tail`: how long it takes about when all was given.
fn kill(mut import: Child, bundle: &[u8], tail: Duration, draw: &mut Seeded, what: &str) -> bool {
    let part = usize::try_from(draw.below(bundle.len() as u64)).unwrap();
    let part = [0, part, part, bundle.len(), bundle.len(), bundle.len()]
        [usize::try_from(draw.below(6)).unwrap()];
    let mut input = import.stdin.take().unwrap();
    // What it ends with says more.
    let _ = input.write_all(&bundle[..part]);
    if part == bundle.len() {
        drop(input);
    }
    let share = u32::try_from(draw.below(1000)).unwrap();
    thread::sleep(tail * share / 1000);
    import.kill().unwrap();
    let output = import.wait_with_output().unwrap();
    let killed = output.status.code().is_none();
    let ended = output.status.success();
    assert!(killed || ended, "{what}: {}", told(&output));
    killed
}

#[test]
fn an_import_that_is_killed_brings_all_or_nothing_and_takes_nothing() {
    let scene = Scene::make();
    let seed = number("WARDFS_TEST_SEED").unwrap_or(1);
    let mut draw = Seeded::new(seed);
    let end = Instant::now() + Duration::from_secs(number("WARDFS_TEST_SECS").unwrap_or(SECS));
    let (mut now, mut counts) = (NOTHING, [0; 3]);
    let mut tail = Duration::from_millis(20);
    let mut round = 0;
    while Instant::now() < end {
        round += 1;
        // The other one than what is there.
        let next = if now == 1 { 2 } else { 1 };
        let options: [&[&str]; 3] = [&[], &["--reseal"], &["--verify"]];
        let options = options[usize::try_from(draw.below(3)).unwrap()];
        let what = format!("seed {seed}, round {round}, {options:?}");
        let import = scene.import(options);
        let killed = kill(import, &scene.bundles[next - 1], tail, &mut draw, &what);
        // Others make it slower or faster. Some kills come too late.
        tail = tail * if killed { 110 } else { 70 } / 100;
        let found = scene.state(&what);
        assert!(found == now || found == next, "{what}: {now} is {found}");
        assert!(
            killed || found == next,
            "{what}: it ended, and is not there"
        );
        counts[usize::from(killed) + usize::from(killed && found == next)] += 1;
        now = found;
        // Now and then one that nobody kills takes away what is left.
        if draw.below(3) == 0 {
            let next = if now == 1 { 2 } else { 1 };
            scene.import_whole(next);
            now = scene.state(&what);
            assert_eq!(now, next, "{what}");
        }
    }
    let [ended, killed, late] = counts;
    println!("{ended} ended, {killed} were killed before they showed, {late} after");
    assert!(killed + late > 0, "{counts:?}: it hits nothing");
    // Nothing is kept of those that were killed.
    let store = scene.store();
    let vault = open(&store);
    vaults::objects::remove_everything(&vault).unwrap();
    vault.close().unwrap();
    assert_eq!(left_over(&*store), Vec::<String>::new());
}
