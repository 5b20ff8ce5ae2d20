//! Damage together with a journal: what lies in the wrong place, or is gone, while a log or a redo file still has something for it.
//!
//! Every damage is done to every vault here. What was only moved must come back with all that the journal has for it; what is
//! gone must be named.
use crate::{
    checked,
    map::{Map, MappedBody},
    misplaced::moved,
    paths, repaired, told,
    vaults::{
        dump::Dump,
        image::{Image, PASSPHRASE, open, options},
        objects::{Objects, copy_into, objects},
        op::Fill,
        run::{number, on_all_cores, seeds},
    },
    victim::copy_of,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use wardfs::{
    check::{self, Kind, Outcome, Report, Unwatched, Verdict},
    store::{Fault, FaultStore, MemoryStore, Operation, SimulatedStore, Store},
    vault::{NewKind, ROOT_INO, RenameMode, Vault, VaultError},
};

/// A vault whose mount was killed.
struct Life {
    name: String,
    objects: Objects,
    /// What a mount of it shows.
    truth: Dump,
    /// Of what is stored.
    places: Places,
}

/// Where things are stored, by their paths in the vault.
#[derive(Clone)]
struct Places {
    /// Guards, or where they lie apart those.
    guards: BTreeMap<String, String>,
    /// Frames and index of each file that has them.
    contents: BTreeMap<String, [String; 2]>,
    /// Backing directories.
    dirs: BTreeMap<String, String>,
    /// New content that the log claims.
    new: Vec<String>,
}

fn mounted(store: &MemoryStore) -> Vault {
    open(Arc::new(store.clone()), options(1 << 40)).expect("a healthy vault")
}

fn file(vault: &Vault, dir: u64, name: &str, seed: u64, len: usize) -> u64 {
    let made = vault.make(dir, name.as_bytes(), NewKind::File, 0o644, 1, 2);
    let ino = made.expect("a healthy vault").ino;
    write(vault, ino, 0, seed, len);
    ino
}

fn write(vault: &Vault, ino: u64, at: u64, seed: u64, len: usize) {
    let bytes = Fill::Noise(seed).bytes(len);
    let done = vault.write(ino, at, &bytes, false);
    assert_eq!(done.expect("a healthy vault"), len);
}

fn dir(vault: &Vault, above: u64, name: &str) -> u64 {
    let made = vault.make(above, name.as_bytes(), NewKind::Directory, 0o755, 1, 2);
    made.expect("a healthy vault").ino
}

fn look(vault: &Vault, path: &str) -> u64 {
    crate::look(vault, path.as_bytes()).expect("a healthy vault")
}

/// What is stored before the log begins.
fn fill(vault: &Vault) {
    let d = dir(vault, ROOT_INO, "d");
    let deep = dir(vault, d, "deep");
    file(vault, d, "p", 1, 60_000);
    file(vault, d, "q", 2, 60_000);
    file(vault, d, "untouched", 3, 40_000);
    file(vault, d, "long", 4, 1_200_000);
    file(vault, deep, "small", 5, 700);
    file(vault, deep, "r", 6, 50_000);
    let linked = file(vault, deep, "linked", 7, 50_000);
    vault.link(linked, d, b"link").expect("a healthy vault");
    file(vault, ROOT_INO, "top", 8, 50_000);
}

/// The log: bytes into what is stored, new chunks, new files, names. Each is a life of its own, and all are one.
type Step = fn(&Vault);

const LOGGED: [(&str, Step); 3] = [
    ("patches", |vault| {
        for (path, seed) in [("d/p", 11), ("d/q", 12), ("d/long", 13), ("d/link", 14)] {
            write(vault, look(vault, path), 9000, seed, 100);
        }
        // A whole chunk, and one with the end of the file.
        write(vault, look(vault, "d/p"), 16_384, 15, 16_384);
        write(vault, look(vault, "d/deep/r"), 49_000, 16, 3000);
        write(vault, look(vault, "d/deep/small"), 10, 17, 50);
    }),
    ("claims", |vault| {
        let d = look(vault, "d");
        file(vault, d, "new one", 21, 70_000);
        file(vault, d, "new two", 22, 70_000);
        file(vault, look(vault, "d/deep"), "new, deep", 23, 30_000);
        // Chunks behind the end of what is stored, and a patch over new ones.
        write(vault, look(vault, "d/q"), 65_536, 24, 50_000);
        write(vault, look(vault, "d/new one"), 5000, 25, 100);
    }),
    ("names", |vault| {
        let (d, deep) = (look(vault, "d"), look(vault, "d/deep"));
        let sub = dir(vault, deep, "made in the log");
        file(vault, sub, "in it", 31, 500);
        file(vault, sub, "in it, too", 32, 30_000);
        let rename = |from, name: &[u8], to, new: &[u8]| {
            let done = vault.rename(from, name, to, new, RenameMode::Replace);
            done.expect("a healthy vault");
        };
        rename(deep, b"small", sub, b"moved");
        rename(d, b"untouched", ROOT_INO, b"renamed");
        vault.unlink(ROOT_INO, b"top").expect("a healthy vault");
        let p = look(vault, "d/p");
        vault.link(p, deep, b"second").expect("a healthy vault");
        vault.unlink(d, b"link").expect("a healthy vault");
    }),
];

/// How far the checkpoint of a recovery comes that is killed.
fn halves() -> Vec<(&'static str, Fault)> {
    let put = |count| Fault::io().on(Operation::Put).under("guards/").after(count);
    let write = |count| {
        Fault::io()
            .on(Operation::BlobWrite)
            .under("payloads/")
            .after(count)
    };
    let renamed = Fault::io().on(Operation::Rename).under("payloads/");
    vec![
        ("no payload moved", renamed.after(0)),
        ("one frame written", write(1)),
        ("some frames written", write(5)),
        ("no guard", put(0)),
        ("some guards", put(3)),
    ]
}

fn lives() -> &'static [Life] {
    static LIVES: OnceLock<Vec<Life>> = OnceLock::new();
    LIVES.get_or_init(|| {
        [Image::Small, Image::Large]
            .into_iter()
            .flat_map(lives_of)
            .collect()
    })
}

