//! What is too deep, what has a name that is taken, and what errors tell.

use super::*;
use made::{nested, node, node_with};
use wardfs::{
    bundle::DEPTH_MAX,
    format::{BundleContent, BundleRecord, BundleSealed, ChunkSize, Name},
    vault::{NewKind, VaultError, XattrMode},
};

fn dir(name: &str) -> BundleRecord {
    node(name, BundleContent::Directory)
}

fn stream(records: &[BundleRecord]) -> Vec<u8> {
    made_of(&[&[BundleRecord::Start], records].concat())
}

fn depth_of(vault: &Vault) -> usize {
    let (mut ino, mut depth) = (ROOT_INO, 0);
    while let Ok(found) = vault.entry(ino, b"d") {
        (ino, depth) = (found, depth + 1);
    }
    depth
}

/// Seconds for which this thread had a processor: others take it away now and then.
fn worked() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos: f64 = text.split(' ').next().unwrap().parse().unwrap();
    nanos / 1e9
}

/// Seconds that an import, an export and a removal of such a tree take.
fn seconds(depth: usize) -> [f64; 3] {
    let stream = stream_of(&nested("d", depth));
    let to = gcm();
    let vault = open(&to);
    let mut times = [0.0; 3];
    let start = worked();
    import(&vault, &stream).unwrap();
    times[0] = worked() - start;
    assert_eq!(depth_of(&vault), depth);
    let start = worked();
    let again = exported(&vault, &["d"], AS_IT_IS);
    times[1] = worked() - start;
    assert_eq!(records_of(&again).len(), records_of(&stream).len());
    let start = worked();
    vault.remove_tree(ROOT_INO, b"d").unwrap();
    times[2] = worked() - start;
    vault.close().unwrap();
    assert_eq!(vaults::objects::left_over(&*to), Vec::<String>::new());
    times
}

#[test]
fn a_tree_five_times_as_deep_takes_about_five_times_as_long() {
    // The least of some: others empty its caches.
    let best = |depth| {
        let runs = [(); 4].map(|()| seconds(depth));
        [0, 1, 2].map(|what| runs.iter().map(|run| run[what]).fold(f64::MAX, f64::min))
    };
    let (short, long) = (best(2_000), best(10_000));
    for (what, name) in ["import", "export", "removal"].into_iter().enumerate() {
        let (short, long) = (short[what], long[what]);
        let times = long / short;
        println!("{name}: {short:.3} s and {long:.3} s, {times:.1} times");
        assert!(times < 15.0, "{name}: {short} and {long} s");
    }
}

#[test]
fn what_is_deeper_than_any_path_is_refused_both_ways() {
    let to = gcm();
    let vault = open(&to);
    let refused = import(&vault, &stream_of(&nested("d", DEPTH_MAX + 1))).unwrap_err();
    assert!(matches!(inner(&refused), BundleError::TooDeep), "{refused}");
    assert!(refused.to_string().len() < 2000, "{refused}");
    assert_eq!(tree(&vault, ROOT_INO).len(), 1);
    import(&vault, &stream_of(&nested("d", DEPTH_MAX))).unwrap();
    // One more above it.
    let top = vault.make(ROOT_INO, b"top", NewKind::Directory, 0o755, 0, 0);
    let top = top.unwrap().ino;
    let mode = wardfs::vault::RenameMode::NoReplace;
    vault.rename(ROOT_INO, b"d", top, b"d", mode).unwrap();
    let (name, done) = (Name::new(b"top").unwrap(), 0.into());
    let refused = wardfs::bundle::export(&vault, top, &name, Vec::new(), AS_IT_IS, &done);
    assert!(matches!(refused, Err(BundleError::TooDeep)), "{refused:?}");
    vault.forget(top, 1);
    vault.close().unwrap();
    assert_eq!(damage(&to), "[]");
}

