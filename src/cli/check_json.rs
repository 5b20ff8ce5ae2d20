//! `wardfs check --json`: one object, for programs. Fields are added, never changed or taken away.

use super::{error::CliError, report};
use crate::{
    check::{Finding, Report, Verdict},
    mount::ScrubStatus,
};
use serde_json::{Value, json};
use std::{ops::Range, path::Path};

/// The object, on lines of its own.
pub fn show(vault: &Path, report: &Report) -> String {
    format!("{:#}\n", object(vault, report))
}

/// What there is if nothing could be checked, or a repair did not come to its end: no verdict.
pub fn show_error(vault: &Path, error: &CliError) -> String {
    let error = report::Report::of(error);
    let object = json!({
        "vault": vault.to_string_lossy(),
        "verdict": null,
        "error": error.message,
        "hint": error.hint,
        "exit": error.exit.code(),
    });
    format!("{object:#}\n")
}

/// The same of a scrub: how it ended, and how many findings were more than a mount keeps.
pub fn show_scrub(dir: &Path, report: &Report, status: &ScrubStatus) -> String {
    let mut object = object(dir, report);
    object["state"] = json!(status.state);
    object["left_out"] = json!(status.left_out);
    if status.damaged > 0 {
        object["verdict"] = json!(verdict(Verdict::Damaged));
    }
    format!("{object:#}\n")
}

fn object(vault: &Path, report: &Report) -> Value {
    json!({
        "vault": vault.to_string_lossy(),
        "id": report.vault.to_string(),
        "verdict": verdict(report.verdict()),
        "seen": {
            "directories": report.seen.dirs,
            "files": report.seen.files,
            "others": report.seen.others,
            "bytes": report.seen.bytes,
        },
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "lost": report.lost,
        "nameless": report.nameless,
        "accepted": report.accepted(),
        "quarantine": report.kept_in,
    })
}

/// The result in a word; never changed.
fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clean => "clean",
        Verdict::Repaired => "repaired",
        Verdict::Damaged => "damaged",
    }
}

/// JSON knows text alone: what of a name is no UTF-8 is replaced in `path`, and `path_hex` has all its bytes then.
fn finding(finding: &Finding) -> Value {
    let path = finding.path.as_deref();
    let is_text = path.is_none_or(|path| std::str::from_utf8(path).is_ok());
    json!({
        "kind": finding.kind.name(),
        "outcome": finding.outcome.name(),
        "path": path.map(String::from_utf8_lossy),
        "path_hex": path.filter(|_| !is_text).map(hex),
        "file_range": finding.file_range.as_ref().map(range),
        "object": finding.object,
        "object_range": finding.object_range.as_ref().map(range),
        "what": finding.what,
        "remedy": finding.remedy(),
    })
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// From the first byte to the one after the last.
fn range(range: &Range<u64>) -> Value {
    json!({ "start": range.start, "end": range.end })
}