fn lives_of(image: Image) -> Vec<Life> {
    let store = image.in_memory();
    let vault = mounted(&store);
    fill(&vault);
    vault.close().expect("a healthy vault");
    let stored = objects(&store);
    let mut works: Vec<(String, Vec<Step>)> = LOGGED
        .iter()
        .map(|(name, step)| ((*name).to_owned(), vec![*step]))
        .collect();
    let all = LOGGED.iter().map(|(_, step)| *step).collect();
    works.push(("all".to_owned(), all));
    let mut lives = Vec::new();
    for (name, steps) in works {
        let store = copy_of(&stored);
        let vault = mounted(&store);
        steps.iter().for_each(|step| step(&vault));
        vault.sync_all().expect("a healthy vault");
        // What is logged now says of all before that it was durable.
        dir(&vault, ROOT_INO, "last");
        vault.sync_all().expect("a healthy vault");
        drop(vault);
        let killed = objects(&store);
        let life = |name: String, objects: Objects| Life::new(name, &stored, objects);
        lives.push(life(format!("{image:?}, log of {name}"), killed.clone()));
        for (half, fault) in halves() {
            let store = copy_of(&killed);
            let disk = FaultStore::new(Arc::new(store.clone()));
            disk.inject(fault);
            if open(Arc::new(disk), options(1 << 40)).is_err() {
                let name = format!("{image:?}, redo file of {name}, {half}");
                lives.push(life(name, objects(&store)));
            }
        }
    }
    lives
}

impl Life {
    fn is_of_all(&self) -> bool {
        self.name.contains(" of all")
    }

    fn new(name: String, stored: &Objects, objects: Objects) -> Life {
        let vault = mounted(&copy_of(&objects));
        let truth = Dump::of(&vault).expect("a healthy vault");
        let new = objects
            .keys()
            .filter(|name| name.starts_with("payloads/new/"));
        let new = new.filter(|name| !name.ends_with('/')).cloned();
        let places = Places {
            new: new.collect(),
            ..Places::of(stored)
        };
        Life {
            name,
            objects,
            truth,
            places,
        }
    }
}

