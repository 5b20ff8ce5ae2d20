//! Directory listings: the dots, which the vault does not know, and the places to go on from.
//!
//! A place ("offset") of the kernel is 0 for the start, 1 after `.`, 2 after `..`, and the vault's
//! own place plus 2 after that.

use fuser::{Errno, FileAttr};

use crate::format::Kind;
use crate::vault::VaultError;

use super::failure::Failure;
use super::{Adapter, attr};

/// Places that the dots take.
const DOTS: u64 = 2;

/// The kernel keeps a place in a signed number.
const PLACE_MAX: u64 = i64::MAX as u64;

/// One entry of a listing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub ino: u64,
    pub kind: Kind,
    pub name: &'a [u8],
    /// Where to go on after it.
    pub next: u64,
}

impl Adapter {
    /// Gives rows from `offset` on to `add` until that says "full" by `false`.
    pub(super) fn list(
        &self,
        dir: u64,
        offset: u64,
        add: &mut dyn FnMut(&Row<'_>) -> bool,
    ) -> Result<(), Failure> {
        let mut page = Page::default();
        for dot in dots(offset) {
            let row = Row {
                ino: self.dot_ino(dir, dot)?,
                kind: Kind::Directory,
                name: dot.name,
                next: dot.next,
            };
            if !page.took(add(&row)) {
                return Ok(());
            }
        }
        let listed = self.vault.read_dir(dir, vault_place(offset), &mut |entry| {
            page.try_add(entry.next, |next| {
                add(&Row {
                    ino: entry.ino,
                    kind: entry.kind,
                    name: entry.name,
                    next,
                })
            })
        });
        page.finish("readdir", listed)
    }

    /// The same with attributes. Each row that `add` takes counts as a lookup, in the kernel and in
    /// the vault, but for the dots.
    pub(super) fn list_plus(
        &self,
        dir: u64,
        offset: u64,
        add: &mut dyn FnMut(&[u8], u64, &FileAttr) -> bool,
    ) -> Result<(), Failure> {
        let mut page = Page::default();
        for dot in dots(offset) {
            let ino = self.dot_ino(dir, dot)?;
            self.overtaken.by_answer_on(ino);
            let stat = self.vault.stat(ino)?;
            if !page.took(add(dot.name, dot.next, &attr::file_attr(&stat))) {
                return Ok(());
            }
        }
        let listed = self
            .vault
            .read_dir_plus(dir, vault_place(offset), &mut |entry, stat| {
                page.try_add(entry.next, |next| {
                    add(entry.name, next, &attr::file_attr(&self.told(*stat)))
                })
            });
        page.finish("readdirplus", listed)
    }

    fn dot_ino(&self, dir: u64, dot: Dot) -> Result<u64, Failure> {
        if dot.is_parent {
            Ok(self.vault.parent(dir)?)
        } else {
            Ok(dir)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dot {
    name: &'static [u8],
    is_parent: bool,
    next: u64,
}

/// The dots that come from `offset` on.
fn dots(offset: u64) -> impl Iterator<Item = Dot> {
    let both = [
        Dot {
            name: b".",
            is_parent: false,
            next: 1,
        },
        Dot {
            name: b"..",
            is_parent: true,
            next: DOTS,
        },
    ];
    both.into_iter().filter(move |dot| dot.next > offset)
}

fn vault_place(offset: u64) -> u64 {
    offset.saturating_sub(DOTS)
}

fn kernel_place(next: u64) -> Option<u64> {
    next.checked_add(DOTS).filter(|place| *place <= PLACE_MAX)
}

/// What became of one answer's rows.
#[derive(Debug, Default)]
struct Page {
    has_rows: bool,
    has_unplaceable: bool,
}

impl Page {
    fn took(&mut self, fits: bool) -> bool {
        self.has_rows |= fits;
        fits
    }

    fn try_add(&mut self, next: u64, add: impl FnOnce(u64) -> bool) -> bool {
        let Some(next) = kernel_place(next) else {
            self.has_unplaceable = true;
            return false;
        };
        self.took(add(next))
    }

    /// Rows that are there are shown first; the error comes again when the kernel goes on after
    /// them.
    fn finish(
        &self,
        operation: &'static str,
        listed: Result<(), VaultError>,
    ) -> Result<(), Failure> {
        match listed.map_err(Failure::from) {
            Err(failure) if self.has_rows => {
                // Only for the log line.
                failure.errno(operation);
                Ok(())
            }
            Ok(()) if self.has_unplaceable && !self.has_rows => Err(Errno::EOVERFLOW.into()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(offset: u64) -> Vec<&'static [u8]> {
        dots(offset).map(|dot| dot.name).collect()
    }

    #[test]
    fn the_dots_come_first_and_once() {
        assert_eq!(names(0), [b".".as_slice(), b".."]);
        assert_eq!(names(1), [b"..".as_slice()]);
        assert!(names(2).is_empty());
        assert!(names(u64::MAX).is_empty());
    }

    #[test]
    fn the_vault_starts_at_its_start_until_the_dots_are_through() {
        assert_eq!([0, 1, 2].map(vault_place), [0, 0, 0]);
        assert_eq!(vault_place(3), 1);
    }

    #[test]
    fn a_place_comes_back_as_it_went() {
        for next in [1, 2, 77, u64::from(u32::MAX), PLACE_MAX - DOTS] {
            assert_eq!(vault_place(kernel_place(next).unwrap()), next);
        }
    }

    #[test]
    fn a_place_that_the_kernel_cannot_keep_ends_the_listing_with_an_error() {
        assert_eq!(kernel_place(PLACE_MAX - DOTS + 1), None);
        assert_eq!(kernel_place(u64::MAX), None);
        let mut page = Page::default();
        assert!(!page.try_add(u64::MAX, |_| true));
        assert!(
            page.finish("readdir", Ok(()))
                .is_err_and(|failure| failure.is(Errno::EOVERFLOW))
        );
    }

    #[test]
    fn a_full_page_is_no_error() {
        let mut page = Page::default();
        assert!(page.try_add(5, |next| next == 7));
        assert!(!page.try_add(6, |_| false));
        assert!(page.finish("readdir", Ok(())).is_ok());
    }
}
