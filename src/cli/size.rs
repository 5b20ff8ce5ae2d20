//! Chunk sizes as people write them: `16K`, `1M`, `65536`; and other numbers with their units.

use crate::{
    crypto::KdfParams,
    format::{ChunkSize, STREAM_CHUNK_LOG2_MAX},
};

/// Why a text is no chunk size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be a power of two from 4K to 1M")]
pub struct SizeError;

/// Why a text is no chunk size of streams.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be a power of two from 4K to 256K")]
pub struct StreamSizeError;

/// The chunk size that `text` names: bytes, or with `K` or `M` (or `k`, `m`) units of 1024 or 1024 x 1024 bytes.
///
/// # Errors
/// [`SizeError`] when it is no size that the format knows.
pub fn parse_chunk(text: &str) -> Result<ChunkSize, SizeError> {
    let (number, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        _ => (text, 0),
    };
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(SizeError);
    }
    let count: u64 = number.parse().map_err(|_| SizeError)?;
    count
        .checked_mul(1 << shift)
        .and_then(ChunkSize::from_len)
        .ok_or(SizeError)
}

/// A chunk size of streams: the same up to 256K.
///
/// # Errors
/// [`StreamSizeError`] when it is no size that streams have.
pub fn parse_stream_chunk(text: &str) -> Result<ChunkSize, StreamSizeError> {
    parse_chunk(text)
        .ok()
        .filter(|chunk| chunk.log2() <= STREAM_CHUNK_LOG2_MAX)
        .ok_or(StreamSizeError)
}

/// The shortest way to write a size in bytes that is a multiple of 1024: `16 KiB`, `1 MiB`.
pub fn show(bytes: u64) -> String {
    match bytes {
        0 => "0".to_owned(),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

/// A count with its word: `1 pass`, `3 passes`.
pub fn counted(count: impl Into<u64>, one: &str, many: &str) -> String {
    let count = count.into();
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What the KDF costs: `64 MiB, 3 passes, 4 lanes`.
pub fn kdf(kdf: &KdfParams) -> String {
    format!(
        "{}, {}, {}",
        show(u64::from(kdf.memory_kib) << 10),
        counted(kdf.time, "pass", "passes"),
        counted(kdf.lanes, "lane", "lanes")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_scales_and_every_power_of_two_in_bounds_is_taken() {
        for log2 in 12..=20 {
            let len = 1_u64 << log2;
            let texts = [
                len.to_string(),
                format!("{}K", len >> 10),
                format!("{}k", len >> 10),
            ];
            for text in texts {
                assert_eq!(parse_chunk(&text).unwrap().log2(), log2, "{text}");
            }
        }
        assert_eq!(parse_chunk("1M").unwrap().log2(), 20);
    }

    #[test]
    fn other_sizes_and_forms_are_refused() {
        for text in [
            "",
            "K",
            "0",
            "0K",
            "2K",
            "2048",
            "4095",
            "5000",
            "12K",
            "2M",
            "1G",
            "16KiB",
            "16 K",
            "+16K",
            "-16K",
            "0x10K",
            "16.0K",
            "18446744073709551615M",
            "é",
        ] {
            assert!(parse_chunk(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn streams_have_chunks_of_256_kib_at_most() {
        assert_eq!(parse_stream_chunk("256K").unwrap().log2(), 18);
        assert!(parse_stream_chunk("512K").is_err() && parse_stream_chunk("2K").is_err());
    }

    #[test]
    fn sizes_are_shown_in_their_largest_whole_unit() {
        assert_eq!(show(16 << 10), "16 KiB");
        assert_eq!(show(1 << 20), "1 MiB");
        assert_eq!(show(1536 << 10), "1536 KiB");
        assert_eq!(show(1000), "1000 bytes");
    }
}