impl Places {
    fn of(stored: &Objects) -> Places {
        let map = Map::of(stored);
        let mut places = Places {
            guards: BTreeMap::new(),
            contents: BTreeMap::new(),
            dirs: BTreeMap::new(),
            new: Vec::new(),
        };
        places.add(&map, ROOT_INO, "");
        places
    }

    fn add(&mut self, map: &Map, ino: u64, path: &str) {
        let node = &map.nodes[&ino];
        self.guards.insert(path.to_owned(), node.guard.clone());
        match &node.body {
            MappedBody::Payload(payload) => {
                self.contents
                    .insert(path.to_owned(), payload.objects.clone());
            }
            MappedBody::Dir(dir) => {
                for (name, entry) in &dir.entries {
                    let (backing, _) = entry.path.rsplit_once('/').expect("a path");
                    self.dirs.insert(path.to_owned(), backing.to_owned());
                    let name = String::from_utf8_lossy(name);
                    self.add(map, entry.ino, &format!("{path}/{name}"));
                }
            }
            MappedBody::Guard => {}
        }
    }
}

type Change<'a> = &'a dyn Fn(&mut Objects);

/// What is done to a vault.
struct Damage {
    name: String,
    objects: Objects,
    /// All of it is still there.
    is_whole: bool,
}

/// Damages of one vault, of which one is made.
struct Damages<'a> {
    life: &'a Life,
    wanted: usize,
    count: usize,
    made: Option<Damage>,
}

/// One damage of one vault, by its number.
struct Case {
    life: &'static Life,
    number: usize,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, damage {}", self.life.name, self.number)
    }
}

fn one_moved(objects: &mut Objects, from: &str, to: &str) {
    let Some(bytes) = objects.remove(from) else {
        return;
    };
    for (at, _) in to.match_indices('/') {
        objects.entry(to[..=at].to_owned()).or_default();
    }
    objects.insert(to.to_owned(), bytes);
}

fn name_of(frames: &str) -> &str {
    frames.strip_prefix("payloads/").expect("content")
}

fn exchanged(objects: &mut Objects, one: &str, other: &str) {
    let (Some(a), Some(b)) = (objects.get(one).cloned(), objects.get(other).cloned()) else {
        return;
    };
    objects.insert(one.to_owned(), b);
    objects.insert(other.to_owned(), a);
}

