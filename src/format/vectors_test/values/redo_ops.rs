//! Operations of redo files.

use crate::{
    format::{FILE_SIZE_MAX, RedoOp},
    store::ObjectPath,
};

pub fn redo_ops() -> Vec<(&'static str, RedoOp)> {
    let at = |text: &str| ObjectPath::new(text).unwrap();
    let path = || at("guards/ab/cd");
    let bytes = || b"sealed".to_vec();
    vec![
        ("make directory", RedoOp::MakeDir(path())),
        (
            "put",
            RedoOp::Put {
                path: path(),
                bytes: bytes(),
            },
        ),
        (
            "put nothing",
            RedoOp::Put {
                path: path(),
                bytes: Vec::new(),
            },
        ),
        ("remove", RedoOp::Remove(path())),
        ("remove directory", RedoOp::RemoveDir(path())),
        (
            "rename",
            RedoOp::Rename {
                from: path(),
                to: at("payloads/new/00"),
            },
        ),
        (
            "write",
            RedoOp::WriteAt {
                path: path(),
                offset: 1 << 40,
                bytes: bytes(),
            },
        ),
        (
            "set length",
            RedoOp::SetLen {
                path: path(),
                len: FILE_SIZE_MAX,
            },
        ),
        (
            "punch",
            RedoOp::Punch {
                path: path(),
                offset: 4096,
                len: 8192,
            },
        ),
    ]
}
