//! The compressed form of a chunk without a frame around it, for those who seal it in their own.

use super::{effort::Effort, lz4};

/// Compresses chunks of one content, and soon stops trying where nothing gets shorter.
#[derive(Default)]
pub struct Packer {
    effort: Effort,
}

impl Packer {
    /// Hands the compressed form of `plain` to `take` if it is shorter than `plain`; None if not, or if it was not tried.
    pub fn pack<R>(&self, plain: &[u8], take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let len_max = plain.len().checked_sub(1)?;
        self.effort.pack(plain, len_max, take)
    }

    /// Writes the plaintext of a compressed form to the start of `into`, and gives its length.
    ///
    /// # Errors
    /// What is wrong with it: it must give just the length that it tells, and that must fit.
    pub fn unpack(packed: &[u8], into: &mut [u8]) -> Result<usize, &'static str> {
        lz4::unpack_block(packed, into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gets_shorter_comes_back_and_nothing_else_is_packed() {
        let packer = Packer::default();
        let short = packer.pack(&[7; 5000], <[u8]>::to_vec).expect("shorter");
        let mut plain = [0; 6000];
        assert_eq!(Packer::unpack(&short, &mut plain), Ok(5000));
        assert!(plain[..5000].iter().all(|byte| *byte == 7));
        let noise: Vec<u8> = (0..=255).collect();
        assert_eq!(packer.pack(&noise, <[u8]>::len), None);
        assert_eq!(packer.pack(&[], <[u8]>::len), None);
    }
}
