//! What a power loss leaves of the bytes of one object.

use std::{collections::HashMap, ops::Range};

use rand::{
    RngExt,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};

use crate::store::tree::{Change, Content};

/// The least that is written at once, in bytes. Also the step in which a length can stop on its
/// way.
pub(super) const SECTOR_LEN: u64 = 512;

/// Sectors, pages, the object whole.
const GRAINS: [u64; 3] = [SECTOR_LEN, 4096, u64::MAX];

/// The content after some of `changes`, made since `durable` was synced, got to the disk.
pub(super) fn torn(durable: &Content, changes: &[Change], rng: &mut StdRng) -> Content {
    if rng.random_ratio(1, 5) {
        return reordered(durable, changes, rng);
    }
    let lens = lens(durable, changes);
    let len = surviving_len(&lens, changes, rng);
    let grain = GRAINS.choose(rng).copied().unwrap_or(SECTOR_LEN);
    let mut reached = Reached {
        grain,
        count: changes.len(),
        drawn: HashMap::new(),
    };
    let mut content = durable.clone();
    // Long enough for everything; what is too long is cut in the end.
    content.set_len(lens.into_iter().max().unwrap_or(0));
    for (index, change) in changes.iter().enumerate() {
        match change {
            Change::Write { offset, bytes } => {
                for piece in pieces(*offset..offset + bytes.len() as u64, grain) {
                    if reached.unit_of(piece.start, rng) > index {
                        content.write_at(piece.start, &bytes[within(&piece, *offset)]);
                    }
                }
            }
            Change::Zero { offset, len } => {
                zero_some(
                    &mut content,
                    *offset..offset.saturating_add(*len),
                    index,
                    &mut reached,
                    rng,
                );
            }
            Change::SetLen(len) => {
                zero_some(&mut content, *len..u64::MAX, index, &mut reached, rng);
            }
            Change::Reserve { .. } => {}
        }
    }
    content.set_len(len);
    content
}

/// The content after some of `changes`, each of them whole, and writes that follow each other in any order.
fn reordered(durable: &Content, changes: &[Change], rng: &mut StdRng) -> Content {
    let is_write = |change: &Change| matches!(change, Change::Write { .. });
    let eighths = rng.random_range(1..8);
    let mut content = durable.clone();
    for run in changes.chunk_by(|one, two| is_write(one) && is_write(two)) {
        let mut kept: Vec<&Change> = run
            .iter()
            .filter(|_| rng.random_ratio(eighths, 8))
            .collect();
        kept.shuffle(rng);
        kept.into_iter()
            .for_each(|change| change.apply(&mut content));
    }
    content
}

/// How many of the changes each unit of the grain has seen.
struct Reached {
    grain: u64,
    count: usize,
    drawn: HashMap<u64, usize>,
}

impl Reached {
    fn unit_of(&mut self, offset: u64, rng: &mut StdRng) -> usize {
        *self
            .drawn
            .entry(offset / self.grain)
            .or_insert_with(|| match rng.random_range(0..4) {
                0 => 0,
                1 => self.count,
                _ => rng.random_range(0..=self.count),
            })
    }
}

/// Zeros over the units that have seen the change; where there are no pages there is nothing to do.
fn zero_some(
    content: &mut Content,
    range: Range<u64>,
    index: usize,
    reached: &mut Reached,
    rng: &mut StdRng,
) {
    let grain = reached.grain;
    for piece in content
        .present(&range)
        .into_iter()
        .flat_map(|part| pieces(part, grain))
    {
        if reached.unit_of(piece.start, rng) > index {
            content.zero(piece);
        }
    }
}

/// The range, cut at the borders of units.
fn pieces(range: Range<u64>, grain: u64) -> impl Iterator<Item = Range<u64>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let border = (start / grain).saturating_add(1).saturating_mul(grain);
        let piece = start..border.min(range.end);
        start = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}

fn within(piece: &Range<u64>, offset: u64) -> Range<usize> {
    let at = |position: u64| usize::try_from(position - offset).expect("a piece of a buffer");
    at(piece.start)..at(piece.end)
}

/// The length before the changes and after each.
fn lens(durable: &Content, changes: &[Change]) -> Vec<u64> {
    let mut lens = vec![durable.len()];
    for change in changes {
        lens.extend(lens.last().map(|&len| change.len_after(len)));
    }
    lens
}

/// One of the lengths, or one on the way of a write to it.
fn surviving_len(lens: &[u64], changes: &[Change], rng: &mut StdRng) -> u64 {
    let index = rng.random_range(0..lens.len());
    let len = lens[index];
    if index > 0 && matches!(changes[index - 1], Change::Write { .. }) {
        let borders = lens[index - 1] / SECTOR_LEN + 1..len.div_ceil(SECTOR_LEN);
        if !borders.is_empty() && rng.random_ratio(1, 3) {
            return rng.random_range(borders) * SECTOR_LEN;
        }
    }
    len
}
