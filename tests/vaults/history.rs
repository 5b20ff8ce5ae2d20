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

/// The file system after each operation since the last sync.
#[derive(Clone)]
pub struct History {
    /// The first one is durable, the last one is the present.
    moments: Vec<Model>,
    /// The last one that a killed daemon cannot lose.
    logged: usize,
}

impl History {
    pub fn new(start: Model) -> History {
        History {
            moments: vec![start],
            logged: 0,
        }
    }

    pub fn push(&mut self, model: Model) {
        self.moments.push(model);
    }

    /// The present was logged.
    pub fn logged(&mut self) {
        self.logged = self.moments.len() - 1;
    }

    /// The present was synced.
    pub fn durable(&mut self) {
        self.moments.drain(..self.moments.len() - 1);
        self.logged = 0;
    }

    /// The present learned more of itself.
    pub fn amend(&mut self, model: &Model) {
        if let Some(last) = self.moments.last_mut() {
            *last = model.clone();
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
        self.find_below(ROOT_INO, dump, floor, running)
    }

    /// The same for a part of a vault, below a directory of this number.
    ///
    /// # Errors
    /// As `find`.
    pub fn find_below(
        &self,
        top: u64,
        dump: &Dump,
        floor: Floor,
        running: Option<&(Model, Option<HalfDone>)>,
    ) -> Result<Model, String> {
        let first = match floor {
            Floor::Present => self.moments.len() - 1,
            Floor::Logged => self.logged,
            Floor::Durable => 0,
        };
        let mut why = Vec::new();
        let past = self.moments[first..]
            .iter()
            .rev()
            .map(|moment| (moment, None));
        for (moment, half) in running
            .iter()
            .map(|(after, half)| (after, half.as_ref()))
            .chain(past)
        {
            let mut moment = moment.clone();
            moment.drop_orphans();
            match moment.agree(Model::ROOT, top, dump, half) {
                Ok(()) => return Ok(moment),
                Err(what) => why.push(what),
            }
        }
        for (back, lost) in self.moments[..first].iter().rev().enumerate() {
            if lost.clone().agree(Model::ROOT, top, dump, None).is_ok() {
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
