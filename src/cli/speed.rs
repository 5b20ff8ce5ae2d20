//! `wardfs speed`: what this machine reaches, and the options that follow from it.

use super::{args::SpeedArgs, error::CliError, output, progress::Progress, speed_json, speed_text};
use crate::{speed, sys};

/// Measures and prints.
///
/// # Errors
/// [`CliError`] when the memory for the KDF is not there, or nothing can be printed.
pub fn run(args: &SpeedArgs) -> Result<(), CliError> {
    let speed = {
        let _progress = Progress::start("measuring");
        speed::measure(sys::available_memory().unwrap_or(0))?
    };
    let advice = speed::advise(&speed);
    let show = if args.json {
        speed_json::show
    } else {
        speed_text::show
    };
    output::print(&show(&speed, advice.as_ref()))
}

/// The command that follows the advice.
pub fn command(advice: &speed::Advice) -> String {
    let speed::Advice {
        suite,
        compress,
        kdf,
    } = advice;
    format!(
        "wardfs init --suite {} --compress {} --kdf-memory {} VAULT",
        suite.name(),
        if *compress { "lz4" } else { "none" },
        kdf.memory_kib / 1024
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        cli::args::{Cli, Command},
        crypto::{KdfParams, Suite},
        speed::{Advice, CompressionSpeed, KdfSpeed, Rates, Speed, SuiteSpeed, Work},
    };
    use clap::Parser;
    use std::time::Duration;

    pub fn kdf() -> KdfParams {
        KdfParams::recommended(16 << 30)
    }

    pub fn speed() -> Speed {
        let rates = |write, read| Rates { write, read };
        let work = Work {
            one: rates(9.5e9, 1.0e10),
            all: rates(3.85e10, 4e10),
        };
        Speed {
            cores: 4,
            suites: vec![SuiteSpeed {
                suite: Suite::Aes256Gcm,
                work,
            }],
            lz4: CompressionSpeed {
                text: Work {
                    one: rates(6.5e8, 3e9),
                    all: rates(2.5e9, 1.2e10),
                },
                left: 0.412,
                noise: 8e9,
            },
            kdf: KdfSpeed {
                params: kdf(),
                time: Duration::from_micros(110_400),
            },
        }
    }

    pub fn advice() -> Advice {
        Advice {
            suite: Suite::Aes256Gcm,
            compress: true,
            kdf: kdf(),
        }
    }

    #[test]
    fn the_advice_is_a_command_line_that_means_it() {
        for (suite, compress) in [(Suite::Aes256Gcm, true), (Suite::Aes256GcmSiv, false)] {
            let advice = Advice {
                suite,
                compress,
                kdf: kdf(),
            };
            let line = command(&advice);
            let Command::Init(args) = Cli::parse_from(line.split(' ')).command else {
                panic!("{line} makes a vault")
            };
            assert_eq!(args.suite.suite(), suite);
            assert_eq!(
                args.compress == crate::cli::args::CompressArg::Lz4,
                compress
            );
            assert_eq!(args.kdf_memory, Some(u64::from(kdf().memory_kib / 1024)));
        }
    }
}
