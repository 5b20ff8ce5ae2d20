//! `wardfs salvage`: copies what can still be read out of a damaged vault.
//!
//! The report is the one thing that this program prints names of files from a vault in: they lie in plain sight in the
//! directory that it is about. Errors and warnings hold none.

use super::{
    args::SalvageArgs,
    error::CliError,
    output,
    passphrase::Purpose,
    progress::Progress,
    salvage_json, salvage_text,
    signals::{Event, Signals},
    size,
    vault_dir::{NewDir, open_store},
};
use crate::{
    salvage::{self, Report, SalvageError, Stage, Watch},
    store::Store,
};
use std::{path::Path, sync::Arc, thread};

const INTO: &str = "salvage into";

/// Salvages and prints the report.
///
/// # Errors
/// [`CliError`]; `NotWhole` when the report has been printed and tells of a loss.
pub fn run(args: &SalvageArgs) -> Result<(), CliError> {
    let watch = Arc::new(Watch::default());
    let report = match report(args, &watch) {
        Err(error) => {
            let so_far = watch.so_far();
            if args.json {
                // A program gets an object whatever happens.
                let object =
                    salvage_json::show_error(&args.vault, &args.out, &error, so_far.as_ref());
                output::print(&object)?;
            } else if let Some(report) = so_far {
                output::print(&salvage_text::show_part(&args.vault, &args.out, &report))?;
            }
            return Err(error);
        }
        Ok(report) => report,
    };
    output::print(&if args.json {
        salvage_json::show(&args.vault, &args.out, &report)
    } else {
        salvage_text::show(&args.vault, &args.out, &report)
    })?;
    if report.is_whole() {
        Ok(())
    } else {
        Err(CliError::NotWhole(args.vault.clone()))
    }
}

fn report(args: &SalvageArgs, watch: &Arc<Watch>) -> Result<Report, CliError> {
    let store = open_store(&args.vault)?;
    // Asked for nothing where nothing can be done.
    salvage::check(&*store).map_err(|source| failed(&args.vault, source))?;
    let place = NewDir::check(INTO, &args.out)?;
    place.check_outside(&args.vault)?;
    let passphrase = args
        .passphrase
        .source()
        .read(Purpose::Existing, "Passphrase")?;
    watched(&store, passphrase.bytes(), &args.out, watch)?
        .map_err(|source| failed(&args.vault, source))
}

/// With a sign of life, and until a signal comes.
fn watched(
    store: &Arc<dyn Store>,
    passphrase: &[u8],
    out: &Path,
    watch: &Arc<Watch>,
) -> Result<Result<Report, SalvageError>, CliError> {
    let signals = Signals::catch().map_err(CliError::Signals)?;
    let shown = Arc::clone(watch);
    let _progress = Progress::follow(move || progress(&shown));
    Ok(thread::scope(|scope| {
        scope.spawn(|| {
            if matches!(signals.wait(None), Ok(Event::Signal)) {
                watch.stop();
            }
        });
        let report = salvage::salvage(store, passphrase, out, watch);
        signals.stop();
        report
    }))
}

fn progress(watch: &Watch) -> String {
    match watch.state() {
        (Stage::Unlocking, ..) => "unlocking the vault".to_owned(),
        (Stage::Looking, done, ..) => format!("looking for files: {done} stored objects"),
        (Stage::Copying, done, total, bytes) => format!(
            "copying: {done} of {}, {}",
            total.unwrap_or(done),
            size::show(bytes)
        ),
    }
}

fn failed(path: &Path, source: SalvageError) -> CliError {
    CliError::Salvage {
        path: path.to_owned(),
        source,
    }
}
