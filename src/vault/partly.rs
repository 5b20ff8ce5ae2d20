//! A journal that cannot be done as a whole: as much of it as can be, and what is lost with the rest.
use super::{
    error::{Result, VaultError},
    inspect::{Inspected, Recovery, UNLOGGED_CONTENT},
    lost::LostChanges,
    open::{Opening, new_content, no_keep},
    passed::PassedOver,
    unstored::Unstored,
};
use crate::{
    journal::{self, Recovered},
    store::Store,
};
use std::sync::Arc;

/// What is said of a checkpoint that was cut short, where it is finished in the store.
pub(super) const FINISHING: &str = "finishing a checkpoint that was cut short";

/// How much of a log can be replayed.
#[derive(Default)]
pub(super) struct Longest {
    /// So many frames,
    pub frames: usize,
    /// but for this.
    pub passed: PassedOver,
}

impl Opening {
    /// Is as much of the log there as was promised, or as there was before? Of `cut` frames only those are asked for; `is_given`: by
    /// who knows why.
    pub(super) fn check_log(
        &self,
        log: &Recovered,
        cut: Option<usize>,
        is_given: bool,
    ) -> Result<()> {
        if self.options.read_only && log.is_unreadable() && !is_given {
            log::warn!(
                "the disk does not read a part of the log: what was changed there and behind it is not shown"
            );
            return Ok(());
        }
        let Some(count) = cut else {
            log.check_durable()?;
            return self.check_claimed(log);
        };
        if log.is_unreadable() && (!is_given || log.frames.len() < count) {
            // It was read before, and is there perhaps.
            log.check_durable()?;
        }
        Ok(())
    }

    /// New content is made after the segment that will claim it, and is gone before that one.
    fn check_claimed(&self, log: &Recovered) -> Result<()> {
        if log.has_segments() || new_content(&*self.store)? == 0 {
            return Ok(());
        }
        Err(VaultError::Damaged {
            object: journal::journal_dir().as_str().to_owned(),
            what: UNLOGGED_CONTENT,
        })
    }
}

impl Inspected {
    /// Tells of a checkpoint that was cut short and is about to be finished in the store.
    pub fn warn_of_checkpoint(&self) {
        let Ok(keys) = self.keys() else { return };
        let opening = self.opening(Arc::clone(self.store()));
        let closed = journal::closed_redo_files(&*opening.store, &opening.context);
        let mut closed = closed.unwrap_or_default().into_iter();
        if closed.any(|number| opening.is_due(&keys, number)) {
            log::warn!("{FINISHING}");
        }
    }

    /// What is passed over when a log is done as far as can be: what does not load, and what is missing.
    fn bare(&self, store: Arc<dyn Store>) -> Opening {
        Opening {
            passes_over: true,
            ..self.passing_over(store)
        }
    }

    /// Does so many frames to a store; gives what of it was passed over, and what could not be stored.
    pub(super) fn replay_part(
        &self,
        store: &Arc<dyn Store>,
        frames: usize,
    ) -> Result<(PassedOver, Vec<Unstored>)> {
        let opening = self.bare(Arc::clone(store));
        opening.store.make_dir(&journal::journal_dir())?;
        opening.finish_checkpoint(&self.keys()?)?;
        let replayed = opening.replay_cut(self.keys()?, Some(frames), &mut no_keep)?;
        let core = opening.stored(&replayed)?;
        core.close()?;
        let unstored = core.unstored.take();
        Ok((replayed.passed, unstored))
    }

    /// So much was, or will be, replayed.
    pub(super) fn cut(
        &self,
        cause: VaultError,
        longest: &Longest,
        unstored: Vec<Unstored>,
    ) -> Recovery {
        let mut lost = self.lost_after(longest).unwrap_or_default();
        // Whatever lies in its place, nothing of a log can be read.
        let has_none = longest.frames == 0 && lost.count() == 0;
        let unclaimed = if has_none || self.log_is_gone().is_some() {
            new_content(&**self.store()).unwrap_or(0)
        } else {
            0
        };
        lost.unstored = unstored;
        Recovery::Cut {
            cause,
            frames: longest.frames,
            lost,
            unclaimed,
        }
    }

    /// What the log holds beside and behind that.
    fn lost_after(&self, longest: &Longest) -> Result<LostChanges> {
        let mut opening = self.bare(self.overlay());
        let keys = self.keys()?;
        if opening.finish_checkpoint(&keys).is_err() {
            opening.store = Arc::clone(self.store());
        }
        let applied = match opening.read_root(&keys) {
            Ok(root) => root.body.generation,
            // Segments go when they were applied: all that are there count.
            Err(_) => journal::first_segment(&*opening.store)?.saturating_sub(1),
        };
        let mut log = journal::read_log(&*opening.store, &opening.context, applied)?;
        let dropped = log.cut(longest.frames);
        let passed = &longest.passed;
        let behind = dropped.iter().chain(&log.behind);
        let mut lost = LostChanges::beside(&log.frames, &passed.records, behind);
        lost.stand_ins.clone_from(&passed.stand_in_paths);
        lost.cut_off = log.cut_off;
        lost.unread = log.unread;
        Ok(lost)
    }

    /// The most frames of the log that can be replayed, found by trying; `None` if not even none of them can.
    pub(super) fn longest_log(&self) -> Result<Option<Longest>> {
        let opening = self.bare(self.overlay());
        let keys = self.keys()?;
        let logged = || -> Result<usize> {
            opening.finish_checkpoint(&keys)?;
            let applied = opening.read_root(&keys)?.body.generation;
            let log = journal::read_log(&*opening.store, &opening.context, applied)?;
            Ok(log.frames.len())
        };
        let Ok(count) = logged() else {
            return Ok(None);
        };
        let replayed = |frames: usize| {
            let replayed = self.replay_part(&self.overlay(), frames).ok();
            replayed.map(|(passed, _)| Longest { frames, passed })
        };
        let mut longest = replayed(count);
        if longest.is_some() {
            return Ok(longest);
        }
        let (mut from, mut bad) = (0, count);
        while from < bad {
            let middle = from.midpoint(bad - 1);
            match replayed(middle) {
                Some(good) => {
                    from = middle + 1;
                    longest = Some(good);
                }
                None => bad = middle,
            }
        }
        Ok(longest)
    }
}
