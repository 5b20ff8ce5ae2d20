//! Vaults after some hundred random operations.
use crate::{
    backing_dirs, bounded_seeds, half, map,
    vaults::{
        draw::{Seeded, ops},
        dump::Dump,
        image::{Image, open, options},
        kernel::Kernel,
        objects::objects,
        op::{At, Op},
        run::on_all_cores,
    },
    victim::Moment,
    without,
};
use std::sync::Arc;

#[test]
fn drawn_vaults_come_out_whole_and_by_halves() {
    let seeds = bounded_seeds();
    on_all_cores(&seeds, |_, seed| {
        let mut source = Seeded::new(*seed);
        let moment = drawn(*seed, &mut source)?;
        let told = |what: String| format!("seed {seed}: {what}");
        let mut report = without(&moment, &|_| false).map_err(told)?;
        // Not every file system takes attributes as long as a vault does.
        report.without_xattrs.clear();
        if !report.is_whole() && is_root() {
            return Err(told(format!(
                "a healthy vault does not come out whole: {report:?}"
            )));
        }
        let gone = half(&mut source, &backing_dirs(&moment.objects));
        without(&moment, &|path| {
            gone.iter().any(|dir| path.starts_with(dir.as_str()))
        })
        .map_err(told)
        .map(drop)
    });
}

/// A vault after some hundred random operations.
fn drawn(seed: u64, source: &mut Seeded) -> Result<Moment, String> {
    let store = Image::by(seed).in_memory();
    let vault =
        open(Arc::new(store.clone()), options(1 << 40)).map_err(|error| error.to_string())?;
    let mut kernel = Kernel::new();
    // Payloads that reach far are too long for a test that holds all objects.
    for op in ops(source, 250, false).iter().filter(|op| !reaches_far(op)) {
        kernel.run(&vault, op).map_err(|trouble| trouble.what)?;
    }
    vault.close().map_err(|error| error.to_string())?;
    let vault =
        open(Arc::new(store.clone()), options(1 << 40)).map_err(|error| error.to_string())?;
    let dump = Dump::of(&vault)?;
    vault.close().map_err(|error| error.to_string())?;
    let objects = objects(&store);
    let map = map::Map::of(&objects);
    Ok(Moment { objects, dump, map })
}

fn reaches_far(op: &Op) -> bool {
    let far = |at: &At| matches!(at, At::From(at) if *at >= 1 << 30);
    match op {
        Op::Write { at, .. } => far(at),
        Op::SetAttr { size, .. } => size.as_ref().is_some_and(far),
        Op::Allocate { at, len, .. } => far(at) || *len >= 1 << 30,
        Op::CopyRange { at, to_at, .. } => far(at) || far(to_at),
        _ => false,
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
