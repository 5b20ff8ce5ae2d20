//! Prints errors. Nothing else in the program writes to standard error but the logger and the progress line.
//!
//! The rules for what people read:
//! - One line says `wardfs: what failed on what: why`, in lower case, without a full stop.
//! - A second line `hint: ...` only where there is something to do that the first does not say.
//! - Names of programs and options stand in backquotes, as they are typed. Paths stand as they are; one with characters
//!   that a terminal would obey is quoted and escaped.
//! - Never a passphrase, a key, or a name from inside a vault, but for the entry of a bundle at which an import ended: without it
//!   nobody could do anything about that.

use super::{error::CliError, exit::Exit};
use std::{
    error::Error,
    fmt,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

/// An error as it is told: to a person, or by the daemon to the command that started it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How the program ends because of it.
    pub exit: Exit,
    /// What failed on what, and why.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Report {
    /// The error with its causes on one line.
    pub fn of(error: &CliError) -> Report {
        Report {
            exit: error.exit(),
            message: with_causes(error),
            hint: error.hint(),
        }
    }

    /// Writes it to standard error.
    pub fn print(&self) {
        print_text(&self.to_string());
    }

    /// The bytes that carry it through a pipe: code, message, NUL, hint.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.exit.code()];
        bytes.extend(self.message.bytes().filter(|byte| *byte != 0));
        bytes.push(0);
        bytes.extend(self.hint.iter().flat_map(|hint| hint.bytes()));
        bytes
    }

    /// What [`encode`](Report::encode) wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Report> {
        let (code, text) = bytes.split_first()?;
        let exit = Exit::from_code(*code).filter(|exit| *exit != Exit::Ok)?;
        let (message, hint) = std::str::from_utf8(text).ok()?.split_once('\0')?;
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Some(Report {
            exit,
            message: message.to_owned(),
            hint,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "wardfs: {}", self.message)?;
        self.hint
            .as_ref()
            .map_or(Ok(()), |hint| writeln!(f, "hint: {hint}"))
    }
}

/// Writes to standard error what is worded already.
pub fn print_text(text: &str) {
    // Where standard error is closed the exit code still tells.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// `what: why: why that`. A cause that the text before it ends with already is not repeated, and the numbers that Rust
/// appends to the system's messages are left out.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        if !text.ends_with(&why) {
            text = format!("{text}: {why}");
        }
        cause = error.source();
    }
    without_numbers(&text)
}

fn without_numbers(text: &str) -> String {
    let mut plain = text.to_owned();
    while let Some(start) = plain.find(" (os error ") {
        match plain[start..].find(')') {
            Some(len) => plain.replace_range(start..=start + len, ""),
            None => break,
        }
    }
    plain
}

/// A path as it may be shown on a terminal.
#[expect(
    clippy::unnecessary_debug_formatting,
    reason = "it is the escaping that is wanted"
)]
pub fn shown(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.is_empty() && !text.contains(is_obeyed) => text.to_owned(),
        _ => format!("{path:?}"),
    }
}

/// Does a terminal do something else with it than show it? Control characters, and those that no one sees: they turn what is
/// around them from right to left (U+202E, say), or hide in it. Not the joiners, which words and emoji of many languages have.
fn is_obeyed(c: char) -> bool {
    let is_unseen = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || is_unseen
}

