//! What is mounted where: reads `/proc/self/mountinfo`. Nothing here may touch the file system
//! below a mount point: the daemon behind it may be hung or gone, and asking about exactly that
//! mount must work then.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::FSTYPE;

/// The device number of a mounted file system, as `stat` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    /// The major number; 0 for every FUSE mount.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
}

/// One line of the mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountInfo {
    /// The kernel's number for the mount.
    pub id: u64,
    /// The mount in which the mount point lies.
    pub parent: u64,
    /// The device of the mounted file system.
    pub device: Device,
    /// The mount point.
    pub dir: PathBuf,
    /// The type, such as `fuse.wardfs`.
    pub fstype: String,
    /// The source; for a wardfs mount the vault's path, unless `fsname=` said otherwise.
    pub source: OsString,
    /// Of a FUSE mount: the user who mounted it.
    pub owner: Option<u32>,
}

/// The topmost mount exactly on `dir`, of whatever type.
pub fn find_mount(dir: &Path) -> Option<MountInfo> {
    let table = table().ok()?;
    // As written first, whole last: resolving the last part of the path asks the mount, which may
    // never answer.
    let ways: [fn(&Path) -> io::Result<PathBuf>; 3] = [absolute, resolve_parent, canonical];
    ways.iter()
        .filter_map(|way| way(dir).ok())
        .find_map(|dir| topmost(&table, &dir))
}

/// Is `dir` the mount point of a wardfs mount?
pub fn is_mounted(dir: &Path) -> bool {
    find_mount(dir).is_some_and(|mount| mount.fstype == FSTYPE)
}

/// All wardfs mounts that this process can see.
///
/// # Errors
/// When the mount table cannot be read.
pub fn mounts() -> io::Result<Vec<MountInfo>> {
    let mut table = table()?;
    table.retain(|mount| mount.fstype == FSTYPE);
    Ok(table)
}

/// The mount points that lie in this mount; it cannot be unmounted before them.
pub fn submounts(mount: &MountInfo) -> Vec<PathBuf> {
    let table = table().unwrap_or_default();
    table
        .into_iter()
        .filter(|other| other.parent == mount.id && other.id != mount.id)
        .map(|other| other.dir)
        .collect()
}

/// The whole table. Lines that make no sense are left out.
pub(crate) fn table() -> io::Result<Vec<MountInfo>> {
    Ok(parse(&fs::read("/proc/self/mountinfo")?))
}

/// The topmost of the mounts on exactly this path; later lines lie over earlier ones.
pub(crate) fn topmost(table: &[MountInfo], dir: &Path) -> Option<MountInfo> {
    table.iter().rev().find(|mount| mount.dir == dir).cloned()
}

fn parse(bytes: &[u8]) -> Vec<MountInfo> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(parse_line)
        .collect()
}

/// proc(5): `id parent major:minor root dir options tags... - type source superoptions`.
fn parse_line(line: &[u8]) -> Option<MountInfo> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = parse_device(fields.next()?)?;
    let dir = PathBuf::from(OsString::from_vec(unescape(fields.nth(1)?)));
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let fstype = String::from_utf8(unescape(fields.next()?)).ok()?;
    let source = OsString::from_vec(unescape(fields.next()?));
    let owner = fields.next().and_then(|options| {
        let mut options = options.split(|byte| *byte == b',');
        let id = options.find_map(|option| option.strip_prefix(b"user_id="))?;
        u32::try_from(number(id)?).ok()
    });
    Some(MountInfo {
        id,
        parent,
        device,
        dir,
        fstype,
        source,
        owner,
    })
}

