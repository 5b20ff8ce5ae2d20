//! The vectors of `tests/vectors/stream.txt`: streams that another program made by the page, read in every way; and what this
//! one writes with the same keys.

use super::{Access, DecryptingReader, DecryptingWriter, StreamError, sealer::Sealer};
use crate::{
    crypto::LockKey,
    format::{
        ParsedStreamHeader, VaultId,
        vectors_test::file::{Block, blocks},
    },
};
use std::io::{self, Cursor, Read, Seek, Write};

fn all() -> Vec<Block> {
    blocks(include_str!("../../tests/vectors/stream.txt"))
}

/// What opens it.
fn with_access<R>(block: &Block, then: impl FnOnce(Access<'_>) -> R) -> R {
    if let Some(hex) = block.text("lock").filter(|hex| !hex.is_empty()) {
        assert_eq!(hex.len(), 64);
        return then(Access::Key(&LockKey::from_bytes(&block.array("lock"))));
    }
    if block.text("passphrase").is_some() {
        return then(Access::Passphrase(&block.bytes("passphrase")));
    }
    let vault = VaultId(block.array("vault"));
    let master = crate::crypto::vectors::master(&block.array("master key"));
    then(Access::Vault(vault, &master.stream_lock(&vault.0)))
}

fn forward(stream: &[u8], access: Access<'_>) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    DecryptingReader::new(stream, &access)?.read_to_end(&mut plain)?;
    Ok(plain)
}

fn seeking(stream: &[u8], access: Access<'_>) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut reader = DecryptingReader::new(Cursor::new(stream), &access)?;
    reader.rewind()?;
    reader.read_to_end(&mut plain)?;
    Ok(plain)
}

fn writing(stream: &[u8], access: Access<'_>) -> io::Result<Vec<u8>> {
    let mut writer = DecryptingWriter::new(Vec::new(), access);
    writer.write_all(stream)?;
    writer.finish()
}

#[test]
fn streams_are_read_as_documented() {
    let all = all();
    assert!(all.len() > 50);
    let mut wrong = Vec::new();
    for block in &all {
        let stream = block.stored();
        for (way, read) in [
            ("forward", forward as fn(&[u8], Access<'_>) -> _),
            ("seeking", seeking),
            ("writing", writing),
        ] {
            let name = format!("{} ({way})", block.name());
            let reason = block
                .text("seeking")
                .filter(|_| way == "seeking")
                .or(block.text("refused"));
            match (with_access(block, |access| read(&stream, access)), reason) {
                (Ok(plain), None) if plain == block.bytes("plain") => {}
                (Err(error), Some(reason)) if is_told(way, &error, reason) => {}
                (Err(error), _) => wrong.push(format!("{name}: {error}")),
                (Ok(_), _) => wrong.push(format!("{name}: read")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Who seeks looks at the end first.
fn is_told(way: &str, error: &io::Error, reason: &str) -> bool {
    let told = error.to_string();
    let at_end = way == "seeking" && reason.starts_with("chunk");
    told.contains(reason) || at_end && told.contains("its end does not authenticate")
}

/// Everything but what is random: the header with the wrapped keys that it has, and all chunks.
#[test]
fn streams_are_written_as_documented() {
    let mut written = 0;
    for block in all() {
        let stream = block.stored();
        if block.text("refused").is_some() || block.name().starts_with("compressed") {
            continue;
        }
        let len = ParsedStreamHeader::len_of(&stream).unwrap();
        let opened = with_access(&block, |access| access.open_header(&stream[..len])).unwrap();
        let mut again = opened.header.encode(&opened.key.header_key());
        let mut sealer = Sealer::new(&opened.header, &opened.key);
        let plain = block.bytes("plain");
        let mut chunks: Vec<_> = plain.chunks(opened.header.chunk.len()).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        for (index, chunk) in (0..).zip(&chunks) {
            sealer.space()[..chunk.len()].copy_from_slice(chunk);
            sealer.advance(chunk.len());
            let last = index + 1 == chunks.len() as u64;
            sealer.seal(index, last).unwrap();
            again.extend_from_slice(sealer.sealed());
        }
        assert!(again == stream, "{}", block.name());
        written += 1;
    }
    assert!(written > 6);
}

#[test]
fn a_compressed_stream_is_written_as_it_is_read() {
    let block = all().into_iter().find(|block| block.name() == "compressed");
    let block = block.unwrap();
    let stream = block.stored();
    let len = ParsedStreamHeader::len_of(&stream).unwrap();
    let opened = with_access(&block, |access| access.open_header(&stream[..len])).unwrap();
    let mut again = stream[..len].to_vec();
    let mut sealer = Sealer::new(&opened.header, &opened.key);
    for (index, chunk) in (0..).zip(block.bytes("plain").chunks(4096)) {
        sealer.space()[..chunk.len()].copy_from_slice(chunk);
        sealer.advance(chunk.len());
        sealer.seal(index, index == 2).unwrap();
        again.extend_from_slice(sealer.sealed());
    }
    // LZ4 blocks may differ; what they stand for, and all around them, may not.
    let plain = with_access(&block, |access| forward(&again, access)).unwrap();
    assert!(plain == block.bytes("plain"));
    let refused = StreamError::Trailing.to_string();
    again.push(0);
    let error = with_access(&block, |access| forward(&again, access)).unwrap_err();
    assert_eq!(error.to_string(), refused);
}
