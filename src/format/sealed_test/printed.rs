//! What `Debug` shows of opened structures: nothing secret.

use super::{DIR, FILE, inline};
use crate::format::{
    Alias, ChunkSize, Content, Data, FileState, Kind, Link, Name, RedoOp, header_path, samples,
};

#[test]
fn nothing_secret_is_printed() {
    const SECRET: &[u8] = b"tell-tale";
    let name = Name::new(SECRET).unwrap();
    let mut body = inline(0);
    body.links = vec![Link {
        dir: DIR,
        name: name.clone(),
    }];
    body.xattrs.insert(SECRET.to_vec(), SECRET.to_vec());
    body.description = SECRET.to_vec();
    let mut printed = vec![format!(
        "{:?} {:?}",
        body,
        Alias {
            file: FILE,
            kind: Kind::File,
            name: name.clone()
        }
    )];
    body.content = Content::Symlink(SECRET.to_vec());
    printed.push(format!("{body:?}"));
    let data = Data::Inline(SECRET.to_vec());
    let checksum = Some([b't'; 32]);
    let state = FileState {
        size: 9,
        chunk: ChunkSize::from_log2(12).unwrap(),
        compress: false,
        checksum,
        data,
    };
    body.content = Content::File(state);
    printed.push(format!("{body:?} {body:#?}"));
    printed.extend(
        samples::telling_records(SECRET)
            .iter()
            .map(|record| format!("{record:?} {record:#?}")),
    );
    let put = RedoOp::Put {
        path: header_path(),
        bytes: SECRET.to_vec(),
    };
    printed.push(format!("{put:?}"));
    // As text, as a list of numbers, as a list over several lines.
    for text in printed {
        let packed: String = text.split_whitespace().collect();
        for telling in ["tell", "116,101,108,108", "116,116,116,116", "75,75,75,75"] {
            assert!(!packed.contains(telling), "{text}");
        }
    }
}
