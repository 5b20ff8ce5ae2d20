//! Records on their way into the log.
use super::log::FRAME_HEAD;

/// Encoded records, with room for the head of the frame that they may become: they need not be copied then.
pub struct Batch {
    pub(super) bytes: Vec<u8>,
}

impl Default for Batch {
    fn default() -> Batch {
        let bytes = vec![0; FRAME_HEAD];
        Batch { bytes }
    }
}

impl Batch {
    /// Drops the records. Memory of more bytes than this is given back.
    pub fn clear(&mut self, kept: usize) {
        if self.bytes.capacity() > kept {
            self.bytes = Vec::new();
        }
        self.bytes.resize(FRAME_HEAD, 0);
    }

    /// Where more are appended, encoded.
    pub fn records(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}
