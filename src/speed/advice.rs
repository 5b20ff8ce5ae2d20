//! What follows from the figures for a new vault. Pure: the same figures give the same advice.

use super::{KdfSpeed, Rates, Speed, SuiteSpeed};
use crate::crypto::{KdfParams, Suite};
use std::time::Duration;

/// Compression that is slower than this on all cores, in bytes a second, is felt: most disks are as fast (a SATA disk
/// without moving parts stores 0.5 GB/s).
const COMPRESSION_MIN: f64 = 500e6;
/// Slower disks, and none that is waited for, are had by machines on which encryption itself is slow: there LZ4 is worth it
/// if it takes no longer than so many times the encryption that it saves.
const COMPRESSION_SHARE_MIN: f64 = 1.0;
/// Nobody likes to wait longer for a mount.
const KDF_TIME_MAX: Duration = Duration::from_secs(2);
/// Less memory than this is never advised (RFC 9106, section 4).
const KDF_MEMORY_KIB_MIN: u32 = 64 * 1024;

/// Options for `wardfs init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The fastest suite.
    pub suite: Suite,
    /// Whether LZ4 is worth its time.
    pub compress: bool,
    /// The cost of a passphrase.
    pub kdf: KdfParams,
}

/// Advice by what was measured. `None` without any suite.
pub fn advise(speed: &Speed) -> Option<Advice> {
    let slower = |suite: &SuiteSpeed| both_ways(suite.work.one);
    let fastest = speed
        .suites
        .iter()
        .max_by(|a, b| slower(a).total_cmp(&slower(b)))?;
    Some(Advice {
        suite: fastest.suite,
        compress: is_compression_worth_it(speed, fastest),
        kdf: bearable(speed.kdf),
    })
}

/// Bytes a second of what is written once and read once.
fn both_ways(rates: Rates) -> f64 {
    2.0 / (1.0 / rates.write + 1.0 / rates.read)
}

fn is_compression_worth_it(speed: &Speed, suite: &SuiteSpeed) -> bool {
    let compressed = speed.lz4.text.all.write;
    // Seconds a byte: what compressing takes, and what sealing the rest would have taken.
    let (costs, saves) = (
        1.0 / speed.lz4.text.one.write,
        (1.0 - speed.lz4.left) / suite.work.one.write,
    );
    compressed >= COMPRESSION_MIN || costs <= COMPRESSION_SHARE_MIN * saves
}

/// The same cost, or with half the memory as often as it takes. Time goes with memory.
fn bearable(measured: KdfSpeed) -> KdfParams {
    let KdfSpeed {
        mut params,
        mut time,
    } = measured;
    while time > KDF_TIME_MAX && params.memory_kib / 2 >= KDF_MEMORY_KIB_MIN {
        params.memory_kib /= 2;
        time /= 2;
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speed::{CompressionSpeed, Work};

    fn work(rate: f64, cores: f64) -> Work {
        let rates = |rate| Rates {
            write: rate,
            read: rate,
        };
        Work {
            one: rates(rate),
            all: rates(rate * cores),
        }
    }

    /// Rates in MB/s of GCM, GCM-SIV and LZ4 on one of four cores.
    fn machine(gcm: f64, siv: f64, lz4: f64) -> Speed {
        let suite = |suite, rate: f64| SuiteSpeed {
            suite,
            work: work(rate * 1e6, 4.0),
        };
        Speed {
            cores: 4,
            suites: vec![
                suite(Suite::Aes256Gcm, gcm),
                suite(Suite::Aes256GcmSiv, siv),
            ],
            lz4: CompressionSpeed {
                text: work(lz4 * 1e6, 4.0),
                left: 0.4,
                noise: 5e9,
            },
            kdf: KdfSpeed {
                params: KdfParams::recommended(16 << 30),
                time: Duration::from_millis(100),
            },
        }
    }

    #[test]
    fn the_fastest_suite_is_advised() {
        for (gcm, siv, fastest) in [
            (9000.0, 3000.0, Suite::Aes256Gcm),
            (3000.0, 9000.0, Suite::Aes256GcmSiv),
        ] {
            assert_eq!(advise(&machine(gcm, siv, 600.0)).unwrap().suite, fastest);
        }
    }

    #[test]
    fn a_suite_that_is_fast_one_way_only_is_not_the_fastest() {
        let mut speed = machine(2000.0, 3000.0, 600.0);
        speed.suites[1].work.one.read = 500e6;
        assert_eq!(advise(&speed).unwrap().suite, Suite::Aes256Gcm);
    }

    #[test]
    fn compression_is_left_out_where_it_would_be_felt() {
        for (gcm, lz4, worth_it) in [
            (9000.0, 600.0, true),
            (9000.0, 100.0, false),
            // Without AES instructions, what LZ4 spares the cipher pays for it.
            (40.0, 100.0, true),
        ] {
            let advice = advise(&machine(gcm, gcm / 2.0, lz4)).unwrap();
            assert_eq!(advice.compress, worth_it, "{gcm} {lz4}");
        }
    }

    #[test]
    fn a_passphrase_takes_seconds_only_where_less_would_be_cheap() {
        for (millis, mib) in [
            (100, 256),
            (2000, 256),
            (2001, 128),
            (5000, 64),
            (60_000, 64),
        ] {
            let mut speed = machine(9000.0, 3000.0, 600.0);
            speed.kdf.time = Duration::from_millis(millis);
            let kdf = advise(&speed).unwrap().kdf;
            assert_eq!(kdf.memory_kib, mib * 1024, "{millis} ms");
            assert!(!kdf.is_cheap());
        }
    }

    #[test]
    fn no_suite_no_advice() {
        let mut speed = machine(1.0, 1.0, 1.0);
        speed.suites.clear();
        assert_eq!(advise(&speed), None);
    }
}
