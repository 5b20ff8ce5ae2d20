//! `wardfs check`: looks for damage, and repairs it when asked to.
//!
//! The one command that prints names from inside a vault: they are what was asked for. They are escaped, as any name may hold
//! what a terminal would obey.

use super::{
    args::CheckArgs,
    check_json, check_text,
    error::{CHECK, CliError},
    exit::Exit,
    hints::keys_hint,
    logger, output,
    passphrase::{Passphrase, Purpose},
    progress::CheckProgress,
    vault_dir::{self, OPEN, open_store},
};
use crate::{
    check::{self, Report, Verdict},
    store::{Lock, StoreError},
    vault::{self, VaultError},
};
use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Checks, prints, and gives what there is.
///
/// # Errors
/// [`CliError`] when the vault cannot be opened, or not be written by a repair.
pub fn run(args: &CheckArgs) -> Result<Exit, CliError> {
    let report = match report(args) {
        Err(error) if args.json => {
            // A program gets an object whatever happens.
            output::print(&check_json::show_error(&args.vault, &error))?;
            return Err(error);
        }
        report => report?,
    };
    output::print(&if args.json {
        check_json::show(&args.vault, &report)
    } else {
        check_text::show(&args.vault, &report, args.repair)
    })?;
    Ok(match report.verdict() {
        Verdict::Clean => Exit::Ok,
        Verdict::Repaired => Exit::Repaired,
        Verdict::Damaged => Exit::DamageLeft,
    })
}

fn report(args: &CheckArgs) -> Result<Report, CliError> {
    check_vault(args)?;
    let source = args.passphrase.source();
    let passphrase = source.read(Purpose::Existing, "Passphrase")?;
    look(args, &passphrase)
}

fn look(args: &CheckArgs, passphrase: &Passphrase) -> Result<Report, CliError> {
    let store = open_store(&args.vault)?;
    let progress = CheckProgress::start();
    let report = if args.repair {
        check::repair(store, passphrase.bytes(), &name_of_now(), &progress)
    } else {
        logger::only_tries();
        check::check(store, passphrase.bytes(), &progress)
    };
    report.map_err(|source| CliError::Vault {
        action: action(&source, args.repair),
        path: args.vault.clone(),
        source,
    })
}

/// What was being done when an error came.
fn action(error: &VaultError, is_repair: bool) -> &'static str {
    match error {
        VaultError::Store(StoreError::Locked { .. }) => CHECK,
        VaultError::Store(_) | VaultError::Journal(_) if is_repair => "repair the vault",
        VaultError::Store(_) | VaultError::Journal(_) => CHECK,
        error if error.is_damage() && keys_hint(error).is_none() => CHECK,
        _ => OPEN,
    }
}

/// What can be refused is refused before the passphrase is asked for.
fn check_vault(args: &CheckArgs) -> Result<(), CliError> {
    let path = &args.vault;
    let store = open_store(path)?;
    vault::peek(&*store).map_err(|source| failed(path, source))?;
    let kind = if args.repair {
        vault_dir::check_writable(path)?;
        Lock::Exclusive
    } else {
        Lock::Shared
    };
    match store.lock(kind) {
        Err(source @ StoreError::Locked { .. }) => Err(CliError::Store {
            action: CHECK,
            path: path.clone(),
            source,
        }),
        // Whether it can be done without a lock is for the check to say.
        _ => Ok(()),
    }
}

fn failed(path: &Path, source: VaultError) -> CliError {
    CliError::Vault {
        action: OPEN,
        path: path.to_owned(),
        source,
    }
}

/// The time of day in UTC, as `2026-11-21T09-30-00Z`: the name of a repair's quarantine.
fn name_of_now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    utc_name(since.unwrap_or_default().as_secs())
}

fn utc_name(secs: u64) -> String {
    let (days, secs) = (secs / 86_400, secs % 86_400);
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}Z")
}

/// Year, month and day of a count of days since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms").
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        for (secs, name) in [
            (0, "1970-01-01T00-00-00Z"),
            (951_782_399, "2000-02-28T23-59-59Z"),
            (951_782_400, "2000-02-29T00-00-00Z"),
            (1_795_253_400, "2026-11-21T09-30-00Z"),
            (4_107_542_400, "2100-03-01T00-00-00Z"),
        ] {
            assert_eq!(utc_name(secs), name);
        }
    }
}
