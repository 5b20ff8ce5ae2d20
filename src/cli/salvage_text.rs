//! The report of a salvage for people.

use super::report::shown;
use crate::{
    salvage::{Damaged, Report, Unrestored},
    vault::{JournalState, JournalUse},
};
use std::{ffi::OsStr, fmt::Write, ops::Range, os::unix::ffi::OsStrExt, path::Path};

/// The whole text. What is in order is one line.
pub fn show(vault: &Path, out: &Path, report: &Report) -> String {
    let mut text = format!("Salvaged: {} to {}\n", shown(vault), shown(out));
    made(&mut text, report);
    line(
        &mut text,
        &format!("  journal: {}", journal(&report.journal)),
    );
    if let Some(lacks) = unrestored(&report.unrestored) {
        line(&mut text, &format!("  not restored: {lacks}"));
    }
    losses(&mut text, report);
    oddities(&mut text, report);
    text
}

/// What was made before it ended early. Nothing is said of what would have come.
pub fn show_part(vault: &Path, out: &Path, report: &Report) -> String {
    let mut text = format!("Ended early: {} to {}\n", shown(vault), shown(out));
    made(&mut text, report);
    text
}

fn made(text: &mut String, report: &Report) {
    let counts = &report.counts;
    let made = [
        (counts.files, "file", "files"),
        (counts.directories, "directory", "directories"),
        (counts.symlinks, "symbolic link", "symbolic links"),
        (counts.specials, "special file", "special files"),
        (counts.links, "further name", "further names"),
    ];
    let made: Vec<String> = made
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    line(text, &format!("  whole: {}", list(&made)));
    line(text, &format!("  {} bytes of content", counts.bytes));
}

fn losses(text: &mut String, report: &Report) {
    if report.root_lost {
        line(
            text,
            "\nThe root directory's guard is gone: what lay in it is in lost+found.",
        );
    }
    if let Some((path, count)) = &report.lost_found {
        line(
            text,
            &format!(
                "\nIn {}, since their directories are gone: {count}",
                shown(path)
            ),
        );
    }
    section(
        text,
        "Damaged, with zeros for what is lost",
        &report.damaged,
        damaged,
    );
    if report.damaged.iter().any(|file| !file.foreign.is_empty()) {
        line(
            text,
            "\nForeign: the key that opens these bytes went along with a bundle; whoever could read that could have made them.",
        );
    }
    section(text, "Missing", &report.missing, |one| {
        format!("{}: {}", shown(&one.path), one.why)
    });
    section(
        text,
        "Directories with other entries than they had",
        &report.incomplete,
        |one| {
            let (path, found, expected) = (shown_dir(&one.path), one.found, one.expected);
            if found > expected {
                format!("{path}: {found} found where its guard sums up {expected}")
            } else {
                format!("{path}: {found} of {expected} found")
            }
        },
    );
    section(
        text,
        "Directories in which something was put back as it once was, or changed by others, and is perhaps older than it was",
        &report.put_back,
        |path| shown_dir(path),
    );
    section(
        text,
        "Without all of their extended attributes or access control lists, which the target did not take",
        &report.without_xattrs,
        |path| shown_dir(path),
    );
    if report.linked_put_back {
        line(
            text,
            "\nOf the files with several names at least one is not as stored last: perhaps older than it was.",
        );
    }
    section(
        text,
        "Brought back from the quarantine of a repair, perhaps older than they were",
        &report.brought_back,
        |path| shown(path),
    );
    section(
        text,
        "Stored objects that cannot be opened, or name no place",
        &report.refused,
        String::clone,
    );
    section(
        text,
        "Older than they were, since the journal cannot be used",
        &report.older,
        |path| shown(path),
    );
    if report.unborn > 0 {
        line(
            text,
            &format!(
                "\nMade in that part of the journal, and lost: {}",
                report.unborn
            ),
        );
        report
            .unmade
            .iter()
            .for_each(|path| line(text, &format!("  {}", shown(path))));
    }
}

