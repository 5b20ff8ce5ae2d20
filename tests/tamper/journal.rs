//! Changes of what a crash left: the log, the redo file of a checkpoint that was cut short, payloads that are new.
//!
//! Somebody can cut the end of the log: then the vault is as it was a little before, all of it. That is the one thing
//! that a read cannot see here, and it is what the claims allow: a moment of the past, whole, or an error. Where a redo
//! file is gone that was being applied, or new payloads are hit, that holds for each file alone.
use crate::{
    reader::{Verdict, right},
    share,
    vaults::{
        draw::{Seeded, Source},
        dump::{Dump, Found, FoundBody, read_xattrs},
        image::{open, options},
        objects::{Objects, written},
        run::on_all_cores,
    },
    victim::{Victim, copy_of},
    victims,
};
use std::{collections::BTreeSet, sync::Arc};
use wardfs::vault::{ROOT_INO, Stat, Vault, VaultError};

/// What is done to one object.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip(usize),
    Cut(usize),
    Zero(usize, usize),
    Remove,
    Extend,
    /// The bytes of another object of this kind, or of a file of the journal at another time or of another purpose.
    Become(usize),
}

/// Harms of one object, drawn from `source`.
fn harms(source: &mut dyn Source, count: usize, len: usize, others: usize) -> Vec<Harm> {
    let mut below =
        |bound: usize| usize::try_from(source.below(bound.max(1) as u64)).expect("an index");
    let mut all = vec![Harm::Remove, Harm::Extend, Harm::Cut(0)];
    for _ in 0..count {
        all.extend([
            Harm::Flip(below(len * 8)),
            Harm::Cut(below(len)),
            Harm::Zero(below(len), below(len)),
        ]);
        all.push(Harm::Flip(below(800.min(len * 8))));
    }
    // There are few files in a journal, and many guards.
    if others <= 12 {
        all.extend((0..others).map(Harm::Become));
    } else {
        all.extend((0..3).map(|_| Harm::Become(below(others))));
    }
    all
}

