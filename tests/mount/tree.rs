//! Trees of files: making one with a bit of everything, and saying all that can be seen of one.

use crate::commands::shell;
use std::{fs, path::Path};

/// Lengths around the edges of inline content and of chunks of 4, 16 and 64 KiB.
pub const LENGTHS: [usize; 19] = [
    0, 1, 100, 4095, 4096, 4097, 8191, 8192, 8193, 12288, 16383, 16384, 16385, 40000, 65535, 65536,
    65537, 131_072, 300_001,
];

/// Bytes that differ with place and seed and do not compress.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        // xorshift64 (Marsaglia 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(next)
        .take(len.div_ceil(8))
        .flatten()
        .collect();
    bytes.truncate(len);
    bytes
}

/// Bytes that compress well.
pub fn text(seed: u64, len: usize) -> Vec<u8> {
    (0u64..)
        .flat_map(|line| format!("line {line} of text {seed}\n").into_bytes())
        .take(len)
        .collect()
}

/// Fills a directory with files of all lengths, directories, links and odd attributes.
pub fn grow(dir: &Path) {
    for (number, len) in (0..).zip(LENGTHS) {
        fs::write(dir.join(format!("noise {len}")), noise(number, len)).unwrap();
        fs::write(dir.join(format!("text {len}")), text(number, len)).unwrap();
    }
    shell(
        dir,
        "mkdir -p a/b/c/d empty; cp text* a/b; cp noise* a/b/c/d
         ln 'text 100' a/link; ln -s 'text 100' symlink; ln -s /nowhere/at/all a/b/dangling
         mkfifo fifo; truncate -s 1M sparse; printf end >> sparse
         chmod 4751 'text 1'; chmod 0 'text 0'; chmod 1777 a; chmod 2750 a/b
         chown 1:2 'noise 1' || true; touch -d '1969-12-31 23:59:59.25' 'noise 100'; touch -h -d '2001-02-03 04:05:06.123456789' symlink a/b/dangling fifo
         find . -depth -type d -exec touch -d '2002-03-04 05:06:07.75' {} +",
    );
}

/// Everything of a tree that a remount must not change, as text: to be compared.
pub fn describe(dir: &Path) -> String {
    let attributes = r"find . ! -type d -printf '%p %y %m %U:%G %n %s %T@ %l\n' -o -printf '%p %y %m %U:%G %T@\n' | sort";
    let contents = "find . -type f -print0 | sort -z | xargs -0 -r sha256sum";
    // Which names lead to one node.
    let links = r#"find . ! -type d -links +1 -printf '%i %p\n' | sort -k2 | awk '{ node = $1; $1 = ""; names[node] = names[node] $0 } END { for (node in names) print "one node:" names[node] }' | sort"#;
    shell(dir, &format!("{attributes}; {contents}; {links}"))
}

/// Two descriptions must be the same; only lines that differ are shown.
#[track_caller]
pub fn assert_same(found: &str, expected: &str) {
    let only = |one: &str, other: &str| -> Vec<String> {
        one.lines()
            .filter(|line| !other.lines().any(|known| known == *line))
            .map(str::to_owned)
            .collect()
    };
    assert!(
        found == expected,
        "found: {:#?}\nexpected: {:#?}",
        only(found, expected),
        only(expected, found)
    );
}
