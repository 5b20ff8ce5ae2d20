//! A set of byte ranges, merged where they touch.
use std::{collections::BTreeMap, ops::Range};

/// Ranges that neither overlap nor touch, in order.
#[derive(Default, Debug, Clone, PartialEq, Eq)]
pub(in crate::vault) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub const fn new() -> Ranges {
        Ranges(BTreeMap::new())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a range.
    pub fn add(&mut self, range: Range<u64>) {
        let Range { mut start, mut end } = range;
        if start >= end {
            return;
        }
        while let Some((&at, &until)) = self.0.range(..=end).next_back() {
            if until < start {
                break;
            }
            start = start.min(at);
            end = end.max(until);
            self.0.remove(&at);
        }
        self.0.insert(start, end);
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: Range<u64>) {
        let Range { start, end } = range;
        if start >= end {
            return;
        }
        while let Some((&at, &until)) = self.0.range(..end).next_back() {
            if until <= start {
                break;
            }
            self.0.remove(&at);
            if until > end {
                self.0.insert(end, until);
            }
            if at < start {
                self.0.insert(at, start);
            }
        }
    }

    /// How many of the numbers in a range are in the set?
    pub fn count_in(&self, range: &Range<u64>) -> u64 {
        let below = self.0.range(..range.end).rev();
        below
            .take_while(|(_, until)| **until > range.start)
            .map(|(&at, &until)| until.min(range.end) - at.max(range.start))
            .sum()
    }

    /// All ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().map(|(&start, &end)| start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn touching_ranges_become_one() {
        let mut ranges = Ranges::default();
        ranges.add(0..4);
        ranges.add(8..12);
        ranges.add(4..8);
        assert_eq!(ranges, Ranges(BTreeMap::from([(0, 12)])));
    }

    proptest! {
        #[test]
        fn ranges_behave_like_a_set_of_bytes(ops in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..20), 0..60)) {
            let mut ranges = Ranges::default();
            let mut bytes = std::collections::BTreeSet::new();
            for (add, start, len) in ops {
                let range = start..start + len;
                if add { ranges.add(range.clone()); bytes.extend(range); } else {
                    ranges.remove(range.clone());
                    bytes.retain(|byte| !range.contains(byte));
                }
            }
            for window in [0..84, 10..11, 20..50] {
                prop_assert_eq!(ranges.count_in(&window), bytes.range(window.clone()).count() as u64);
            }
            let merged: Vec<_> = ranges.iter().collect();
            prop_assert!(merged.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert_eq!(merged.into_iter().flatten().collect::<Vec<_>>(), bytes.into_iter().collect::<Vec<_>>());
        }
    }
}
