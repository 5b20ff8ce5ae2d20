//! How fast this machine does what a vault asks of its processor, and which options of a new vault follow from that.
//!
//! Nothing is mounted, stored or read: contents are made here and stay in memory. What must not be done here: no key of a
//! vault is used, nothing is printed, and nothing is decided for anybody; what is recommended is a value like the others.
//!
//! Rates are bytes of plaintext a second, the median of several short rounds, so that a moment in which something else had
//! the processor does not count.

mod advice;
pub mod contents;
mod rate;

pub use advice::{Advice, advise};

use crate::{
    codec::{ChunkCodec, FramePlace, compress, decompress},
    crypto::{FileKey, KdfError, KdfParams, SlotKey, Suite},
    engine::Pool,
    format::{ChunkSize, FileId, PayloadId, VaultId},
};
use rate::on_threads;
use std::time::{Duration, Instant};

/// What is worked on at a time: as much as the kernel sends in one write.
const RUN_LEN: usize = 1 << 20;
/// The chunks of a new vault, 16 KiB.
const CHUNK_LOG2: u8 = 14;
/// How often the KDF is run; its median counts.
const KDF_ROUNDS: usize = 3;

/// Bytes a second, in and out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// To what is stored.
    pub write: f64,
    /// Back from it.
    pub read: f64,
}

/// The same work by one thread, and by one on each core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// On one core.
    pub one: Rates,
    /// On all of them, together.
    pub all: Rates,
}

/// What a suite reaches: chunks sealed and opened, without compression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuiteSpeed {
    /// Which.
    pub suite: Suite,
    /// How fast.
    pub work: Work,
}

/// What LZ4 reaches, without encryption.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompressionSpeed {
    /// Text compressed, and back.
    pub text: Work,
    /// What is left of text, as a share of it.
    pub left: f64,
    /// Noise tried, in vain: bytes a second on one core.
    pub noise: f64,
}

/// What a passphrase costs on this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KdfSpeed {
    /// The cost that a new vault would have.
    pub params: KdfParams,
    /// How long that takes.
    pub time: Duration,
}

/// Everything that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// How many threads *all* means.
    pub cores: usize,
    /// Each suite that there is.
    pub suites: Vec<SuiteSpeed>,
    /// LZ4.
    pub lz4: CompressionSpeed,
    /// Argon2id.
    pub kdf: KdfSpeed,
}

/// Measures; a few seconds. `available_memory` bytes decide what the KDF costs, as for a new vault.
///
/// # Errors
/// [`KdfError::Memory`] when the machine does not have what the KDF takes.
pub fn measure(available_memory: u64) -> Result<Speed, KdfError> {
    let cores = Pool::new(None).threads();
    let kdf = measure_kdf(KdfParams::recommended(available_memory))?;
    Ok(Speed {
        cores,
        suites: Suite::ALL.map(|suite| measure_suite(suite, cores)).into(),
        lz4: measure_lz4(cores),
        kdf,
    })
}

fn measure_suite(suite: Suite, cores: usize) -> SuiteSpeed {
    let plain = contents::noise(RUN_LEN);
    let rates = |threads| {
        let write = on_threads(threads, RUN_LEN, || {
            let (codec, alone, plain) = (codec(suite), Pool::new(Some(1)), &plain);
            let mut slots = Vec::new();
            move || {
                codec.seal_run(&alone, 0, plain, &mut slots);
            }
        });
        let read = on_threads(threads, RUN_LEN, || {
            let (codec, alone, mut slots) = (codec(suite), Pool::new(Some(1)), Vec::new());
            let entries = codec.seal_run(&alone, 0, &plain, &mut slots);
            let mut into = vec![0; RUN_LEN];
            move || {
                let opened = codec.open_run(&alone, 0, &entries, &slots, &mut into);
                opened.expect("what was just sealed opens");
            }
        });
        Rates { write, read }
    };
    SuiteSpeed {
        suite,
        work: Work {
            one: rates(1),
            all: rates(cores),
        },
    }
}

