//! The options under which the kernel has mounted something, as `/proc/self/mountinfo` gives them. Of the file system's
//! own options only those show that the kernel has to know.

use std::fs;

/// The options of the mount with this number, separated by commas.
pub fn of_mount(id: u64) -> Option<String> {
    let table = fs::read("/proc/self/mountinfo").ok()?;
    find(&String::from_utf8_lossy(&table), id)
}

/// proc(5): `id parent device root dir options tags... - type source options`. The second options are those of the file
/// system; what both say is said once.
fn find(table: &str, id: u64) -> Option<String> {
    let id = id.to_string();
    let line = table
        .lines()
        .find(|line| line.split(' ').next() == Some(&id))?;
    let (mount, file_system) = line.split_once(" - ")?;
    let mut options: Vec<&str> = mount.split(' ').nth(5)?.split(',').collect();
    for option in file_system.split(' ').nth(2)?.split(',') {
        // Each has its own `rw` or `ro`; that of the mount is what its users meet.
        if !matches!(option, "rw" | "ro") && !options.contains(&option) {
            options.push(option);
        }
    }
    Some(options.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
9 1 254:0 / / rw,relatime - ext4 /dev/vda rw
90 22 0:52 / /mnt/a ro,nosuid,nodev shared:7 master:2 - fuse.wardfs /v rw,user_id=0,nosuid,max_read=131072
91 22 0:53 / /mnt/b rw
";

    #[test]
    fn options_of_the_mount_and_its_file_system_are_said_once() {
        assert_eq!(
            find(TABLE, 90).as_deref(),
            Some("ro,nosuid,nodev,user_id=0,max_read=131072")
        );
        assert_eq!(find(TABLE, 9).as_deref(), Some("rw,relatime"));
    }

    #[test]
    fn a_missing_or_senseless_line_gives_none() {
        for id in [1, 22, 91, 900] {
            assert_eq!(find(TABLE, id), None, "{id}");
        }
    }
}
