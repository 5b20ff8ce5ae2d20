//! Claims about copies of a log, as programs leave them that keep directories the same: where more of a copy can be used than of what
//! lies in its place, a repair takes the copy, and keeps the other one.
use crate::{
    checked,
    journal::{FILES, LOG, killed, make, mounted, of_kind, place, there},
    repaired, told,
    vaults::{
        image::Image,
        objects::{Objects, objects, written},
    },
    victim::copy_of,
};
use wardfs::check::{Kind, Outcome, Verdict};

const BESIDE: &str = "journal/log.0000000000000001 (conflicted copy)";

/// All that can become of a log, but that it is gone.
fn damages(log: &[u8], starts: &[usize]) -> Vec<Vec<u8>> {
    let middle = starts[FILES / 2];
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut log = log.to_vec();
        change(&mut log);
        log
    };
    vec![
        Vec::new(),
        with(&|log| log.fill(0)),
        with(&|log| log.truncate(middle)),
        with(&|log| log.truncate(middle + 40)),
        with(&|log| log[middle..].fill(0)),
        with(&|log| log[middle + 40] ^= 1),
        with(&|log| log[10] ^= 1),
    ]
}

#[test]
fn a_copy_of_which_more_can_be_used_takes_the_place_of_a_log() {
    for is_synced in [true, false] {
        let (whole, starts) = killed(is_synced);
        for (number, damage) in damages(&whole[LOG], &starts).into_iter().enumerate() {
            for to in [BESIDE, "stuff/a log"] {
                let mut damaged = whole.clone();
                damaged.insert(LOG.to_owned(), damage.clone());
                place(&mut damaged, to, whole[LOG].clone());
                let report = checked(&damaged);
                let tell = |what: &str| format!("{number}, {to}: {what} {:#?}", told(&report));
                let [found] = of_kind(&report, Kind::Misplaced)[..] else {
                    panic!("{}", tell("the copy is not told"));
                };
                assert_eq!(found.object, to);
                assert_eq!(found.outcome, Outcome::Mendable);
                assert_eq!(
                    of_kind(&report, Kind::Journal),
                    Vec::<&_>::new(),
                    "{}",
                    tell("")
                );
                let (report, store) = repaired(&damaged).expect("it opens");
                let tell = |what: &str| format!("{number}, {to}: {what} {:#?}", told(&report));
                assert_eq!(report.verdict(), Verdict::Repaired, "{}", tell(""));
                assert_eq!(report.lost, 0);
                assert_eq!(
                    there(&store),
                    (0..FILES).collect::<Vec<_>>(),
                    "{}",
                    tell("")
                );
                let after = objects(&store);
                if damage.iter().any(|byte| *byte != 0) {
                    let kept = &after[&format!("quarantine/now/{LOG}")];
                    assert_eq!(*kept, damage, "{}", tell("it is not kept"));
                }
                assert!(!after.contains_key(to), "{}", tell("it is still there"));
                assert_eq!(checked(&after).verdict(), Verdict::Clean);
            }
        }
    }
}

/// Whatever became of the log, the bytes behind the end of the copy say that there was more.
#[test]
fn a_copy_that_was_made_before_the_end_takes_no_place() {
    let (whole, starts) = killed(true);
    let log = &whole[LOG];
    let older = log[..starts[FILES / 2]].to_vec();
    let flipped = |at: &[usize]| {
        let mut log = log.clone();
        at.iter().for_each(|at| log[*at] ^= 1);
        log
    };
    let all: Vec<usize> = starts.iter().map(|start| start + 40).collect();
    for damage in [flipped(&[10]), flipped(&all)] {
        let mut damaged = whole.clone();
        damaged.insert(LOG.to_owned(), damage);
        let alone = repaired(&damaged).expect("it opens").0;
        place(&mut damaged, BESIDE, older.clone());
        let report = repaired(&damaged).expect("it opens").0;
        assert_eq!(of_kind(&report, Kind::Misplaced), Vec::<&_>::new());
        assert_eq!(report.verdict(), Verdict::Damaged);
        assert_eq!(report.lost, alone.lost, "{:#?}", told(&report));
    }
}

/// Also if it is the longer file.
#[test]
fn a_copy_that_has_no_more_stays_where_it_is() {
    let (whole, starts) = killed(true);
    let part = whole[LOG][..starts[FILES / 2]].to_vec();
    for copy in [
        whole[LOG].clone(),
        part,
        [&whole[LOG][..], b"and more"].concat(),
    ] {
        let mut copied = whole.clone();
        place(&mut copied, BESIDE, copy.clone());
        let report = checked(&copied);
        assert_eq!(report.verdict(), Verdict::Clean, "{:?}", told(&report));
        let (_, store) = repaired(&copied).expect("it opens");
        assert_eq!(there(&store), (0..FILES).collect::<Vec<_>>());
        assert_eq!(objects(&store).get(BESIDE), Some(&copy));
    }
}

/// Two logs of one number: the vault was put back, and went on otherwise.
fn of_two_pasts() -> (Objects, Vec<u8>, usize) {
    let store = Image::Small.in_memory();
    mounted(&store).close().expect("a healthy vault");
    let logged = |numbers: &[usize]| {
        let store = copy_of(&objects(&store));
        let vault = mounted(&store);
        let mut end = 0;
        for (at, number) in numbers.iter().enumerate() {
            let ino = make(&vault, *number);
            vault.sync(ino, false).expect("a healthy vault");
            if at == 1 {
                end = written(&objects(&store)[LOG]);
            }
        }
        drop(vault);
        (objects(&store), end)
    };
    let (now, end) = logged(&[0, 1, 2, 3]);
    let (other, _) = logged(&[4, 5, 3, 2, 1, 0]);
    (now, other[LOG].clone(), end)
}

#[test]
fn a_longer_log_of_another_past_takes_no_place() {
    let (mut now, other, end) = of_two_pasts();
    now.get_mut(LOG).expect("a log")[end..].fill(0);
    place(&mut now, BESIDE, other.clone());
    let report = checked(&now);
    assert_eq!(
        of_kind(&report, Kind::Misplaced),
        Vec::<&_>::new(),
        "{:?}",
        told(&report)
    );
    let (report, store) = repaired(&now).expect("it opens");
    assert_eq!(there(&store), [0, 1], "{:?}", told(&report));
    assert_eq!(objects(&store).get(BESIDE), Some(&other));
}

#[test]
fn of_two_copies_the_one_counts_of_which_more_can_be_used() {
    let (whole, starts) = killed(true);
    let mut damaged = whole.clone();
    damaged.insert(LOG.to_owned(), Vec::new());
    let mut longer = whole[LOG].clone();
    longer[starts[2] + 40] ^= 1;
    longer.extend([0; 4096]);
    place(&mut damaged, "journal/log.0000000000000001 (a)", longer);
    place(
        &mut damaged,
        "journal/log.0000000000000001 (b)",
        whole[LOG].clone(),
    );
    let (report, store) = repaired(&damaged).expect("it opens");
    assert_eq!(report.verdict(), Verdict::Repaired, "{:?}", told(&report));
    assert_eq!(there(&store), (0..FILES).collect::<Vec<_>>());
}
