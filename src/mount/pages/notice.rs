//! What the kernel is told by a notification that it may take its time for: the bytes that it wants, header and all.
//!
//! The process for pages passes them on as they are, and looks at nothing in them but the length.

/// `FUSE_NOTIFY_INVAL_INODE` of linux/fuse.h.
const WRITE_BACK_AND_FORGET: i32 = 2;
/// `FUSE_NOTIFY_PRUNE` of linux/fuse.h, since version 7.45 of the protocol (Linux 6.18).
const FORGET_UNUSED: i32 = 9;

/// Notifications have no number of a message that they answer.
const UNASKED: u64 = 0;

/// Bytes of `fuse_out_header` of linux/fuse.h.
pub(super) const HEADER_LEN: usize = 16;
/// Bytes of `fuse_notify_prune_out` of linux/fuse.h before the numbers: their count, and space that is not used yet.
const COUNT_LEN: usize = 16;

/// So many nodes are told in one notification: the kernel does not end the mount while it works on these, and takes so many at
/// once (fs/fuse/dev.c).
pub(in crate::mount) const NODES_MAX: usize = 512;

/// The longest.
pub(super) const NOTICE_LEN_MAX: usize = HEADER_LEN + COUNT_LEN + 8 * NODES_MAX;

/// One notification.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice(Vec<u8>);

impl Notice {
    /// Write back your pages of the bytes from `start` to `end`, and forget them. `None` where the kernel has no numbers for it.
    pub fn write_back(ino: u64, start: u64, end: u64) -> Option<Notice> {
        let offset = i64::try_from(start).ok()?;
        let len = i64::try_from(end.saturating_sub(start)).ok()?;
        // `fuse_notify_inval_inode_out`.
        let body = [ino.to_ne_bytes(), offset.to_ne_bytes(), len.to_ne_bytes()];
        Some(Notice::new(WRITE_BACK_AND_FORGET, &body.concat()))
    }

    /// Forget these nodes, where nobody uses them; at most `NODES_MAX`.
    pub fn forget(nodes: &[u64]) -> Notice {
        assert!(
            nodes.len() <= NODES_MAX,
            "one notification has no room for more"
        );
        let count = u32::try_from(nodes.len()).expect("few");
        let mut body = count.to_ne_bytes().to_vec();
        body.resize(COUNT_LEN, 0);
        body.extend(nodes.iter().flat_map(|node| node.to_ne_bytes()));
        Notice::new(FORGET_UNUSED, &body)
    }

    fn new(code: i32, body: &[u8]) -> Notice {
        let header = header(body.len(), code, UNASKED);
        Notice([&header, body].concat())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// `fuse_out_header` of linux/fuse.h: the whole length, an error or what is notified of, the message that is answered.
pub(super) fn header(body_len: usize, code: i32, unique: u64) -> [u8; HEADER_LEN] {
    let len = u32::try_from(HEADER_LEN + body_len).unwrap_or(u32::MAX);
    let mut bytes = [0; HEADER_LEN];
    bytes[..4].copy_from_slice(&len.to_ne_bytes());
    bytes[4..8].copy_from_slice(&code.to_ne_bytes());
    bytes[8..].copy_from_slice(&unique.to_ne_bytes());
    bytes
}

/// How long the notification is that begins so; `None` if it is none that was made here.
pub(super) fn notice_len(header: &[u8; HEADER_LEN]) -> Option<usize> {
    let len = u32::from_ne_bytes(*header.first_chunk()?);
    let len = usize::try_from(len).ok()?;
    (HEADER_LEN..=NOTICE_LEN_MAX).contains(&len).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8]) -> Vec<u64> {
        bytes
            .chunks(8)
            .map(|number| u64::from_ne_bytes(number.try_into().unwrap()))
            .collect()
    }

    #[test]
    fn pages_to_write_back_have_the_bytes_that_the_kernel_wants() {
        let notice = Notice::write_back(7, 4096, 8192).unwrap();
        assert_eq!(notice.bytes()[..HEADER_LEN], header(24, 2, 0));
        assert_eq!(numbers(&notice.bytes()[HEADER_LEN..]), [7, 4096, 4096]);
    }

    #[test]
    fn a_range_beyond_all_files_is_none() {
        assert_eq!(Notice::write_back(7, 1 << 63, u64::MAX), None);
        assert_eq!(Notice::write_back(7, 0, 1 << 63), None);
    }

    #[test]
    fn nodes_to_forget_have_the_bytes_that_the_kernel_wants() {
        let notice = Notice::forget(&[5, 1 << 62]);
        assert_eq!(notice.bytes()[..HEADER_LEN], header(32, 9, 0));
        assert_eq!(notice.bytes()[HEADER_LEN..][..4], 2u32.to_ne_bytes());
        assert_eq!(numbers(&notice.bytes()[HEADER_LEN + 8..]), [0, 5, 1 << 62]);
    }

    #[test]
    fn the_length_of_every_notice_is_told_by_its_header_and_no_longer_one_is_believed() {
        let len = |notice: &Notice| notice_len(notice.bytes().first_chunk().unwrap());
        for nodes in [0, 1, NODES_MAX] {
            let notice = Notice::forget(&vec![9; nodes]);
            assert_eq!(len(&notice), Some(notice.bytes().len()));
        }
        assert_eq!(
            notice_len(&header(NOTICE_LEN_MAX - HEADER_LEN + 1, 9, 0)),
            None
        );
        assert_eq!(notice_len(&[0; HEADER_LEN]), None);
    }
}
