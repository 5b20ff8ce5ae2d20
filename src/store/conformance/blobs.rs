//! Open objects: read, written, cut, punched and allocated in place, whatever becomes of their names.

use super::{Opener, content, path, with_directories};

pub(super) fn blob_reads_stop_at_the_end(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    blob.write_at(0, b"0123456789").unwrap();
    for (offset, len, expected) in [
        (0, 10, "0123456789"),
        (0, 4, "0123"),
        (7, 10, "789"),
        (10, 5, ""),
        (99, 5, ""),
        (3, 0, ""),
    ] {
        let mut bytes = vec![b'?'; len];
        let count = blob.read_at(offset, &mut bytes).unwrap();
        assert_eq!(&bytes[..count], expected.as_bytes(), "{offset} {len}");
        assert!(
            bytes[count..].iter().all(|&byte| byte == b'?'),
            "bytes past the count were touched"
        );
    }
}

pub(super) fn blob_writes_extend_with_zeros(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    blob.write_at(5, b"abc").unwrap();
    assert_eq!(content(&*blob), b"\0\0\0\0\0abc");
    blob.write_at(6, b"XYZ").unwrap();
    assert_eq!(content(&*blob), b"\0\0\0\0\0aXYZ");
    blob.write_at(100, b"").unwrap();
    assert_eq!(blob.len().unwrap(), 9);
    blob.write_at(1 << 33, b"far").unwrap();
    assert_eq!(blob.len().unwrap(), (1 << 33) + 3);
    let mut bytes = [1; 5];
    assert_eq!(blob.read_at((1 << 33) - 2, &mut bytes).unwrap(), 5);
    assert_eq!(&bytes, b"\0\0far");
    assert!(blob.write_at(u64::MAX - 1, b"abc").is_err());
    assert!(blob.write_at(i64::MAX as u64, b"abc").is_err());
}

pub(super) fn blob_lengths_are_set(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    blob.write_at(0, &[7; 5000]).unwrap();
    blob.set_len(4000).unwrap();
    assert_eq!(content(&*blob), [7; 4000]);
    // What was cut does not come back.
    blob.set_len(5000).unwrap();
    assert_eq!(content(&*blob), [vec![7; 4000], vec![0; 1000]].concat());
    blob.set_len(0).unwrap();
    assert_eq!(content(&*blob), b"");
    blob.set_len(1 << 40).unwrap();
    assert_eq!(blob.len().unwrap(), 1 << 40);
    assert!(blob.set_len(u64::MAX).is_err());
}

pub(super) fn blobs_are_punched(open: Opener<'_>) {
    let store = open();
    for (offset, len) in [
        (0, 4096),
        (1, 2),
        (100, 9000),
        (4096, 8192),
        (19_000, 5000),
        (20_000, 1),
        (30_000, 10),
        (5, 0),
    ] {
        let blob = store.open(&path("x"), true).unwrap();
        let mut expected = vec![7; 20_000];
        blob.write_at(0, &expected).unwrap();
        blob.punch(offset as u64, len as u64).unwrap();
        expected[offset.min(20_000)..(offset + len).min(20_000)].fill(0);
        assert!(content(&*blob) == expected, "{offset} {len}");
        store.remove(&path("x")).unwrap();
    }
}

/// It may stop where zeros are, and never goes past anything else.
pub(super) fn next_data_passes_over_no_byte(open: Opener<'_>) {
    let store = with_directories(open);
    let blob = store.open(&path("a/data"), true).unwrap();
    assert_eq!(blob.next_data(0).unwrap(), None);
    blob.set_len(3 << 20).unwrap();
    for at in [0, 4095, 70_000, (1 << 20) + 1, (3 << 20) - 1] {
        blob.write_at(at, &[7]).unwrap();
    }
    blob.punch(65_536, 8192).unwrap();
    let bytes = content(&*blob);
    for from in [
        0,
        1,
        4096,
        65_536,
        70_001,
        1 << 20,
        2 << 20,
        3 << 20,
        4 << 20,
    ] {
        let next = blob.next_data(from).unwrap();
        assert!(next.is_none_or(|next| from <= next && next < 3 << 20));
        let until = next.unwrap_or(3 << 20);
        let place = |at: u64| usize::try_from(at).unwrap();
        let passed = bytes.get(place(from)..place(until)).unwrap_or_default();
        assert!(passed.iter().all(|byte| *byte == 0), "{from} {next:?}");
        assert!(next.is_some() || from >= 3 << 20, "{from}");
    }
}

pub(super) fn blobs_are_allocated(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    blob.write_at(0, b"kept").unwrap();
    for (offset, len, expected) in [
        (0, 2, 4),
        (2, 2, 4),
        (2, 3, 5),
        (10_000, 5000, 15_000),
        (0, 0, 15_000),
        (99_999, 0, 15_000),
    ] {
        blob.allocate(offset, len).unwrap();
        assert_eq!(blob.len().unwrap(), expected);
    }
    let mut expected = vec![0; 15_000];
    expected[..4].copy_from_slice(b"kept");
    assert!(content(&*blob) == expected);
    assert!(blob.allocate(u64::MAX, 5).is_err());
}

pub(super) fn primed_ranges_are_zeros_and_nothing_else_changes(open: Opener<'_>) {
    let store = open();
    let blob = store.open(&path("x"), true).unwrap();
    blob.write_at(0, b"kept").unwrap();
    blob.allocate(4, 299_996).unwrap();
    blob.write_at(250_000, b"kept").unwrap();
    blob.prime(4, 200_000).unwrap();
    assert_eq!(blob.len().unwrap(), 300_000);
    let mut expected = vec![0; 300_000];
    expected[..4].copy_from_slice(b"kept");
    expected[250_000..250_004].copy_from_slice(b"kept");
    assert!(content(&*blob) == expected);
    // Never beyond the end.
    blob.prime(299_999, 100).unwrap();
    assert_eq!(blob.len().unwrap(), 300_000);
}

pub(super) fn blobs_survive_their_names(open: Opener<'_>) {
    let store = with_directories(open);
    for change in ["remove", "replace", "rename over", "remove_dir"] {
        store.make_dir(&path("a")).unwrap();
        let blob = store.open(&path("a/x"), true).unwrap();
        blob.write_at(0, b"old").unwrap();
        match change {
            "remove" => store.remove(&path("a/x")).unwrap(),
            "replace" => store.replace(&path("a/x"), b"new").unwrap(),
            "rename over" => {
                store.put(&path("b/y"), b"new").unwrap();
                store.rename(&path("b/y"), &path("a/x")).unwrap();
            }
            _ => store.remove_dir(&path("a")).unwrap(),
        }
        blob.write_at(3, b"er").unwrap();
        blob.sync().unwrap();
        assert_eq!(content(&*blob), b"older", "{change}");
        blob.set_len(1).unwrap();
        assert_eq!(blob.len().unwrap(), 1);
        drop(blob);
        if change == "replace" || change == "rename over" {
            assert_eq!(store.get(&path("a/x")).unwrap(), b"new", "{change}");
            store.remove(&path("a/x")).unwrap();
        }
    }
}

pub(super) fn blobs_are_shared_by_all_who_open(open: Opener<'_>) {
    let store = open();
    let first = store.open(&path("x"), true).unwrap();
    let second = open().open(&path("x"), false).unwrap();
    first.write_at(0, b"seen at once").unwrap();
    assert_eq!(content(&*second), b"seen at once");
    assert_eq!(store.get(&path("x")).unwrap(), b"seen at once");
}
