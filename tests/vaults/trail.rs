//! The trail of one thread: a directory with a few files, changed step by step, so that each step shows which one it is. Where
//! a mount would, a step is answered before it is done, and the thread goes on with its next one beside the rest of it.
use super::draw::{Seeded, Source};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc::channel,
    },
    thread::Scope,
    time::Duration,
};
use wardfs::{
    format::ChunkSize,
    vault::{AllocateMode, NewKind, RenameMode, SetAttr, Told, Vault, VaultError, WriteMode},
};

/// The names in a trail.
const NAMES: [&str; 4] = ["a", "b", "c", "new"];
/// Runs of whole chunks are as long as that. Shorter ones are answered early, too.
const RUN_MAX: u64 = 20;
/// A longer file is cut, or left alone. More than 64 chunks have an index of their own.
const CHUNKS_MAX: u64 = 80;
/// The least chunks have 4 KiB.
const KIB_4: usize = 4 << 10;

/// When the one who writes a run of chunks is told that it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// When the vault says so.
    Honest,
    /// Before the vault was even asked: a planted bug.
    TooSoon,
}

#[derive(Clone, PartialEq, Eq)]
struct File {
    /// Not known yet of one that was being made.
    ino: Option<u64>,
    content: Arc<Vec<u8>>,
}

/// What a trail shows after a step.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Scene(BTreeMap<&'static str, File>);