#[test]
fn many_files_with_other_names_are_not_kept_in_memory_and_get_their_names() {
    const COUNT: usize = 5_000;
    let mut records = vec![dir("d")];
    let file = |at: usize| node(&format!("f{at}"), BundleContent::Inline(vec![1; 10]));
    records.extend((0..COUNT).map(file));
    records.extend((0..COUNT).step_by(7).map(|at| BundleRecord::Link {
        name: Name::new(format!("g{at}").as_bytes()).unwrap(),
        number: at as u64 + 1,
    }));
    records.push(BundleRecord::Up);
    let nodes = COUNT as u64 + 1;
    records.push(BundleRecord::End { nodes });
    let to = gcm();
    let vault = open(&to);
    import(&vault, &stream(&records)).unwrap();
    let dir = find(&vault, &["d"]);
    for at in (0..COUNT).step_by(7) {
        let names = ["f", "g"].map(|letter| format!("{letter}{at}"));
        let [one, other] = names.map(|name| vault.lookup(dir, name.as_bytes()).unwrap());
        assert_eq!((one.ino, one.nlink), (other.ino, 2));
        vault.forget(one.ino, 2);
    }
    vault.close().unwrap();
    assert_eq!(damage(&to), "[]");
    // Nothing keeps what is not used.
    let vault = open(&to);
    let place = Destination::As(ROOT_INO, b"again".to_vec());
    import_as(&vault, &stream(&records)[..], &place, &KEPT).unwrap();
    while vault.checkpoint().unwrap() {}
    vault.forget(ROOT_INO, 0);
    let left = vault.node_count();
    assert!(left < COUNT / 2, "{left} nodes in memory");
}

fn told(error: &BundleError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        text = format!("{text}: {why}");
        cause = why.source();
    }
    text
}

