//! Content that was set aside, renamed, or exchanged with other content or with guards.
use super::{backing_dirs, comes_back, is_payload, set_aside};
use crate::{
    repaired, told,
    vaults::{objects::objects, run::on_all_cores},
    victim::Victim,
    victims,
};
use wardfs::check::Verdict;

#[test]
fn content_that_was_set_aside_goes_back_to_the_guard_that_names_it() {
    for victim in victims() {
        let mut damaged = victim.now().objects.clone();
        assert!(set_aside(&mut damaged, "then", is_payload) > 2);
        comes_back(victim, &damaged).unwrap();
    }
}

#[test]
fn content_that_is_there_is_not_replaced_by_what_was_set_aside() {
    for victim in victims() {
        let mut objects_before = victim.now().objects.clone();
        let mut copy = objects_before.clone();
        set_aside(&mut copy, "then", is_payload);
        objects_before.extend(
            copy.into_iter()
                .filter(|(name, _)| name.starts_with("quarantine/")),
        );
        let (report, store) = repaired(&objects_before).unwrap();
        assert_eq!(report.verdict(), Verdict::Clean, "{:#?}", told(&report));
        assert!(objects(&store) == objects_before);
        let payload = objects_before
            .iter()
            .find(|(name, bytes)| is_payload(name) && bytes.len() > 100);
        let payload = payload.expect("there is one").0.clone();
        objects_before.get_mut(&payload).expect("it is there")[50] ^= 1;
        let (report, store) = repaired(&objects_before).unwrap();
        assert_eq!(report.verdict(), Verdict::Damaged);
        assert!(
            objects(&store) == objects_before,
            "damaged content stays where it is"
        );
    }
}

#[test]
fn what_a_guard_names_that_was_set_aside_is_no_leak() {
    for victim in victims() {
        let mut damaged = victim.now().objects.clone();
        let dirs = backing_dirs(&damaged);
        set_aside(&mut damaged, "then", |name| {
            !name.ends_with('/') && dirs.iter().any(|dir| name.starts_with(&format!("{dir}/")))
        });
        let (_, store) = repaired(&damaged).unwrap();
        let after = objects(&store);
        for name in damaged.keys().filter(|name| is_payload(name)) {
            assert!(after.contains_key(name), "{name}");
        }
    }
}

/// Payloads and their indexes, the frames first.
fn contents(victim: &Victim) -> Vec<String> {
    let objects = &victim.now().objects;
    let payloads = objects.keys().filter(|name| is_payload(name));
    let some: Vec<String> = payloads.cloned().collect();
    let is_index = |name: &&String| Some("index") == name.rsplit('.').next();
    assert!(some.iter().filter(is_index).count() > 2 && some.len() > 8);
    some
}

#[test]
fn content_that_was_renamed_goes_back() {
    for victim in victims() {
        let work = contents(victim);
        on_all_cores(&work, |number, name| {
            let places = [
                format!("{name}.bak"),
                "payloads/moved".to_owned(),
                "payloads/ff/eeddccbbaa99887766554433221100".to_owned(),
                "payloads/ff/eeddccbbaa99887766554433221100.index".to_owned(),
                format!("payloads/new/{number:032x}"),
                "moved".to_owned(),
                "guards/links/moved".to_owned(),
            ];
            for to in &places {
                for there in [None, Some(name.clone()), Some(format!("{name}/"))] {
                    let mut damaged = victim.now().objects.clone();
                    let bytes = damaged.remove(name).expect("it is there");
                    damaged.insert("payloads/ff/".to_owned(), Vec::new());
                    damaged.insert(to.clone(), bytes);
                    damaged.extend(there.map(|name| (name, b"of no use"[..].to_vec())));
                    let back = comes_back(victim, &damaged);
                    back.map_err(|what| format!("{name} to {to}: {what}"))?;
                }
            }
            Ok(())
        });
    }
}

#[test]
fn content_that_was_exchanged_goes_back() {
    for victim in victims() {
        let names = contents(victim);
        let of_one = names.len();
        let mut work: Vec<Vec<usize>> = (1..of_one).map(|other| vec![0, other]).collect();
        work.extend((1..of_one).map(|other| vec![other - 1, other]));
        work.push((0..of_one).collect());
        on_all_cores(&work, |_, turned| {
            let mut damaged = victim.now().objects.clone();
            for (from, to) in turned.iter().zip(turned.iter().cycle().skip(1)) {
                let bytes = victim.now().objects[&names[*from]].clone();
                damaged.insert(names[*to].clone(), bytes);
            }
            comes_back(victim, &damaged).map_err(|what| format!("{turned:?}: {what}"))
        });
    }
}

#[test]
fn content_and_a_guard_that_were_exchanged_go_back() {
    for victim in victims() {
        let before = &victim.now().objects;
        let is_entry =
            |name: &&String| name.starts_with("guards/") && name.matches('/').count() > 1;
        let guards: Vec<&String> = before.keys().filter(is_entry).collect();
        let guards: Vec<&String> = guards
            .into_iter()
            .filter(|name| !name.ends_with('/'))
            .collect();
        let names = contents(victim);
        on_all_cores(&guards, |number, guard| {
            let name = &names[number % names.len()];
            let mut damaged = before.clone();
            damaged.insert((*guard).clone(), before[name].clone());
            damaged.insert(name.clone(), before[*guard].clone());
            comes_back(victim, &damaged).map_err(|what| format!("{guard} and {name}: {what}"))
        });
    }
}