/// A step.
#[derive(Clone, Debug)]
enum Deed {
    Make(&'static str),
    /// Whole chunks that were never stored, where an answer may come early.
    Run {
        ino: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    Write {
        ino: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    Size {
        ino: u64,
        len: u64,
    },
    Punch {
        ino: u64,
        offset: u64,
        len: u64,
    },
    Rename(&'static str, &'static str),
    Link(u64, &'static str),
    Unlink(&'static str),
}

/// A step that is to be done.
pub struct Step {
    deed: Deed,
    /// A hole behind the end of a file, say, changes nothing.
    changes: bool,
}

impl Step {
    /// Is it in the log when it is answered, with all that was answered before?
    pub fn is_logged(&self) -> bool {
        self.changes && !matches!(self.deed, Deed::Run { .. } | Deed::Write { .. })
    }

    /// What it is.
    pub fn in_words(&self) -> String {
        match &self.deed {
            Deed::Run { ino, offset, bytes } => {
                format!("a run of {} bytes at {offset} of {ino}", bytes.len())
            }
            Deed::Write { ino, offset, bytes } => {
                format!("{} bytes at {offset} of {ino}", bytes.len())
            }
            other => format!("{other:?}"),
        }
    }
}

/// Where the work of one thread goes on after an answer, and what it meets there.
#[derive(Clone, Copy)]
pub struct Beside<'scope, 'env> {
    pub scope: &'scope Scope<'scope, 'env>,
    pub vault: &'env Vault,
    pub answers: Answers,
    /// Counts answers that the vault gives before the write is done.
    pub early: &'env AtomicU64,
    /// Gets what goes wrong after the answer.
    pub wrong: &'env (dyn Fn(String) + Sync),
}

/// A thread's way through its directory.
pub struct Trail {
    dir: u64,
    chunk: u64,
    source: Seeded,
    scene: Scene,
    step: u64,
    /// Noise, told apart by thread.
    number: u64,
}

impl Trail {
    pub fn new(dir: u64, chunk: ChunkSize, number: u64, source: Seeded) -> Trail {
        Trail {
            dir,
            chunk: chunk.len() as u64,
            source,
            scene: Scene::default(),
            step: 0,
            number,
        }
    }

    pub fn scene(&self) -> Scene {
        self.scene.clone()
    }

    /// The next step, and what it leads to.
    pub fn next(&mut self) -> (Step, Scene) {
        self.step += 1;
        let (deed, before) = (self.draw(), self.scene());
        self.scene.change(&deed);
        let changes = self.scene != before;
        (Step { deed, changes }, self.scene())
    }

    fn draw(&mut self) -> Deed {
        let entries: Vec<(&'static str, File)> = self
            .scene
            .0
            .iter()
            .map(|(name, file)| (*name, file.clone()))
            .collect();
        let free = NAMES.iter().find(|name| !self.scene.0.contains_key(**name));
        let Some(at) = (entries.len() as u64).checked_sub(1) else {
            return Deed::Make(NAMES[0]);
        };
        let (name, file) = &entries[index(&mut self.source, at + 1)];
        let ino = file.ino.expect("a file that was made");
        let len = file.content.len() as u64;
        match self.source.below(20) {
            0..4 => self.note(ino),
            4..11 if len < CHUNKS_MAX * self.chunk => self.run(ino, len),
            11..13 => self.overwrite(ino, len),
            13 => Deed::Punch {
                ino,
                offset: self.source.below(len / self.chunk + 1) * self.chunk,
                len: self.chunk * (1 + self.source.below(3)),
            },
            14..16 => self.rename(name, file),
            16 if free.is_some() => Deed::Link(ino, free.expect("a name")),
            17 if entries.len() > 1 => Deed::Unlink(name),
            18 if free.is_some() => Deed::Make(free.expect("a name")),
            _ => self.cut(ino, len),
        }
    }

    /// Eight bytes that say which step this is.
    fn note(&self, ino: u64) -> Deed {
        let bytes = self.step.to_le_bytes().to_vec();
        Deed::Write {
            ino,
            offset: 0,
            bytes,
        }
    }

    fn run(&mut self, ino: u64, len: u64) -> Deed {
        let offset = len.next_multiple_of(self.chunk);
        let chunks = 1 + self.source.below(RUN_MAX * KIB_4 as u64 / self.chunk);
        let bytes = self.bytes(chunks * self.chunk);
        Deed::Run { ino, offset, bytes }
    }

    /// What is stored already, in part or as whole chunks.
    fn overwrite(&mut self, ino: u64, len: u64) -> Deed {
        let (mut offset, mut count) = (self.source.below(len + 1), 1 + self.source.below(20_000));
        if self.source.below(2) == 0 {
            offset -= offset % self.chunk;
            count = count.next_multiple_of(self.chunk);
        }
        let bytes = self.bytes(count);
        Deed::Write { ino, offset, bytes }
    }

    fn cut(&mut self, ino: u64, len: u64) -> Deed {
        let len = match self.source.below(4) {
            0 => 0,
            1 => self.source.below(len + 1) / self.chunk * self.chunk,
            _ => self.source.below(len + 1),
        };
        Deed::Size { ino, len }
    }

    /// Onto any other name but one of the same file, with which nothing would happen.
    fn rename(&mut self, name: &'static str, file: &File) -> Deed {
        let others: Vec<&'static str> = NAMES
            .into_iter()
            .filter(|other| {
                let there = self.scene.0.get(other);
                there.is_none_or(|there| there.ino != file.ino)
            })
            .collect();
        if others.is_empty() {
            return Deed::Unlink(name);
        }
        Deed::Rename(name, others[index(&mut self.source, others.len() as u64)])
    }

    /// Bytes that no other step writes; half of them can be compressed.
    fn bytes(&mut self, count: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(count).expect("not many")];
        if self.source.below(2) == 0 {
            let mut noise = StdRng::seed_from_u64(self.number << 32 | self.step);
            noise.fill_bytes(&mut bytes);
        } else {
            let text = format!("step {} ", self.step).into_bytes();
            let endless = text.iter().cycle();
            bytes
                .iter_mut()
                .zip(endless)
                .for_each(|(to, from)| *to = *from);
        }
        bytes
    }

    /// Does a step. `answered` is called once, when the thread may go on.
    ///
    /// # Errors
    /// Those of the vault, before an answer.
    pub fn walk<'env>(
        &mut self,
        step: Step,
        beside: Beside<'_, 'env>,
        answered: impl Fn() + Send + 'env,
    ) -> Result<(), VaultError> {
        let (vault, dir) = (beside.vault, self.dir);
        match step.deed {
            Deed::Run { ino, offset, bytes } => {
                let pause = Duration::from_micros(self.source.below(4) * self.source.below(100));
                return write_beside(beside, ino, offset, bytes, pause, answered);
            }
            Deed::Write { ino, offset, bytes } => {
                let count = vault.write(ino, offset, &bytes, false)?;
                is_whole(count, bytes.len())?;
            }
            Deed::Make(name) => {
                let made = vault.make(dir, name.as_bytes(), NewKind::File, 0o600, 0, 0)?;
                if let Some(file) = self.scene.0.get_mut(name) {
                    file.ino = Some(made.ino);
                }
            }
            Deed::Size { ino, len } => {
                let size = SetAttr {
                    size: Some(len),
                    ..SetAttr::default()
                };
                vault.set_attr(ino, &size)?;
            }
            Deed::Punch { ino, offset, len } => {
                vault.allocate(ino, AllocateMode::PunchHole, offset, len)?;
            }
            Deed::Rename(from, to) => {
                let (from, to) = (from.as_bytes(), to.as_bytes());
                vault.rename(dir, from, dir, to, RenameMode::Replace)?;
            }
            Deed::Link(ino, name) => drop(vault.link(ino, dir, name.as_bytes())?),
            Deed::Unlink(name) => vault.unlink(dir, name.as_bytes())?,
        }
        answered();
        Ok(())
    }
}

/// As a mount does it: who wrote goes on as soon as the vault says that nothing can go wrong any more, while another thread
/// does the rest.
fn write_beside<'scope, 'env: 'scope>(
    beside: Beside<'scope, 'env>,
    ino: u64,
    offset: u64,
    bytes: Vec<u8>,
    pause: Duration,
    answered: impl Fn() + Send + 'env,
) -> Result<(), VaultError> {
    let Beside {
        scope,
        vault,
        answers,
        early,
        wrong,
    } = beside;
    let (answer, answers_come) = channel();
    scope.spawn(move || {
        let told = Cell::new(false);
        let tell = |count: usize| {
            if count != bytes.len() || told.replace(true) {
                wrong(format!("{count} bytes of {} were answered", bytes.len()));
            }
            answered();
            // Who waits may be gone already: it has its answer.
            let _ = answer.send(Ok(()));
            std::thread::sleep(pause);
        };
        if answers == Answers::TooSoon {
            tell(bytes.len());
        }
        let tell_early = |count| {
            early.fetch_add(1, SeqCst);
            tell(count);
        };
        let told_by_vault: Told<'_> = (answers == Answers::Honest).then_some(&tell_early);
        let wrote = vault
            .write_telling(ino, offset, &bytes, WriteMode::default(), told_by_vault)
            .and_then(|count| is_whole(count, bytes.len()));
        match wrote {
            Ok(()) if !told.get() => tell(bytes.len()),
            Ok(()) => {}
            Err(error) if told.get() => wrong(format!("after its answer: {error}")),
            Err(error) => drop(answer.send(Err(error))),
        }
    });
    answers_come.recv().expect("an answer")
}

/// A store that has room for everything takes all of a write.
fn is_whole(count: usize, len: usize) -> Result<(), VaultError> {
    if count == len {
        Ok(())
    } else {
        Err(VaultError::Invalid("a short write"))
    }
}

impl Scene {
    fn change(&mut self, deed: &Deed) {
        match *deed {
            Deed::Make(name) => {
                let file = File {
                    ino: None,
                    content: Arc::default(),
                };
                self.0.insert(name, file);
            }
            Deed::Run {
                ino,
                offset,
                ref bytes,
            }
            | Deed::Write {
                ino,
                offset,
                ref bytes,
            } => self.content(ino, |content| {
                let at = usize::try_from(offset).expect("not long");
                content.resize(content.len().max(at + bytes.len()), 0);
                content[at..at + bytes.len()].copy_from_slice(bytes);
            }),
            Deed::Size { ino, len } => self.content(ino, |content| {
                content.resize(usize::try_from(len).expect("not long"), 0);
            }),
            Deed::Punch { ino, offset, len } => self.content(ino, |content| {
                let from = usize::try_from(offset).expect("not long");
                let to = content
                    .len()
                    .min(from + usize::try_from(len).expect("short"));
                if let Some(hole) = content.get_mut(from..to) {
                    hole.fill(0);
                }
            }),
            Deed::Rename(from, to) => {
                let file = self.0.remove(from).expect("a file of that name");
                self.0.insert(to, file);
            }
            Deed::Link(ino, name) => {
                let file = self.0.values().find(|file| file.ino == Some(ino));
                let file = file.expect("a file of that number").clone();
                self.0.insert(name, file);
            }
            Deed::Unlink(name) => {
                self.0.remove(name);
            }
        }
    }

    /// Changes the content of a file under all its names.
    fn content(&mut self, ino: u64, change: impl FnOnce(&mut Vec<u8>)) {
        let mut files = self.0.values_mut().filter(|file| file.ino == Some(ino));
        let first = files.next().expect("a file of that number");
        let mut content = Vec::clone(&first.content);
        change(&mut content);
        first.content = Arc::new(content);
        let content = Arc::clone(&first.content);
        files.for_each(|file| file.content = Arc::clone(&content));
    }

    /// What a vault shows of a trail.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn of(vault: &Vault, dir: u64) -> Result<Scene, String> {
        let mut scene = Scene::default();
        for name in NAMES {
            let stat = match vault.lookup(dir, name.as_bytes()) {
                Ok(stat) => stat,
                Err(error) if error.errno() == libc::ENOENT => continue,
                Err(error) => return Err(format!("{name}: {error}")),
            };
            let mut content = vec![0; usize::try_from(stat.size).map_err(|_| "too long")?];
            let count = vault
                .read(stat.ino, 0, &mut content)
                .map_err(|error| format!("{name}: {error}"))?;
            if count != content.len() {
                return Err(format!("{name}: {count} bytes of {}", content.len()));
            }
            let (ino, content) = (Some(stat.ino), Arc::new(content));
            scene.0.insert(name, File { ino, content });
        }
        Ok(scene)
    }

    /// Is this what was found?
    pub fn is(&self, found: &Scene) -> bool {
        let same = |(known, there): (&File, &File)| {
            known.ino.is_none_or(|ino| there.ino == Some(ino)) && known.content == there.content
        };
        self.0.keys().eq(found.0.keys()) && self.0.values().zip(found.0.values()).all(same)
    }

    /// The same in words.
    pub fn in_words(&self) -> String {
        let words = self.0.iter().map(|(name, file)| {
            let content = &file.content;
            let head = u64::from_le_bytes(content.first_chunk().copied().unwrap_or_default());
            let sum = content.iter().fold(0_u32, |sum, byte| {
                sum.wrapping_mul(31).wrapping_add(u32::from(*byte))
            });
            format!("{name}: {} bytes ({head:x}.., {sum:x})", content.len())
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

fn index(source: &mut Seeded, bound: u64) -> usize {
    usize::try_from(source.below(bound)).expect("an index")
}