/// Of a payload that nobody will ever see.
fn codec(suite: Suite) -> ChunkCodec {
    let place = FramePlace {
        suite,
        vault: VaultId::random(),
        file: FileId::random(),
        payload: PayloadId::random(),
    };
    let aead = FileKey::generate().chunk_aead(suite);
    ChunkCodec::new(aead, place, chunk(), false)
}

fn chunk() -> ChunkSize {
    ChunkSize::from_log2(CHUNK_LOG2).expect("16 KiB is a chunk size of the format")
}

fn measure_lz4(cores: usize) -> CompressionSpeed {
    let chunk_len = chunk().len();
    let (text, noise) = (contents::text(RUN_LEN), contents::noise(RUN_LEN));
    let pack_all = |plain: &[u8], len_max: usize| -> usize {
        let chunks = plain.chunks(chunk_len);
        chunks
            .map(|chunk| compress(chunk, len_max, <[u8]>::len).unwrap_or(chunk.len()))
            .sum()
    };
    let packed: Vec<Vec<u8>> = text
        .chunks(chunk_len)
        .filter_map(|chunk| compress(chunk, usize::MAX, <[u8]>::to_vec))
        .collect();
    let unpack_all = |into: &mut [u8]| {
        for packed in &packed {
            let open = |bytes: &mut [u8]| {
                bytes.copy_from_slice(packed);
                Ok(())
            };
            decompress(packed.len(), open, into).expect("what was just packed unpacks");
        }
    };
    let rates = |threads| Rates {
        write: on_threads(threads, RUN_LEN, || {
            || {
                pack_all(&text, usize::MAX);
            }
        }),
        read: on_threads(threads, RUN_LEN, || {
            let (mut into, unpack_all) = (vec![0; chunk_len], &unpack_all);
            move || unpack_all(&mut into)
        }),
    };
    #[expect(clippy::cast_precision_loss, reason = "lengths of a megabyte")]
    CompressionSpeed {
        text: Work {
            one: rates(1),
            all: rates(cores),
        },
        left: pack_all(&text, usize::MAX) as f64 / RUN_LEN as f64,
        noise: on_threads(1, RUN_LEN, || {
            || {
                pack_all(&noise, chunk_len / 2);
            }
        }),
    }
}

fn measure_kdf(params: KdfParams) -> Result<KdfSpeed, KdfError> {
    let mut times = Vec::with_capacity(KDF_ROUNDS);
    for round in 0..KDF_ROUNDS {
        let salt = [u8::try_from(round).unwrap_or(0); 32];
        let start = Instant::now();
        SlotKey::derive(b"not a passphrase", &salt, &params)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(KdfSpeed {
        params,
        time: times[KDF_ROUNDS / 2],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_is_measured() {
        let speed = measure(0).unwrap();
        let suites: Vec<_> = speed.suites.iter().map(|suite| suite.suite).collect();
        assert_eq!(suites, Suite::ALL);
        let lz4 = speed.lz4;
        let mut works: Vec<Work> = speed.suites.iter().map(|suite| suite.work).collect();
        works.push(lz4.text);
        for rates in works.into_iter().flat_map(|work| [work.one, work.all]) {
            // No machine is slower than a megabyte a second, nor as fast as ten terabytes.
            for rate in [rates.write, rates.read] {
                assert!((1e6..1e13).contains(&rate), "{rate}");
            }
        }
        assert!((0.2..0.7).contains(&lz4.left), "{}", lz4.left);
        assert!(speed.cores >= 1 && !speed.kdf.time.is_zero());
    }

    #[test]
    fn the_kdf_is_measured_at_the_cost_of_a_new_vault() {
        for available in [0, 16 << 30] {
            let params = KdfParams::recommended(available);
            assert_eq!(measure_kdf(params).unwrap().params, params);
        }
    }
}
