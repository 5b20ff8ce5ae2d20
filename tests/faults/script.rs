//! Operations that between them make a vault do everything to its store.
use crate::vaults::op::{At, Fill, Kind, Name, Op, Pick, Set};
use wardfs::vault::{AllocateMode, RenameMode, XattrMode};

fn make(dir: u16, name: u8, kind: Kind) -> Op {
    Op::Make {
        dir: Pick::Dir(dir),
        name: Name::Pool(name),
        kind,
        mode: 0o755,
        owner: 1,
    }
}

fn write(file: u16, at: u64, len: usize) -> Op {
    Op::Write {
        node: Pick::File(file),
        at: At::From(at),
        len,
        fill: Fill::Noise(at + 1),
        kill_priv: false,
    }
}

fn read(file: u16) -> Op {
    Op::Read {
        node: Pick::File(file),
        at: At::From(0),
        len: 70_000,
    }
}

/// The script. Nodes go by the order in which they are made.
pub fn script() -> Vec<Op> {
    let files = [
        make(0, 0, Kind::Directory),
        make(1, 1, Kind::File),
        write(0, 0, 60_000),
        make(0, 2, Kind::File),
        write(1, 0, 1000),
        Op::Link {
            node: Pick::File(1),
            dir: Pick::Dir(1),
            name: Name::Pool(7),
        },
        make(0, 3, Kind::Directory),
        make(2, 0, Kind::File),
        Op::Sync {
            node: Pick::File(0),
        },
        Op::Checkpoint,
    ];
    // Chunks that are stored change, and what was stored goes.
    let changes = [
        write(0, 20_000, 5000),
        Op::Allocate {
            node: Pick::File(0),
            mode: AllocateMode::PunchHole,
            at: At::From(32_768),
            len: 16_384,
        },
        Op::Unlink {
            dir: Pick::Dir(2),
            name: Name::Pool(0),
        },
        Op::RemoveDir {
            dir: Pick::Dir(0),
            name: Name::Pool(3),
        },
        Op::SetXattr {
            node: Pick::File(1),
            name: 0,
            len: 100,
            mode: XattrMode::Any,
        },
        Op::SetAttr {
            node: Pick::File(0),
            size: Some(At::From(50_000)),
            set: Set::default(),
        },
        Op::Checkpoint,
    ];
    // All leaves memory, and is read again.
    let again = [
        Op::ForgetAll,
        read(0),
        read(1),
        write(1, 0, 10),
        Op::Rename {
            dir: Pick::Dir(1),
            name: Name::Pool(1),
            to_dir: Pick::Dir(0),
            to_name: Name::Pool(8),
            mode: RenameMode::Replace,
        },
        write(0, 100, 20_000),
        Op::SyncAll,
        Op::Checkpoint,
    ];
    files.into_iter().chain(changes).chain(again).collect()
}
