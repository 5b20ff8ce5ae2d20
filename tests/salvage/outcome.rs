//! What lies in the directory that salvage made.
use crate::vaults::pages::Pages;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File, Metadata},
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::Path,
};

/// By path, relative; the directory itself is the empty one.
pub struct Outcome {
    pub nodes: BTreeMap<Vec<u8>, Made>,
}

pub struct Made {
    pub metadata: Metadata,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub body: Body,
}

#[derive(PartialEq)]
pub enum Body {
    File(Pages),
    Dir,
    Symlink(Vec<u8>),
    Special,
}

impl Outcome {
    pub fn read(out: &Path) -> Outcome {
        let mut found = BTreeMap::new();
        look(out, Vec::new(), &mut found);
        // Only now is anything read: that changes times, and a file may have several names.
        let read = |(path, metadata): (Vec<u8>, Metadata)| {
            let made = Made::read(&out.join(OsStr::from_bytes(&path)), metadata);
            (path, made)
        };
        Outcome {
            nodes: found.into_iter().map(read).collect(),
        }
    }
}

fn look(top: &Path, path: Vec<u8>, found: &mut BTreeMap<Vec<u8>, Metadata>) {
    let at = top.join(OsStr::from_bytes(&path));
    let metadata = fs::symlink_metadata(&at).expect("it was listed");
    if metadata.is_dir() {
        for entry in fs::read_dir(&at).expect("a directory") {
            let name = entry.expect("an entry").file_name();
            let below = if path.is_empty() {
                name.as_bytes().to_vec()
            } else {
                [&path[..], b"/", name.as_bytes()].concat()
            };
            look(top, below, found);
        }
    }
    found.insert(path, metadata);
}

impl Made {
    fn read(at: &Path, metadata: Metadata) -> Made {
        let kind = metadata.file_type();
        let body = if kind.is_dir() {
            Body::Dir
        } else if kind.is_symlink() {
            let target = fs::read_link(at).expect("a link");
            Body::Symlink(target.as_os_str().as_bytes().to_vec())
        } else if kind.is_file() {
            Body::File(content(at, metadata.len()))
        } else {
            Body::Special
        };
        let xattrs = xattrs(at);
        Made {
            metadata,
            xattrs,
            body,
        }
    }
}

fn content(at: &Path, size: u64) -> Pages {
    use rustix::fs::{SeekFrom, seek};
    let file = File::open(at).expect("a file");
    let mut pages = Pages::default();
    pages.resize(size);
    let mut from = 0;
    while let Ok(data) = seek(&file, SeekFrom::Data(from)) {
        let end = seek(&file, SeekFrom::Hole(data)).expect("a hole after data");
        let mut bytes = vec![0; usize::try_from(end - data).expect("in memory")];
        file.read_exact_at(&mut bytes, data).expect("data");
        pages.write(data, &bytes);
        from = end;
    }
    pages
}

fn xattrs(at: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut list = vec![0_u8; 1 << 16];
    let len = rustix::fs::llistxattr(at, &mut list[..]).unwrap_or(0);
    let names = list[..len]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0_u8; 1 << 17];
            let len = rustix::fs::lgetxattr(at, name, &mut value[..]).expect("it was listed");
            value.truncate(len);
            (name.to_vec(), value)
        })
        .collect()
}