impl Damages<'_> {
    /// The damage of this number, unless it would change nothing; and how many there are.
    fn of(life: &Life, wanted: usize) -> (Option<Damage>, usize) {
        let mut damages = Damages {
            life,
            wanted,
            count: 0,
            made: None,
        };
        damages.contents();
        damages.new_contents();
        damages.guards();
        damages.directories();
        damages.logs();
        damages.several();
        (damages.made, damages.count)
    }

    fn add(&mut self, name: &str, is_whole: bool, change: impl Fn(&mut Objects)) {
        let number = self.count;
        self.count += 1;
        if number != self.wanted {
            return;
        }
        let mut objects = self.life.objects.clone();
        change(&mut objects);
        if objects != self.life.objects {
            let name = name.to_owned();
            self.made = Some(Damage {
                name,
                objects,
                is_whole,
            });
        }
    }

    fn contents(&mut self) {
        let contents = self.life.places.contents.clone();
        for (path, [frames, index]) in &contents {
            let (_, name) = frames.rsplit_once('/').expect("a path");
            self.add(&format!("content of {path} moved"), true, |objects| {
                one_moved(objects, frames, &format!("moved/{name}"));
            });
            self.add(&format!("content of {path} renamed"), true, |objects| {
                one_moved(objects, frames, "odd");
                one_moved(objects, index, "payloads/odd");
            });
            self.add(&format!("index of {path} moved"), true, |objects| {
                one_moved(objects, index, "stuff/deep/odd");
            });
            self.add(&format!("index of {path} gone"), false, |objects| {
                objects.remove(index);
            });
            self.add(
                &format!("content of {path} in the place of new content"),
                true,
                |objects| {
                    let digits: String =
                        name_of(frames).chars().filter(|one| *one != '/').collect();
                    one_moved(objects, frames, &format!("payloads/new/{digits}"));
                },
            );
            self.add(&format!("content of {path} gone"), false, |objects| {
                objects.remove(frames);
            });
        }
        for (one, other) in [
            ("/d/p", "/d/q"),
            ("/d/q", "/d/long"),
            ("/d/p", "/d/untouched"),
        ] {
            let [a, b] = [&contents[one][0], &contents[other][0]];
            self.add(
                &format!("contents of {one} and {other} exchanged"),
                true,
                |objects| {
                    exchanged(objects, a, b);
                },
            );
        }
        let guard = self.life.places.guards["/d/q"].clone();
        let [a, b] = [&contents["/d/long"], &contents["/d/p"]];
        self.add(
            "index and content of two files exchanged",
            true,
            |objects| {
                exchanged(objects, &a[1], &b[0]);
            },
        );
        self.add("content and index of /d/long exchanged", true, |objects| {
            exchanged(objects, &a[0], &a[1]);
        });
        self.add(
            "content of /d/p and guard of /d/q exchanged",
            true,
            |objects| {
                exchanged(objects, &contents["/d/p"][0], &guard);
            },
        );
    }

    fn new_contents(&mut self) {
        let new = self.life.places.new.clone();
        for (number, path) in new.iter().enumerate() {
            let (_, name) = path.rsplit_once('/').expect("a path");
            self.add(&format!("new content {number} moved"), true, |objects| {
                one_moved(objects, path, &format!("moved/{name}"));
            });
            self.add(&format!("new content {number} renamed"), true, |objects| {
                one_moved(objects, path, "payloads/new/odd");
            });
            self.add(&format!("new content {number} gone"), false, |objects| {
                objects.remove(path);
            });
            let p = self.life.places.contents["/d/p"][0].clone();
            self.add(
                &format!("new content {number} and that of /d/p exchanged"),
                true,
                |objects| {
                    exchanged(objects, path, &p);
                },
            );
        }
        if let [one, other, ..] = &new[..] {
            self.add("new contents exchanged", true, |objects| {
                exchanged(objects, one, other);
            });
        }
        self.add("all new contents moved", true, |objects| {
            moved(objects, "payloads/new", "stuff/new");
        });
    }

    fn guards(&mut self) {
        for (path, guard) in self.life.places.guards.clone() {
            self.add(&format!("guard of {path} moved"), true, |objects| {
                one_moved(objects, &guard, "moved/guard");
            });
            self.add(&format!("guard of {path} renamed"), true, |objects| {
                one_moved(objects, &guard, &format!("{guard}.bak"));
            });
        }
        let guards = &self.life.places.guards;
        let (p, q, top) = (&guards["/d/p"], &guards["/d/q"], &guards["/d"]);
        let (p, q, top) = (p.clone(), q.clone(), top.clone());
        self.add("guards of /d/p and /d/q exchanged", true, |objects| {
            exchanged(objects, &p, &q);
        });
        self.add("guards of /d and /d/p exchanged", true, |objects| {
            exchanged(objects, &p, &top);
        });
        self.add("guard of /d/p gone", false, |objects| {
            drop(objects.remove(&p));
        });
    }

    fn directories(&mut self) {
        for (path, dir) in self.life.places.dirs.clone() {
            self.add(&format!("directory of {path} moved"), true, |objects| {
                moved(objects, &dir, "moved/dir");
            });
            self.add(
                &format!("directory of {path} moved, and a file in its place"),
                true,
                |objects| {
                    moved(objects, &dir, "moved/dir");
                    objects.insert(dir.clone(), b"something else".to_vec());
                },
            );
            self.add(&format!("directory of {path} gone"), false, |objects| {
                objects.retain(|name, _| !name.starts_with(&format!("{dir}/")));
            });
        }
        let (one, other) = (
            self.life.places.dirs["/d"].clone(),
            self.life.places.dirs["/d/deep"].clone(),
        );
        self.add("directories of /d and /d/deep exchanged", true, |objects| {
            moved(objects, &one, "between");
            moved(objects, &other, &one);
            moved(objects, "between", &other);
        });
        self.add("guards apart moved", true, |objects| {
            moved(objects, "guards/links", "moved");
        });
        let p = self.life.places.contents["/d/p"][0].clone();
        let (above, _) = p.rsplit_once('/').expect("a path");
        self.add("directory of the content of /d/p moved", true, |objects| {
            moved(objects, above, "moved");
        });
        self.add("all contents moved", true, |objects| {
            moved(objects, "payloads", "moved");
        });
        self.add("all guards moved", true, |objects| {
            moved(objects, "guards", "moved");
        });
    }

    fn logs(&mut self) {
        let logs = self.life.objects.keys();
        let logs: Vec<String> = logs
            .filter(|name| name.starts_with("journal/log."))
            .cloned()
            .collect();
        for to in [
            "stuff/log",
            "payloads/odd",
            "zones/log",
            "guards/a log",
            "quarantine/x/log",
        ] {
            self.add(&format!("logs moved to {to}"), true, |objects| {
                for (number, log) in logs.iter().enumerate() {
                    one_moved(objects, log, &format!("{to}.{number}"));
                }
            });
        }
    }

    /// Of each sort one, two at a time, and all.
    fn several(&mut self) {
        let places = self.life.places.clone();
        let log = |objects: &mut Objects| {
            let logs = objects
                .keys()
                .filter(|name| name.starts_with("journal/log."));
            for (number, log) in logs.cloned().collect::<Vec<_>>().iter().enumerate() {
                one_moved(objects, log, &format!("a log.{number}"));
            }
        };
        let new = |objects: &mut Objects| {
            if let Some(path) = places.new.first() {
                one_moved(objects, path, "a new one");
            }
        };
        let content =
            |objects: &mut Objects| one_moved(objects, &places.contents["/d/p"][0], "a payload");
        let exchange = |objects: &mut Objects| {
            exchanged(
                objects,
                &places.contents["/d/q"][0],
                &places.contents["/d/long"][0],
            );
        };
        let directory = |objects: &mut Objects| moved(objects, &places.dirs["/d"], "a directory");
        let guard =
            |objects: &mut Objects| one_moved(objects, &places.guards["/d/deep"], "a guard");
        let root = |objects: &mut Objects| one_moved(objects, "guards/root", "guards/root.bak");
        let sorts: [(&str, Change<'_>); 7] = [
            ("log", &log),
            ("new content", &new),
            ("content", &content),
            ("exchange", &exchange),
            ("directory", &directory),
            ("guard", &guard),
            ("root", &root),
        ];
        for (at, (one, first)) in sorts.iter().enumerate() {
            for (other, second) in &sorts[at + 1..] {
                self.add(&format!("{one} and {other}"), true, |objects| {
                    first(objects);
                    second(objects);
                });
            }
        }
        self.add("everything", true, |objects| {
            sorts.iter().for_each(|(_, change)| change(objects));
        });
    }
}

