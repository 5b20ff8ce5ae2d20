//! `wardfs scrub`: asks a mount to verify what is stored, and waits for it.

use super::{args::ScrubArgs, error::CliError, exit::Exit, output, progress, report::shown};
use crate::mount::{self, ScrubStatus};
use std::{ops::Range, path::Path, thread, time::Duration};

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
    let status = loop {
        let status = mount::scrub_status(dir)?;
        if status.state != "running" {
            break status;
        }
        thread::sleep(PAUSE);
    };
    output::print(&show(dir, &status))?;
    match status.state.as_str() {
        "done" if status.damaged > 0 => Ok(Exit::DamageLeft),
        "done" => Ok(Exit::Ok),
        state => Err(CliError::ScrubEnded {
            dir: dir.clone(),
            state: state.to_owned(),
        }),
    }
}

fn show(dir: &Path, status: &ScrubStatus) -> String {
    let line = |(path, range, what): &(String, Option<Range<u64>>, String)| {
        let range = range.as_ref().map_or(String::new(), |range| {
            let last = range.end.saturating_sub(1).max(range.start);
            format!(", bytes {}-{last}", range.start)
        });
        format!("{}{range}: {what}\n", shown(Path::new(path)))
    };
    let mut lines: Vec<String> = status.findings.iter().map(line).collect();
    let told = status.findings.len() as u64;
    if status.damaged > told {
        lines.push(format!("... and {} more\n", status.damaged - told));
    }
    let damage = match status.damaged {
        0 => "no damage".to_owned(),
        1 => "damage in 1 place".to_owned(),
        count => format!("damage in {count} places"),
    };
    let (dir, bytes) = (shown(dir), progress::about(status.bytes));
    let nodes = status.nodes;
    lines.push(format!(
        "{dir}: {nodes} files and directories, {bytes} verified\n{damage}\n"
    ));
    lines.concat()
}