fn oddities(text: &mut String, report: &Report) {
    if let Some((path, count)) = &report.set_aside {
        line(
            text,
            &format!(
                "\nIn {}, since a repair had set them aside: {count}",
                shown(path)
            ),
        );
    }
    section(
        text,
        "Set aside by a repair, and not made",
        &report.set_aside_missing,
        |one| format!("{}: {}", shown(&one.path), one.why),
    );
    section(
        text,
        "Changed or made in frames of a log behind something that is not there, which nothing says were durable: a power cut \
         leaves the same, and it is no loss of what was promised",
        &report.unpromised,
        |path| shown(path),
    );
    section(
        text,
        "Named by a log that was set aside, and not there: lost with it, or removed since",
        &report.gone_since,
        |path| shown(path),
    );
    section(
        text,
        "Moved up from where they cannot be",
        &report.moved,
        |path| shown(path),
    );
    section(
        text,
        "Under other names than their own",
        &report.renamed,
        |one| {
            let name = shown(Path::new(OsStr::from_bytes(&one.name)));
            format!("{}: was {name}", shown(&one.path))
        },
    );
    section(
        text,
        "Copies instead of further names",
        &report.copied,
        |path| shown(path),
    );
    section(
        text,
        "Stored objects passed over for newer ones",
        &report.passed_over,
        String::clone,
    );
}

fn section<T>(text: &mut String, title: &str, items: &[T], show: impl Fn(&T) -> String) {
    if items.is_empty() {
        return;
    }
    line(text, &format!("\n{title}: {}", items.len()));
    items
        .iter()
        .for_each(|item| line(text, &format!("  {}", show(item))));
}

/// The directory that was made is `.` in itself.
fn shown_dir(path: &Path) -> String {
    let is_top = path.as_os_str().is_empty();
    shown(if is_top { Path::new(".") } else { path })
}

fn damaged(file: &Damaged) -> String {
    let mut text = shown(&file.path);
    for (what, ranges) in [
        ("lost", &file.lost),
        ("perhaps old", &file.unproven),
        ("perhaps old or foreign", &file.foreign),
    ] {
        if !ranges.is_empty() {
            let ranges: Vec<String> = ranges.iter().map(range).collect();
            let Ok(()) = write!(text, ", {what}: bytes {}", ranges.join(" ")) else {
                unreachable!("a string takes everything")
            };
        }
    }
    text
}

/// The first and the last byte.
fn range(range: &Range<u64>) -> String {
    format!("{}-{}", range.start, range.end.saturating_sub(1))
}

fn journal(used: &JournalUse) -> String {
    let mut text = match &used.state {
        JournalState::Empty => "empty".to_owned(),
        JournalState::Replayed => "replayed".to_owned(),
        JournalState::Part { cause, frames } if used.lost.passed > 0 => format!(
            "{frames} frames of it were used, but for {} changes of files that cannot be opened: {cause}",
            used.lost.passed
        ),
        JournalState::Part { cause, frames } => {
            format!("only {frames} frames of it can be used: {cause}")
        }
        JournalState::Unused { cause } => format!("cannot be used: {cause}"),
    };
    if used.lost.frames > 0 && !used.lost.is_empty() {
        let Ok(()) = write!(text, "; {} frames were not used", used.lost.frames) else {
            unreachable!("a string takes everything")
        };
    }
    if let Some(cut) = used.lost.cut_off {
        let Ok(()) = write!(
            text,
            "; segment {} was perhaps cut off after {} bytes",
            cut.segment, cut.len
        ) else {
            unreachable!("a string takes everything")
        };
    }
    for place in &used.lost.unread {
        let Ok(()) = write!(
            text,
            "; {} frames do not open at bytes {} of segment {}",
            place.frames,
            range(&place.bytes),
            place.segment
        ) else {
            unreachable!("a string takes everything")
        };
    }
    for redo in &used.half_read {
        let rest = match (redo.is_begun, redo.has_log) {
            (true, _) => "what can be read of it was used",
            (false, true) => "the log was used instead",
            (false, false) => "what is in it is lost",
        };
        let Ok(()) = write!(text, "; the disk does not read {}: {rest}", redo.path) else {
            unreachable!("a string takes everything")
        };
    }
    for log in &used.misplaced {
        let Ok(()) = write!(text, "; used from {}", log.path) else {
            unreachable!("a string takes everything")
        };
    }
    text
}

fn unrestored(lacks: &Unrestored) -> Option<String> {
    let lacks = [
        (lacks.owners, "owner"),
        (lacks.modes, "mode"),
        (lacks.times, "times"),
        (lacks.xattrs, "extended attributes"),
        (lacks.acls, "access control list"),
    ];
    let lacks: Vec<String> = lacks
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{what} of {count}"))
        .collect();
    (!lacks.is_empty()).then(|| lacks.join(", "))
}

fn list(items: &[String]) -> String {
    if items.is_empty() {
        "nothing".to_owned()
    } else {
        items.join(", ")
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
