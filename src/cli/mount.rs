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
    vault_dir::{self, OPEN, open_store},
    watch::Watch,
};
use crate::{
    mount::{self, MountError, MountOptions, Mounted},
    store::{Lock, StoreError},
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
    let passphrase = args
        .passphrase
        .source()
        .read(Purpose::Existing, "Passphrase")?;
    if args.foreground {
        return plan.serve(passphrase, &mut Ready::in_foreground());
    }
    daemon::start(passphrase, |passphrase, ready| {
        plan.serve(passphrase, ready)
    })
}

/// A mount that nothing is known to speak against.
struct Plan {
    /// As it was given, for messages; relative to where the command was started.
    given: PathBuf,
    /// The canonical path, which holds in the background too.
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
        if !options.read_only {
            vault_dir::check_writable(&args.vault)?;
        }
        let dir = mountpoint::check(&args.vault, &args.dir)?;
        check_fuse()?;
        Ok(Plan {
            given: args.vault.clone(),
            vault: vault_dir::canonical(&args.vault)?,
            dir,
            options,
            idle: args.idle,
            foreground: args.foreground,
        })
    }

    /// Opens the vault, shows it, closes it. `ready` is told when it can be used.
    fn serve(self, passphrase: Passphrase, ready: &mut Ready) -> Result<(), CliError> {
        let vault = Arc::new(self.open(passphrase)?);
        keep_to_small_pages();
        let served = self.show(&vault, ready);
        let closed = self.close(vault);
        served.and(closed)
    }

    fn open(&self, passphrase: Passphrase) -> Result<Vault, CliError> {
        // In the background the process that waits shows it.
        let _progress = self
            .foreground
            .then(|| Progress::start("unlocking the vault"));
        let store = open_store(&self.given)?;
        let options = OpenOptions {
            read_only: self.options.read_only,
            strict: self.options.strict,
            ..OpenOptions::default()
        };
        let opened = Vault::open(store, passphrase.bytes(), options);
        // Wiped before the long life that begins now.
        drop(passphrase);
        opened.map_err(|source| vault_error(OPEN, &self.given, source))
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
        let idle = self
            .idle
            .map(|after| Idle::new(after, unmounter.clone(), mounted.activity()));
        let watch = Watch::new(vault, unmounter, idle);
        thread::scope(|scope| {
            let watching = thread::Builder::new()
                .name("watch".to_owned())
                .spawn_scoped(scope, || watch.run(signals));
            if let Err(source) = watching {
                return Err(MountError::Serve { source });
            }
            let served = mounted.run();
            signals.stop();
            served
        })
    }

    fn close(&self, vault: Arc<Vault>) -> Result<(), CliError> {
        let Some(vault) = Arc::into_inner(vault) else {
            // Only after a mount that does not end, which is an error already. The journal has everything.
            log::error!("the vault is still in use and was not closed");
            return Ok(());
        };
        vault
            .close()
            .map_err(|source| vault_error("close the vault", &self.vault, source))
    }
}

/// The allocator asks for huge pages wherever it may, and then the first byte of each 2 MiB has all of them cleared: while a
/// program waits for its answer, for memory of which little is used. Not before the key is derived, which needs them.
fn keep_to_small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        log::debug!("huge pages cannot be switched off: {error}");
    }
}

fn vault_error(action: &'static str, path: &Path, source: vault::VaultError) -> CliError {
    CliError::Vault {
        action,
        path: path.to_owned(),
        source,
    }
}

fn options(args: &MountArgs) -> Result<MountOptions, CliError> {
    let mut options = MountOptions::default();
    args.options.iter().try_for_each(|list| options.add(list))?;
    options.read_only |= args.ro;
    options.check()?;
    if !rustix::process::geteuid().is_root() {
        only_root("suid", options.suid)?;
        only_root("dev", options.dev)?;
    }
    Ok(options)
}

/// Said again by the mount itself, but then after the passphrase was typed.
fn only_root(option: &'static str, wanted: bool) -> Result<(), MountError> {
    if wanted {
        Err(MountError::NeedsRoot { option })
    } else {
        Ok(())
    }
}

/// Is there a vault, and does nobody else have it?
fn check_vault(path: &Path) -> Result<(), CliError> {
    let store = open_store(path)?;
    vault::peek(&*store).map_err(|source| vault_error(OPEN, path, source))?;
    // Given back at once with the store; what counts is the lock that opening takes. An exclusive one would tell more
    // and could get into the way of another.
    match store.lock(Lock::Shared) {
        Err(source @ StoreError::Locked { .. }) => Err(CliError::Store {
            action: OPEN,
            path: path.to_owned(),
            source,
        }),
        // Whether it can be done without a lock is for opening to say.
        _ => Ok(()),
    }
}

/// Without the device nobody needs to type a passphrase.
fn check_fuse() -> Result<(), MountError> {
    fs::metadata("/dev/fuse")
        .map(drop)
        .map_err(|source| MountError::Device { source })
}
