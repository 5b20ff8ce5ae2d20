//! Draws operations: weighted so that they meet existing names, and lengths so that they lie around borders.
use super::op::{At, BAD_NAMES, Fill, Kind, NAMES, Name, Op, Pick, Remount, Set};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use wardfs::vault::{AllocateMode, RenameMode, Whence, XattrMode};

/// Where choices come from: a seed, or the bytes of a fuzzer.
pub trait Source {
    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: u64) -> u64;
}

/// Choices from a seed.
pub struct Seeded(StdRng);

impl Seeded {
    pub fn new(seed: u64) -> Seeded {
        Seeded(StdRng::seed_from_u64(seed))
    }
}

impl Source for Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.random_range(0..bound)
    }
}

/// Borders in a file: inline limit, chunks of 4 and 16 KiB, 64 chunks of either (more need index blocks), 1 MiB.
const BORDERS: &[u64] = &[
    512,
    4096,
    8192,
    12_288,
    16_384,
    32_768,
    65_536,
    262_144,
    1 << 20,
];

/// Operations of one run. Remounts are left out where the caller does them itself.
pub fn ops(source: &mut dyn Source, count: usize, remounts: bool) -> Vec<Op> {
    (0..count)
        .map(|_| {
            loop {
                let op = draw(source);
                if remounts || !matches!(op, Op::Remount(_)) {
                    break op;
                }
            }
        })
        .collect()
}

fn draw(source: &mut dyn Source) -> Op {
    match source.below(100) {
        0..14 => make(source),
        14..16 => Op::Lookup {
            dir: dir(source),
            name: name(source),
        },
        16..20 => Op::Link {
            node: file(source),
            dir: dir(source),
            name: name(source),
        },
        20..26 => Op::Unlink {
            dir: dir(source),
            name: there(source),
        },
        26..28 => Op::RemoveDir {
            dir: dir(source),
            name: there(source),
        },
        28..35 => rename(source),
        35..39 => Op::Read {
            node: file(source),
            at: at(source),
            len: len(source),
        },
        39..58 => write(source),
        58..63 => allocate(source),
        63..65 => seek(source),
        65..68 => copy(source),
        68..78 => set_attr(source),
        78..80 => look(source),
        80..84 => xattr(source),
        84..87 => Op::List {
            dir: dir(source),
            count: small(source, 6),
            plus: source.below(2) == 0,
        },
        87..92 => forget(source),
        92..94 => Op::Sync {
            node: Pick::Any(short(source)),
        },
        94 => Op::SyncAll,
        95..98 => Op::Checkpoint,
        _ => Op::Remount(remount(source)),
    }
}

fn make(source: &mut dyn Source) -> Op {
    let kind = match source.below(20) {
        0..12 => Kind::File,
        12..17 => Kind::Directory,
        17 => Kind::Symlink([0, 1, 40, 4095, 4096][index(source, 5)]),
        18 => [Kind::Fifo, Kind::Socket][index(source, 2)],
        _ => [Kind::CharDevice(0x0103), Kind::BlockDevice(u32::MAX)][index(source, 2)],
    };
    let name = if source.below(10) == 0 {
        name(source)
    } else {
        pool(source)
    };
    let (mode, owner) = (mode(source), u32::from(small(source, 3)));
    Op::Make {
        dir: dir(source),
        name,
        kind,
        mode,
        owner,
    }
}

fn rename(source: &mut dyn Source) -> Op {
    let mode = [
        RenameMode::Replace,
        RenameMode::Replace,
        RenameMode::NoReplace,
        RenameMode::Exchange,
    ][index(source, 4)];
    Op::Rename {
        dir: dir(source),
        name: there(source),
        to_dir: dir(source),
        to_name: name(source),
        mode,
    }
}

fn write(source: &mut dyn Source) -> Op {
    let fill = match source.below(8) {
        0 => Fill::Zeros,
        1..4 => Fill::Byte(small(source, 255) + 1),
        _ => Fill::Noise(source.below(1 << 32)),
    };
    Op::Write {
        node: file(source),
        at: at(source),
        len: len(source),
        fill,
        kill_priv: source.below(2) == 0,
    }
}

fn allocate(source: &mut dyn Source) -> Op {
    const MODES: [AllocateMode; 7] = [
        AllocateMode::Extend,
        AllocateMode::KeepSize,
        AllocateMode::PunchHole,
        AllocateMode::PunchHole,
        AllocateMode::ZeroRange,
        AllocateMode::ZeroRangeKeepSize,
        AllocateMode::PunchHole,
    ];
    let mode = MODES[index(source, MODES.len() as u64)];
    let len = if source.below(30) == 0 {
        u64::MAX / 4
    } else {
        len(source) as u64
    };
    Op::Allocate {
        node: file(source),
        mode,
        at: at(source),
        len,
    }
}

fn seek(source: &mut dyn Source) -> Op {
    let whence = if source.below(2) == 0 {
        Whence::Data
    } else {
        Whence::Hole
    };
    Op::Seek {
        node: file(source),
        at: at(source),
        whence,
    }
}

fn copy(source: &mut dyn Source) -> Op {
    Op::CopyRange {
        from: file(source),
        at: at(source),
        to: file(source),
        to_at: at(source),
        len: len(source) as u64,
    }
}

