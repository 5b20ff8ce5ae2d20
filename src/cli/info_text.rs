//! `wardfs info` for people. Programs use `--json`; this may change.

use super::{
    info::{CopyState, Info, MountFacts, Usage, VaultInfo},
    progress,
    report::shown,
    size,
};
use crate::mount::ScrubStatus;
use std::path::Path;

/// Lines of a word and what it is, each ended.
pub fn show(info: &Info) -> String {
    let mut lines = vec![("vault", shown(&info.path))];
    lines.extend(info.mount.iter().flat_map(mount_lines));
    match &info.vault {
        Ok(vault) => lines.extend(vault_lines(vault)),
        Err(report) => lines.push(("header", format!("not read: {}", report.message))),
    }
    let width = lines.iter().map(|(word, _)| word.len()).max().unwrap_or(0) + 2;
    lines
        .into_iter()
        .map(|(word, text)| line(word, &text, width))
        .collect()
}

fn mount_lines(mount: &MountFacts) -> Vec<(&'static str, String)> {
    let MountFacts {
        status,
        options,
        scrub,
    } = mount;
    let served_by = match status.pid {
        _ if status.dead => "nobody: the process that served it is gone".to_owned(),
        Some(pid) => format!("process {pid}"),
        None => "unknown".to_owned(),
    };
    // The process says it, and anybody's process may say anything.
    let state = status.state.as_ref();
    let state = state.map_or("does not answer".to_owned(), |state| {
        shown(Path::new(state))
    });
    let mut lines = vec![
        ("mounted on", shown(&status.dir)),
        ("served by", served_by),
        ("state", state),
    ];
    lines.extend(
        options
            .as_ref()
            .map(|options| ("options", shown(Path::new(options)))),
    );
    let scrubs = scrub.iter().filter(|scrub| scrub.state != "never");
    lines.extend(scrubs.map(|scrub| ("scrub", scrub_text(scrub))));
    lines
}

fn scrub_text(scrub: &ScrubStatus) -> String {
    let damage = match scrub.damaged {
        0 => "no damage".to_owned(),
        1 => "damage in 1 place".to_owned(),
        count => format!("damage in {count} places"),
    };
    let state = shown(Path::new(&scrub.state));
    let percent = (scrub.done * 100).checked_div(scrub.total);
    // More may have come than there was in the beginning.
    let percent = percent.filter(|_| scrub.state == "running");
    let percent = percent.map_or(String::new(), |percent| format!(", {}%", percent.min(99)));
    format!(
        "{state}{percent}, {} verified, {damage}",
        progress::about(scrub.seen.bytes)
    )
}

/// A line without a word goes on with what the one before says.
fn line(word: &str, text: &str, width: usize) -> String {
    let colon = if word.is_empty() { "" } else { ":" };
    format!("{:width$}{text}\n", format!("{word}{colon}"))
}

fn vault_lines(vault: &VaultInfo) -> Vec<(&'static str, String)> {
    let compression = if vault.compress { "lz4" } else { "none" };
    let mut lines = vec![
        ("in use", usage(vault.usage)),
        ("id", vault.id.to_string()),
        ("format", vault.format.to_string()),
        ("suite", vault.suite.name().to_owned()),
        ("chunk size", size::show(vault.chunk.len() as u64)),
        ("compression", compression.to_owned()),
        (
            "slots",
            format!("{} of {} used", vault.slots.len(), vault.slot_count),
        ),
    ];
    for (number, kdf) in &vault.slots {
        lines.push((
            "",
            format!("{number}: passphrase, Argon2id, {}", size::kdf(kdf)),
        ));
    }
    lines.push(("header", header(vault)));
    lines
}

fn usage(usage: Usage) -> String {
    match usage {
        Usage::Free => "no".to_owned(),
        Usage::InUse(Some(pid)) => format!("by process {pid}"),
        Usage::InUse(None) => "yes".to_owned(),
        Usage::Unknown => "cannot be found out".to_owned(),
    }
}

fn header(vault: &VaultInfo) -> String {
    match (vault.header, vault.header_copy) {
        (CopyState::Readable, CopyState::Readable) => "both copies readable".to_owned(),
        (first, second) => format!(
            "first copy {}, second copy {}; a mount that may write restores the bad one",
            first.name(),
            second.name()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::info::tests::{info, kdf, silent_mount};

    #[test]
    fn every_slot_has_a_line_and_the_columns_stand_under_each_other() {
        let mut info = info();
        info.vault.as_mut().unwrap().slots.push((3, kdf()));
        let text = show(&info);
        assert!(text.contains("slots:       2 of 8 used\n"), "{text}");
        assert!(
            text.contains("\n             3: passphrase, Argon2id, 64 MiB, 3 passes, 4 lanes\n"),
            "{text}"
        );
    }

    #[test]
    fn a_mount_that_does_not_answer_is_said_to() {
        let mut info = info();
        info.mount = Some(silent_mount());
        let text = show(&info);
        assert!(
            text.contains("served by:   unknown\nstate:       does not answer\n"),
            "{text}"
        );
    }

    #[test]
    fn a_bad_copy_of_the_header_is_named() {
        let mut info = info();
        info.vault.as_mut().unwrap().header_copy = CopyState::Missing;
        assert!(show(&info).contains("header:      first copy readable, second copy missing; a mount that may write restores the bad one\n"));
    }
}
