//! What people write: options, durations, sizes, command lines.

#[path = "../../src/cli/duration.rs"]
mod duration;
#[path = "../../src/cli/size.rs"]
#[allow(dead_code, reason = "the command line uses the rest")]
mod size;
#[path = "../../src/cli/words.rs"]
mod words;

use crate::memory::bounded;
use wardfs::mount::MountOptions;

/// A word in single quotes, as a shell would take it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Each parser of the command line on the same text.
pub fn options(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(duration) = duration::parse(text) {
        assert!((1..=365 * 24 * 3600).contains(&duration.as_secs()));
        assert_eq!(
            duration::parse(&format!("{}s", duration.as_secs())),
            Ok(duration)
        );
    }
    if let Ok(chunk) = size::parse_chunk(text) {
        assert_eq!(
            size::parse_chunk(&chunk.len().to_string()).map(|again| again.len()),
            Ok(chunk.len())
        );
    }
    if let Ok(options) = bounded(text.len(), || MountOptions::parse(text)) {
        assert_eq!(MountOptions::parse(&format!("{text},")), Ok(options));
    }
    if let Ok(words) = bounded(text.len(), || words::split(text)) {
        let line: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        let again = words::split(&line.join(" "));
        assert!(
            again.as_ref().is_ok_and(|again| *again == words)
                || words.iter().any(String::is_empty)
                || words.is_empty()
        );
    }
}