fn set_attr(source: &mut dyn Source) -> Op {
    if source.below(3) != 0 {
        return Op::SetAttr {
            node: file(source),
            size: Some(at(source)),
            set: Set::default(),
        };
    }
    let mut some = |bound: u64| (source.below(3) == 0).then(|| source.below(bound));
    let mut set = Set {
        mode: some(0o10000).map(|mode| u16::try_from(mode).expect("a mode")),
        uid: some(1 << 32).map(|uid| u32::try_from(uid).expect("below 2^32")),
        gid: some(4).map(|gid| u32::try_from(gid).expect("small")),
        ..Set::default()
    };
    set.atime = some(2).map(|now| (now == 0).then_some(-5));
    set.mtime = some(2).map(|now| (now == 0).then_some(1 << 33));
    set.ctime = some(1 << 20)
        .filter(|time| time % 4 == 0)
        .map(|time| i64::try_from(time).expect("small"));
    set.kill_priv = source.below(4) == 0;
    let size = (source.below(8) == 0).then(|| at(source));
    Op::SetAttr {
        node: any(source),
        size,
        set,
    }
}

fn look(source: &mut dyn Source) -> Op {
    match source.below(3) {
        0 => Op::Stat { node: any(source) },
        1 => Op::Parent { dir: dir(source) },
        _ => Op::ReadLink { node: any(source) },
    }
}

fn xattr(source: &mut dyn Source) -> Op {
    let (node, name) = (any(source), small(source, 4));
    match source.below(8) {
        0..5 => {
            let len = [0, 1, 100, 700, 5000, 65_536, 65_537][index(source, 7)];
            let mode = [
                XattrMode::Any,
                XattrMode::Any,
                XattrMode::Create,
                XattrMode::Replace,
            ][index(source, 4)];
            Op::SetXattr {
                node,
                name,
                len,
                mode,
            }
        }
        5 => Op::RemoveXattr { node, name },
        _ => Op::ReadXattrs { node },
    }
}

fn forget(source: &mut dyn Source) -> Op {
    match source.below(5) {
        0 => Op::ForgetAll,
        choice => Op::Forget {
            node: any(source),
            all: choice < 4,
        },
    }
}

fn remount(source: &mut dyn Source) -> Remount {
    [
        Remount::Close,
        Remount::Kill,
        Remount::Kill,
        Remount::ReadOnly,
    ][index(source, 4)]
}

fn dir(source: &mut dyn Source) -> Pick {
    match source.below(20) {
        0 => Pick::Any(short(source)),
        // The root, or one of the first: there most names meet.
        1..10 => Pick::Dir(u16::from(small(source, 2))),
        _ => Pick::Dir(short(source)),
    }
}

fn file(source: &mut dyn Source) -> Pick {
    match source.below(20) {
        0..2 => Pick::Any(short(source)),
        2..10 => Pick::File(u16::from(small(source, 2))),
        _ => Pick::File(short(source)),
    }
}

fn any(source: &mut dyn Source) -> Pick {
    if source.below(3) == 0 {
        file(source)
    } else {
        Pick::Any(short(source))
    }
}

fn name(source: &mut dyn Source) -> Name {
    match source.below(40) {
        0 => Name::Bad(small(source, BAD_NAMES.len() as u64)),
        1..20 => pool(source),
        _ => Name::There(short(source)),
    }
}

fn there(source: &mut dyn Source) -> Name {
    if source.below(8) == 0 {
        name(source)
    } else {
        Name::There(short(source))
    }
}

fn pool(source: &mut dyn Source) -> Name {
    Name::Pool(small(source, NAMES.len() as u64))
}

fn at(source: &mut dyn Source) -> At {
    match source.below(40) {
        0..6 => At::From(0),
        6..12 => At::End(0),
        12..16 => At::End(offset_by(source, 5000)),
        16..34 => {
            let border = BORDERS[index(source, BORDERS.len() as u64)];
            let times = if border < 65_536 {
                1 + source.below(3)
            } else {
                1
            };
            At::From((border * times).saturating_add_signed(offset_by(source, 2)))
        }
        34..39 => At::From(source.below(100_000)),
        _ => At::From([1 << 30, (1 << 40) + 5, (1 << 62) - 1, 1 << 62, u64::MAX][index(source, 5)]),
    }
}

fn len(source: &mut dyn Source) -> usize {
    let len = match source.below(20) {
        0 => 0,
        1..7 => source.below(200),
        7..15 => {
            let border = BORDERS[index(source, 6)];
            border.saturating_add_signed(offset_by(source, 2))
        }
        15..19 => source.below(40_000),
        _ => source.below(400_000),
    };
    usize::try_from(len).expect("a short length")
}

/// From `-most` to `most`.
fn offset_by(source: &mut dyn Source, most: i64) -> i64 {
    let range = u64::try_from(2 * most + 1).expect("not negative");
    i64::try_from(source.below(range)).expect("small") - most
}

fn mode(source: &mut dyn Source) -> u16 {
    [0o644, 0o600, 0o755, 0o7777, 0o2775, 0o4711, 0][index(source, 7)]
}

fn index(source: &mut dyn Source, bound: u64) -> usize {
    usize::try_from(source.below(bound)).expect("an index")
}

fn small(source: &mut dyn Source, bound: u64) -> u8 {
    u8::try_from(source.below(bound)).expect("below 256")
}

fn short(source: &mut dyn Source) -> u16 {
    u16::try_from(source.below(1 << 16)).expect("below 2^16")
}