#[test]
fn errors_tell_which_entry() {
    let vault = open(&gcm());
    let too_long = |size| {
        BundleContent::Sealed(BundleSealed {
            size,
            suite: Suite::Aes256Gcm,
            chunk: ChunkSize::from_log2(12).unwrap(),
            origins: Vec::new(),
        })
    };
    let fifo = |name| node(name, BundleContent::Fifo);
    let link = |number| BundleRecord::Link {
        name: Name::new(b"l").unwrap(),
        number,
    };
    let up = BundleRecord::Up;
    let end = |nodes| BundleRecord::End { nodes };
    let long = too_long(1 << 62);
    for (records, expected) in [
        (
            vec![dir("d"), dir("e\n"), node("f", long), up.clone()],
            r#"the entry "d/e\n/f": the file is too long"#,
        ),
        (
            vec![dir("d"), fifo("d"), fifo("d")],
            r#"the entry "d/d": the bundle is damaged: two entries of a directory have one name"#,
        ),
        (
            vec![dir("d"), link(7)],
            r#"the entry "d/l": the bundle is damaged: a name is of no node"#,
        ),
        (
            vec![dir("d"), dir("e"), up.clone()],
            r#"what follows the entry "d/e": the bundle is damaged: it ends before its end"#,
        ),
        (
            vec![dir("d"), dir("e")],
            r#"what follows the entry "d/e": the bundle is damaged: it ends before its end"#,
        ),
        (
            vec![dir("d"), up, end(3)],
            r#"the entry "d": the bundle is damaged: a record is not where it belongs"#,
        ),
    ] {
        let refused = import(&vault, &stream(&records)).unwrap_err();
        assert_eq!(told(&refused), expected);
    }
    // A size that 63 bits do not hold is no record at all.
    let mut bytes = Vec::new();
    for record in [
        BundleRecord::Start,
        dir("d"),
        fifo("before"),
        node("f", too_long(0x0123_4567_89ab)),
    ] {
        record.encode(&mut bytes);
    }
    let size = 0x0123_4567_89ab_u64.to_le_bytes();
    let at = bytes.windows(8).position(|bytes| bytes == size).unwrap();
    bytes[at..at + 8].fill(0xff);
    let refused = import(&vault, &stream_of(&bytes)).unwrap_err();
    let text = told(&refused);
    assert!(
        text.starts_with(r#"what follows the entry "d/before": bundle: size"#),
        "{text}"
    );
}

#[test]
fn a_name_that_an_import_needs_is_refused_and_nothing_of_it_is_lost() {
    let stream = stream(&[
        dir(".wardfs-import"),
        node("f", BundleContent::Inline(b"content".to_vec())),
        BundleRecord::Up,
        BundleRecord::End { nodes: 2 },
    ]);
    let to = gcm();
    let vault = open(&to);
    let refused = import(&vault, &stream).unwrap_err();
    let told = refused.to_string();
    assert!(told.contains("`.wardfs-import`"), "{told}");
    // Elsewhere it is a name like any other.
    let made = vault.make(ROOT_INO, b"sub", NewKind::Directory, 0o755, 0, 0);
    let sub = made.unwrap().ino;
    import_as(&vault, &stream[..], &Destination::Into(sub), &KEPT).unwrap();
    let place = Destination::As(ROOT_INO, b"other".to_vec());
    import_as(&vault, &stream[..], &place, &KEPT).unwrap();
    assert_eq!(read(&vault, &["sub", ".wardfs-import", "f"]), b"content");
    assert_eq!(read(&vault, &["other", "f"]), b"content");
    // Somebody's own keeps imports out, and is exported.
    let made = vault.make(ROOT_INO, b".wardfs-import", NewKind::File, 0o644, 0, 0);
    vault.write(made.unwrap().ino, 0, b"mine", false).unwrap();
    let place = Destination::As(ROOT_INO, b"third".to_vec());
    let refused = import_as(&vault, &stream[..], &place, &KEPT).unwrap_err();
    assert!(refused.to_string().contains("rename it"), "{refused}");
    let mine = exported(&vault, &[".wardfs-import"], AS_IT_IS);
    vault.close().unwrap();
    let vault = open(&to);
    assert_eq!(read(&vault, &[".wardfs-import"]), b"mine");
    let elsewhere = open(&gcm());
    let place = Destination::As(ROOT_INO, b"mine".to_vec());
    import_as(&elsewhere, &mine[..], &place, &KEPT).unwrap();
    assert_eq!(read(&elsewhere, &["mine"]), b"mine");
}

#[test]
fn a_bundle_of_devices_alone_is_not_damaged_for_who_may_make_none() {
    let stream = stream(&[
        node("null", BundleContent::CharDevice(0x0103)),
        BundleRecord::End { nodes: 1 },
    ]);
    let to = gcm();
    let vault = open(&to);
    let mine = ImportOptions {
        owners: Owners::All(1000, 100),
        ..KEPT
    };
    let place = Destination::Into(ROOT_INO);
    let refused = import_as(&vault, &stream[..], &place, &mine);
    assert!(
        matches!(refused, Err(BundleError::OnlyDevices)),
        "{refused:?}"
    );
    assert_eq!(tree(&vault, ROOT_INO).len(), 1);
    import(&vault, &stream).unwrap();
    vault.close().unwrap();
    assert_eq!(damage(&to), "[]");
}

#[test]
fn the_mark_of_an_import_is_nobody_elses() {
    let mark = b"wardfs.import";
    let vault = open(&gcm());
    let made = vault.make(ROOT_INO, b".wardfs-import", NewKind::Directory, 0o755, 0, 0);
    let ino = made.unwrap().ino;
    let set = vault.set_xattr(ino, mark, b"", XattrMode::Any);
    assert!(matches!(set, Err(VaultError::NotPermitted(_))), "{set:?}");
    // In a bundle it means nothing.
    let stream = stream(&[
        node_with("d", BundleContent::Directory, &[mark, b"user.kept"]),
        node("f", BundleContent::Inline(b"content".to_vec())),
        BundleRecord::Up,
        BundleRecord::End { nodes: 2 },
    ]);
    let to = gcm();
    let vault = open(&to);
    import(&vault, &stream).unwrap();
    let names = vault.list_xattr(find(&vault, &["d"])).unwrap();
    assert_eq!(names, b"user.kept\0");
    vault.close().unwrap();
    let vault = open(&to);
    assert_eq!(read(&vault, &["d", "f"]), b"content");
}
