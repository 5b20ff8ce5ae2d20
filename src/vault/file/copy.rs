//! `copy_file_range(2)` without the bytes leaving the daemon.
use crate::vault::{core::Core, error::Result, node::Node, types::WriteMode};
use std::sync::Arc;

/// Bytes moved at a time.
const STEP: usize = 1 << 20;

impl Core {
    /// Copies up to `len` bytes; gives the count, which is short at the end of the source.
    pub fn copy_range(
        &self,
        from: (&Arc<Node>, u64),
        to: (&Arc<Node>, u64),
        len: u64,
        mode: WriteMode,
    ) -> Result<u64> {
        // As it is now: a copy within one file must not read on in what it wrote past the end.
        let len = len.min(from.0.state.read().file()?.size.saturating_sub(from.1));
        let mut buffer = vec![0; STEP.min(usize::try_from(len).unwrap_or(STEP))];
        let mut done = 0;
        while done < len {
            let want = buffer
                .len()
                .min(usize::try_from(len - done).unwrap_or(usize::MAX));
            let read = self.read(from.0, from.1 + done, &mut buffer[..want]);
            let written =
                read.and_then(|got| self.write(to.0, to.1 + done, &buffer[..got], mode, None));
            match written {
                Ok(0) => break,
                Ok(written) => done += written as u64,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }
}
