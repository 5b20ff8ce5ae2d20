//! What is measured with: text that compresses as the source of a program does, and noise that does not. The same in every
//! run, so that figures can be compared.

/// Numbers without a pattern (xorshift64*); nothing secret comes from them.
struct Numbers(u64);

impl Numbers {
    fn new() -> Numbers {
        Numbers(0x9e37_79b9_7f4a_7c15)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One of so many.
    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() >> 33).map_or(0, |number| number % count)
    }

    fn pick<'a>(&mut self, from: &'a [Vec<u8>]) -> &'a [u8] {
        &from[self.below(from.len())]
    }
}

/// What no compression makes smaller.
pub fn noise(len: usize) -> Vec<u8> {
    let mut numbers = Numbers::new();
    let words = (0..len.div_ceil(8)).map(|_| numbers.next().to_le_bytes());
    let mut bytes: Vec<u8> = words.flatten().collect();
    bytes.truncate(len);
    bytes
}

/// Phrases that come again, and words between them: LZ4 leaves less than half.
pub fn text(len: usize) -> Vec<u8> {
    let mut numbers = Numbers::new();
    let words: Vec<_> = (0..400).map(|_| word(&mut numbers)).collect();
    let phrases: Vec<_> = (0..60).map(|_| phrase(&words, &mut numbers)).collect();
    let mut bytes = Vec::with_capacity(len + 100);
    while bytes.len() < len {
        let rare = numbers.below(3) == 0;
        bytes.extend(numbers.pick(if rare { &words } else { &phrases }));
        bytes.push(if numbers.below(4) == 0 { b'\n' } else { b' ' });
    }
    bytes.truncate(len);
    bytes
}

fn word(numbers: &mut Numbers) -> Vec<u8> {
    let len = 2 + numbers.below(9);
    let letter = |_| b"etaoinshrdlcumwfgypbvk"[numbers.below(22)];
    (0..len).map(letter).collect()
}

fn phrase(words: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let count = 3 + numbers.below(6);
    let words: Vec<_> = (0..count).map(|_| numbers.pick(words)).collect();
    words.join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_have_the_length_asked_for_and_are_the_same_each_time() {
        for len in [0, 1, 7, 8, 1000, 16384] {
            assert_eq!((noise(len).len(), text(len).len()), (len, len));
        }
        assert!(noise(1000) == noise(1000) && text(1000) == text(1000));
    }
}
