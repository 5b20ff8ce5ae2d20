//! A log has changes of files that do not open any more. Nothing of the others is lost with them.
use crate::{
    checked,
    map::{Map, MappedBody},
    repaired, told,
    vaults::{
        image::{Image, open, options},
        objects::{Objects, objects as objects_of},
        op::Fill,
        run::on_all_cores,
    },
    victim::copy_of,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};
use wardfs::{
    check::{self, Outcome, Report, Verdict},
    format::{IndexBlock, Kind},
    vault::{DirEntry, NewKind, ROOT_INO, RenameMode, Vault},
};

/// A vault whose mount was killed.
struct Killed {
    objects: Objects,
    /// Where the guards of what was stored before lie.
    guards: BTreeMap<String, String>,
    /// Backing directories, and where their entries lie, likewise.
    dirs: BTreeMap<String, String>,
    entries: BTreeMap<String, String>,
    /// Index of `d/long`.
    index: String,
    /// Content of `d/goes`.
    goes: String,
    /// What a mount shows.
    truth: BTreeMap<String, Found>,
}

/// The content of a file.
type Found = Vec<Option<Vec<u8>>>;

/// Bytes that are read at a time.
const PAGE: usize = 4096;
fn mounted(objects: &Objects) -> Vault {
    let store = copy_of(objects);
    open(Arc::new(store), options(1 << 40)).expect("a vault that mounts")
}

fn look(vault: &Vault, path: &str) -> u64 {
    crate::look(vault, path.as_bytes()).expect("a healthy vault")
}

fn write(vault: &Vault, path: &str, at: u64, seed: u64, len: usize) {
    let bytes = Fill::Noise(seed).bytes(len);
    let done = vault.write(look(vault, path), at, &bytes, false);
    assert_eq!(done.expect("a healthy vault"), len);
}

fn make(vault: &Vault, path: &str, kind: NewKind<'_>) {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dir = look(vault, dir);
    vault
        .make(dir, name.as_bytes(), kind, 0o755, 1, 2)
        .expect("a healthy vault");
}

fn file(vault: &Vault, path: &str, seed: u64, len: usize) {
    make(vault, path, NewKind::File);
    write(vault, path, 0, seed, len);
}

fn rename(vault: &Vault, from: &str, to: &str) {
    let split = |path: &str| {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        (look(vault, dir), name.as_bytes().to_vec())
    };
    let ((from, name), (to, new)) = (split(from), split(to));
    vault
        .rename(from, &name, to, &new, RenameMode::Replace)
        .expect("a healthy vault");
}

fn fill(vault: &Vault) {
    for dir in ["d", "e", "e/sub"] {
        make(vault, dir, NewKind::Directory);
    }
    file(vault, "d/both", 90, 700);
    file(vault, "e/both", 91, 700);
    file(vault, "d/goes", 92, 60_000);
    for (seed, path) in ["top", "d/small", "d/other", "e/sub/x", "e/y", "e/z"]
        .into_iter()
        .enumerate()
    {
        file(vault, path, seed as u64, 700);
    }
    file(vault, "d/content", 20, 60_000);
    file(vault, "e/content", 21, 60_000);
    // More than one block of an index.
    file(vault, "d/long", 22, 5_000_000);
    vault
        .link(look(vault, "d/other"), look(vault, "e"), b"alias")
        .expect("a healthy vault");
}

/// Every file is changed, by turns, and names move.
fn log(vault: &Vault) {
    for (seed, path) in ["top", "d/small", "d/other", "e/sub/x", "e/y", "e/z"]
        .into_iter()
        .enumerate()
    {
        write(vault, path, 100, 30 + seed as u64, 100);
    }
    write(vault, "d/content", 9000, 40, 100);
    write(vault, "d/long", 100, 41, 40_000);
    write(vault, "d/long", 4_900_000, 42, 300_000);
    write(vault, "e/content", 9000, 43, 20_000);
    for (seed, dir) in ["", "d/", "e/", "e/sub/"].into_iter().enumerate() {
        let seed = 50 + 3 * seed as u64;
        file(vault, &format!("{dir}new"), seed, 500);
        file(vault, &format!("{dir}long new"), seed + 1, 70_000);
        // As an editor saves.
        file(vault, &format!("{dir}temporary"), seed + 2, 900);
        rename(vault, &format!("{dir}temporary"), &format!("{dir}saved"));
    }
    make(vault, "e/made", NewKind::Directory);
    file(vault, "e/made/below", 70, 500);
    file(vault, "replacing", 71, 800);
    rename(vault, "replacing", "d/small");
    rename(vault, "top", "e/moved here");
    rename(vault, "e/y", "moved away");
    vault
        .unlink(look(vault, "e"), b"z")
        .expect("a healthy vault");
    let d = look(vault, "d");
    vault.unlink(d, b"goes").expect("a healthy vault");
    write(vault, "d/both", 10, 93, 10);
    write(vault, "e/both", 10, 94, 10);
    rename(vault, "e/both", "e/both moved");
    vault
        .link(look(vault, "d/both"), ROOT_INO, b"linked")
        .expect("a healthy vault");
    rename(vault, "e/alias", "e/alias, too");
    file(vault, "last", 72, 100);
}

