//! `wardfs scrub`: asks a mount to verify what is stored, and waits for it. What it found is told as a check tells it.

use super::{
    args::ScrubArgs, check_json, check_text, error::CliError, exit::Exit, output,
    progress::WorkProgress,
};
use crate::{
    check::{Report, Verdict},
    format::VaultId,
    mount::{self, ScrubStatus},
};
use std::{path::Path, thread, time::Duration};

/// How often a scrub is asked how far it is.
const PAUSE: Duration = Duration::from_millis(200);

/// Starts, waits, tells; or cancels.
///
/// # Errors
/// [`CliError`] when there is no mount, it refuses, or the scrub does not come to its end.
pub fn run(args: &ScrubArgs) -> Result<Exit, CliError> {
    let dir = &args.dir;
    if args.cancel {
        mount::cancel_scrub(dir)?;
        return Ok(Exit::Ok);
    }
    mount::start_scrub(dir, args.rate.saturating_mul(1 << 20))?;
    if args.background {
        return Ok(Exit::Ok);
    }
    let status = wait(dir)?;
    let report = report(dir, &status)?;
    output::print(&if args.json {
        check_json::show_scrub(dir, &report, &status)
    } else {
        check_text::show_scrub(dir, &report, &status)
    })?;
    match status.state.as_str() {
        // Damage that is only counted is damage.
        "done" if status.damaged > 0 || report.verdict() == Verdict::Damaged => {
            Ok(Exit::DamageLeft)
        }
        "done" => Ok(Exit::Ok),
        state => Err(CliError::ScrubEnded {
            dir: dir.clone(),
            state: state.to_owned(),
        }),
    }
}

fn wait(dir: &Path) -> Result<ScrubStatus, CliError> {
    let progress = WorkProgress::start("scrubbing");
    loop {
        let status = mount::scrub_status(dir)?;
        if status.state != "running" {
            return Ok(status);
        }
        progress.is_at(status.done, status.total, status.seen.bytes);
        thread::sleep(PAUSE);
    }
}

/// What the mount says was found.
fn report(dir: &Path, status: &ScrubStatus) -> Result<Report, CliError> {
    let vault = VaultId::from_hex(status.vault.as_bytes());
    let findings = mount::scrub_findings(dir, status)?;
    Ok(Report::of_scrub(
        vault.unwrap_or(VaultId([0; 16])),
        status.seen,
        findings,
    ))
}
