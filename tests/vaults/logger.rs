//! Shows what a vault logs, when `WARDFS_TEST_LOG` is set.
use std::sync::Once;

struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        eprintln!("{}: {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

/// Switches it on, once.
pub fn log_to_stderr() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("WARDFS_TEST_LOG").is_some() {
            log::set_logger(&Stderr).expect("the only logger");
            log::set_max_level(log::LevelFilter::Debug);
        }
    });
}
