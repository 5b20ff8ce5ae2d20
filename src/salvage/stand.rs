//! Ways down the directory that is made, without beginning at its top each time: a tree may be some thousand directories deep.
//!
//! Each step is one name, in a directory whose descriptor is at hand, and follows nothing.
use super::out::{Out, STAND};
use rustix::{
    fs::{self, Mode},
    io::{Errno, retry_on_intr},
};
use std::{os::fd::OwnedFd, sync::Arc};

/// So many descriptors are kept.
const KEPT_MAX: usize = 64;

/// The directories on the way to the one that was asked for last, by number, the top first. Numbers grow on the way down.
pub(super) struct Stand {
    way: Vec<(usize, Arc<OwnedFd>)>,
}

impl Stand {
    /// At the top, which is number 0.
    pub fn at_top(out: &Out) -> Result<Stand, Errno> {
        let top = (0, Arc::new(out.top()?));
        Ok(Stand { way: vec![top] })
    }

    /// A directory to stand on. `above` gives the number of the one that it lies in, and its name there.
    pub fn on<'a>(
        &mut self,
        dir: usize,
        above: impl Fn(usize) -> (usize, &'a [u8]),
    ) -> Result<Arc<OwnedFd>, Errno> {
        let mut below = Vec::new();
        let mut at = dir;
        let known = loop {
            let known = self.way.binary_search_by_key(&at, |(number, _)| *number);
            if let Ok(known) = known {
                break known;
            }
            let (parent, name) = above(at);
            below.push((at, name));
            at = parent;
        };
        self.way.truncate(known + 1);
        let mut fd = Arc::clone(&self.way[known].1);
        for (number, name) in below.into_iter().rev() {
            let next = retry_on_intr(|| fs::openat(&fd, name, STAND, Mode::empty()))?;
            fd = Arc::new(next);
            self.way.push((number, Arc::clone(&fd)));
            if self.way.len() > KEPT_MAX {
                // Who goes up from here asks for half as many before it has to come down again.
                self.way.drain(1..=KEPT_MAX / 2);
            }
        }
        Ok(fd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, fs::create_dir_all, path::PathBuf};

    /// Down and up again.
    #[test]
    fn a_deep_tree_takes_a_few_steps_for_each_of_its_directories() {
        let deep = 1000;
        let place = tempfile::tempdir().unwrap();
        let out = Out::open(&place.path().join("out")).unwrap();
        let path: PathBuf = vec!["d"; deep].join("/").into();
        create_dir_all(place.path().join("out").join(path)).unwrap();
        let mut stand = Stand::at_top(&out).unwrap();
        let steps = Cell::new(0);
        let above = |number: usize| {
            steps.set(steps.get() + 1);
            (number - 1, &b"d"[..])
        };
        for number in (0..=deep).chain((0..=deep).rev()) {
            stand.on(number, above).unwrap();
            assert!(stand.way.len() <= KEPT_MAX);
        }
        assert!(steps.get() < 32 * deep, "{} steps", steps.get());
    }

    #[test]
    fn another_branch_is_found_from_where_it_parts() {
        let place = tempfile::tempdir().unwrap();
        let out = Out::open(&place.path().join("out")).unwrap();
        for path in ["out/a/b", "out/a/c"] {
            create_dir_all(place.path().join(path)).unwrap();
        }
        let above = |number| match number {
            1 => (0, &b"a"[..]),
            2 => (1, &b"b"[..]),
            _ => (1, &b"c"[..]),
        };
        let mut stand = Stand::at_top(&out).unwrap();
        for (number, path) in [(2, "out/a/b"), (3, "out/a/c"), (2, "out/a/b"), (0, "out")] {
            let fd = stand.on(number, above).unwrap();
            let [is, should] = [fs::fstat(&fd), fs::stat(place.path().join(path))];
            assert_eq!(is.unwrap().st_ino, should.unwrap().st_ino, "{path}");
        }
    }
}
