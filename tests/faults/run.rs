//! One mount on a disk that fails, and what must be true of it then and of the mounts after it.
use crate::vaults::{
    draw::{Seeded, Source, ops},
    dump::Dump,
    history::Floor,
    image::{Image, open, options},
    kernel::{Kernel, Trouble},
    model::Model,
    mount::Mount,
    op::Op,
    settle::HalfDone,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use wardfs::{
    store::{Fault, FaultStore, Operation, SimulatedStore, Store},
    vault::{NewKind, OpenOptions, ROOT_INO, State, Vault, VaultError},
};

/// Everything random of one run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub image: Image,
    pub background: bool,
    pub checkpoint_bytes: u64,
    pub weakness: Weakness,
    /// Operations of the store that go well first.
    pub after: u64,
    pub only_syncs: bool,
    pub ops: Vec<Op>,
}

/// How the disk fails.
#[derive(Clone, Copy, Debug)]
pub struct Weakness {
    /// For want of space, not with an I/O error.
    pub full: bool,
    /// One operation fails, not all from then on.
    pub once: bool,
    /// Half of a write is done.
    pub short: bool,
}

impl Plan {
    pub fn draw(source: &mut Seeded) -> Plan {
        let count = usize::try_from(1 + source.below(40)).expect("a count");
        let only_syncs = source.below(4) == 0;
        let weakness = Weakness {
            full: source.below(2) == 0,
            once: source.below(2) == 0,
            short: source.below(3) == 0,
        };
        let after = source.below(if only_syncs { 8 } else { 12 * count as u64 });
        let checkpoint_bytes = [1 << 40, 256 << 10, 64 << 10, 4 << 10]
            [usize::try_from(source.below(4)).expect("small")];
        let (image, background) = (Image::by(source.below(2)), source.below(4) == 0);
        Plan {
            image,
            background,
            checkpoint_bytes,
            weakness,
            after,
            only_syncs,
            ops: ops(source, count, false),
        }
    }

    fn options(&self) -> OpenOptions {
        let threads = if self.background { Some(3) } else { Some(1) };
        OpenOptions {
            background: self.background,
            threads,
            checkpoint_age: Duration::from_millis(5),
            ..options(self.checkpoint_bytes)
        }
    }

    fn healthy_options(&self) -> OpenOptions {
        options(self.checkpoint_bytes)
    }
}

/// Operations of the store that were made to fail.
#[derive(Clone, Default)]
pub struct Hits {
    all: Arc<Mutex<Vec<(Operation, String)>>>,
    /// Only for want of space, which is there when it is asked for again.
    pass: bool,
}

impl Hits {
    /// Makes the disk fail after so many operations.
    pub fn inject(disk: &FaultStore, weakness: Weakness, after: u64, only_syncs: bool) -> Hits {
        let hits = Hits {
            pass: weakness.full && weakness.once,
            ..Hits::default()
        };
        let fault = if weakness.full {
            Fault::no_space()
        } else {
            Fault::io()
        };
        let fault = if weakness.once { fault.once() } else { fault };
        let fault = if weakness.short { fault.short() } else { fault };
        let (mut left, noted) = (after, hits.clone());
        let noted = Mutex::new(move |operation: Operation, path: &str| {
            // How much space there is, every store can say at any time.
            if operation == Operation::Space || (only_syncs && !is_sync(operation)) {
                return false;
            }
            if left > 0 {
                left -= 1;
                return false;
            }
            let hit = (operation, path.to_owned());
            noted.all.lock().expect("no panic").push(hit);
            true
        });
        disk.inject(fault.when(move |operation, path| {
            let mut noted = noted.lock().expect("no panic");
            noted(operation, path)
        }));
        hits
    }

    pub fn is_empty(&self) -> bool {
        self.all.lock().expect("no panic").is_empty()
    }

    /// Was a write into a stored payload hit?
    fn tore_a_payload(&self) -> bool {
        let hits = self.all.lock().expect("no panic");
        hits.iter().any(|(operation, path)| {
            *operation == Operation::BlobWrite
                && path.starts_with("payloads/")
                && !path.starts_with("payloads/new/")
        })
    }

    /// What was hit first.
    pub fn first(&self) -> Option<Operation> {
        let hits = self.all.lock().expect("no panic");
        hits.first().map(|(operation, _)| *operation)
    }

    /// Was something hit after which only a new mount can tell what holds: a sync, or the log itself? (What did not fit there is
    /// written once more.)
    fn are_final(&self) -> bool {
        let hits = self.all.lock().expect("no panic");
        hits.iter().any(|(operation, path)| {
            is_sync(*operation)
                || (*operation == Operation::BlobWrite
                    && path.starts_with("journal/log")
                    && !self.pass)
        })
    }
}

impl std::fmt::Display for Hits {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}", self.all.lock().expect("no panic"))
    }
}

fn is_sync(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Sync | Operation::SyncDir | Operation::BlobSync
    )
}