impl Harm {
    fn apply(self, objects: &mut Objects, name: &str, others: &[&Vec<u8>]) {
        let bytes = objects.get_mut(name).expect("it is there");
        match self {
            Harm::Flip(bit) => {
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Harm::Cut(len) => bytes.truncate(len),
            Harm::Zero(one, other) => bytes[one.min(other)..one.max(other)].fill(0),
            Harm::Remove => drop(objects.remove(name)),
            Harm::Extend => bytes.extend([0; 700]),
            Harm::Become(other) => bytes.clone_from(others[other]),
        }
    }
}

/// Objects of a crashed vault below these, but directories.
fn below(crashed: &Objects, prefix: &str) -> Vec<String> {
    let names = crashed
        .keys()
        .filter(|name| name.starts_with(prefix) && !name.ends_with('/'));
    names.cloned().collect()
}

/// What objects may become: each other, what lay in the journal at another moment, and a guard.
fn others<'a>(victim: &'a Victim, crashed: &'a Objects, names: &[String]) -> Vec<&'a Vec<u8>> {
    let mut all: Vec<&Vec<u8>> = names.iter().map(|name| &crashed[name]).collect();
    for objects in [&victim.killed.objects]
        .into_iter()
        .chain(&victim.interrupted)
    {
        let journal = below(objects, "journal/").into_iter();
        all.extend(journal.map(|name| &objects[&name]));
    }
    all.push(&crashed["guards/root"]);
    all.sort_unstable();
    all.dedup();
    all
}

/// `at`: which victim it is. Holds every harm of the objects below a prefix to a claim, which is given all objects and the name of the one.
fn each_harm(
    at: usize,
    crashed: &Objects,
    prefix: &str,
    claim: impl Fn(&Objects, &str) -> Verdict + Sync,
) {
    let names = below(crashed, prefix);
    assert!(!names.is_empty(), "there is something below {prefix}");
    let others = others(&victims()[at], crashed, &names);
    let mut source = Seeded::new(crate::first_seed());
    // Every file of the journal often, and each of many objects now and then.
    let count = (100 / names.len()).clamp(1, 16);
    let mut work = Vec::new();
    for name in &names {
        // The log has space ahead of its end; what counts lies before.
        let used = crashed[name]
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(1, |at| at + 1);
        work.extend(
            harms(&mut source, count, used, others.len())
                .into_iter()
                .map(|harm| (name, harm)),
        );
    }
    let work = share(at, work);
    on_all_cores(&work, |_, (name, harm)| {
        let mut objects = crashed.clone();
        harm.apply(&mut objects, name, &others);
        claim(&objects, name)
    });
}

fn mounted(objects: &Objects) -> Result<Vault, VaultError> {
    open(Arc::new(copy_of(objects)), options(1 << 40))
}

/// An error at opening names what lies in the journal, or what that speaks of.
fn refused(error: &VaultError) -> Verdict {
    let text = error.to_string();
    let kinds = ["journal", "guards/", "payloads/", "directory "];
    right(
        kinds.iter().any(|kind| text.contains(kind)) && error.errno() == libc::EIO,
        "a refusal that names nothing",
    )
    .map_err(|what| format!("{what}: {text}"))
}

#[test]
fn a_changed_log_shows_a_moment_of_the_past_whole_or_is_refused() {
    for (at, victim) in victims().iter().enumerate() {
        let killed = &victim.killed;
        let present = killed.past.last().expect("a present");
        each_harm(at, &killed.objects, "journal/log", |objects, name| {
            let vault = match mounted(objects) {
                Ok(vault) => vault,
                Err(error) => return refused(&error),
            };
            let found = Dump::of(&vault)?;
            let same = |moment: &&Dump| found.difference(moment).is_none();
            right(
                killed.past.iter().any(|moment| same(&moment)),
                "no moment of the past",
            )?;

            let unchanged = objects.get(name).is_some_and(|bytes| {
                let old = &killed.objects[name];
                let used = written(old);

                bytes.get(..used) == Some(&old[..used])
            });
            right(
                unchanged == same(&present),
                "a change of the log is not noticed",
            )
        });
    }
}

#[test]
fn a_new_payload_that_was_hit_is_an_error_of_its_file_alone() {
    for (at, victim) in victims().iter().enumerate() {
        each_harm(
            at,
            &victim.killed.objects,
            "payloads/new/",
            |objects, _| match mounted(objects) {
                Ok(vault) => each_node_shows_its_past(&vault, &victim.killed.past),
                Err(error) => refused(&error),
            },
        );
    }
}

#[test]
fn a_changed_redo_file_or_log_below_it_never_shows_what_was_never_there() {
    for (at, victim) in victims().iter().enumerate() {
        for interrupted in &victim.interrupted {
            assert!(
                !below(interrupted, "journal/redo").is_empty(),
                "a redo file"
            );
            each_harm(at, interrupted, "journal/", |objects, _| {
                match mounted(objects) {
                    Ok(vault) => each_node_shows_its_past(&vault, &victim.killed.past),
                    Err(error) => refused(&error),
                }
            });
        }
    }
}

/// Stored objects are hit and there is a journal: it is replayed over them, or the vault is refused.
#[test]
fn damage_below_a_journal_never_shows_what_was_never_there() {
    for (at, victim) in victims().iter().enumerate() {
        each_harm(
            at,
            &victim.killed.objects,
            "guards/",
            |objects, _| match mounted(objects) {
                Ok(vault) => each_node_shows_its_past(&vault, &victim.killed.past),
                Err(error) => refused(&error),
            },
        );
    }
}

#[test]
fn an_untouched_journal_is_finished() {
    for victim in victims() {
        let present = victim.killed.past.last().expect("a present");
        for objects in [&victim.killed.objects]
            .into_iter()
            .chain(&victim.interrupted)
        {
            let vault = mounted(objects).expect("a healthy journal");
            Dump::of(&vault)
                .expect("a healthy vault")
                .difference(present)
                .map_or(Ok(()), Err)
                .expect("the present");
        }
    }
}

/// Every node is as it was at one moment, but for what cannot be read; no entry is missing that was always there.
fn each_node_shows_its_past(vault: &Vault, past: &[Dump]) -> Verdict {
    let stat = vault.stat(ROOT_INO).map_err(|error| error.to_string())?;
    node(vault, &stat, past, &mut BTreeSet::new())
}

fn node(vault: &Vault, stat: &Stat, past: &[Dump], done: &mut BTreeSet<u64>) -> Verdict {
    if !done.insert(stat.ino) {
        return Ok(());
    }
    let mut states = past.iter().filter_map(|dump| dump.nodes.get(&stat.ino));
    right(
        states.any(|state| shows(vault, stat, state)),
        "no state of its past",
    )
    .map_err(|what| format!("{stat:?}: {what}"))?;
    let entries: Vec<_> = past
        .iter()
        .filter_map(|dump| match &dump.nodes.get(&stat.ino)?.body {
            FoundBody::Dir(entries) => Some(entries),
            _ => None,
        })
        .collect();
    let names: BTreeSet<&Vec<u8>> = entries.iter().flat_map(|entries| entries.keys()).collect();
    for name in names {
        match vault.lookup(stat.ino, name) {
            Ok(child) => {
                right(
                    entries
                        .iter()
                        .any(|then| then.get(name) == Some(&child.ino)),
                    "an entry leads elsewhere",
                )?;
                node(vault, &child, past, done)?;
            }
            Err(VaultError::NotFound) => {
                right(
                    entries.iter().any(|then| !then.contains_key(name)),
                    "an entry is missing",
                )?;
            }
            Err(error) => right(error.errno() == libc::EIO, "an error that is not EIO")?,
        }
    }
    Ok(())
}

/// Is this the state, but for what cannot be read?
fn shows(vault: &Vault, stat: &Stat, state: &Found) -> bool {
    let known = Stat {
        blocks: stat.blocks,
        ..state.stat
    };
    if *stat != known || read_xattrs(vault, stat.ino).map_or(true, |found| found != state.xattrs) {
        return false;
    }
    match &state.body {
        FoundBody::File(pages) => (0..stat.size.min(2 << 20)).step_by(4096).all(|at| {
            let (mut found, mut expected) = ([0xa5; 4096], [0xa5; 4096]);
            let len = pages.read(at, &mut expected);
            match vault.read(stat.ino, at, &mut found) {
                Ok(count) => count == len && found == expected,
                Err(error) => error.errno() == libc::EIO,
            }
        }),
        FoundBody::Symlink(target) => vault
            .read_link(stat.ino)
            .is_ok_and(|found| found == *target),
        _ => true,
    }
}
