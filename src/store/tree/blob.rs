//! An open object of a store in memory: keeps its node, whatever becomes of the name.

use std::{io, ops::Range, sync::Arc};

use parking_lot::Mutex;

use super::{
    Blob, Change, Medium, NodeId, ObjectPath, PAGE_LEN, State, Step, StoreError, Synced,
    sort_error, state::checked_range,
};

pub(super) struct TreeBlob<M: Medium> {
    state: Arc<Mutex<State<M>>>,
    node: NodeId,
    /// Where it lay when it was opened: for messages only.
    path: ObjectPath,
}

impl<M: Medium> TreeBlob<M> {
    /// The state already counts the node as open.
    pub(super) fn new(state: Arc<Mutex<State<M>>>, node: NodeId, path: ObjectPath) -> TreeBlob<M> {
        TreeBlob { state, node, path }
    }

    fn run<T>(
        &self,
        op: &'static str,
        action: impl FnOnce(&mut State<M>) -> io::Result<T>,
    ) -> Result<T, StoreError> {
        let mut state = self.state.lock();
        let done = state.medium.admit().and_then(|()| action(&mut state));
        done.map_err(|error| sort_error(op, &self.path, error))
    }
}

impl<M: Medium> Drop for TreeBlob<M> {
    fn drop(&mut self) {
        self.state.lock().close(self.node);
    }
}

impl<M: Medium> Blob for TreeBlob<M> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StoreError> {
        self.run("read", |state| {
            Ok(state.tree.object(self.node)?.read_at(offset, into))
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.run("write", |state| state.write(self.node, offset, bytes))
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>, StoreError> {
        self.run("look for data in", |state| {
            Ok(state.tree.object(self.node)?.next_data(offset))
        })
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.run("get the length of", |state| {
            Ok(state.tree.object(self.node)?.len())
        })
    }

    fn set_len(&self, len: u64) -> Result<(), StoreError> {
        self.run("set the length of", |state| {
            state.step(Step::Data(self.node, Change::SetLen(len)))
        })
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.run("sync", |state| state.sync(Synced::Data(self.node)))
    }

    fn punch(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        self.run("punch a hole in", |state| {
            state.step(Step::Data(self.node, Change::Zero { offset, len }))
        })
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        if len == 0 {
            return Ok(());
        }
        self.run("allocate space for", |state| {
            let end = checked_range(offset, len)?.end;
            let change = match state.capacity {
                Some(_) => Change::Reserve { offset, len },
                None => Change::SetLen(end.max(state.tree.object(self.node)?.len())),
            };
            let done = state.step(Step::Data(self.node, change));
            if state.capacity.is_some() && done.is_err() {
                self.reserve_what_fits(state, offset..end);
            }
            done
        })
    }
}

impl<M: Medium> TreeBlob<M> {
    /// A full disk keeps what it found of a range: ext4 does.
    fn reserve_what_fits(&self, state: &mut State<M>, range: Range<u64>) {
        let mut offset = range.start;
        while offset < range.end {
            let end = (offset / PAGE_LEN + 1)
                .saturating_mul(PAGE_LEN)
                .min(range.end);
            let change = Change::Reserve {
                offset,
                len: end - offset,
            };
            if state.step(Step::Data(self.node, change)).is_err() {
                return;
            }
            offset = end;
        }
    }
}
