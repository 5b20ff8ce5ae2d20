//! Who holds the lock: asked of /proc/locks, for a message only. Nothing may depend on the answer.

use std::os::fd::BorrowedFd;

use rustix::fs;

/// The kernel's table is read in pieces, and skips lines when locks come and go in between.
const READS: u32 = 5;

/// The process that holds a flock(2) on the file behind `fd`, if it can be told.
pub(super) fn of_lock_on(fd: BorrowedFd<'_>) -> Option<u32> {
    let stat = fs::fstat(fd).ok()?;
    let device = (fs::major(stat.st_dev), fs::minor(stat.st_dev));
    (0..READS).find_map(|_| {
        let table = std::fs::read_to_string("/proc/locks").ok()?;
        find(&table, device, stat.st_ino)
    })
}

/// Looks for the device and inode in lines such as `2: FLOCK  ADVISORY  WRITE 2711 fd:00:1234 0
/// EOF`. Device numbers are hexadecimal. Where no device fits, one lock alone on that inode number
/// counts: btrfs and overlayfs give stat(2) another device than the kernel's table has.
fn find(table: &str, device: (u32, u32), inode: u64) -> Option<u32> {
    let locks: Vec<_> = table
        .lines()
        .filter_map(parse)
        .filter(|lock| lock.inode == inode)
        .collect();
    let exact = locks.iter().find(|lock| lock.device == device);
    let lock = exact.or(if locks.len() == 1 {
        locks.first()
    } else {
        None
    })?;
    // 0 and -1 stand for a process that cannot be seen from here.
    u32::try_from(lock.pid).ok().filter(|&pid| pid > 0)
}

struct HeldLock {
    pid: i64,
    device: (u32, u32),
    inode: u64,
}

fn parse(line: &str) -> Option<HeldLock> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    // A line of one that waits has "->" here.
    if fields.next() != Some("FLOCK") {
        return None;
    }
    let pid = fields.nth(2)?.parse().ok()?;
    let mut place = fields.next()?.split(':');
    let mut hex = || u32::from_str_radix(place.next()?, 16).ok();
    let device = (hex()?, hex()?);
    Some(HeldLock {
        pid,
        device,
        inode: place.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
1: POSIX  ADVISORY  WRITE 100 fd:0a:77 0 EOF
2: FLOCK  ADVISORY  WRITE 200 fd:0b:77 0 EOF
3: FLOCK  ADVISORY  READ  300 fd:0a:77 0 EOF
3: -> FLOCK  ADVISORY  WRITE 400 fd:0a:77 0 EOF
4: OFDLCK ADVISORY  READ  -1 00:06:77 0 0
5: FLOCK  ADVISORY  WRITE 0 fd:0a:88 0 EOF
6: FLOCK  ADVISORY  WRITE 600 00:2a:99 0 EOF
";

    #[test]
    fn the_flock_with_device_and_inode_is_found() {
        assert_eq!(find(TABLE, (0xfd, 0x0a), 77), Some(300));
        assert_eq!(find(TABLE, (0xfd, 0x0b), 77), Some(200));
        assert_eq!(find(TABLE, (0xfd, 0x0a), 78), None);
    }

    #[test]
    fn another_device_counts_only_when_there_is_no_doubt() {
        assert_eq!(find(TABLE, (0, 0x31), 99), Some(600));
        assert_eq!(find(TABLE, (0, 0x31), 77), None);
    }

    #[test]
    fn an_invisible_process_or_a_broken_table_is_no_answer() {
        assert_eq!(find(TABLE, (0xfd, 0x0a), 88), None);
        for table in [
            "",
            "1:",
            "1: FLOCK",
            "1: FLOCK ADVISORY WRITE",
            "1: FLOCK ADVISORY WRITE x fd:0a:77",
            "1: FLOCK A W 5 fd:0a",
        ] {
            assert_eq!(find(table, (0xfd, 0x0a), 77), None, "{table:?}");
        }
    }
}
