//! The moments that a vault may show after its mount ended badly.
use super::{dump::Dump, model::Model, settle::HalfDone};
use wardfs::vault::ROOT_INO;

/// How much of the past must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// All of it: the vault was closed.
    Present,
    /// What was logged when the last operation that logs was acknowledged: the daemon was killed.
    Logged,
    /// What was synced: power was lost.
    Durable,
}

/// The file system after each operation since the last sync, or from the beginning on.
#[derive(Clone)]
pub struct History {
    /// The last one is the present.
    moments: Vec<Moment>,
    /// The last one that a power cut cannot lose.
    durable: usize,
    /// The last one that a killed daemon cannot lose.
    logged: usize,
    keeps_all: bool,
}

#[derive(Clone)]
struct Moment {
    model: Model,
    /// What may have been there of it while the operation before it was done.
    half: Option<HalfDone>,
}

/// How far a history had come at some time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reached {
    durable: usize,
    logged: usize,
    /// The number of moments: one more may have been coming about.
    moments: usize,
}

impl Reached {
    /// What was there now must be there still, and no more than what was until then.
    #[must_use]
    pub fn until(self, then: Reached) -> Reached {
        Reached {
            moments: then.moments,
            ..self
        }
    }
}

impl History {
    pub fn new(start: Model) -> History {
        History {
            moments: vec![Moment {
                model: start,
                half: None,
            }],
            durable: 0,
            logged: 0,
            keeps_all: false,
        }
    }

    /// From here on nothing is forgotten: `find_as_of` can be asked for earlier times.
    pub fn keep_all(&mut self) {
        self.keeps_all = true;
    }

    /// Another moment; while it came about, a part of it may have been there.
    pub fn push(&mut self, model: Model, half: Option<HalfDone>) {
        self.moments.push(Moment { model, half });
    }

    /// The present was logged.
    pub fn logged(&mut self) {
        self.logged = self.moments.len() - 1;
    }

    /// The present was synced.
    pub fn durable(&mut self) {
        if !self.keeps_all {
            self.moments.drain(..self.moments.len() - 1);
        }
        self.durable = self.moments.len() - 1;
        self.logged = self.durable;
    }

    /// The present learned more of itself.
    pub fn amend(&mut self, model: &Model) {
        if let Some(last) = self.moments.last_mut() {
            last.model = model.clone();
        }
    }

    /// How far it has come.
    pub fn reached(&self) -> Reached {
        Reached {
            durable: self.durable,
            logged: self.logged,
            moments: self.moments.len(),
        }
    }

    /// Which moment does a vault show? The operation that ran when the mount ended may be done, or in part.
    ///
    /// # Errors
    /// Why it is none of them.
    pub fn find(
        &self,
        dump: &Dump,
        floor: Floor,
        running: Option<&(Model, Option<HalfDone>)>,
    ) -> Result<Model, String> {
        self.find_as_of(self.reached(), ROOT_INO, dump, floor, running)
    }

    /// The same for a part of a vault, below a directory of this number, that was left when the history had come so far.
    ///
    /// # Errors
    /// As `find`.
    pub fn find_as_of(
        &self,
        then: Reached,
        top: u64,
        dump: &Dump,
        floor: Floor,
        running: Option<&(Model, Option<HalfDone>)>,
    ) -> Result<Model, String> {
        let first = match floor {
            Floor::Present => then.moments - 1,
            Floor::Logged => then.logged,
            Floor::Durable => then.durable,
        };
        let mut why = Vec::new();
        let running = running.map(|(after, half)| (after, half.as_ref()));
        // Either the operation that was cut short, or one that was done since.
        let next = match self.moments.get(then.moments) {
            Some(next) => Some((&next.model, next.half.as_ref())),
            None => running,
        };
        let past = self.moments[first..then.moments].iter().rev();
        let past = past.map(|moment| (&moment.model, None));
        for (moment, half) in next.into_iter().chain(past) {
            let mut moment = moment.clone();
            moment.drop_orphans();
            match moment.agree(Model::ROOT, top, dump, half) {
                Ok(()) => return Ok(moment),
                Err(what) => why.push(what),
            }
        }
        for (back, lost) in self.moments[..first].iter().rev().enumerate() {
            let mut lost = lost.model.clone();
            if lost.agree(Model::ROOT, top, dump, None).is_ok() {
                why.push(format!(
                    "it is the state {} operations before the oldest allowed",
                    back + 1
                ));
            }
        }
        Err(format!(
            "the vault shows no moment of its past ({floor:?}); from the present back:\n  {}",
            why.join("\n  ")
        ))
    }
}
