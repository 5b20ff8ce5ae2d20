//! Makes a failing list of operations short.
use super::op::Op;

/// Leaves out operations as long as `fails` says that what is left still fails. `fails` may be tried often.
pub fn shrink(mut ops: Vec<Op>, mut fails: impl FnMut(&[Op]) -> bool) -> Vec<Op> {
    let mut len = ops.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < ops.len() {
            let end = (at + len).min(ops.len());
            let shorter: Vec<Op> = ops[..at].iter().chain(&ops[end..]).cloned().collect();
            if fails(&shorter) {
                ops = shorter;
            } else {
                at = end;
            }
        }
        if len <= 1 {
            return ops;
        }
        len = len.div_ceil(2);
    }
}
