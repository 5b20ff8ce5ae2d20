//! What a frame authenticates besides its text: the place it was sealed for.

use crate::crypto::Suite;
use crate::format::{FORMAT_VERSION, FRAME_HEAD_LEN, FileId, PayloadId, VaultId};

/// The payload a frame belongs to.
#[derive(Clone, Copy)]
pub struct FramePlace {
    /// The suite its chunks are sealed with.
    pub suite: Suite,
    /// The vault.
    pub vault: VaultId,
    /// The file whose content it is.
    pub file: FileId,
    /// The payload within the file's life: a rewritten file gets a new one.
    pub payload: PayloadId,
}

const INDEX_AT: usize = 2 + 1 + 3 * 16;
const HEAD_AT: usize = INDEX_AT + 8;
const DATA_LEN: usize = HEAD_AT + FRAME_HEAD_LEN;

impl FramePlace {
    /// The associated data of the frame with this number and head.
    pub(super) fn associated_data(&self, index: u64, head: [u8; FRAME_HEAD_LEN]) -> [u8; DATA_LEN] {
        let mut data = [0; DATA_LEN];
        data[..2].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        data[2] = self.suite.byte();
        data[3..19].copy_from_slice(&self.vault.0);
        data[19..35].copy_from_slice(&self.file.0);
        data[35..INDEX_AT].copy_from_slice(&self.payload.0);
        data[INDEX_AT..HEAD_AT].copy_from_slice(&index.to_le_bytes());
        data[HEAD_AT..].copy_from_slice(&head);
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn associated_data_has_the_documented_layout() {
        let place = FramePlace {
            suite: Suite::Aes256GcmSiv,
            vault: VaultId([0xaa; 16]),
            file: FileId([0xbb; 16]),
            payload: PayloadId([0xcc; 16]),
        };
        let mut expected = FORMAT_VERSION.to_le_bytes().to_vec();
        expected.push(2);
        expected.extend([[0xaa; 16], [0xbb; 16], [0xcc; 16]].as_flattened());
        expected.extend([8, 7, 6, 5, 4, 3, 2, 1, 9, 10, 11, 12]);
        assert_eq!(
            place.associated_data(0x0102_0304_0506_0708, [9, 10, 11, 12]),
            expected[..]
        );
    }
}
