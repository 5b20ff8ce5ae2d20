//! `wardfs check` for people. Programs use `--json`; this may change.

use super::{progress, report::shown, size::counted};
use crate::{
    check::{Finding, Kind, Outcome, Report, Seen, Verdict},
    mount::ScrubStatus,
};
use std::{ffi::OsStr, fmt::Write, ops::Range, os::unix::ffi::OsStrExt, path::Path};

/// A paragraph for each finding, and the result.
pub fn show(vault: &Path, report: &Report, repaired: bool) -> String {
    paragraphs(report) + &summary(vault, report, repaired)
}

/// The same of a scrub, which mends nothing.
pub fn show_scrub(dir: &Path, report: &Report, status: &ScrubStatus) -> String {
    let left_out = match status.left_out {
        0 => String::new(),
        count => format!("... and {count} more\n\n"),
    };
    let found = seen(dir, report);
    let verdict = match report.verdict() {
        Verdict::Damaged => {
            let (mendable, stays) = open(report);
            format!(
                "damage: {mendable} can be repaired (unmount, then `wardfs check --repair`), {stays} not\n"
            )
        }
        _ if status.damaged > 0 => "damage\n".to_owned(),
        _ => "no damage\n".to_owned(),
    };
    paragraphs(report) + &left_out + &found + &verdict
}

fn paragraphs(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&paragraph(finding));
        text.push('\n');
    }
    text
}

fn paragraph(finding: &Finding) -> String {
    let place = match &finding.path {
        Some(path) => name(path),
        None => name(finding.object.as_bytes()),
    };
    let mut text = format!("{place}: {}\n", finding.what);
    let mut line = |line: String| {
        let Ok(()) = writeln!(text, "  {line}") else {
            unreachable!("a string takes everything")
        };
    };
    if let Some(range) = &finding.file_range {
        line(format!("lost: bytes {} of the file", bytes(range)));
    }
    if finding.path.is_some() {
        let within = finding
            .object_range
            .as_ref()
            .filter(|_| finding.file_range.is_some());
        let within = within.map_or(String::new(), |range| format!(", bytes {}", bytes(range)));
        line(format!(
            "stored: {}{within}",
            name(finding.object.as_bytes())
        ));
    }
    line(match finding.outcome {
        Outcome::Mended if finding.kind == Kind::Tail => "moved to the quarantine".to_owned(),
        Outcome::Mended => "repaired".to_owned(),
        Outcome::Accepted => "accepted as it is: compare with a backup".to_owned(),
        Outcome::Lost => "lost: copy it from a backup; what was left of it is set aside".to_owned(),
        Outcome::Note | Outcome::Mendable => finding.remedy().to_owned(),
        Outcome::Stays => format!("stays; {}", finding.remedy()),
    });
    text
}

/// From the first to the last.
fn bytes(range: &Range<u64>) -> String {
    format!(
        "{}-{}",
        range.start,
        range.end.saturating_sub(1).max(range.start)
    )
}

/// A name from inside the vault, or of a stored object, as a terminal may show it.
fn name(bytes: &[u8]) -> String {
    shown(Path::new(OsStr::from_bytes(bytes)))
}

/// What was looked at.
fn seen(vault: &Path, report: &Report) -> String {
    let Seen {
        dirs,
        files,
        others,
        bytes,
    } = report.seen;
    let looked_at = [
        (dirs, "directory", "directories"),
        (files, "file", "files"),
        (others, "other", "others"),
    ];
    let looked_at = looked_at.map(|(count, one, more)| counted(count, one, more));
    format!(
        "{}: {}, {} verified\n",
        shown(vault),
        looked_at.join(", "),
        progress::about(bytes)
    )
}

fn count(report: &Report, outcome: Outcome) -> usize {
    let has = |finding: &&Finding| finding.outcome == outcome;
    report.findings.iter().filter(has).count()
}

/// Damage that can be mended, and that cannot.
fn open(report: &Report) -> (usize, usize) {
    (
        count(report, Outcome::Mendable),
        count(report, Outcome::Stays),
    )
}

fn summary(vault: &Path, report: &Report, repaired: bool) -> String {
    let seen = seen(vault, report);
    let count = |outcome| count(report, outcome);
    let verdict = match report.verdict() {
        Verdict::Clean => "no damage\n".to_owned(),
        Verdict::Repaired => format!("damage: {} repaired, none left\n", count(Outcome::Mended)),
        Verdict::Damaged if repaired => {
            let parts = [
                (Outcome::Mended, "repaired"),
                (Outcome::Accepted, "accepted as it is"),
                (Outcome::Lost, "lost"),
                (Outcome::Stays, "left"),
            ];
            let parts = parts.map(|(outcome, word)| format!("{} {word}", count(outcome)));
            format!("damage: {}\n", parts.join(", ")) + &losses(report)
        }
        Verdict::Damaged => {
            let (mendable, stays) = open(report);
            format!("damage: {mendable} can be repaired (--repair), {stays} not\n")
        }
    };
    let kept = report.kept_in.as_ref().map_or(String::new(), |kept| {
        let kept = shown(&vault.join(kept));
        format!("what was replaced or removed is in {kept}\n")
    });
    seen + &verdict + &kept
}

/// What a repair could not bring back.
fn losses(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |count: u64, one: &str, more: &str| {
        let words = match count {
            0 => return,
            1 => one.to_owned(),
            count => more.replace('N', &count.to_string()),
        };
        text.push_str(&words);
        text.push('\n');
    };
    line(
        report.lost,
        "lost: 1 file or directory",
        "lost: N files and directories",
    );
    line(
        report.nameless,
        "without its name, in lost+found: 1 file or directory",
        "without their names, in lost+found: N files and directories",
    );
    line(
        report.accepted(),
        "accepted as it is, though it was not stored last: 1 directory",
        "accepted as they are, though they were not stored last: N directories",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_name_their_last_byte() {
        assert_eq!(bytes(&(16_384..32_768)), "16384-32767");
        assert_eq!(bytes(&(5..5)), "5-5");
    }

    #[test]
    fn names_from_inside_cannot_drive_the_terminal() {
        assert_eq!(name(b"/a\x1b[31m"), r#""/a\u{1b}[31m""#);
        assert_eq!(name("/\u{e4} b".as_bytes()), "/\u{e4} b");
    }
}
