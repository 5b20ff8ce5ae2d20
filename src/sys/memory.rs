//! How much memory there is, and how a large piece of it is best mapped. Figures only: nothing is allocated
//! here.
#![allow(unsafe_code)]

use rustix::mm::{Advice, madvise};
use std::{fs, mem::MaybeUninit, path::Path};

/// Bytes that programs can still take without swapping: `MemAvailable`, or the memory limit of the control
/// group where that is less. None when the kernel does not tell (no `/proc`).
pub fn available_memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let available = meminfo_bytes(&meminfo, "MemAvailable:")?;
    Some(group_limit().map_or(available, |limit| limit.min(available)))
}

/// Whether memory and swap space could hold `len` more bytes. An allocation beyond that succeeds all the
/// same, on most systems, and then has the kernel kill a process when the pages are written. True when the
/// kernel does not tell.
pub fn can_hold(len: u64) -> bool {
    let Ok(meminfo) = fs::read_to_string("/proc/meminfo") else {
        return true;
    };
    let Some(available) = meminfo_bytes(&meminfo, "MemAvailable:") else {
        return true;
    };
    let swap = meminfo_bytes(&meminfo, "SwapFree:").unwrap_or(0);
    len <= available.saturating_add(swap) && group_limit().is_none_or(|limit| len <= limit)
}

/// Asks for huge pages under memory that is about to be written: a large buffer is then mapped in a tenth
/// of the time and read at random with far fewer misses. A hint; without effect on small memory and where
/// it is switched off.
pub fn advise_huge_pages<T>(memory: &mut [MaybeUninit<T>]) {
    let page = rustix::param::page_size();
    let bytes = memory.as_mut_ptr_range();
    let (start, end) = (bytes.start.cast::<u8>(), bytes.end.cast::<u8>());
    let skip = start.align_offset(page);
    let len = (end as usize - start as usize).saturating_sub(skip) / page * page;
    if len > 0 {
        // SAFETY: whole pages within memory that the caller holds exclusively; the advice does not change
        // their content.
        let advised =
            unsafe { madvise(start.wrapping_add(skip).cast(), len, Advice::LinuxHugepage) };
        // A kernel without huge pages says EINVAL; small pages do.
        let _ = advised;
    }
}

/// The bytes that a line such as `MemAvailable:   123 kB` states.
fn meminfo_bytes(meminfo: &str, field: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// The least `memory.max` from this process's control group (version 2) up to the root; None without a limit.
fn group_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Path::new(own)
        .ancestors()
        .filter_map(|group| {
            fs::read_to_string(Path::new("/sys/fs/cgroup").join(group).join("memory.max")).ok()
        })
        .filter_map(|limit| limit.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read_in_bytes() {
        let meminfo =
            "MemTotal:       24689764 kB\nMemAvailable:   23952340 kB\nHugePages_Total:       0\n";
        assert_eq!(
            meminfo_bytes(meminfo, "MemAvailable:"),
            Some(23_952_340 * 1024)
        );
        assert_eq!(meminfo_bytes(meminfo, "SwapFree:"), None);
        assert_eq!(meminfo_bytes(meminfo, "HugePages_Total:"), None);
        assert_eq!(
            meminfo_bytes("MemAvailable: 99999999999999999 kB", "MemAvailable:"),
            None
        );
    }

    #[test]
    fn this_machine_has_some_memory_and_no_exbibyte() {
        assert!(available_memory().unwrap() > 1 << 20);
        assert!(can_hold(1 << 20));
        assert!(!can_hold(1 << 60));
    }

    #[test]
    fn advice_leaves_any_memory_as_it_is() {
        for len in [0, 1, 4095, 4096, 8191, 8192, 3 << 20] {
            let mut memory: Vec<u8> = vec![7; len];
            memory.reserve_exact(len);
            advise_huge_pages(memory.spare_capacity_mut());
            memory.resize(2 * len, 9);
            assert!(memory[..len].iter().all(|&byte| byte == 7));
            assert!(memory[len..].iter().all(|&byte| byte == 9));
        }
    }
}