/// What a repair left, and what it said.
fn is_right(life: &Life, damage: &Damage) -> Result<Verdict, String> {
    let check = checked(&damage.objects);
    let (report, store) = repaired(&damage.objects).map_err(|error| error.to_string())?;
    let tell = |what: &str| {
        format!(
            "{what}\ncheck {:#?}\nrepair {:#?}",
            told(&check),
            told(&report)
        )
    };
    let after = objects(&store);
    let vault = open(Arc::new(copy_of(&after)), options(1 << 40));
    let vault = vault.map_err(|error| tell(&format!("it does not mount: {error}")))?;
    let dump = Dump::of(&vault);
    match report.verdict() {
        // What the journal makes anew need not be put back.
        Verdict::Clean if check.verdict() != Verdict::Clean => {
            return Err(tell("the check finds damage"));
        }
        Verdict::Clean | Verdict::Repaired => {
            let dump = dump.map_err(|what| tell(&what))?;
            if let Some(what) = life.truth.difference(&dump) {
                return Err(tell(&format!("it is not all there: {what}")));
            }
        }
        Verdict::Damaged if damage.is_whole => return Err(tell("it was all there")),
        Verdict::Damaged => {
            what_is_missing_is_named(life, &vault, &report).map_err(|what| tell(&what))?;
        }
    }
    drop(vault);
    let (again, store) = repaired(&after).map_err(|error| error.to_string())?;
    let is_done = |found: &wardfs::check::Finding| found.outcome == Outcome::Mended;
    if again.findings.iter().any(is_done) || objects(&store) != after {
        return Err(tell(&format!(
            "a second repair finds something: {:#?}",
            told(&again)
        )));
    }
    Ok(report.verdict())
}

