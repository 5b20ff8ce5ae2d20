//! Under which of its names a file with several is told: the first that a walk through the vault meets. Of each directory it meets
//! first what is in it, by name, and then what is below it. So a check and a scrub tell the same name, and each time.
use std::{cmp::Ordering, iter};

/// Which of two paths is met first.
pub(crate) fn order(one: &[u8], other: &[u8]) -> Ordering {
    steps(one).cmp(steps(other))
}

/// What is in a directory comes before the directories in it.
fn steps(path: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let at = path.iter().rposition(|byte| *byte == b'/');
    let (above, name) = match at {
        Some(at) => (Some(&path[..at]), &path[at + 1..]),
        None => (None, path),
    };
    let above = above
        .into_iter()
        .flat_map(|dirs| dirs.split(|byte| *byte == b'/'));
    above
        .map(|dir| (true, dir))
        .chain(iter::once((false, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_directory_comes_before_what_is_below_it() {
        let paths = [
            "/b",
            "/z",
            "/a/c",
            "/a/b/y",
            "/a/b/c/d",
            "/a/z/b",
            "/b/a",
            "/b!/a",
            "(directory 1)/a",
        ];
        let mut sorted = paths;
        sorted.reverse();
        sorted.sort_by(|one, other| order(one.as_bytes(), other.as_bytes()));
        assert_eq!(sorted, paths);
    }
}
