//! Bytes and lengths that were not synced: torn, reordered, lost.

use super::{SEEDS, durable_object, get, outcomes, path, store};
use crate::store::Store;

#[test]
fn an_unsynced_object_can_be_lost_empty_zeros_partial_or_whole() {
    let store = store();
    store.put(&path("a/x"), &[1; 1024]).unwrap();
    let left = outcomes(&store, |left| get(left, "a/x"));
    for possible in [
        None,
        Some(vec![]),
        Some(vec![0; 1024]),
        Some(vec![1; 1024]),
        Some(vec![1; 512]),
        Some([[1; 512], [0; 512]].concat()),
        Some([[0; 512], [1; 512]].concat()),
    ] {
        assert!(left.contains(&possible), "{possible:?}");
    }
    assert_eq!(get(&store.crash_losing_all(), "a/x"), None);
}

#[test]
fn writes_tear_at_sectors_and_pages_and_nowhere_else() {
    let store = store();
    durable_object(&store, "a/x", &vec![1; 20_000]);
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(700, &[2; 15_000]).unwrap();
    let sector = |at: usize, bytes: &[u8]| {
        let written = (700..15_700).contains(&at);
        let end = (at / 512 + 1) * 512;
        (at..end.min(bytes.len()))
            .all(|i| (bytes[i] == 2) == (bytes[at] == 2) || (700..15_700).contains(&i) != written)
    };
    let (mut torn_at_sectors, mut lost, mut kept) = (0, 0, 0);
    for seed in SEEDS {
        let bytes = get(&store.crash(seed), "a/x").unwrap();
        assert_eq!(bytes.len(), 20_000);
        assert!(
            (0..20_000).all(|i| bytes[i] == 1 || (bytes[i] == 2 && (700..15_700).contains(&i))),
            "seed {seed}"
        );
        assert!(
            (700..15_700).step_by(512).all(|at| sector(at, &bytes)),
            "seed {seed}"
        );
        assert!(
            (1024..15_360).step_by(512).all(|at| sector(at, &bytes)),
            "seed {seed}"
        );
        let count: usize = bytes.iter().map(|&byte| usize::from(byte == 2)).sum();
        match count {
            0 => lost += 1,
            15_000 => kept += 1,
            _ if bytes[4096..]
                .chunks_exact(4096)
                .any(|page| page.iter().any(|byte| *byte != page[0])) =>
            {
                torn_at_sectors += 1;
            }
            _ => {}
        }
    }
    assert!(
        torn_at_sectors > 100 && lost > 100 && kept > 100,
        "{torn_at_sectors} {lost} {kept}"
    );
}

#[test]
fn a_sector_goes_through_its_states_in_order_or_misses_whole_changes() {
    let store = store();
    durable_object(&store, "a/x", b"0000");
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(0, b"1").unwrap();
    blob.write_at(1, b"2").unwrap();
    blob.punch(0, 1).unwrap();
    let in_order = [&b"0000"[..], b"1000", b"1200", b"\x00200"];
    let missing = [&b"0200"[..], b"\x00000"];
    let states = in_order.into_iter().chain(missing);
    let states = states.map(|bytes| Some(bytes.to_vec())).collect();
    assert_eq!(outcomes(&store, |left| get(left, "a/x")), states);
}

#[test]
fn writes_to_one_place_can_come_in_any_order() {
    let store = store();
    durable_object(&store, "a/x", b"0000");
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(0, b"11").unwrap();
    blob.write_at(1, b"22").unwrap();
    let states = [&b"0000"[..], b"1100", b"0220", b"1220", b"1120"];
    let states = states.map(|bytes| Some(bytes.to_vec())).into();
    assert_eq!(outcomes(&store, |left| get(left, "a/x")), states);
    // But not around a cut.
    blob.sync().unwrap();
    blob.set_len(0).unwrap();
    blob.write_at(0, b"3").unwrap();
    let left = outcomes(&store, |left| get(left, "a/x").unwrap());
    assert!(
        left.contains(&b"3220"[..]) && !left.contains(&b"1120"[..]),
        "{left:?}"
    );
}

#[test]
fn writes_to_different_sectors_survive_in_any_order() {
    let store = store();
    durable_object(&store, "a/x", &[0; 1024]);
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(0, &[1; 512]).unwrap();
    blob.write_at(512, &[2; 512]).unwrap();
    let left = outcomes(&store, |left| {
        let bytes = get(left, "a/x").unwrap();
        (bytes[0], bytes[512])
    });
    assert_eq!(left, [(0, 0), (1, 0), (0, 2), (1, 2)].into());
}

#[test]
fn lengths_survive_apart_from_bytes() {
    let store = store();
    durable_object(&store, "a/x", &[1; 600]);
    let blob = store.open(&path("a/x"), false).unwrap();
    blob.write_at(600, &[2; 1000]).unwrap();
    let lens = outcomes(&store, |left| get(left, "a/x").unwrap().len());
    assert_eq!(lens, [600, 1024, 1536, 1600].into());
    assert!(
        outcomes(&store, |left| get(left, "a/x").unwrap()[..600].to_vec()).len() == 1,
        "synced bytes stay"
    );
    blob.set_len(100).unwrap();
    blob.set_len(700).unwrap();
    let lens = outcomes(&store, |left| get(left, "a/x").unwrap().len());
    assert_eq!(lens, [100, 600, 700, 1024, 1536, 1600].into());
    blob.allocate(0, 5000).unwrap();
    assert!(outcomes(&store, |left| get(left, "a/x").unwrap().len()).contains(&5000));
}

#[test]
fn what_an_append_left_is_never_before_the_synced_end() {
    let store = store();
    let log = store.open(&path("a/log"), true).unwrap();
    store.sync_dir(&path("a")).unwrap();
    let mut synced = Vec::new();
    for round in 1..20u8 {
        log.write_at(synced.len() as u64, &vec![round; usize::from(round) * 37])
            .unwrap();
        synced.extend(vec![round; usize::from(round) * 37]);
        log.sync().unwrap();
        let end = synced.len() as u64;
        log.write_at(end, &[0xff; 700]).unwrap();
        for seed in 0..50 {
            let left = get(&store.crash(seed), "a/log").unwrap();
            assert!(left.starts_with(&synced), "round {round} seed {seed}");
            assert!(
                left[synced.len()..]
                    .iter()
                    .all(|&byte| byte == 0 || byte == 0xff)
            );
        }
    }
}

#[test]
fn a_crash_of_a_huge_sparse_object_is_quick() {
    let store = store();
    let blob = store.open(&path("a/x"), true).unwrap();
    blob.set_len(1 << 50).unwrap();
    blob.write_at(1 << 49, b"far").unwrap();
    blob.punch(0, 1 << 50).unwrap();
    blob.allocate(0, 1 << 50).unwrap();
    blob.set_len(1 << 20).unwrap();
    for seed in 0..100 {
        drop(store.crash(seed));
    }
}
