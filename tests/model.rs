//! A vault behaves like a plain file system, whatever is done to it in whatever order, across remounts and killed daemons.
//!
//! `WARDFS_TEST_SEED` and `WARDFS_TEST_SECS` choose where random runs begin and how long they last.
mod vaults;

use std::{sync::Arc, time::Duration};
use vaults::{
    draw::{Seeded, Source, ops},
    image::{Image, options},
    kernel::Kernel,
    logger::log_to_stderr,
    mount::Mount,
    op::Op,
    run::{Budget, caught, seeds},
    shrink::shrink,
};
use wardfs::{store::Store, vault::OpenOptions};

/// Whether another thread does checkpoints all the time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Checkpoints,
}

/// One run from an empty vault.
fn run(image: Image, options: &OpenOptions, ops: &[Op], beside: Beside) -> Result<(), String> {
    let store = image.in_memory();
    let handles = || Arc::new(store.clone()) as Arc<dyn Store>;
    let mount =
        Mount::new(&handles, options.clone(), Kernel::new()).map_err(|error| error.to_string())?;
    let mount = match beside {
        Beside::Nothing => mount.run(ops),
        Beside::Checkpoints => mount.run_under_checkpoints(ops),
    };
    let mount =
        mount.map_err(|(number, trouble)| format!("operation {number}: {}", trouble.what))?;
    mount.finish()
}

/// Runs from seeds until the time is over; a failing list is shortened and shown.
fn run_seeds(
    secs: u64,
    count_max: u64,
    beside: Beside,
    options: impl Fn(&mut Seeded) -> OpenOptions,
) {
    log_to_stderr();
    let budget = Budget::secs(secs);
    let mut runs = 0;
    for seed in seeds().take_while(|_| !budget.is_spent()) {
        let mut source = Seeded::new(seed);
        let image = Image::by(seed);
        let count = usize::try_from(1 + source.below(count_max)).expect("a count");
        let options = options(&mut source);
        let ops = ops(&mut source, count, true);
        if let Err(what) = caught(|| run(image, &options, &ops, beside)) {
            eprintln!("seed {seed}, {image:?}: {what}; making it shorter");
            // With threads a fault shows now and then.
            let tries = if options.threads == Some(1) { 1 } else { 50 };
            let try_often = |ops: &[Op]| {
                (0..tries).find_map(|_| caught(|| run(image, &options, ops, beside)).err())
            };
            let short = shrink(ops, |ops| try_often(ops).is_some());
            let what = try_often(&short);
            let short: Vec<String> = short.iter().map(|op| format!("\n  {op:?}")).collect();
            panic!(
                "seed {seed}, {image:?}, {options:?}: {what:?}\nafter {}",
                short.concat()
            );
        }
        runs += 1;
    }
    println!("{runs} runs");
}

#[test]
fn a_vault_is_a_plain_file_system() {
    run_seeds(20, 300, Beside::Nothing, |source| {
        options(
            [1 << 40, 256 << 10, 64 << 10, 4 << 10]
                [usize::try_from(source.below(4)).expect("small")],
        )
    });
}

#[test]
fn a_vault_with_threads_is_a_plain_file_system() {
    run_seeds(10, 300, Beside::Nothing, |source| OpenOptions {
        background: true,
        threads: Some(3),
        checkpoint_age: Duration::from_millis(1 + source.below(20)),
        ..options(16 << 10)
    });
}

#[test]
fn a_vault_under_checkpoints_is_a_plain_file_system() {
    run_seeds(10, 300, Beside::Checkpoints, |_| OpenOptions {
        threads: Some(3),
        ..options(1 << 40)
    });
}
