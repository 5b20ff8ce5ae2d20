//! Vaults without damage.
use crate::{
    checked, told,
    vaults::{image::PASSPHRASE, objects::objects},
    victim::copy_of,
    victims,
};
use std::sync::Arc;
use wardfs::check::{self, Kind, Unwatched, Verdict};

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