fn killed(image: Image) -> Killed {
    let store = image.in_memory();
    let disk = || Arc::new(store.clone());
    let vault = open(disk(), options(1 << 40)).expect("a healthy vault");
    fill(&vault);
    vault.close().expect("a healthy vault");
    let map = Map::of(&objects_of(&store));
    let vault = open(disk(), options(1 << 40)).expect("a healthy vault");
    log(&vault);
    vault.sync_all().expect("a healthy vault");
    make(&vault, "the end", NewKind::Directory);
    vault.sync_all().expect("a healthy vault");
    drop(vault);
    let objects = objects_of(&store);
    let mut killed = Killed {
        truth: all_of(&mounted(&objects)),
        objects,
        guards: BTreeMap::new(),
        dirs: BTreeMap::new(),
        entries: BTreeMap::new(),
        index: String::new(),
        goes: String::new(),
    };
    killed.place(&map, ROOT_INO, "");
    killed
}

impl Killed {
    fn place(&mut self, map: &Map, ino: u64, path: &str) {
        let node = &map.nodes[&ino];
        self.guards.insert(path.to_owned(), node.guard.clone());
        match &node.body {
            MappedBody::Payload(payload) if path == "/d/long" => {
                self.index.clone_from(&payload.objects[1]);
            }
            MappedBody::Payload(payload) if path == "/d/goes" => {
                self.goes.clone_from(&payload.objects[0]);
            }
            MappedBody::Dir(dir) => {
                for (name, entry) in &dir.entries {
                    let (backing, _) = entry.path.rsplit_once('/').expect("a path");
                    self.dirs.insert(path.to_owned(), backing.to_owned());
                    let name = String::from_utf8_lossy(name);
                    self.entries
                        .insert(format!("{path}/{name}"), entry.path.clone());
                    self.place(map, entry.ino, &format!("{path}/{name}"));
                }
            }
            _ => {}
        }
    }

    /// Paths of one node, as they were stored, and as the log has them.
    fn paths_of(&self, stored: &str) -> Vec<&str> {
        match stored {
            "/d/other" | "/e/alias" => vec!["/d/other", "/e/alias, too"],
            "/d/both" => vec!["/d/both", "/linked"],
            "/e/both" => vec!["/e/both moved"],
            "/top" => vec!["/e/moved here"],
            "/e/y" => vec!["/moved away"],
            // Others have their names, or nobody.
            "/d/small" | "/e/z" | "/d/goes" => vec![],
            path => vec![path],
        }
        .into_iter()
        .map(|path| {
            self.truth
                .get_key_value(path)
                .expect("it is there")
                .0
                .as_str()
        })
        .collect()
    }
}

/// Everything below the root; of files each page, unless it cannot be read.
fn all_of(vault: &Vault) -> BTreeMap<String, Found> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![(String::new(), ROOT_INO)];
    while let Some((path, ino)) = waiting.pop() {
        let stat = vault.stat(ino).expect("it is there");
        let mut pages = Vec::new();
        if stat.kind == Kind::Directory {
            let each = &mut |entry: &DirEntry<'_>| {
                let name = String::from_utf8_lossy(entry.name);
                waiting.push((format!("{path}/{name}"), entry.ino));
                true
            };
            vault.read_dir(ino, 0, each).expect("a whole directory");
        } else {
            for at in (0..stat.size).step_by(PAGE) {
                let mut page = vec![0; PAGE];
                let read = vault.read(ino, at, &mut page);
                pages.push(read.ok().map(|len| page[..len].to_vec()));
            }
        }
        all.insert(path, pages);
    }
    all
}

/// The ways to damage an object.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// In its head.
    First,
    /// In what is sealed.
    Last,
    Gone,
    /// A directory lies there.
    Covered,
}

impl Harm {
    const ALL: [Harm; 4] = [Harm::First, Harm::Last, Harm::Gone, Harm::Covered];

