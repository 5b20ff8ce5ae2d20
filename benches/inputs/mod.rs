//! What all benchmarks share: contents that are the same in every run, and how long one is measured.
//!
//! Nothing is measured here.
#![allow(unused_imports)] // No benchmark takes all of it.

use criterion::Criterion;
use std::time::Duration;
pub use wardfs::speed::contents::{noise, text};

/// Short: with the 50 or so measurements that there are, all benchmarks together stay under two minutes.
pub fn settings() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots()
        .configure_from_args()
}
