//! In whose name a message comes.

use std::fs;

use fuser::Request;

/// The process behind a message, as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub uid: u32,
    pub gid: u32,
    /// 0 when the process is not in our pid namespace.
    pub pid: u32,
}

impl Caller {
    pub(super) fn of(request: &Request) -> Self {
        Caller {
            uid: request.uid(),
            gid: request.gid(),
            pid: request.pid(),
        }
    }

    /// May this caller keep set-id bits on what it changes? The kernel asks for `CAP_FSETID`, which
    /// FUSE does not tell.
    pub(super) fn is_root(self) -> bool {
        self.uid == 0
    }

    /// Is it who serves the mount, or root?
    pub(super) fn serves(self) -> bool {
        self.is_root() || self.uid == rustix::process::geteuid().as_raw()
    }

    /// Is the caller a member of the group? Its other groups are not in the message, so they are
    /// looked up.
    pub(super) fn is_in_group(self, gid: u32) -> bool {
        self.gid == gid
            || fs::read_to_string(format!("/proc/{}/status", self.pid))
                .is_ok_and(|status| lists_group(&status, gid))
    }
}

/// Does `/proc/PID/status` list the group?
fn lists_group(status: &str, gid: u32) -> bool {
    let groups = status.lines().find_map(|line| line.strip_prefix("Groups:"));
    groups.is_some_and(|groups| {
        groups
            .split_whitespace()
            .any(|group| group.parse() == Ok(gid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supplementary_groups_count() {
        let status = "Name:\tcat\nGid:\t7\t7\t7\t7\nGroups:\t4 24 1000 \nNgid:\t0\n";
        assert!(lists_group(status, 24) && lists_group(status, 1000));
        assert!(!lists_group(status, 2) && !lists_group(status, 7) && !lists_group(status, 0));
        assert!(!lists_group("Groups:\t \n", 0));
        assert!(!lists_group("", 0));
    }

    #[test]
    fn the_own_group_counts_even_for_an_unknown_process() {
        let caller = Caller {
            uid: 5,
            gid: 6,
            pid: 0,
        };
        assert!(caller.is_in_group(6));
        assert!(!caller.is_in_group(7));
    }
}
