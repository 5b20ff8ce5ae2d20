//! Makes what was planned: directories first, then everything else in parallel, then the attributes of directories.
//!
//! A node gets its name when it is whole, or the name with `.damaged`; before, it lies where nobody takes it for one of the
//! vault's.

use super::{
    SalvageError, Watch,
    attrs::{self, Target},
    content,
    names::{Wanted, suffixed},
    out::{self, Out},
    plan::{Plan, PlannedNode, joined, path_buf},
    report::{Damaged, Missing, Renamed, Report, Unrestored},
    scan::{Found, Strewn},
    stand::Stand,
};
use crate::{
    engine::Pool,
    format::{Content, FileState, Kind},
    vault::{ReadGuard, Remains},
};
use parking_lot::Mutex;
use rustix::{
    fs::{self, FileType, Mode},
    io::{Errno, retry_on_intr},
};
use std::{
    collections::HashMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

/// What a file is called that is there in part.
const DAMAGED: &[u8] = b".damaged";
/// Nodes that are made in one run of the pool.
const BATCH_LEN: usize = 1024;

/// Why a node is not made.
enum Fault {
    /// It is not to be had; the others may be.
    Missing(String),
    /// Nothing more can be made.
    End(SalvageError),
}

/// What was made of a node.
struct Made {
    /// What could not be read of its content, with its size.
    flaws: Option<(u64, content::Flaws)>,
    lacks: Unrestored,
}

/// Where a node was made.
struct Placed {
    dir: Arc<OwnedFd>,
    name: Vec<u8>,
    made: Made,
}

struct Restorer<'a> {
    remains: &'a Remains,
    strewn: &'a Strewn,
    out: &'a Out,
    plan: &'a Plan,
    watch: &'a Watch,
    /// Where each planned directory is.
    dirs: Vec<Vec<u8>>,
    stand: Mutex<Stand>,
    /// What is elsewhere than it was planned, by where that was.
    moved: Mutex<HashMap<PathBuf, PathBuf>>,
    report: Mutex<&'a mut Report>,
}

/// Makes all of it.
///
/// # Errors
/// `Stopped`, or the directory takes no more.
pub(super) fn restore(
    (remains, strewn): (&Remains, &Strewn),
    pool: &Pool,
    out: &Out,
    plan: &Plan,
    report: &mut Report,
    watch: &Watch,
) -> Result<(), SalvageError> {
    let stand = Stand::at_top(out).map_err(|errno| out.failed("open a directory", errno))?;
    let mut restorer = Restorer {
        remains,
        strewn,
        out,
        plan,
        watch,
        dirs: vec![Vec::new()],
        stand: Mutex::new(stand),
        moved: Mutex::default(),
        report: Mutex::new(report),
    };
    let made = restorer.make_dirs();
    let made = made.and_then(|()| restorer.make_nodes(pool));
    let moved = restorer.moved.get_mut();
    restorer.report.get_mut().are_at(moved);
    let cleared = out.clear();
    made.and(cleared)?;
    restorer.finish_dirs()?;
    out.sync()
}

