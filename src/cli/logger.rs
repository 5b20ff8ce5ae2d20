//! Where the library's warnings go: standard error while somebody can read it, the system log afterwards.
//!
//! Only records of this crate are written. Others, at any level, may hold names of files.

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::{
    os::unix::net::UnixDatagram,
    sync::atomic::{AtomicBool, Ordering},
};

/// The system log's socket, on every Linux that has one.
const SYSTEM_LOG: &str = "/dev/log";

/// The longest message sent to the system log, in bytes: RFC 3164, 4.1, allows 1024 for the whole packet.
const MESSAGE_MAX: usize = 960;

struct Logger {
    to_system: AtomicBool,
    tries: AtomicBool,
}

static LOGGER: Logger = Logger {
    to_system: AtomicBool::new(false),
    tries: AtomicBool::new(false),
};

/// What does something to a vault, and what would be done.
const TRIED: [&str; 2] = ["wardfs::vault", "wardfs::journal"];

/// Sends warnings to standard error from now on. To be called once, at the start.
pub fn start() {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// Sends warnings to the system log from now on, because standard error is about to be closed. Where there is no
/// system log they are lost. So would panics be, which are told by where they happened.
pub fn detach() {
    LOGGER.to_system.store(true, Ordering::Relaxed);
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(place) => log::error!("defect at {}:{}", place.file(), place.line()),
        None => log::error!("defect at an unknown place"),
    }));
}

/// From now on, what is done to a vault is done in memory, to see what would come of it: to say of it that it happened would be wrong,
/// and what is found is told otherwise.
pub fn only_tries() {
    LOGGER.tries.store(true, Ordering::Relaxed);
}

impl Logger {
    fn is_tried(&self, target: &str) -> bool {
        self.tries.load(Ordering::Relaxed) && TRIED.iter().any(|floor| target.starts_with(floor))
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        metadata.level() <= Level::Warn
            && !self.is_tried(target)
            && (target == "wardfs" || target.starts_with("wardfs::"))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // A log that cannot be written has nobody to be told to.
        if self.to_system.load(Ordering::Relaxed) {
            let _ = send(&packet(record.level(), &record.args().to_string()));
        } else {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                line(record.level(), &record.args().to_string()).as_bytes(),
            );
        }
    }

    fn flush(&self) {}
}

fn line(level: Level, message: &str) -> String {
    format!(
        "wardfs: {}: {message}\n",
        if level == Level::Error {
            "error"
        } else {
            "warning"
        }
    )
}

/// A packet as RFC 3164 has it, without the time, which the receiver knows.
fn packet(level: Level, message: &str) -> String {
    const DAEMON: u8 = 3 << 3;
    let severity = if level == Level::Error { 3 } else { 4 };
    let mut text = message.replace(|c: char| c.is_control(), " ");
    text.truncate(text.floor_char_boundary(MESSAGE_MAX));
    format!(
        "<{}>wardfs[{}]: {text}",
        DAEMON | severity,
        std::process::id()
    )
}

/// Sends without waiting: a stuck system log must not stop the file system.
fn send(packet: &str) -> std::io::Result<usize> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to(packet.as_bytes(), SYSTEM_LOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_in_memory_alone_is_not_said_to_be_done() {
        let logger = Logger {
            to_system: AtomicBool::new(false),
            tries: AtomicBool::new(true),
        };
        let is_told = |target: &str| {
            let mut metadata = Metadata::builder();
            logger.enabled(&metadata.level(Level::Error).target(target).build())
        };
        for target in [
            "wardfs::vault::open",
            "wardfs::vault::core",
            "wardfs::journal::execute",
        ] {
            assert!(!is_told(target), "{target}");
        }
        assert!(is_told("wardfs::lock") && is_told("wardfs::check::before"));
        logger.tries.store(false, Ordering::Relaxed);
        assert!(is_told("wardfs::vault::open"));
    }

    fn enabled(level: Level, target: &str) -> bool {
        LOGGER.enabled(&Metadata::builder().level(level).target(target).build())
    }

    #[test]
    fn only_warnings_and_errors_of_this_crate_are_written() {
        assert!(enabled(Level::Warn, "wardfs::journal") && enabled(Level::Error, "wardfs"));
        assert!(!enabled(Level::Info, "wardfs::journal"));
        assert!(!enabled(Level::Error, "fuser::reply") && !enabled(Level::Error, "wardfsx"));
    }

    #[test]
    fn a_packet_is_one_line_of_bounded_length() {
        let packet = packet(
            Level::Warn,
            &format!("a\nb\u{1b}[31m{}", "é".repeat(MESSAGE_MAX)),
        );
        assert!(packet.starts_with("<28>wardfs["), "{packet}");
        assert!(packet.contains(": a b [31mé"), "{packet}");
        assert!(packet.len() <= 1024 && !packet.chars().any(char::is_control));
    }
}
