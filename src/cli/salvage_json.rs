//! `wardfs salvage --json`: one object, for programs. Fields are added, never changed or taken away.
//!
//! Ranges of bytes are `[first, one after the last]`. JSON knows text alone: in paths, what is no UTF-8 is replaced.

use super::{error::CliError, report};
use crate::{
    salvage::{Damaged, Report},
    vault::{JournalState, JournalUse, StrayLog},
};
use serde_json::{Value, json};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};

/// The object, on lines of its own.
pub fn show(vault: &Path, out: &Path, report: &Report) -> String {
    format!("{:#}\n", object(vault, out, report))
}

/// What there is if it could not begin or had to end: nobody knows whether all would have come. `so_far`: what was done till then.
pub fn show_error(vault: &Path, out: &Path, error: &CliError, so_far: Option<&Report>) -> String {
    let mut object = match so_far {
        Some(report) => object(vault, out, report),
        None => json!({ "vault": path(vault), "out": path(out) }),
    };
    let error = report::Report::of(error);
    object["whole"] = Value::Null;
    object["error"] = json!(error.message);
    object["hint"] = json!(error.hint);
    object["exit"] = json!(error.exit.code());
    format!("{object:#}\n")
}

fn object(vault: &Path, out: &Path, report: &Report) -> Value {
    let (counts, lacks) = (&report.counts, &report.unrestored);
    let missing = report.missing.iter();
    let incomplete = report.incomplete.iter();
    let renamed = report.renamed.iter();
    let aside = report.set_aside_missing.iter();
    json!({
        "vault": path(vault),
        "out": path(out),
        "whole": report.is_whole(),
        "counts": {
            "files": counts.files,
            "bytes": counts.bytes,
            "directories": counts.directories,
            "symlinks": counts.symlinks,
            "specials": counts.specials,
            "links": counts.links,
        },
        "journal": journal(&report.journal),
        "root_lost": report.root_lost,
        "lost_found": report.lost_found.as_ref().map(|(at, count)| json!({ "path": path(at), "entries": count })),
        "damaged": report.damaged.iter().map(damaged).collect::<Vec<_>>(),
        "missing": missing.map(|one| json!({ "path": path(&one.path), "why": one.why })).collect::<Vec<_>>(),
        "incomplete": incomplete
            .map(|one| json!({ "path": path(&one.path), "expected": one.expected, "found": one.found }))
            .collect::<Vec<_>>(),
        "put_back": paths(&report.put_back),
        "linked_put_back": report.linked_put_back,
        "refused": report.refused,
        "older": paths(&report.older),
        "unborn": report.unborn,
        "unmade": paths(&report.unmade),
        "unpromised": paths(&report.unpromised),
        "gone_since": paths(&report.gone_since),
        "moved": paths(&report.moved),
        "renamed": renamed
            .map(|one| json!({ "path": path(&one.path), "name": String::from_utf8_lossy(&one.name) }))
            .collect::<Vec<_>>(),
        "brought_back": paths(&report.brought_back),
        "set_aside": report.set_aside.as_ref().map(|(at, count)| json!({ "path": path(at), "nodes": count })),
        "set_aside_missing": aside.map(|one| json!({ "path": path(&one.path), "why": one.why })).collect::<Vec<_>>(),
        "copied": paths(&report.copied),
        "passed_over": report.passed_over,
        "unrestored": {
            "owners": lacks.owners,
            "modes": lacks.modes,
            "times": lacks.times,
            "xattrs": lacks.xattrs,
            "acls": lacks.acls,
        },
        "without_xattrs": paths(&report.without_xattrs),
    })
}

fn journal(used: &JournalUse) -> Value {
    let objects = |logs: &[StrayLog]| -> Vec<String> {
        let paths = logs.iter().map(|log| log.path.to_string());
        paths.collect()
    };
    let mut value = match &used.state {
        JournalState::Empty => json!({ "state": "empty" }),
        JournalState::Replayed => json!({ "state": "replayed" }),
        JournalState::Part { cause, frames } => {
            json!({ "state": "part", "cause": cause.to_string(), "frames": frames })
        }
        JournalState::Unused { cause } => {
            json!({ "state": "unused", "cause": cause.to_string() })
        }
    };
    value["lost_frames"] = json!(used.lost.frames);
    value["passed_over"] = json!(used.lost.passed);
    value["cut_off"] = json!(used.lost.cut_off.map(|cut| cut.segment));
    let unread = used.lost.unread.iter();
    value["unread"] = unread
        .map(|place| {
            let (segment, frames) = (place.segment, place.frames);
            json!({ "segment": segment, "bytes": [place.bytes.start, place.bytes.end], "frames": frames })
        })
        .collect();
    let half_read = used.half_read.iter();
    value["half_read"] = half_read.map(|redo| redo.path.to_string()).collect();
    value["misplaced"] = json!(objects(&used.misplaced));
    value["set_aside"] = json!(objects(&used.aside));
    value
}

fn damaged(file: &Damaged) -> Value {
    json!({ "path": path(&file.path), "size": file.size, "lost": ranges(&file.lost), "unproven": ranges(&file.unproven), "foreign": ranges(&file.foreign) })
}

fn ranges(ranges: &[Range<u64>]) -> Vec<[u64; 2]> {
    let pair = |range: &Range<u64>| [range.start, range.end];
    ranges.iter().map(pair).collect()
}

fn paths(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|one| path(one)).collect()
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