impl Restorer<'_> {
    fn make_dirs(&mut self) -> Result<(), SalvageError> {
        for dir in &self.plan.dirs[1..] {
            self.watch.check()?;
            let above = self
                .stand_on(dir.parent)
                .map_err(|errno| self.out.failed("open a directory", errno))?;
            let wanted = Wanted {
                name: &dir.name,
                is_own: true,
                planned: self.plan.taken.get(&dir.parent),
            };
            let found = dir.found.map(|at| &self.plan.found[at]);
            let made = named(wanted, found, |wanted| out::make_dir(&above, wanted));
            let name = made.map_err(|errno| self.out.failed("make a directory", errno))?;
            let path = joined(&self.dirs[dir.parent], &name);
            self.note_path(dir.parent, &dir.name, &path);
            if name != dir.name {
                self.tell_renamed(&path, &dir.name);
            }
            self.dirs.push(path);
            self.report.get_mut().counts.directories += u64::from(dir.found.is_some());
        }
        Ok(())
    }

    fn make_nodes(&self, pool: &Pool) -> Result<(), SalvageError> {
        for batch in self.plan.nodes.chunks(BATCH_LEN) {
            let made = pool.map(batch.iter().collect(), |node| self.node(node));
            made.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }

    fn node(&self, node: &PlannedNode) -> Result<(), SalvageError> {
        self.watch.check()?;
        let done = self.make(node);
        self.watch.count(1);
        match done {
            Ok(()) => Ok(()),
            Err(Fault::End(error)) => Err(error),
            Err(Fault::Missing(why)) => {
                let missing = node.names.iter().map(|(dir, name)| Missing {
                    path: path_buf(&joined(&self.dirs[*dir], name)),
                    why: why.clone(),
                });
                let mut report = self.report.lock();
                if !self.plan.found[node.found].apart {
                    report.missing.extend(missing);
                    return Ok(());
                }
                // It was removed before, and its content with it.
                report.set_aside_missing.extend(missing);
                if let Some((_, count)) = &mut report.set_aside {
                    *count -= 1;
                }
                Ok(())
            }
        }
    }

    fn make(&self, node: &PlannedNode) -> Result<(), Fault> {
        let found = &self.plan.found[node.found];
        let guard = self.guard(found)?;
        let Some(((dir, name), more)) = node.names.split_first() else {
            return Ok(());
        };
        let first = self.make_one(found, &guard, *dir, name)?;
        for (dir, name) in more {
            self.make_another(found, &guard, &first, *dir, name)?;
        }
        Ok(())
    }

    /// The guard once more: content was not kept.
    fn guard(&self, found: &Found) -> Result<ReadGuard, Fault> {
        let missing = |why: String| Fault::Missing(why);
        let bytes = self.remains.store().get(&found.path);
        let bytes = bytes.map_err(|error| missing(error.to_string()))?;
        let guard = self.remains.keys().open_guard(&found.path, bytes);
        let guard = guard.map_err(|error| missing(error.to_string()))?;
        let same = guard.head.file == found.file && guard.body.generation == found.generation;
        if same {
            Ok(guard)
        } else {
            Err(missing("its guard was changed meanwhile".to_owned()))
        }
    }

    /// Makes the node under its first name; gives where that is.
    fn make_one(
        &self,
        found: &Found,
        guard: &ReadGuard,
        dir: usize,
        name: &[u8],
    ) -> Result<Placed, Fault> {
        // The name that a file would have is that of none other: one node is made by one worker at a time.
        let temporary = found.file.hex();
        let placed = self
            .fill(&temporary, guard)
            .and_then(|made| self.place(&temporary, found, made, dir, name));
        if placed.is_err() {
            self.out.discard(&temporary);
        }
        placed
    }

    /// Makes the node where nodes are made.
    fn fill(&self, temporary: &str, guard: &ReadGuard) -> Result<Made, Fault> {
        let work = self.out.work();
        match &guard.body.content {
            Content::File(file) => return self.fill_file(temporary, guard, file),
            Content::Symlink(target) => fs::symlinkat(&target[..], work, temporary),
            Content::Fifo => make_special(work, temporary, FileType::Fifo, 0),
            Content::Socket => make_special(work, temporary, FileType::Socket, 0),
            Content::CharDevice(number) => {
                make_special(work, temporary, FileType::CharacterDevice, *number)
            }
            Content::BlockDevice(number) => {
                make_special(work, temporary, FileType::BlockDevice, *number)
            }
            Content::Directory(_) => {
                return Ok(Made {
                    flaws: None,
                    lacks: Unrestored::default(),
                });
            }
        }
        .map_err(|errno| self.fault(errno))?;
        let lacks = attrs::restore(Target::Named(work, temporary), &guard.body);
        Ok(Made { flaws: None, lacks })
    }

    fn fill_file(
        &self,
        temporary: &str,
        guard: &ReadGuard,
        file: &FileState,
    ) -> Result<Made, Fault> {
        let fd = self
            .out
            .make_file(temporary)
            .map_err(|errno| self.fault(errno))?;
        let mut take = |offset, bytes: &[u8]| {
            self.watch.check().map_err(Fault::End)?;
            self.watch.copied(bytes.len() as u64);
            write_all(&fd, bytes, offset).map_err(|errno| self.fault(errno))
        };
        let flaws = content::read(self.remains, self.strewn, guard, file, &mut take)?;
        let whole = flaws.is_none();
        if !whole && !flaws.some {
            return Err(Fault::Missing("nothing of its content is left".to_owned()));
        }
        fs::ftruncate(&fd, file.size).map_err(|errno| self.fault(errno))?;
        let lacks = attrs::restore(Target::Open(fd.as_fd()), &guard.body);
        self.report.lock().counts.bytes += if whole { file.size } else { 0 };
        let flaws = (!whole).then_some((file.size, flaws));
        Ok(Made { flaws, lacks })
    }

    /// Gives the node its name.
    fn place(
        &self,
        temporary: &str,
        found: &Found,
        made: Made,
        dir: usize,
        name: &[u8],
    ) -> Result<Placed, Fault> {
        let at = self.dir(dir)?;
        let damaged = damaged(name, &made);
        let wanted = self.wanted(dir, name, damaged.as_deref());
        let placed = named(wanted, Some(found), |wanted| {
            self.out.place(temporary, &at, wanted)
        });
        let placed = placed.map_err(|errno| self.fault(errno))?;
        let path = joined(&self.dirs[dir], &placed);
        self.note_path(dir, name, &path);
        if placed != wanted.name {
            self.tell_renamed(&path, name);
        }
        self.tell_made(found, &path, &made);
        Ok(Placed {
            dir: at,
            name: placed,
            made,
        })
    }

    /// The name that a node gets: its own, or that of what is there in part.
    fn wanted<'n>(&'n self, dir: usize, name: &'n [u8], damaged: Option<&'n [u8]>) -> Wanted<'n> {
        Wanted {
            name: damaged.unwrap_or(name),
            is_own: damaged.is_none(),
            planned: self.plan.taken.get(&dir),
        }
    }

    /// A further name of a node that was made.
    fn make_another(
        &self,
        found: &Found,
        guard: &ReadGuard,
        first: &Placed,
        dir: usize,
        name: &[u8],
    ) -> Result<(), Fault> {
        let at = self.dir(dir)?;
        let damaged = damaged(name, &first.made);
        let wanted = self.wanted(dir, name, damaged.as_deref());
        let linked = named(wanted, Some(found), |wanted| {
            out::link((&first.dir, &first.name), &at, wanted)
        });
        match linked {
            Ok(placed) => {
                let path = joined(&self.dirs[dir], &placed);
                self.note_path(dir, name, &path);
                if placed != wanted.name {
                    self.tell_renamed(&path, name);
                }
                self.report.lock().counts.links += 1;
                self.tell_damaged(&path, &first.made);
                Ok(())
            }
            Err(errno) if is_fatal(errno) => Err(self.fault(errno)),
            Err(_) => {
                let copy = self.make_one(found, guard, dir, name)?;
                let path = path_buf(&joined(&self.dirs[dir], &copy.name));
                self.report.lock().copied.push(path);
                Ok(())
            }
        }
    }

    fn finish_dirs(&self) -> Result<(), SalvageError> {
        // A directory may come to be closed to its owner: what lies in it comes before.
        for (at, dir) in self.plan.dirs.iter().enumerate().rev() {
            self.watch.check()?;
            let Some(found) = dir.found.map(|found| &self.plan.found[found]) else {
                continue;
            };
            let guard = self.guard(found);
            let opened = self.stand_on(at).and_then(|dir| out::to_change(&dir));
            match (guard, opened) {
                (Ok(guard), Ok(fd)) => {
                    let restore = match at {
                        0 => attrs::restore_top,
                        _ => attrs::restore,
                    };
                    let lacks = restore(Target::Open(fd.as_fd()), &guard.body);
                    self.tell_lacks(&self.dirs[at], &lacks);
                }
                (Err(Fault::End(error)), _) => return Err(error),
                _ => self.report.lock().unrestored.modes += 1,
            }
        }
        Ok(())
    }

    /// A directory that was made, without the way from the top if one near it was asked for before.
    fn stand_on(&self, dir: usize) -> Result<Arc<OwnedFd>, Errno> {
        let above = |dir: usize| {
            let path = &self.dirs[dir];
            let name = path.rsplit(|byte| *byte == b'/').next();
            (self.plan.dirs[dir].parent, name.unwrap_or_default())
        };
        self.stand.lock().on(dir, above)
    }

    fn dir(&self, dir: usize) -> Result<Arc<OwnedFd>, Fault> {
        let opened = self.stand_on(dir);
        opened.map_err(|errno| Fault::End(self.out.failed("open a directory", errno)))
    }

    fn fault(&self, errno: Errno) -> Fault {
        if is_fatal(errno) {
            Fault::End(self.out.failed("make a file", errno))
        } else {
            Fault::Missing(format!("it cannot be made: {errno}"))
        }
    }

    /// Where something is, for what was told of it when it was planned.
    fn note_path(&self, dir: usize, name: &[u8], path: &[u8]) {
        let planned = joined(&self.plan.dirs[dir].path, name);
        if planned != path {
            let mut moved = self.moved.lock();
            moved.insert(path_buf(&planned), path_buf(path));
        }
    }

    fn tell_renamed(&self, path: &[u8], name: &[u8]) {
        self.report.lock().renamed.push(Renamed {
            path: path_buf(path),
            name: name.to_vec(),
        });
    }

    fn tell_lacks(&self, path: &[u8], lacks: &Unrestored) {
        let mut report = self.report.lock();
        report.unrestored.add(lacks);
        if lacks.lacks_xattrs() {
            report.without_xattrs.push(path_buf(path));
        }
    }

    fn tell_made(&self, found: &Found, path: &[u8], made: &Made) {
        self.tell_damaged(path, made);
        self.tell_lacks(path, &made.lacks);
        let counts = &mut self.report.lock().counts;
        match found.kind {
            Kind::File if made.flaws.is_some() => {}
            Kind::File => counts.files += 1,
            Kind::Symlink => counts.symlinks += 1,
            Kind::Directory => {}
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => {
                counts.specials += 1;
            }
        }
    }

    fn tell_damaged(&self, path: &[u8], made: &Made) {
        if let Some((size, flaws)) = &made.flaws {
            self.report.lock().damaged.push(Damaged {
                path: path_buf(path),
                size: *size,
                lost: flaws.lost.clone(),
                unproven: flaws.unproven.clone(),
                foreign: flaws.foreign.clone(),
            });
        }
    }
}

