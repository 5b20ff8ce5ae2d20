//! Records of bundles.

use super::{attrs, chunk, name, origin, xattrs};
use crate::{
    crypto::Suite,
    format::{
        BundleContent, BundleFrame, BundleNode, BundleRecord, BundleSealed, FILE_SIZE_MAX, Xattrs,
    },
};

pub fn bundle_records() -> Vec<(&'static str, BundleRecord)> {
    let plain = |content| BundleNode {
        name: name(b"name"),
        linked: false,
        attrs: attrs(),
        xattrs: Xattrs::new(),
        content,
    };
    let node = |content| BundleRecord::Node(Box::new(plain(content)));
    let sealed = |size, suite, log2, origins| {
        BundleContent::Sealed(BundleSealed {
            size,
            suite,
            chunk: chunk(log2),
            origins,
        })
    };
    let frame = |number, text: &[u8], flags| {
        let len = u8::try_from(text.len()).unwrap();
        let bytes = [&[len, 0, 0, flags], &[7; 12][..], text, &[8; 16]].concat();
        BundleRecord::Frame(BundleFrame {
            chunk: number,
            bytes,
        })
    };
    let (gcm, siv) = (Suite::Aes256Gcm, Suite::Aes256GcmSiv);
    let everything = BundleNode {
        linked: true,
        xattrs: xattrs(&[(b"user.a", b""), (b"user.b", b"value\0")]),
        ..plain(BundleContent::Inline(b"hello world".to_vec()))
    };
    let (one, two) = (origin(0x11), origin(0x22));
    let link = BundleRecord::Link {
        name: name(b"name"),
        number: 3,
    };
    let both = vec![one.clone(), two];
    vec![
        ("start", BundleRecord::Start),
        ("empty file", node(BundleContent::Inline(Vec::new()))),
        (
            "file with everything",
            BundleRecord::Node(Box::new(everything)),
        ),
        ("sealed file", node(sealed(50_000, gcm, 14, both))),
        (
            "sealed file, suite 2",
            node(sealed(FILE_SIZE_MAX, siv, 20, vec![one])),
        ),
        ("file of holes", node(sealed(1 << 40, gcm, 14, Vec::new()))),
        ("directory", node(BundleContent::Directory)),
        (
            "symlink",
            node(BundleContent::Symlink(b"../target".to_vec())),
        ),
        ("fifo", node(BundleContent::Fifo)),
        ("socket", node(BundleContent::Socket)),
        ("character device", node(BundleContent::CharDevice(0x0103))),
        ("block device", node(BundleContent::BlockDevice(0x0800))),
        ("link", link),
        ("frame", frame(1 << 40, b"sealed", 7)),
        ("frame of one byte", frame(0, b"x", 2)),
        ("up", BundleRecord::Up),
        ("end", BundleRecord::End { nodes: 1 << 40 }),
    ]
}
