//! Listings that are read in pieces while the directory changes: what was there all the time is told exactly once.
use super::model::{Model, NodeId};
use std::collections::BTreeMap;

/// Listings that were begun, one a directory.
#[derive(Default)]
pub struct Streams(BTreeMap<NodeId, Stream>);

#[derive(Default)]
struct Stream {
    /// Cookie of the last entry that was told.
    after: u64,
    /// Entries that were there from the beginning, and how often each was told.
    must: BTreeMap<Vec<u8>, (NodeId, u32)>,
}

impl Streams {
    /// Where the listing of a directory goes on.
    pub fn begin(&mut self, dir: NodeId, model: &Model) -> u64 {
        let entries = model.entries(dir).expect("a directory");
        let start = || {
            entries
                .iter()
                .map(|(name, id)| (name.clone(), (*id, 0)))
                .collect()
        };
        self.0
            .entry(dir)
            .or_insert_with(|| Stream {
                after: 0,
                must: start(),
            })
            .after
    }

    /// Entries were told; `end`: no more are there.
    pub fn advance(
        &mut self,
        dir: NodeId,
        batch: Vec<(Vec<u8>, u64)>,
        end: bool,
    ) -> Result<(), String> {
        let stream = self.0.get_mut(&dir).expect("it was begun");
        for (name, next) in batch {
            if next <= stream.after {
                return Err(format!("cookie {next} after {}", stream.after));
            }
            stream.after = next;
            if let Some((_, count)) = stream.must.get_mut(&name) {
                *count += 1;
            }
        }
        let wrong = stream
            .must
            .values()
            .filter(|(_, count)| *count > 1 || (end && *count == 0))
            .count();
        if end {
            self.0.remove(&dir);
        }
        if wrong == 0 {
            Ok(())
        } else {
            Err(format!("{wrong} entries were told twice or not at all"))
        }
    }

    /// After an operation: entries that went, or lead elsewhere, need not be told.
    pub fn keep(&mut self, model: &Model) {
        self.0.retain(|dir, _| model.has(*dir));
        for (dir, stream) in &mut self.0 {
            let Ok(entries) = model.entries(*dir) else {
                continue;
            };
            stream
                .must
                .retain(|name, (id, _)| entries.get(name) == Some(id));
        }
    }

    /// Cookies hold while the kernel knows the directory.
    pub fn forget(&mut self, dir: NodeId) {
        self.0.remove(&dir);
    }
}
