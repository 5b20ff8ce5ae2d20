//! What was injected, and what becomes of each operation.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use parking_lot::Mutex;
use rustix::io::Errno;

use super::{Fault, Operation};
use crate::store::{ObjectPath, StoreError};

/// What store and blobs share. A blob has this and not the store, for the lock must not live as
/// long as a blob.
#[derive(Clone, Default)]
pub(super) struct Faults(pub Arc<Mutex<Plan>>);

#[derive(Default)]
pub(super) struct Plan {
    pub faults: Vec<Fault>,
    pub counts: BTreeMap<Operation, u64>,
    pub hits: u64,
}

/// What becomes of an operation.
enum Verdict {
    Pass,
    Fail(Errno),
    /// Does half of it, then fails.
    Short(Errno),
}

impl Verdict {
    fn of(self, operation: Operation, path: &ObjectPath) -> Result<(), StoreError> {
        match self {
            Verdict::Pass => Ok(()),
            Verdict::Fail(errno) | Verdict::Short(errno) => {
                Err(StoreError::from_errno(operation.name(), path, errno))
            }
        }
    }
}

impl Faults {
    pub fn check(&self, operation: Operation, path: &ObjectPath) -> Result<(), StoreError> {
        self.0.lock().check(operation, &[path.as_str()], path)
    }

    /// Of an operation on these bytes of a blob.
    pub fn check_at(
        &self,
        operation: Operation,
        path: &ObjectPath,
        bytes: &Range<u64>,
    ) -> Result<(), StoreError> {
        let verdict = self.0.lock().judge_at(operation, &[path.as_str()], bytes);
        verdict.of(operation, path)
    }

    /// Lets `write` have what is to be written, if only half of it.
    pub fn write(
        &self,
        operation: Operation,
        path: &ObjectPath,
        offset: u64,
        bytes: &[u8],
        write: impl FnOnce(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let end = match operation {
            Operation::Put => u64::MAX,
            _ => offset.saturating_add(bytes.len() as u64),
        };
        let place = offset..end;
        let verdict = self.0.lock().judge_at(operation, &[path.as_str()], &place);
        let errno = match verdict {
            Verdict::Pass => return write(bytes),
            Verdict::Fail(errno) => errno,
            Verdict::Short(errno) => {
                write(&bytes[..bytes.len() / 2])?;
                errno
            }
        };
        Err(StoreError::from_errno(operation.name(), path, errno))
    }
}

impl Plan {
    fn judge(&mut self, operation: Operation, paths: &[&str]) -> Verdict {
        self.judge_at(operation, paths, &(0..0))
    }

    /// `bytes`: what of a blob is to be read or changed.
    fn judge_at(&mut self, operation: Operation, paths: &[&str], bytes: &Range<u64>) -> Verdict {
        *self.counts.entry(operation).or_insert(0) += 1;
        let Some(index) = self
            .faults
            .iter_mut()
            .position(|fault| fault.hits(operation, paths, bytes))
        else {
            return Verdict::Pass;
        };
        self.hits += 1;
        let Fault {
            errno, short, once, ..
        } = self.faults[index];
        if once {
            self.faults.remove(index);
        }
        if short {
            Verdict::Short(errno)
        } else {
            Verdict::Fail(errno)
        }
    }

    pub fn check(
        &mut self,
        operation: Operation,
        paths: &[&str],
        path: &ObjectPath,
    ) -> Result<(), StoreError> {
        self.judge(operation, paths).of(operation, path)
    }
}