    fn of(self, objects: &Objects, object: &str) -> Objects {
        let mut objects = objects.clone();
        let bytes = objects.get_mut(object).expect("it is there");
        let last = bytes.len() - 1;
        match self {
            Harm::First => bytes[60] ^= 1,
            Harm::Last => bytes[last] ^= 1,
            Harm::Gone => drop(objects.remove(object)),
            Harm::Covered => {
                objects.remove(object);
                objects.insert(format!("{object}/"), Vec::new());
            }
        }
        objects
    }
}

/// Repairs it; gives what is there then.
fn after_repair(objects: &Objects) -> Result<(Report, BTreeMap<String, Found>), String> {
    let check = checked(objects);
    let (report, store) = repaired(objects).map_err(|error| error.to_string())?;
    let after = objects_of(&store);
    let tell = |what: &str| {
        format!(
            "{what}\ncheck {:#?}\nrepair {:#?}\nafter {:#?}",
            told(&check),
            told(&report),
            told(&checked(&after))
        )
    };
    if check.verdict() != Verdict::Damaged || report.verdict() != Verdict::Damaged {
        return Err(tell("it is damaged"));
    }
    let is_open = |found: &&wardfs::check::Finding| {
        found.is_open() && !matches!(found.kind, check::Kind::Index | check::Kind::Content)
    };
    if checked(&after).findings.iter().find(is_open).is_some() {
        return Err(tell("damage is left"));
    }
    let is_mended = |found: &wardfs::check::Finding| found.outcome == Outcome::Mended;
    let (again, store) = repaired(&after).map_err(|error| error.to_string())?;
    if again.findings.iter().any(is_mended) || objects_of(&store) != after {
        return Err(tell(&format!(
            "a second repair finds something: {:#?}",
            told(&again)
        )));
    }
    Ok((report, all_of(&mounted(&after))))
}

/// Paths that a report says are not as they were.
fn named(report: &Report) -> BTreeSet<String> {
    let found = report.findings.iter();
    let found = found.filter(|found| found.outcome > Outcome::Mended);
    let paths = found.filter_map(|found| found.path.as_deref());
    paths
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect()
}

/// One object of one vault.
struct Case {
    killed: &'static Killed,
    harm: Harm,
    path: String,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of the guard of {:?}", self.harm, self.path)
    }
}

fn vaults() -> &'static [Killed; 2] {
    static VAULTS: OnceLock<[Killed; 2]> = OnceLock::new();
    VAULTS.get_or_init(|| [Image::Small, Image::Large].map(killed))
}

#[test]
fn a_guard_that_does_not_open_takes_nothing_of_other_files_along() {
    let mut cases = Vec::new();
    for killed in vaults() {
        for harm in Harm::ALL {
            let paths = killed.guards.keys().filter(|path| !path.is_empty());
            cases.extend(paths.map(|path| Case {
                killed,
                harm,
                path: path.clone(),
            }));
        }
    }
    assert!(cases.len() > 60, "{}", cases.len());
    on_all_cores(&cases, |_, case| {
        let Case { killed, harm, path } = case;
        let objects = harm.of(&killed.objects, &killed.guards[path]);
        let (report, after) = after_repair(&objects)?;
        let hit = killed.paths_of(path);
        let named = named(&report);
        for path in &hit {
            if !named.contains(*path) {
                return Err(format!("{path} is not named: {:#?}", told(&report)));
            }
        }
        let below = format!("{path}/");
        for (path, known) in &killed.truth {
            if let Some(name) = path.strip_prefix(&below) {
                // In the stand-in, in what the repair found of the directory, or moved away from it before.
                let name = name.rsplit('/').next().unwrap_or_default();
                let mut others = after
                    .iter()
                    .filter(|(path, _)| path.rsplit('/').next() == Some(name));
                if !others.any(|(_, found)| found == known) {
                    return Err(format!("{path} is gone: {:#?}", told(&report)));
                }
            } else if !hit.contains(&path.as_str()) && after.get(path) != Some(known) {
                return Err(format!("{path} is not as it was: {:#?}", told(&report)));
            }
        }
        Ok(())
    });
}

/// All that is there afterwards but for what is hit, and nothing else but in `lost+found`.
fn is_all_there(
    killed: &Killed,
    objects: &Objects,
    is_hit: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let (report, after) = after_repair(objects)?;
    let tell = |path: &str, what: &str| Err(format!("{path} {what}: {:#?}", told(&report)));
    for (path, known) in killed.truth.iter().filter(|(path, _)| !is_hit(path)) {
        if after.get(path) != Some(known) {
            return tell(path, "is not as it was");
        }
    }
    let others = after.keys().filter(|path| !path.starts_with("/lost+found"));
    for path in others {
        let is_known = killed.truth.contains_key(path) || is_hit(path);
        if !is_known {
            return tell(path, "is there again");
        }
    }
    Ok(())
}

