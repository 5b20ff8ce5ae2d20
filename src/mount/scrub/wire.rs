//! What is said between a mount and whoever asks it for a scrub, as bytes: questions are words, answers JSON.

use std::borrow::Cow;
use std::ops::Range;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::sys::EXCHANGE_LEN;
use crate::vault::finding::{Finding, Kind, Outcome, Seen};

use super::ScrubStatus;

/// The longest answer: its length stands before it.
pub(super) const ANSWER_LEN_MAX: usize = EXCHANGE_LEN - 4;

/// A question: text up to the first zero.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

/// The bytes of a question.
pub(super) fn question(text: &str) -> [u8; EXCHANGE_LEN] {
    let mut bytes = [0; EXCHANGE_LEN];
    let len = text.len().min(EXCHANGE_LEN - 1);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    bytes
}

/// An answer with its length before it.
pub(super) fn framed(answer: &[u8]) -> Option<Vec<u8>> {
    let len = u32::try_from(answer.len()).ok()?;
    let fits = answer.len() <= ANSWER_LEN_MAX;
    fits.then(|| [&len.to_le_bytes(), answer].concat())
}

/// The answer that lies there.
pub(super) fn answer(bytes: &[u8; EXCHANGE_LEN]) -> Option<&[u8]> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.get(..u32::from_le_bytes(*len) as usize)
}

pub(super) fn encode_status(status: &ScrubStatus) -> Vec<u8> {
    let ScrubStatus {
        vault,
        run,
        state,
        seen,
        done,
        total,
        damaged,
        findings_len,
        left_out,
    } = status;
    // Of what it can hold, only the reason of a failure has no bound.
    let state: String = state.chars().take(1000).collect();
    json!({
        "vault": vault,
        "run": run,
        "state": state,
        "directories": seen.dirs,
        "files": seen.files,
        "others": seen.others,
        "bytes": seen.bytes,
        "done": done,
        "total": total,
        "damaged": damaged,
        "findings_len": findings_len,
        "left_out": left_out,
    })
    .to_string()
    .into_bytes()
}

pub(super) fn decode_status(text: &[u8]) -> Option<ScrubStatus> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let number = |name: &str| value[name].as_u64();
    Some(ScrubStatus {
        vault: value["vault"].as_str()?.to_owned(),
        run: number("run")?,
        state: value["state"].as_str()?.to_owned(),
        seen: Seen {
            dirs: number("directories")?,
            files: number("files")?,
            others: number("others")?,
            bytes: number("bytes")?,
        },
        done: number("done")?,
        total: number("total")?,
        damaged: number("damaged")?,
        findings_len: number("findings_len")?,
        left_out: number("left_out")?,
    })
}

/// A line.
pub(super) fn encode_finding(finding: &Finding) -> Vec<u8> {
    let range = |range: &Option<Range<u64>>| range.as_ref().map(|it| [it.start, it.end]);
    let value = json!({
        "kind": finding.kind.name(),
        "outcome": finding.outcome.name(),
        "path": finding.path.as_ref().map(|path| HEXLOWER.encode(path)),
        "object": finding.object,
        "object_range": range(&finding.object_range),
        "file_range": range(&finding.file_range),
        "is_whole_file": finding.is_whole_file,
        "what": finding.what,
        "advice": finding.advice,
    });
    format!("{value}\n").into_bytes()
}

/// `None` for what no mount of this version says.
pub(super) fn decode_finding(line: &[u8]) -> Option<Finding> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let range = |name: &str| {
        let end = |at: usize| value[name][at].as_u64();
        end(0).zip(end(1)).map(|(start, end)| start..end)
    };
    let path = match text("path") {
        Some(hex) => Some(HEXLOWER.decode(hex.as_bytes()).ok()?),
        None => None,
    };
    Some(Finding {
        kind: Kind::from_name(value["kind"].as_str()?)?,
        path,
        object: text("object")?,
        object_range: range("object_range"),
        file_range: range("file_range"),
        is_whole_file: value["is_whole_file"].as_bool()?,
        what: text("what")?,
        outcome: Outcome::from_name(value["outcome"].as_str()?)?,
        advice: text("advice").map(Cow::Owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_the_way() {
        let status = ScrubStatus {
            vault: "ab".repeat(16),
            run: 3,
            state: "failed: \"a\"\n".to_owned(),
            seen: Seen {
                dirs: 1,
                files: 2,
                others: 3,
                bytes: 1 << 40,
            },
            done: 5,
            total: 6,
            damaged: 2,
            findings_len: 7,
            left_out: 8,
        };
        assert_eq!(decode_status(&encode_status(&status)), Some(status));
        assert_eq!(decode_status(b"{}"), None);
        assert_eq!(decode_status(b"\xff"), None);
    }

    #[test]
    fn a_finding_survives_the_way() {
        for kind in Kind::ALL {
            let mut finding = Finding::new(kind, "guards/\"a\"", "it is damaged\n");
            assert_eq!(
                decode_finding(&encode_finding(&finding)).as_ref(),
                Some(&finding)
            );
            finding.path = Some(b"/a\xff\n".to_vec());
            finding.object_range = Some(5..u64::MAX);
            finding.file_range = Some(0..9);
            finding.is_whole_file = true;
            finding.advice = Some("nothing".into());
            assert_eq!(
                decode_finding(&encode_finding(&finding)).as_ref(),
                Some(&finding)
            );
        }
        assert_eq!(decode_finding(b"{}"), None);
    }

    #[test]
    fn questions_and_answers_have_an_end() {
        assert_eq!(text(&question("status")), Some("status"));
        assert_eq!(text(&[1; 10]), None);
        let long = "x".repeat(2 * EXCHANGE_LEN);
        assert!(text(&question(&long)).is_some());
        assert_eq!(framed(&[0; EXCHANGE_LEN]), None);
        let mut bytes = question("what is left of a question");
        let framed = framed(b"answer").unwrap();
        bytes[..framed.len()].copy_from_slice(&framed);
        assert_eq!(answer(&bytes), Some(&b"answer"[..]));
        assert_eq!(answer(&[0xff; EXCHANGE_LEN]), None);
    }
}