/// A path as a word of a command line that a shell takes back as it is. What no terminal shows is in `$'...'`, which shells
/// since POSIX 2024 know.
pub fn typed(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    // As an argument it would be an option.
    let dash = if bytes.first() == Some(&b'-') {
        "./"
    } else {
        ""
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(byte);
    match path.to_str() {
        Some(text) if !text.is_empty() && bytes.iter().all(plain) => format!("{dash}{text}"),
        Some(text) if !text.contains(is_obeyed) => {
            format!("'{dash}{}'", text.replace('\'', r"'\''"))
        }
        _ => {
            let escaped = bytes.iter().map(|byte| match byte {
                b' '..=b'~' if !b"'\\".contains(byte) => char::from(*byte).to_string(),
                _ => format!("\\{byte:03o}"),
            });
            format!("$'{dash}{}'", escaped.collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::passphrase::PassphraseError;
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    #[test]
    fn a_report_survives_the_pipe() {
        for hint in [None, Some("do this".to_owned())] {
            let report = Report {
                exit: Exit::Busy,
                message: "unmount /x: it is in use".to_owned(),
                hint,
            };
            assert_eq!(Report::decode(&report.encode()), Some(report));
        }
    }

    #[test]
    fn other_bytes_are_no_report() {
        for bytes in [
            &b""[..],
            b"\x01",
            b"\x01no end",
            b"\x00done\0",
            b"\xfftext\0",
            b"\x01\xff\0",
        ] {
            assert_eq!(Report::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn causes_follow_once_each_without_numbers() {
        let source = io::Error::from_raw_os_error(2);
        let error = PassphraseError::Io {
            from: "/x".to_owned(),
            source,
        };
        assert_eq!(
            with_causes(&error),
            "read the passphrase from /x: No such file or directory"
        );
        let error = CliError::Output(io::Error::from_raw_os_error(28));
        assert_eq!(
            with_causes(&error),
            "write to standard output: No space left on device"
        );
        assert_eq!(without_numbers("a (os error 1): b (os error 22)"), "a: b");
        assert_eq!(without_numbers("a (os error "), "a (os error ");
    }

    #[test]
    fn the_hint_has_a_line_of_its_own() {
        let mut report = Report {
            exit: Exit::Other,
            message: "a b: c".to_owned(),
            hint: None,
        };
        assert_eq!(report.to_string(), "wardfs: a b: c\n");
        report.hint = Some("d".to_owned());
        assert_eq!(report.to_string(), "wardfs: a b: c\nhint: d\n");
    }

    #[test]
    fn paths_cannot_drive_the_terminal() {
        assert_eq!(shown(Path::new("/a b/ü")), "/a b/ü");
        assert_eq!(shown(Path::new("/a\u{1b}[31m\n")), r#""/a\u{1b}[31m\n""#);
        assert_eq!(
            shown(Path::new(OsStr::from_bytes(b"/a\xff"))),
            r#""/a\xFF""#
        );
        assert_eq!(shown(Path::new("")), r#""""#);
    }

    #[test]
    fn names_cannot_turn_what_is_around_them() {
        for (name, escaped) in [
            ("/a\u{202e}gpj.sh", r#""/a\u{202e}gpj.sh""#),
            ("/a\u{2066}b\u{2069}", r#""/a\u{2066}b\u{2069}""#),
            ("/a\u{200f}b", r#""/a\u{200f}b""#),
            ("/a\u{feff}b", r#""/a\u{feff}b""#),
            ("/a\u{2028}b", r#""/a\u{2028}b""#),
        ] {
            assert_eq!(shown(Path::new(name)), escaped);
            assert!(typed(Path::new(name)).is_ascii(), "{name:?}");
        }
        // Hebrew, Persian with a joiner, an emoji of two.
        for name in ["/שלום", "/می\u{200c}خواهم", "/👩\u{200d}🚀"] {
            assert_eq!(shown(Path::new(name)), name);
        }
    }

    #[test]
    fn words_of_hints_can_be_pasted_into_a_shell() {
        use std::{ffi::OsStr, process::Command};
        for bytes in [
            &b"plain/dir-1.x"[..],
            b"a b",
            b"it's",
            b"$(reboot) `x` \"y\" \\z",
            b"*",
            b"~",
            b"-rf",
            b"- x",
            b"two\nlines\t\x1b[31m",
            b"not \xff UTF-8 'quoted' \\",
            "\u{e4} b".as_bytes(),
            b"!x",
        ] {
            let word = typed(Path::new(OsStr::from_bytes(bytes)));
            assert!(!word.contains(char::is_control), "{word:?}");
            let mut shell = Command::new("bash");
            let output = shell.args(["-c", &format!("printf %s {word}")]).output();
            let found = output.unwrap().stdout;
            let found = match bytes.first() {
                Some(b'-') => found.strip_prefix(b"./").unwrap().to_vec(),
                _ => found,
            };
            assert_eq!(found, bytes, "{word}");
        }
        assert_eq!(typed(Path::new("a/b")), "a/b");
    }
}
