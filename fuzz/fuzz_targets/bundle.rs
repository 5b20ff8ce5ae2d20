#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| wardfs_fuzz::open::bundle(input));