#[test]
fn a_directory_of_guards_that_is_gone_takes_nothing_of_others_along() {
    for killed in vaults() {
        for (path, dir) in &killed.dirs {
            let mut objects = killed.objects.clone();
            objects.retain(|name, _| !name.starts_with(&format!("{dir}/")));
            // What lay in it when it was stored, or below it.
            let hit: Vec<&str> = killed
                .guards
                .keys()
                .filter(|stored| stored.starts_with(&format!("{path}/")))
                .flat_map(|stored| killed.paths_of(stored).into_iter().chain([stored.as_str()]))
                .collect();
            // Guards that lie apart are still there, and make their entries anew.
            let is_hit = |at: &str| {
                let is_apart = !path.is_empty() && ["/d/other", "/e/alias, too"].contains(&at);
                !is_apart
                    && hit
                        .iter()
                        .any(|hit| at == *hit || at.starts_with(&format!("{hit}/")))
            };
            is_all_there(killed, &objects, is_hit)
                .unwrap_or_else(|what| panic!("directory of {path:?}: {what}"));
        }
    }
}

#[test]
fn what_covers_content_that_the_log_removes_is_in_nobodys_way() {
    for killed in vaults() {
        let objects = Harm::Covered.of(&killed.objects, &killed.goes);
        let store = Arc::new(copy_of(&objects));
        let vault = open(store, options(1 << 40)).expect("a vault that mounts");
        assert!(all_of(&vault) == killed.truth);
        let (_, store) = repaired(&objects).expect("a vault that opens");
        assert!(all_of(&mounted(&objects_of(&store))) == killed.truth);
    }
}

#[test]
fn a_name_that_the_log_took_away_does_not_come_back_for_its_alias_is_damaged() {
    for killed in vaults() {
        for harm in Harm::ALL {
            let objects = harm.of(&killed.objects, &killed.entries["/e/alias"]);
            is_all_there(killed, &objects, |_| false)
                .unwrap_or_else(|what| panic!("{harm:?}: {what}"));
        }
    }
}

#[test]
fn of_two_directories_that_do_not_open_each_keeps_its_own() {
    for killed in vaults() {
        let one = Harm::Gone.of(&killed.objects, &killed.guards["/d"]);
        let both = Harm::Gone.of(&one, &killed.guards["/e"]);
        let (report, after) = after_repair(&both).unwrap();
        for (path, name) in [
            ("/d/both", "/both"),
            ("/e/both moved", "/both moved"),
            ("/linked", "/linked"),
        ] {
            let known = &killed.truth[path];
            let there = after
                .iter()
                .filter(|(at, found)| at.ends_with(name) && *found == known);
            assert_eq!(
                there.count(),
                1,
                "{path}: {:#?} {:#?}",
                after.keys(),
                told(&report)
            );
        }
        let other = &killed.truth["/e/both moved"];
        assert!(
            !after
                .iter()
                .any(|(path, found)| path.ends_with("/both") && found == other)
        );
    }
}

#[test]
fn what_lies_under_a_damaged_block_of_an_index_is_all_that_is_lost_of_a_log() {
    for killed in vaults() {
        for block in 0.. {
            let at = usize::try_from(IndexBlock::offset(0, block)).expect("small") + 100;
            let mut objects = killed.objects.clone();
            let Some(byte) = objects
                .get_mut(&killed.index)
                .expect("it is there")
                .get_mut(at)
            else {
                assert!(block > 1);
                break;
            };
            *byte ^= 1;
            if checked(&objects).verdict() == Verdict::Clean {
                // The log has all of it.
                continue;
            }
            let (report, after) = after_repair(&objects).unwrap();
            for (path, known) in &killed.truth {
                let found = &after[path];
                assert_eq!(found.len(), known.len(), "{path}");
                let pages = found.iter().zip(known);
                let same = pages.filter(|(page, known)| page == known).count();
                if path == "/d/long" {
                    assert!(
                        found
                            .iter()
                            .zip(known)
                            .all(|(page, known)| page.is_none() || page == known),
                        "{:#?}",
                        told(&report)
                    );
                    assert!(named(&report).contains(path));
                    assert!(same > 0);
                } else {
                    assert_eq!(same, known.len(), "{path}: {:#?}", told(&report));
                }
            }
        }
    }
}
