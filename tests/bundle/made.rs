//! Bundles that no vault made, record by record. Another test program takes this file too: nothing here is of these tests alone.

use wardfs::format::{Attrs, BundleContent, BundleNode, BundleRecord, Kind, Name, Time};

/// A node with fixed attributes; all but directories may get other names.
pub fn node(name: &str, content: BundleContent) -> BundleRecord {
    node_with(name, content, &[])
}

/// The same with these extended attributes.
pub fn node_with(name: &str, content: BundleContent, xattrs: &[&[u8]]) -> BundleRecord {
    let time = Time { secs: 1, nanos: 0 };
    BundleRecord::Node(Box::new(BundleNode {
        name: Name::new(name.as_bytes()).unwrap(),
        linked: content.kind() != Kind::Directory,
        attrs: Attrs {
            mode: 0o755,
            uid: 0,
            gid: 0,
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
        },
        xattrs: xattrs
            .iter()
            .map(|name| (name.to_vec(), b"v".to_vec()))
            .collect(),
        content,
    }))
}

/// As they lie in a stream.
pub fn bytes_of(records: &[BundleRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    records.iter().for_each(|record| record.encode(&mut bytes));
    bytes
}

/// So many directories of one name in each other.
pub fn nested(name: &str, depth: usize) -> Vec<u8> {
    let mut records = vec![BundleRecord::Start];
    records.resize(1 + depth, node(name, BundleContent::Directory));
    records.resize(1 + 2 * depth, BundleRecord::Up);
    let nodes = depth as u64;
    records.push(BundleRecord::End { nodes });
    bytes_of(&records)
}