/// What was going on when an operation failed.
type Running = (Model, Option<HalfDone>);

/// One run; the fault comes after the mount. Gives what failed.
pub fn run(plan: &Plan) -> Result<Hits, String> {
    let durable = plan.image.on_disk();
    let disk = FaultStore::new(Arc::new(durable.clone()));
    let vault =
        open(Arc::new(disk.clone()), plan.options()).map_err(|error| format!("open: {error}"))?;
    let hits = Hits::inject(&disk, plan.weakness, plan.after, plan.only_syncs);
    let mut kernel = Kernel::new();
    let mut running = None;
    for op in &plan.ops {
        let Err(trouble) = kernel.run(&vault, op) else {
            continue;
        };
        is_told(&trouble, plan.weakness, &hits)?;
        running = Some(trouble.running);
        break;
    }
    let synced = vault.sync_all();
    if hits.are_final() && running.is_none() && synced.is_ok() {
        return Err(format!("nobody was told: {hits}"));
    }
    disk.heal();
    let again = vault.sync_all();
    says_how_it_is(&vault, &hits, synced.is_err(), again.is_ok())?;
    match Dump::of(&vault) {
        Ok(live) => {
            let mut shown = Kernel::before(kernel.model.clone());
            shown.history = kernel.history.clone();
            shown
                .remounted(&live, Floor::Present, running.as_ref())
                .map_err(|what| format!("what the failed mount shows: {what}"))?;
            if again.is_ok() {
                mounted_dump(&durable.crash_losing_all(), plan)?
                    .difference(&live)
                    .map_or(Ok(()), Err)
                    .map_err(|what| format!("synced, but not there: {what}"))?;
            }
        }
        // Only of the chunk that a checkpoint wrote in half: the redo file has it whole.
        Err(_) if plan.weakness.short && hits.tore_a_payload() => {}
        Err(what) => return Err(format!("what the failed mount shows: {what}, after {hits}")),
    }
    drop((vault, disk));
    after_failure(plan, &durable, kernel, running.as_ref())?;
    Ok(hits)
}

/// The errno is one that this disk may give.
fn is_told(trouble: &Trouble, weakness: Weakness, hits: &Hits) -> Result<(), String> {
    let known = trouble.errno.is_none_or(|errno| match errno {
        libc::EIO | libc::EROFS => true,
        libc::ENOSPC => weakness.full,
        _ => false,
    });
    if known && !hits.is_empty() {
        Ok(())
    } else {
        Err(trouble.what.clone())
    }
}

/// A vault that cannot promise anything any more takes no changes, says so, and does not say that anything is safe; any
/// other works again on a disk that does.
fn says_how_it_is(vault: &Vault, hits: &Hits, failed: bool, again: bool) -> Result<(), String> {
    let state = vault.state();
    let is_failed = matches!(state, State::Failed(_));
    if !is_failed {
        if hits.are_final() {
            return Err(format!("the vault is {state:?} in spite of {hits}"));
        }
        return if again {
            Ok(())
        } else {
            Err(format!(
                "a vault that is {state:?} does not sync, first failed {failed}"
            ))
        };
    }
    if again {
        return Err("a failed vault syncs".to_owned());
    }
    let refusals = [
        vault
            .make(ROOT_INO, b"never", NewKind::File, 0o644, 0, 0)
            .map(drop),
        vault.set_xattr(ROOT_INO, b"user.never", b"", wardfs::vault::XattrMode::Any),
    ];
    let is_refused = |result: &Result<(), VaultError>| {
        result
            .as_ref()
            .is_err_and(|error| matches!(error.errno(), libc::EIO | libc::EROFS))
    };
    if refusals.iter().all(is_refused) {
        Ok(())
    } else {
        Err(format!("a failed vault takes changes: {refusals:?}"))
    }
}

fn mounted_dump(store: &SimulatedStore, plan: &Plan) -> Result<Dump, String> {
    let vault = open(Arc::new(store.clone()), plan.healthy_options())
        .map_err(|error| format!("open after the failure: {error}"))?;
    Dump::of(&vault).map_err(|what| format!("after the failure: {what}"))
}

/// What the next mounts show: after a power cut all that was synced, else all that was logged.
fn after_failure(
    plan: &Plan,
    durable: &SimulatedStore,
    mut kernel: Kernel,
    running: Option<&Running>,
) -> Result<(), String> {
    let mut lost = Kernel::before(kernel.model.clone());
    lost.history = kernel.history.clone();
    lost.remounted(
        &mounted_dump(&durable.crash_losing_all(), plan)?,
        Floor::Durable,
        running,
    )
    .map_err(|what| format!("after a power cut: {what}"))?;
    let store = durable.survivors();
    kernel.remounted(&mounted_dump(&store, plan)?, Floor::Logged, running)?;
    let handles = || Arc::new(store.clone()) as Arc<dyn Store>;
    Mount::new(&handles, plan.healthy_options(), kernel)
        .map_err(|error| format!("last mount: {error}"))?
        .finish()
}
