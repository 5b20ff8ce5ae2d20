//! What is done to a vault whose mount was killed: things are moved, renamed, exchanged, and taken away, one or several.
use super::life::Life;
use crate::{misplaced::moved, vaults::objects::Objects};

type Change<'a> = &'a dyn Fn(&mut Objects);

/// What is done to a vault.
pub struct Damage {
    pub name: String,
    pub objects: Objects,
    /// All of it is still there.
    pub is_whole: bool,
}

/// Damages of one vault, of which one is made.
pub struct Damages<'a> {
    life: &'a Life,
    wanted: usize,
    count: usize,
    made: Option<Damage>,
}

/// One damage of one vault, by its number.
pub struct Case {
    pub life: &'static Life,
    pub number: usize,
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
    pub fn of(life: &Life, wanted: usize) -> (Option<Damage>, usize) {
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
        // From the quarantine none comes back.
        for to in ["stuff/log", "payloads/odd", "zones/log", "guards/a log"] {
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
