//! What is still to be looked at, shared by the workers. Last in, first out: so what waits stays little, however large the
//! vault.
use parking_lot::{Condvar, Mutex};

pub(super) struct Work<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: Vec<T>,
    /// Workers that may still add something.
    busy: usize,
}

impl<T> Work<T> {
    pub fn new() -> Work<T> {
        let state = State {
            waiting: Vec::new(),
            busy: 0,
        };
        Work {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub fn add(&self, tasks: impl IntoIterator<Item = T>) {
        self.state.lock().waiting.extend(tasks);
        self.changed.notify_all();
    }

    /// Does one task after the other until none is left and nobody can add one.
    pub fn run(&self, each: impl Fn(T)) {
        while let Some(task) = self.take() {
            let busy = Busy(self);
            each(task);
            drop(busy);
        }
    }

    fn take(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(task) = state.waiting.pop() {
                state.busy += 1;
                return Some(task);
            }
            if state.busy == 0 {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }
}

/// A worker at work, also when that ends by a panic.
struct Busy<'a, T>(&'a Work<T>);

impl<T> Drop for Busy<'_, T> {
    fn drop(&mut self) {
        self.0.state.lock().busy -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicU64, Ordering::SeqCst},
        thread,
    };

    #[test]
    fn work_that_makes_work_is_all_done() {
        let work = Work::new();
        let done = AtomicU64::new(0);
        work.add([12_u32]);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    work.run(|depth| {
                        done.fetch_add(1, SeqCst);
                        work.add((0..2).filter(|_| depth > 0).map(|_| depth - 1));
                    });
                });
            }
        });
        assert_eq!(done.into_inner(), (1 << 13) - 1);
    }
}
