//! Counts the memory that is asked for, so that a length from the input cannot take more than the input deserves.

#[path = "../../tests/counting/mod.rs"]
mod counting;

/// What any input may take: buffers that are kept, and the steps in which journal files are read.
const BASE: usize = 4 << 20;
/// What a byte of input may take. The worst are small items in lists and trees.
const PER_BYTE: usize = 128;

/// Does `work`, which may take memory in the order of `len` bytes of input.
pub fn bounded<R>(len: usize, work: impl FnOnce() -> R) -> R {
    let mut result = None;
    let took = counting::peak(|| result = Some(work()));
    assert!(
        took <= BASE + PER_BYTE * len,
        "{took} bytes of memory for {len} of input"
    );
    result.expect("it was worked")
}
