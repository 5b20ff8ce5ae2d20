//! `wardfs mount`: checks, asks, and serves, here or in the background.
//!
//! Everything that can be refused is refused before the passphrase is asked for. How the background process comes to be
//! is [`daemon`]'s affair, when a mount ends is [`watch`](super::watch)'s.

use super::{
    args::MountArgs,
    daemon::{self, Ready},
    error::CliError,
    idle::Idle,
    mountpoint,
    passphrase::{Passphrase, Purpose},
    progress::Progress,
    signals::Signals,
    vault_dir::open_store,
    watch::Watch,
};
use crate::{
    mount::{self, MountError, MountOptions, Mounted, OptionError},
    store::Lock,
    vault::{self, OpenOptions, Vault},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

/// Mounts; returns when the mount can be used, or in the foreground when it has ended.
///
/// # Errors
/// [`CliError`]; nothing is mounted then.
pub fn run(args: &MountArgs) -> Result<(), CliError> {
    let plan = Plan::check(args)?;
    let passphrase = args.passphrase.source().read(Purpose::Existing, "Passphrase")?;
    if args.foreground {
        return plan.serve(passphrase, &mut Ready::in_foreground());
    }
    daemon::start(passphrase, |passphrase, ready| plan.serve(passphrase, ready))
}

/// A mount that nothing is known to speak against.
struct Plan {
    vault: PathBuf,
    dir: PathBuf,
    options: MountOptions,
    idle: Option<Duration>,
    foreground: bool,
}

impl Plan {
    fn check(args: &MountArgs) -> Result<Plan, CliError> {
        let options = options(args)?;
        check_vault(&args.vault)?;
        let dir = mountpoint::check(&args.vault, &args.dir)?;
        check_fuse()?;
        let vault = fs::canonicalize(&args.vault).map_err(CliError::Background)?;
        Ok(Plan { vault, dir, options, idle: args.idle, foreground: args.foreground })
    }

    /// Opens the vault, shows it, closes it. `ready` is told when it can be used.
    fn serve(self, passphrase: Passphrase, ready: &mut Ready) -> Result<(), CliError> {
        let vault = Arc::new(self.open(passphrase)?);
        let served = self.show(&vault, ready);
        let closed = self.close(vault);
        served.and(closed)
    }

    fn open(&self, passphrase: Passphrase) -> Result<Vault, CliError> {
        // In the background the process that waits shows it.
        let _progress = self.foreground.then(|| Progress::start("unlocking the vault"));
        let store = open_store(&self.vault)?;
        let options = OpenOptions { read_only: self.options.read_only, ..OpenOptions::default() };
        Vault::open(store, passphrase.bytes(), options).map_err(|source| self.vault_error("open the vault", source))
    }

    fn show(&self, vault: &Arc<Vault>, ready: &mut Ready) -> Result<(), CliError> {
        // Before the mount: a signal that came right after it would leave a dead one behind.
        let signals = Signals::catch().map_err(CliError::Signals)?;
        let mounted = mount::mount(Arc::clone(vault), &self.vault, &self.dir, &self.options)?;
        ready.report()?;
        Ok(self.attend(vault, mounted, &signals)?)
    }

    /// Serves until the mount is gone.
    fn attend(&self, vault: &Vault, mounted: Mounted, signals: &Signals) -> Result<(), MountError> {
        let unmounter = mounted.unmounter();
        let idle = self.idle.map(|after| Idle::new(after, unmounter.clone(), mounted.activity()));
        let watch = Watch::new(vault, unmounter, idle);
        thread::scope(|scope| {
            let watching = thread::Builder::new().name("watch".to_owned()).spawn_scoped(scope, || watch.run(signals));
            if let Err(source) = watching {
                return Err(MountError::Serve { source });
            }
            let served = mounted.run();
            signals.stop();
            served
        })
    }

    fn close(&self, vault: Arc<Vault>) -> Result<(), CliError> {
        match Arc::into_inner(vault) {
            Some(vault) => vault.close().map_err(|source| self.vault_error("close the vault", source)),
            None => {
                // Only after a mount that does not end, which is an error already. The journal has everything.
                log::error!("the vault is still in use and was not closed");
                Ok(())
            }
        }
    }

    fn vault_error(&self, action: &'static str, source: vault::VaultError) -> CliError {
        CliError::Vault { action, path: self.vault.clone(), source }
    }
}

fn options(args: &MountArgs) -> Result<MountOptions, OptionError> {
    let mut options = MountOptions::default();
    args.options.iter().try_for_each(|list| options.add(list))?;
    options.read_only |= args.ro;
    options.check()?;
    Ok(options)
}

/// Is there a vault, and does nobody else have it?
fn check_vault(path: &Path) -> Result<(), CliError> {
    const ACTION: &str = "open the vault";
    let store = open_store(path)?;
    vault::peek(&*store).map_err(|source| CliError::Vault { action: ACTION, path: path.to_owned(), source })?;
    // Given back at once with the store; what counts is the lock that opening takes. An exclusive one would tell more
    // and could get into the way of another.
    store.lock(Lock::Shared).map_err(|source| CliError::Store { action: ACTION, path: path.to_owned(), source })
}

/// Without the device nobody needs to type a passphrase.
fn check_fuse() -> Result<(), MountError> {
    fs::metadata("/dev/fuse").map(drop).map_err(|source| MountError::Device { source })
}
