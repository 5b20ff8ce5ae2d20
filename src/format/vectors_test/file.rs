//! Reads the files of `tests/vectors`; their form is in section 16 of `docs/format.md`.

use std::collections::BTreeMap;

/// One vector: text by field. Of a block with `like`, fields and bytes are those of the other one, changed.
#[derive(Clone)]
pub(crate) struct Block {
    fields: BTreeMap<String, String>,
    stored: Vec<u8>,
}

/// The blocks of a file.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for paragraph in text.split("\n\n") {
        let fields = fields(paragraph);
        if fields.is_empty() {
            continue;
        }
        let block = match fields.get("like") {
            Some(name) => blocks
                .iter()
                .find(|block| block.name() == name)
                .expect("a block before this")
                .changed(fields),
            None => Block {
                stored: fields
                    .get("bytes")
                    .map_or_else(Vec::new, |text| bytes(text)),
                fields,
            },
        };
        assert!(
            blocks.iter().all(|other| other.name() != block.name()),
            "two blocks {}",
            block.name()
        );
        blocks.push(block);
    }
    blocks
}

fn fields(paragraph: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut current = String::new();
    for line in paragraph.lines() {
        let line = line.split('#').next().unwrap_or_default();
        if let Some(more) = line.strip_prefix(' ') {
            let text: &mut String = fields.get_mut(&current).expect("a field to go on with");
            text.push(' ');
            text.push_str(more.trim());
        } else if let Some((field, value)) = line.split_once(':') {
            current = field.to_owned();
            assert!(
                fields
                    .insert(current.clone(), value.trim().to_owned())
                    .is_none(),
                "{field} twice in {paragraph}"
            );
        } else {
            assert!(line.is_empty(), "{line:?} is no field");
        }
    }
    fields
}

/// Hex in words; `00*24` is a byte many times.
fn bytes(text: &str) -> Vec<u8> {
    let hex = |word: &str| {
        data_encoding::HEXLOWER
            .decode(word.as_bytes())
            .expect("hex")
    };
    let word = |word: &str| match word.split_once('*') {
        Some((byte, count)) => hex(byte).repeat(count.parse().expect("a count")),
        None => hex(word),
    };
    text.split_whitespace().flat_map(word).collect()
}

impl Block {
    /// This block with the changes that `fields` tell.
    fn changed(&self, mut changes: BTreeMap<String, String>) -> Block {
        let mut block = self.clone();
        block.fields.remove("body");
        for (field, value) in &changes {
            if let Some(at) = field.strip_prefix("at ") {
                let (at, new): (usize, _) = (at.parse().expect("an offset"), bytes(value));
                block.stored[at..at + new.len()].copy_from_slice(&new);
            }
        }
        if let Some(len) = changes.get("cut") {
            block.stored.truncate(len.parse().expect("a length"));
        }
        if let Some(more) = changes.get("append") {
            block.stored.extend(bytes(more));
        }
        assert!(
            block.stored != self.stored || changes.len() > 3,
            "a changed block differs"
        );
        block.fields.append(&mut changes);
        block
    }

    pub(crate) fn name(&self) -> &str {
        self.text("name").expect("every block has a name")
    }

    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    pub(crate) fn number(&self, field: &str) -> u64 {
        self.text(field)
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{}: {field}", self.name()))
    }

    pub(crate) fn bytes(&self, field: &str) -> Vec<u8> {
        bytes(
            self.text(field)
                .unwrap_or_else(|| panic!("{}: {field}", self.name())),
        )
    }

    pub(crate) fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field)
            .try_into()
            .unwrap_or_else(|_| panic!("{}: {field} is not of {N} bytes", self.name()))
    }

    /// The field `bytes`, with the changes of this block.
    pub(crate) fn stored(&self) -> Vec<u8> {
        self.stored.clone()
    }
}
