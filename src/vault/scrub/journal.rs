//! What this mount has logged since the last checkpoint, and what else lies in the journal.
//!
//! What the log says is in memory, too, and the next checkpoint stores it: damage in it hurts only who crashes before that. A vault
//! that is shown as it is writes no log; what it was opened with must be there as it was.
use super::Scrub;
use crate::{
    journal::{self, Owner, Unread, journal_dir, segment_path},
    vault::{
        core::Core,
        error::Result,
        finding::{Finding, Kind, words},
        types::ROOT_INO,
    },
};

/// What is wrong, and strays.
#[derive(Default)]
struct JournalLook {
    bytes: u64,
    bad: Vec<Finding>,
    strays: Vec<String>,
}

impl Scrub<'_> {
    /// The log, and the files beside it.
    pub(super) fn journal(&mut self) -> Result<()> {
        let core = self.core;
        let is_whole = |look: &Result<JournalLook>| {
            look.as_ref()
                .is_ok_and(|look| look.bad.is_empty() && look.strays.is_empty())
        };
        let look = core.quietly(|| core.look_at_journal(), is_whole);
        // A log that has failed is not as it was left: that is told otherwise.
        core.refuse_failed()?;
        let look = match look {
            Ok(look) => look,
            Err(error) => {
                let object = journal_dir();
                let kind = words::kind_of_vault(&error);
                let kind = if kind == Kind::Unreadable {
                    kind
                } else {
                    Kind::Journal
                };
                self.tell(Finding::new(kind, object.as_str(), words::text(&error)));
                return Ok(());
            }
        };
        self.has_read(look.bytes);
        look.bad.into_iter().for_each(|found| self.tell(found));
        for stray in look.strays {
            self.stray(&stray);
        }
        Ok(())
    }
}

impl Core {
    fn look_at_journal(&self) -> Result<JournalLook> {
        let mut look = JournalLook::default();
        let is_shown = self.options.read_only;
        if !is_shown {
            let seen = self.journal.verify()?;
            look.bytes = seen.bytes;
            look.bad = seen.unread.iter().map(unread).collect();
        }
        for name in self.store.list(&journal_dir())? {
            let name = String::from_utf8_lossy(&name).into_owned();
            let object = format!("{}/{name}", journal_dir().as_str());
            match self.journal.owner_of(&name) {
                None if ["reserve", "durable"].contains(&name.as_str()) => {}
                None => look.strays.push(object),
                Some(_) if is_shown => look.bad.extend(self.shown_segment(&name)?),
                Some(owner) => look.bad.extend(not_ours(&object, owner)),
            }
        }
        Ok(look)
    }

    /// A segment that was read when the vault was opened.
    fn shown_segment(&self, name: &str) -> Result<Option<Finding>> {
        let Some(number) = journal::number_in_name(name).filter(|_| name.len() == 20) else {
            return Ok(None);
        };
        // The store is past those before.
        if number <= self.node(ROOT_INO)?.state.read().generation {
            return Ok(None);
        }
        let path = segment_path(number);
        Ok(self.journal.is_damaged(number)?.then(|| {
            let what = "frames of it that were durable are not there, or do not open";
            Finding::new(Kind::Journal, path.as_str(), what)
        }))
    }
}

fn unread(place: &Unread) -> Finding {
    let what = words::unread(place.frames);
    let what = format!(
        "{what} not open here; what they say is in memory, and is lost if this mount crashes before it is stored"
    );
    let mut finding = Finding::new(Kind::Journal, segment_path(place.segment).as_str(), what);
    finding.object_range = Some(place.bytes.clone());
    finding.advised("unmount now: what is in memory is stored then, and the log is gone")
}

fn not_ours(object: &str, owner: Owner) -> Option<Finding> {
    match owner {
        Owner::Ours => None,
        Owner::Past => {
            let what = "it is of a journal that is done with, and ignored";
            Some(Finding::new(Kind::Stray, object, what))
        }
        Owner::Coming => {
            let what = "a file of the journal that this mount has not written; after a crash the next mount would take it for a part \
                        of its log";
            let found = Finding::new(Kind::Journal, object, what);
            Some(found.advised("remove it while the vault is mounted"))
        }
    }
}
