//! The compressed form of a chunk: `plaintext length u32 LE | LZ4 block`. The only place that
//! knows LZ4. Working memory is kept by the thread, so that a chunk costs no allocation.

use std::cell::RefCell;

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};

const LEN_LEN: usize = 4;

#[derive(Default)]
struct Workbench {
    table: CompressTable,
    bytes: Vec<u8>,
}

impl Workbench {
    /// So many bytes of working memory with any content.
    fn bytes(bytes: &mut Vec<u8>, len: usize) -> &mut [u8] {
        if bytes.len() < len {
            bytes.resize(len, 0);
        }
        &mut bytes[..len]
    }
}

thread_local! {
    static WORKBENCH: RefCell<Workbench> = RefCell::default();
}

/// Hands the compressed form of `plain` to `take`; None if it would be longer than `len_max`.
pub fn pack<R>(plain: &[u8], len_max: usize, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
    WORKBENCH.with_borrow_mut(|bench| {
        let room_len = LEN_LEN + get_maximum_output_size(plain.len());
        let (plain_len, block) = Workbench::bytes(&mut bench.bytes, room_len).split_at_mut(LEN_LEN);
        plain_len.copy_from_slice(&u32::try_from(plain.len()).ok()?.to_le_bytes());
        let block_len = compress_into_with_table(plain, block, &mut bench.table).ok()?;
        let packed = &bench.bytes[..LEN_LEN + block_len];
        (packed.len() <= len_max).then(|| take(packed))
    })
}

/// Has `open` fill a buffer of `len` with a compressed form, and writes its plaintext to the start
/// of `into`; gives the plaintext's length.
///
/// # Errors
/// What `open` says, or what is wrong with the compressed form.
pub fn unpack(
    len: usize,
    open: impl FnOnce(&mut [u8]) -> Result<(), &'static str>,
    into: &mut [u8],
) -> Result<usize, &'static str> {
    WORKBENCH.with_borrow_mut(|bench| {
        let packed = Workbench::bytes(&mut bench.bytes, len);
        open(packed)?;
        unpack_block(packed, into)
    })
}

/// Strict: the block must give exactly the length that stands before it, which is the one it gives back.
pub fn unpack_block(packed: &[u8], into: &mut [u8]) -> Result<usize, &'static str> {
    let (plain_len, block) = packed.split_first_chunk().ok_or("it has no length")?;
    let plain_len = u32::from_le_bytes(*plain_len) as usize;
    let plain = into
        .get_mut(..plain_len)
        .ok_or("it is longer than what is read of it")?;
    match decompress_into(block, plain) {
        Ok(len) if len == plain_len => Ok(len),
        Ok(_) => Err("it is shorter than it says"),
        Err(_) => Err("it does not decompress"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(plain: &[u8]) -> Vec<u8> {
        pack(plain, usize::MAX, <[u8]>::to_vec).expect("there is room for anything")
    }

    #[test]
    fn what_is_packed_unpacks() {
        for len in [1, 12, 13, 4096, 65_534, 65_535, 65_536, 1 << 20] {
            let plain: Vec<u8> = b"some text that comes again; "
                .iter()
                .copied()
                .cycle()
                .take(len)
                .collect();
            let packed = packed(&plain);
            let open = |into: &mut [u8]| {
                into.copy_from_slice(&packed);
                Ok(())
            };
            let mut into = vec![1; len + 5];
            assert_eq!(unpack(packed.len(), open, &mut into), Ok(len));
            assert_eq!(into[..len], plain);
        }
    }

    #[test]
    fn what_does_not_open_is_not_unpacked() {
        let mut into = [1; 9];
        assert_eq!(unpack(5, |_| Err("no"), &mut into), Err("no"));
        assert_eq!(into, [1; 9]);
    }

    #[test]
    fn pack_says_no_when_it_gets_longer_than_told() {
        let packed_len = packed(&[7; 5000]).len();
        assert_eq!(pack(&[7; 5000], packed_len, <[u8]>::len), Some(packed_len));
        assert_eq!(pack(&[7; 5000], packed_len - 1, <[u8]>::len), None);
    }

    #[test]
    fn a_length_that_does_not_fit_is_refused() {
        let good = packed(&[7; 5000]);
        let mut into = vec![0; 5000];
        assert_eq!(unpack_block(&good, &mut into), Ok(5000));
        assert!(unpack_block(&good, &mut into[..4999]).is_err());
        for wrong in [0, 1, 4999, 5001, 6000, u32::MAX] {
            let mut bad = good.clone();
            bad[..4].copy_from_slice(&wrong.to_le_bytes());
            assert!(unpack_block(&bad, &mut vec![0; 10_000]).is_err(), "{wrong}");
        }
        for len in 0..good.len() {
            assert!(
                unpack_block(&good[..len], &mut into).is_err(),
                "cut to {len}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_value_or_an_error(
            block in proptest::collection::vec(any::<u8>(), 0..300),
            plain_len in 0_u32..2000,
        ) {
            let bytes = [&plain_len.to_le_bytes(), &block[..]].concat();
            let mut into = vec![0; 1500];
            if let Ok(len) = unpack_block(&bytes, &mut into) {
                prop_assert_eq!(len, plain_len as usize);
            }
        }

        #[test]
        fn a_changed_block_gives_a_value_or_an_error(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = packed(&[b"some text ".repeat(40), vec![9; 900]].concat());
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = unpack_block(&bytes, &mut vec![0; 1500]);
        }
    }
}