pub(crate) fn parse_device(field: &[u8]) -> Option<Device> {
    let (major, minor) = std::str::from_utf8(field).ok()?.split_once(':')?;
    Some(Device {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The kernel writes space, tab, newline, `#` and backslash as `\` and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = octal(rest);
        plain.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &rest[4..] } else { after };
    }
    plain
}

/// The byte that `\ooo` at the front stands for.
fn octal(bytes: &[u8]) -> Option<u8> {
    let [b'\\', digits @ ..] = bytes.get(..4)? else {
        return None;
    };
    let value = digits.iter().try_fold(0u32, |value, digit| match digit {
        b'0'..=b'7' => Some(value * 8 + u32::from(digit - b'0')),
        _ => None,
    })?;
    u8::try_from(value).ok()
}

/// `dir` from the root, with nothing resolved.
fn absolute(dir: &Path) -> io::Result<PathBuf> {
    std::path::absolute(dir)
}

fn canonical(dir: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(dir)
}

/// `dir` with everything but its last part resolved.
fn resolve_parent(dir: &Path) -> io::Result<PathBuf> {
    let dir = absolute(dir)?;
    match (dir.parent(), dir.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => Ok(fs::canonicalize(parent)?.join(name)),
        _ => fs::canonicalize(dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid shared:5 - proc proc rw
90 22 0:52 / /mnt/my\\040photos rw,nosuid,nodev shared:7 master:2 - fuse.wardfs /vaults/a\\134b\\011c rw,user_id=0
91 22 0:53 / /mnt/x rw - fuse.wardfs one rw
92 91 0:54 / /mnt/x rw - tmpfs two rw
";

    #[test]
    fn a_line_gives_its_fields_with_escapes_decoded() {
        let expected = MountInfo {
            id: 90,
            parent: 22,
            device: Device {
                major: 0,
                minor: 52,
            },
            dir: "/mnt/my photos".into(),
            fstype: "fuse.wardfs".into(),
            source: "/vaults/a\\b\tc".into(),
            owner: Some(0),
        };
        assert_eq!(
            topmost(&parse(TABLE.as_bytes()), Path::new("/mnt/my photos")),
            Some(expected)
        );
    }

    #[test]
    fn the_last_mount_on_a_directory_is_the_topmost() {
        let found = topmost(&parse(TABLE.as_bytes()), Path::new("/mnt/x")).unwrap();
        assert_eq!((found.id, found.fstype.as_str()), (92, "tmpfs"));
    }

    #[test]
    fn a_directory_inside_a_mount_is_not_its_mount_point() {
        assert_eq!(
            topmost(&parse(TABLE.as_bytes()), Path::new("/mnt/x/y")),
            None
        );
    }

    #[test]
    fn senseless_lines_are_left_out() {
        for line in [
            "",
            " ",
            "1",
            "1 2 3:4 / /x rw",
            "1 2 3:4 / /x rw -",
            "1 2 3:4 / /x rw - t",
            "a 2 3:4 / /x rw - t s",
        ] {
            assert_eq!(parse(line.as_bytes()), [], "{line}");
        }
        assert_eq!(parse(TABLE.as_bytes()).len(), 5);
    }

    #[test]
    fn only_whole_octal_escapes_are_decoded() {
        for (escaped, plain) in [
            ("\\040", " "),
            ("\\04", "\\04"),
            ("\\999", "\\999"),
            ("\\0401", " 1"),
            ("a\\", "a\\"),
        ] {
            assert_eq!(unescape(escaped.as_bytes()), plain.as_bytes(), "{escaped}");
        }
        // More than a byte holds is not an escape.
        assert_eq!(unescape(b"\\777"), b"\\777");
        assert_eq!(unescape(b"\\377"), [0xff]);
    }

    #[test]
    fn the_root_and_proc_are_found_in_the_real_table() {
        assert!(find_mount(Path::new("/")).is_some());
        assert_eq!(find_mount(Path::new("/proc")).unwrap().fstype, "proc");
        assert_eq!(find_mount(Path::new("/proc/self")), None);
    }

    #[test]
    fn a_mount_point_is_found_through_dots_and_links() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/proc", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("top")).unwrap();
        for path in [
            "link",
            "link/",
            "link/.",
            "top/proc",
            "top/proc/sys/..",
            "link/../proc",
        ] {
            assert_eq!(
                find_mount(&dir.path().join(path)).unwrap().fstype,
                "proc",
                "{path}"
            );
        }
        assert!(!is_mounted(&dir.path().join("link")));
        assert!(!is_mounted(&dir.path().join("missing")));
    }
}