/// Of each file that is not as it was the report has the path, or of a directory above.
fn what_is_missing_is_named(life: &Life, vault: &Vault, report: &Report) -> Result<(), String> {
    let named: BTreeSet<&[u8]> = report
        .findings
        .iter()
        .filter(|found| {
            matches!(
                found.outcome,
                Outcome::Lost | Outcome::Stays | Outcome::Accepted
            )
        })
        .filter_map(|found| found.path.as_deref())
        .collect();
    let all = paths(&life.truth);
    let is_named_below = |path: &[u8]| {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let mut ends = ends.map(|(at, _)| at).chain([path.len()]);
        named.contains(&b"/"[..]) || ends.any(|end| named.contains(&path[..end]))
    };
    for (path, ino) in &all {
        let mut entries = all.iter().filter(|(_, other)| *other == ino);
        if !is_as_it_was(life, vault, path, *ino) && !entries.any(|(name, _)| is_named_below(name))
        {
            let path = String::from_utf8_lossy(path);
            return Err(format!("{path} is not as it was, and not named"));
        }
    }
    Ok(())
}

fn is_as_it_was(life: &Life, vault: &Vault, path: &[u8], ino: u64) -> bool {
    let Ok(now) = crate::look(vault, path) else {
        return false;
    };
    let known = &life.truth.nodes[&ino];
    if known.stat.kind == wardfs::format::Kind::Directory {
        return true;
    }
    Dump::below(vault, now).is_ok_and(|dump| dump.nodes[&now].body.same(&known.body))
}

#[test]
fn what_is_in_the_wrong_place_goes_back_before_the_journal_is_done() {
    let lives = lives();
    assert!(lives.len() > 20, "{}", lives.len());
    let step = match number("WARDFS_TEST_SECS") {
        Some(_) => 1,
        None => 11,
    };
    let first = usize::try_from(seeds().next().expect("there is one")).expect("small");
    let cases = lives.iter().enumerate().flat_map(|(at, life)| {
        let (_, count) = Damages::of(life, usize::MAX);
        let numbers = (0..count).filter(move |number| (number + at + first) % step == 0);
        numbers.map(move |number| Case { life, number })
    });
    let cases: Vec<Case> = cases.collect();
    let back = AtomicUsize::new(0);
    on_all_cores(&cases, |_, Case { life, number }| {
        let Some(damage) = Damages::of(life, *number).0 else {
            return Ok(());
        };
        let right = is_right(life, &damage);
        let right = right.map_err(|what| format!("{}; {}: {what}", life.name, damage.name))?;
        back.fetch_add(usize::from(right == Verdict::Repaired), SeqCst);
        Ok(())
    });
    assert!(back.into_inner() > cases.len() / 2);
}

/// Crashes of each repair.
const CRASHES: u64 = 8;

fn on_disk(objects: &Objects) -> SimulatedStore {
    let store = SimulatedStore::new();
    copy_into(&store, objects);
    store.sync().expect("a store in memory");
    store
}

fn repair(store: &SimulatedStore) -> Result<Report, VaultError> {
    check::repair(Arc::new(store.clone()), PASSPHRASE, "now", &Unwatched)
}

