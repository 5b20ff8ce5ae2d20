//! What is done to a vault is found.
use crate::{
    change::{Change, Changes},
    checked, told,
    vaults::{draw::Seeded, objects::Objects, run::on_all_cores},
    victim::Victim,
    victims,
};
use wardfs::check::Verdict;

/// The present with one change.
fn changed(victim: &Victim, change: &Change) -> Objects {
    let mut objects = victim.now().objects.clone();
    change.apply(victim, &mut objects);
    objects
}

#[test]
fn probe() {
    for victim in victims() {
        let changes = Changes::new(victim, &mut Seeded::new(1)).all();
        on_all_cores(&changes, |_, change| {
            let objects = changed(victim, change);
            if objects == victim.now().objects {
                return Ok(());
            }
            let store = std::sync::Arc::new(crate::victim::copy_of(&objects));
            match wardfs::check::check(store, crate::PASSPHRASE, &wardfs::check::Unwatched) {
                Ok(report) => {
                    eprintln!("{change:?}\n   {}", told(&report).join("\n   "));
                    if report.verdict() == Verdict::Clean {
                        eprintln!("CLEAN {change:?}");
                    }
                }
                Err(error) => eprintln!("{change:?}\n ERROR {error}"),
            }
            Ok(())
        });
    }
}
