//! Claims about somebody who changes the stored bytes of a vault that is not mounted: what is read afterwards is what was
//! written, or an error that names what was hit. Never other content, never nothing where something was, and no error
//! about anything else.
//!
//! What a read alone cannot see is not claimed, and is stated as narrowly as it is true: an object whose bytes are those
//! of the vault's own past, with all that belongs to it, shows what was true then. The claims about it are named in
//! `past`, and are those that the threat model lists.
//!
//! ```text
//! map       what each stored object is for: a second reader of the format
//! victim    vaults with something of everything, and their past      change    what is done to them
//! reader    reads them, and knows what must be the answer            past      what a read alone cannot see
//! journal   changes of what a crash left                               header    each byte of it
//! ```
//!
//! `WARDFS_TEST_SEED` and `WARDFS_TEST_SECS` choose where random changes begin and how long they go on. Keys and ids are
//! random in every run, so a seed repeats what is done to which kind of object, not to which bytes.
mod change;
mod double;
mod header;
mod journal;
mod map;
mod past;
mod reader;
#[path = "../vaults/mod.rs"]
mod vaults;
mod victim;

use change::{Change, Changes};
use reader::{Expected, Reader, Verdict, right};
use std::sync::{Arc, OnceLock};
use vaults::{
    draw::{Seeded, Source},
    image::{Image, open, options},
    objects::Objects,
    run::{Budget, number, on_all_cores, seeds},
};
use victim::{Victim, copy_of};
use wardfs::{
    format::Time,
    vault::{OpenOptions, SetAttr, SetTime},
};

/// Seeds that a run takes if it is not told how long it may last.
const SEEDS: usize = 1;

/// One of each image, made once.
fn victims() -> &'static [Victim; 2] {
    static VICTIMS: OnceLock<[Victim; 2]> = OnceLock::new();
    VICTIMS.get_or_init(|| [Image::Small, Image::Large].map(Victim::new))
}

/// How a vault is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    ReadOnly,
    /// Mounted for writing, read, worked on and closed; then read again: damage is not sealed over.
    AndWork,
}

impl Look {
    /// One of them by a number, so that both are tried.
    fn by(number: usize) -> Look {
        if number.is_multiple_of(3) {
            Look::AndWork
        } else {
            Look::ReadOnly
        }
    }
}

/// Opens a vault with these objects and reads all of it. Gives what was told.
fn read_all(victim: &Victim, objects: &Objects, look: Look) -> Result<Vec<String>, String> {
    let expected = Expected::new(&victim.moments, objects);
    let store = copy_of(objects);
    let options = OpenOptions {
        read_only: look == Look::ReadOnly,
        ..options(1 << 40)
    };
    let mount = || open(Arc::new(store.clone()), options.clone());
    let vault = match (mount(), expected.opens()) {
        (Ok(vault), Ok(())) => vault,
        (Ok(_), Err(_)) => return Err("it opens, damaged as it is".to_owned()),
        (Err(error), Ok(())) => return Err(format!("it does not open: {error}")),
        (Err(error), Err(names)) => {
            let text = error.to_string();
            let told = names.iter().any(|name| text.contains(name));
            right(told, "an error at opening that names nothing")
                .map_err(|what| format!("{what}: {text}"))?;
            return Ok(vec![text]);
        }
    };
    let mut reader = Reader::new(&expected, &vault, false);
    reader.read()?;
    let Reader { met, errors, .. } = reader;
    if look == Look::ReadOnly {
        vault.close().map_err(|error| format!("close: {error}"))?;
        return Ok(errors);
    }
    let atime = Some(SetTime::At(Time { secs: 1, nanos: 0 }));
    for ino in met {
        let set = SetAttr {
            atime,
            ..SetAttr::default()
        };
        vault
            .set_attr(ino, &set)
            .map_err(|error| format!("work on what can be read: {error}"))?;
    }
    vault
        .close()
        .map_err(|error| format!("close after work: {error}"))?;
    let vault = mount().map_err(|error| format!("second mount: {error}"))?;
    let mut again = Reader::new(&expected, &vault, true);
    again.read().map_err(|what| format!("after work: {what}"))?;
    right(
        again.errors.len() == errors.len(),
        "work mended damage, or made some",
    )?;
    Ok(errors)
}

fn try_out(victim: &Victim, changes: &[Change], look: Look) -> Verdict {
    let mut objects = victim.now().objects.clone();
    changes
        .iter()
        .for_each(|change| change.apply(victim, &mut objects));
    read_all(victim, &objects, look).map(drop)
}

/// Seeds to run: a few, or as many as there is time for.
fn bounded_seeds() -> impl Iterator<Item = u64> {
    let budget = Budget::secs(3600);
    let count = if is_long() { usize::MAX } else { SEEDS };
    seeds().take(count).take_while(move |_| !budget.is_spent())
}

/// In a short run, all of the first victim's work and a quarter of the second's: that one has another suite, does not
/// compress, and has an index for few files.
fn share<T>(victim: usize, mut work: Vec<T>) -> Vec<T> {
    let step = if victim == 0 || is_long() { 1 } else { 4 };
    let mut number = 0;
    work.retain(|_| {
        number += 1;
        number % step == 0
    });
    work
}

/// Was the run told how long it may last?
fn is_long() -> bool {
    number("WARDFS_TEST_SECS").is_some()
}

/// The first seed.
fn first_seed() -> u64 {
    seeds().next().expect("there is one")
}

#[test]
fn every_change_of_any_object_is_an_error_there_and_nowhere_else() {
    for seed in bounded_seeds() {
        for (at, victim) in victims().iter().enumerate() {
            let changes = share(at, Changes::new(victim, &mut Seeded::new(seed)).all());
            on_all_cores(&changes, |number, change| {
                let look = Look::by(number);
                try_out(victim, std::slice::from_ref(change), look)
                    .map_err(|what| format!("seed {seed}, {look:?}: {what}"))
            });
        }
    }
}

#[test]
fn several_changes_at_once_are_errors_there_and_nowhere_else() {
    for seed in bounded_seeds() {
        for (at, victim) in victims().iter().enumerate() {
            let mut source = Seeded::new(seed);
            let mut changes = Changes::new(victim, &mut source).all();
            // With a root that is older or damaged, an old journal is not without effect: it is the vault's past, too.
            changes.retain(|change| !matches!(change, Change::OldJournal { .. }));
            let mut some = || {
                let count = 2 + source.below(6);
                let mut one =
                    || usize::try_from(source.below(changes.len() as u64)).expect("an index");
                (0..count)
                    .map(|_| changes[one()].clone())
                    .collect::<Vec<_>>()
            };
            let groups: Vec<Vec<Change>> = share(at, (0..200).map(|_| some()).collect());
            on_all_cores(&groups, |number, changes| {
                let look = Look::by(number);
                try_out(victim, changes, look)
                    .map_err(|what| format!("seed {seed}, {look:?}: {what}"))
            });
        }
    }
}

/// The reader is not blind: it takes no moment of the vault for another.
#[test]
fn another_content_than_the_stored_one_is_noticed() {
    for victim in victims() {
        let expected = Expected::new(&victim.moments, &victim.now().objects);
        for past in victim.past().iter().take(2) {
            let vault =
                open(Arc::new(copy_of(&past.objects)), options(1 << 40)).expect("a healthy vault");
            let mut reader = Reader::new(&expected, &vault, false);
            assert!(reader.read().is_err());
        }
    }
}
