//! Vaults without damage.
use crate::{
    checked, told,
    vaults::{
        draw::{Seeded, Source, ops},
        dump::Dump,
        image::{Image, PASSPHRASE, open, options},
        kernel::Kernel,
        objects::objects,
        run::{Budget, seeds},
    },
    victim::copy_of,
    victims,
};
use std::sync::Arc;
use wardfs::{
    check::{self, Kind, Unwatched, Verdict},
    store::MemoryStore,
    vault::OpenOptions,
};

#[test]
fn a_closed_vault_is_clean_at_every_moment_of_its_life() {
    for victim in victims() {
        for moment in &victim.moments {
            let report = checked(&moment.objects);
            assert_eq!(told(&report), [""; 0]);
            assert_eq!(report.verdict(), Verdict::Clean);
        }
    }
}

#[test]
fn all_nodes_are_counted_once() {
    for victim in victims() {
        let seen = checked(&victim.now().objects).seen;
        let nodes = victim.now().dump.nodes.len() as u64;
        assert_eq!(seen.dirs + seen.files + seen.others, nodes);
    }
}

#[test]
fn a_vault_with_a_full_journal_is_clean_and_said_to_be_unclean() {
    for victim in victims() {
        let killed = std::iter::once(&victim.killed.objects).chain(&victim.interrupted);
        for objects in killed {
            let report = checked(objects);
            let kinds: Vec<Kind> = report.findings.iter().map(|found| found.kind).collect();
            assert_eq!(kinds, [Kind::Unclean], "{:?}", told(&report));
            assert_eq!(report.verdict(), Verdict::Clean);
        }
    }
}

#[test]
fn a_check_changes_no_byte() {
    for victim in victims() {
        let killed = std::iter::once(&victim.killed.objects).chain(&victim.interrupted);
        for before in killed.chain([&victim.now().objects]) {
            let store = copy_of(before);
            check::check(Arc::new(store.clone()), PASSPHRASE, &Unwatched).expect("a healthy vault");
            assert!(objects(&store) == *before);
        }
    }
}

/// Random work on a new vault, which is then closed or killed; gives what is stored.
fn worked(seed: u64) -> MemoryStore {
    let mut source = Seeded::new(seed);
    let store = Image::by(seed).in_memory();
    let checkpoints = [1 << 40, 64 << 10, 4 << 10];
    let often = checkpoints[usize::try_from(source.below(3)).expect("small")];
    let vault = open(Arc::new(store.clone()), options(often)).expect("a new vault");
    let mut kernel = Kernel::new();
    let count = usize::try_from(1 + source.below(400)).expect("a count");
    for op in ops(&mut source, count, false) {
        let done = kernel.run(&vault, &op);
        done.unwrap_or_else(|trouble| panic!("seed {seed}, {op:?}: {}", trouble.what));
    }
    if source.below(3) > 0 {
        vault.close().expect("a healthy vault");
    } else {
        drop(vault);
    }
    store
}

fn each_worked(secs: u64, claim: impl Fn(&MemoryStore) -> Result<(), String>) {
    let budget = Budget::secs(secs);
    let mut count = 0;
    for seed in seeds().take_while(|_| !budget.is_spent()) {
        claim(&worked(seed)).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn a_vault_after_random_work_is_clean_closed_or_killed() {
    each_worked(6, |stored| {
        let report = check::check(Arc::new(stored.clone()), PASSPHRASE, &Unwatched);
        let report = report.map_err(|error| error.to_string())?;
        match report.verdict() {
            Verdict::Clean => Ok(()),
            _ => Err(format!("{:#?}", told(&report))),
        }
    });
}

#[test]
fn a_vault_after_random_work_is_served_strictly_and_scrubbed_without_damage() {
    each_worked(4, |stored| {
        let options = OpenOptions {
            strict: true,
            ..options(1 << 40)
        };
        let vault = open(Arc::new(stored.clone()), options).map_err(|error| error.to_string())?;
        Dump::of(&vault)?;
        let found = crate::scrub::scrubbed(&vault).found;
        if found.is_empty() {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
}