#[test]
fn a_repair_that_loses_power_before_the_journal_is_done_is_finished_by_the_next_one() {
    let lives: Vec<&'static Life> = lives().iter().filter(|life| life.is_of_all()).collect();
    let step = match number("WARDFS_TEST_SECS") {
        Some(_) => 1,
        None => 17,
    };
    let cases = lives.into_iter().enumerate().flat_map(|(at, life)| {
        let (_, count) = Damages::of(life, usize::MAX);
        let numbers = (0..count).filter(move |number| (number + at) % step == 0);
        numbers.map(move |number| Case { life, number })
    });
    let cases: Vec<Case> = cases.collect();
    on_all_cores(&cases, |_, Case { life, number }| {
        let Some(damage) = Damages::of(life, *number)
            .0
            .filter(|damage| damage.is_whole)
        else {
            return Ok(());
        };
        let store = on_disk(&damage.objects);
        let from = store.steps();
        repair(&store).map_err(|error| error.to_string())?;
        let len = store.steps() - from;
        for crash in 0..CRASHES {
            let at = from + len * crash / CRASHES;
            is_finished(life, &damage, at)
                .map_err(|what| format!("{}, step {at}: {what}", damage.name))?;
        }
        Ok(())
    });
}

fn is_finished(life: &Life, damage: &Damage, at: u64) -> Result<(), String> {
    let store = on_disk(&damage.objects);
    store.stop_after(at);
    // What was cut short may say anything.
    let _ = repair(&store);
    let left = store.crash(at);
    let before = checked(&objects(&left));
    let report = repair(&left).map_err(|error| format!("it does not open: {error}"))?;
    let tell = |what: &str| {
        format!(
            "{what}\nleft {:#?}\nrepair {:#?}",
            told(&before),
            told(&report)
        )
    };
    let vault = open(Arc::new(left), options(1 << 40)).map_err(|error| tell(&error.to_string()))?;
    let dump = Dump::of(&vault).map_err(|what| tell(&what))?;
    match life.truth.difference(&dump) {
        Some(what) => Err(tell(&what)),
        None => Ok(()),
    }
}

/// The file is there, and what it lacks is told by itself.
#[test]
fn a_redo_file_that_is_done_without_what_is_gone_is_no_loss_of_its_own() {
    let mut count = 0;
    for life in lives()
        .iter()
        .filter(|life| life.name.ends_with("no payload moved"))
    {
        let Some(new) = life.places.new.first() else {
            continue;
        };
        let mut damaged = life.objects.clone();
        damaged.remove(new).expect("it is there");
        let (report, _) = repaired(&damaged).expect("a vault that opens");
        assert_eq!(report.verdict(), Verdict::Damaged);
        let mut found = report.findings.iter();
        assert!(found.any(|found| found.outcome == Outcome::Stays));
        assert_eq!(report.lost, 0, "{:#?}", told(&report));
        count += 1;
    }
    assert!(count > 1);
}

/// Of what a journal needs and nobody has, it is told.
#[test]
fn a_repair_that_drops_bytes_of_a_log_names_and_counts_them() {
    let life = &lives()[0];
    let mut damaged = life.objects.clone();
    damaged
        .remove(&life.places.contents["/d/p"][0])
        .expect("it is there");
    let report = checked(&damaged);
    assert_eq!(report.verdict(), Verdict::Damaged);
    let (report, store) = repaired(&damaged).expect("a vault that opens");
    assert_eq!(report.verdict(), Verdict::Damaged);
    let of_log =
        |found: &&wardfs::check::Finding| found.kind == Kind::Journal && found.file_range.is_some();
    let [bytes] = report.findings.iter().filter(of_log).collect::<Vec<_>>()[..] else {
        panic!("{:#?}", told(&report));
    };
    assert_eq!(bytes.path.as_deref(), Some(&b"/d/p"[..]));
    assert_eq!(bytes.file_range, Some(9000..9100));
    assert_eq!((bytes.outcome, report.lost), (Outcome::Lost, 1));
    let log = life
        .objects
        .keys()
        .find(|name| name.starts_with("journal/log."));
    let log = log.expect("a log");
    assert_eq!(
        objects(&store)[&format!("quarantine/now/{log}")],
        life.objects[log]
    );
}
