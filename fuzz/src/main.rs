//! `seeds DIRECTORY`: writes the inputs that the fuzz targets begin with.
//!
//! Built with the flags of the targets, so it needs their runtime, and with it its `main`: all work is done in `init`.
#![no_main]

use std::process::exit;

libfuzzer_sys::fuzz_target!(
    init: {
        let directory = std::env::args_os().nth(1).expect("usage: seeds DIRECTORY");
        let written = wardfs_fuzz::seeds::write(directory.as_ref());
        if let Err(error) = &written {
            eprintln!("seeds: {error}");
        }
        done(written.is_err());
    },
    |_input: &[u8]| unreachable!()
);

fn done(failed: bool) {
    exit(failed.into())
}