/// What a node is called that is there in part.
fn damaged(name: &[u8], made: &Made) -> Option<Vec<u8>> {
    made.flaws.as_ref().map(|_| suffixed(name, DAMAGED))
}

/// Makes something under its name; where the target does not know such names, under its id.
fn named(
    wanted: Wanted<'_>,
    found: Option<&Found>,
    mut make: impl FnMut(Wanted<'_>) -> Result<Vec<u8>, Errno>,
) -> Result<Vec<u8>, Errno> {
    // Which error says so is up to the file system.
    match (make(wanted), found) {
        (Err(errno), Some(found)) if !is_fatal(errno) => make(Wanted {
            name: found.file.hex().as_bytes(),
            is_own: false,
            ..wanted
        }),
        (result, _) => result,
    }
}

fn make_special(
    work: BorrowedFd<'_>,
    temporary: &str,
    kind: FileType,
    number: u64,
) -> Result<(), Errno> {
    fs::mknodat(work, temporary, kind, Mode::RUSR | Mode::WUSR, number)
}

fn write_all(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match retry_on_intr(|| rustix::io::pwrite(file, bytes, offset))? {
            0 => return Err(Errno::IO),
            count => {
                bytes = bytes.get(count..).unwrap_or_default();
                offset += count as u64;
            }
        }
    }
    Ok(())
}

/// Errors after which nothing else can be made either.
fn is_fatal(errno: Errno) -> bool {
    [
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::ROFS,
        Errno::IO,
        Errno::NOMEM,
        Errno::MFILE,
        Errno::NFILE,
    ]
    .contains(&errno)
}
