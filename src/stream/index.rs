//! The index of a compressed stream while it is written, or read from its beginning: which block is due next, and what is in it.
//!
//! It holds one block that is not full yet for each level, however long the stream is.

use crate::format::{STREAM_ENTRY_LEN, STREAM_FANOUT, StreamEnd};

/// What of the index is not in the stream yet.
#[derive(Default)]
pub(super) struct Index {
    levels: Vec<Level>,
    chunks: u64,
}

#[derive(Default)]
struct Level {
    entries: Vec<u64>,
    /// How many blocks there are in the stream.
    made: u64,
}

/// A block that comes next in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub level: u8,
    pub number: u64,
}

impl Index {
    /// A chunk's frame lies here.
    pub fn push_chunk(&mut self, position: u64) {
        self.chunks += 1;
        self.push(0, position);
    }

    fn push(&mut self, level: usize, position: u64) {
        if self.levels.len() == level {
            self.levels.push(Level::default());
        }
        self.levels[level].entries.push(position);
    }

    /// The block that comes before anything else, if there is one. `ending`: no chunk follows.
    pub fn due(&self, ending: bool) -> Option<Due> {
        for (level, block) in self.levels.iter().enumerate() {
            if ending && self.is_above_top(level) {
                return None;
            }
            let is_due = block.entries.len() == STREAM_FANOUT || ending;
            if is_due && !block.entries.is_empty() {
                let level = u8::try_from(level).expect("2^64 chunks have seven levels");
                return Some(Due {
                    level,
                    number: block.made,
                });
            }
        }
        None
    }

    /// The level below has one block and will have no other.
    fn is_above_top(&self, level: usize) -> bool {
        level > 0 && {
            let below = &self.levels[level - 1];
            below.made == 1 && below.entries.is_empty()
        }
    }

    /// The plaintext of the block that is due.
    pub fn plaintext(&self, due: Due) -> impl Iterator<Item = [u8; STREAM_ENTRY_LEN]> {
        let entries = &self.levels[usize::from(due.level)].entries;
        entries.iter().map(|entry| entry.to_le_bytes())
    }

    /// Its bytes of plaintext.
    pub fn plaintext_len(&self, due: Due) -> usize {
        self.levels[usize::from(due.level)].entries.len() * STREAM_ENTRY_LEN
    }

    /// The block that was due lies here.
    pub fn placed(&mut self, due: Due, position: u64) {
        let level = usize::from(due.level);
        self.levels[level].entries.clear();
        self.levels[level].made += 1;
        self.push(level + 1, position);
    }

    /// What ends the stream, once nothing is due.
    pub fn end(&self, plaintext_len: u64) -> StreamEnd {
        let above = (1..self.levels.len()).find(|level| self.is_above_top(*level));
        let above = above.expect("every stream has a chunk, and so a block");
        StreamEnd {
            plaintext_len,
            chunks: self.chunks,
            top: self.levels[above].entries[0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ChunkSize;

    /// What a stream of so many chunks has, each item one long: `None` a chunk, else a block and its entries.
    type Items = Vec<Option<(Due, Vec<u64>)>>;

    fn items(chunks: u64) -> (Items, StreamEnd) {
        let (mut index, mut items) = (Index::default(), Items::new());
        let place_due = |index: &mut Index, items: &mut Items, ending| {
            while let Some(due) = index.due(ending) {
                let entries = index.plaintext(due).map(u64::from_le_bytes).collect();
                index.placed(due, items.len() as u64);
                items.push(Some((due, entries)));
            }
        };
        for _ in 0..chunks {
            index.push_chunk(items.len() as u64);
            items.push(None);
            place_due(&mut index, &mut items, false);
        }
        place_due(&mut index, &mut items, true);
        let end = index.end(chunks * 4096);
        (items, end)
    }

    #[test]
    fn every_chunk_is_found_from_the_top() {
        let fanout = STREAM_FANOUT as u64;
        for chunks in [
            1,
            2,
            fanout - 1,
            fanout,
            fanout + 1,
            2 * fanout,
            2 * fanout + 1,
            fanout * fanout,
            fanout * fanout + 1,
            fanout * fanout + 3 * fanout + 5,
        ] {
            let (items, end) = items(chunks);
            let chunk = ChunkSize::from_log2(12).unwrap();
            assert_eq!(StreamEnd::decode(&end.encode(), chunk), Ok(end));
            let step = (chunks / 1000).max(1);
            for wanted in (0..chunks)
                .step_by(usize::try_from(step).unwrap())
                .chain([chunks - 1])
            {
                let mut at = end.top;
                for level in (0..=end.top_level()).rev() {
                    let (number, entry) = StreamEnd::way(level, wanted);
                    let item = items[usize::try_from(at).unwrap()].as_ref();
                    let (due, entries) = item.expect("a block");
                    assert_eq!(*due, Due { level, number }, "{chunks} {wanted}");
                    at = entries[entry];
                }
                let before = items[..usize::try_from(at).unwrap()].iter();
                assert!(items[usize::try_from(at).unwrap()].is_none());
                if chunks < 5000 {
                    let count = before.filter(|item| item.is_none()).count() as u64;
                    assert_eq!(count, wanted);
                }
            }
        }
    }
}
