//! Asks for a passphrase on the terminal, without echo.
//!
//! The line is edited here and not by the kernel, so that Ctrl-C arrives as a byte: the terminal is put back first and
//! the interrupt passed on then, and no signal handler is needed, which would outlive the prompt. Bytes are read one by
//! one into a buffer that never grows and is wiped.

use super::passphrase::{LEN_MAX, Line, Passphrase, PassphraseError, Purpose};
use rustix::{
    io::{read, retry_on_intr, write},
    process::{Signal, kill_current_process_group},
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr},
};
use std::{
    fs::File,
    io::{self, stdin},
    os::fd::AsFd,
};
use zeroize::Zeroizing;

/// The name of this source in errors.
const FROM: &str = "the terminal";

/// The controlling terminal with echo off; drop puts back what was.
pub struct Terminal {
    tty: File,
    before: Termios,
}

impl Terminal {
    /// Opens the controlling terminal (not standard output, which may be a file), or where there is none the one on
    /// standard input, and switches its echo off. What was typed before is thrown away.
    ///
    /// # Errors
    /// [`PassphraseError::Io`] where there is none.
    pub fn open() -> Result<Terminal, PassphraseError> {
        let open = || -> io::Result<Terminal> {
            let tty = match File::options().read(true).write(true).open("/dev/tty") {
                Ok(tty) => tty,
                Err(_) => stdin().as_fd().try_clone_to_owned()?.into(),
            };
            let before = tcgetattr(&tty)?;
            let mut silent = before.clone();
            silent.local_modes -=
                LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
            silent.special_codes[SpecialCodeIndex::VMIN] = 1;
            silent.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(&tty, OptionalActions::Flush, &silent)?;
            Ok(Terminal { tty, before })
        };
        open().map_err(io_error)
    }

    /// Asks once, or twice for a new passphrase.
    ///
    /// # Errors
    /// [`PassphraseError`] when nothing usable was entered or the entries differ.
    pub fn passphrase(self, purpose: Purpose, prompt: &str) -> Result<Passphrase, PassphraseError> {
        let first = self.ask(prompt)?;
        if purpose == Purpose::New && self.ask("Repeat it")?.bytes() != first.bytes() {
            return Err(PassphraseError::Mismatch);
        }
        Ok(first)
    }

    fn ask(&self, prompt: &str) -> Result<Passphrase, PassphraseError> {
        self.print(&format!("{prompt}: "))?;
        let mut editor = Editor::new();
        let mut byte = Zeroizing::new([0_u8; 1]);
        let step = loop {
            let count = retry_on_intr(|| read(&self.tty, &mut byte[..]))
                .map_err(|errno| io_error(errno.into()))?;
            match if count == 0 {
                Step::Done
            } else {
                editor.feed(byte[0])
            } {
                Step::More => {}
                step => break step,
            }
        };
        self.print("\n")?;
        match step {
            Step::Interrupt(signal) => self.pass_on(signal),
            Step::More | Step::Done => Passphrase::new(editor.finish(), FROM),
        }
    }

    /// Does what the key would have done without this prompt.
    fn pass_on(&self, signal: Signal) -> Result<Passphrase, PassphraseError> {
        self.restore();
        kill_current_process_group(signal).map_err(|errno| io_error(errno.into()))?;
        Err(PassphraseError::Interrupted)
    }

    fn print(&self, text: &str) -> Result<(), PassphraseError> {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let count =
                retry_on_intr(|| write(&self.tty, rest)).map_err(|errno| io_error(errno.into()))?;
            rest = &rest[count..];
        }
        Ok(())
    }

    fn restore(&self) {
        // Nothing can be done about a terminal that went away.
        let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.restore();
    }
}

fn io_error(source: io::Error) -> PassphraseError {
    PassphraseError::Io {
        from: FROM.to_owned(),
        source,
    }
}

/// What a typed byte asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    More,
    Done,
    Interrupt(Signal),
}

/// The line being typed, with the few editing keys that work blindly.
struct Editor {
    line: Zeroizing<Vec<u8>>,
    too_long: bool,
}

impl Editor {
    fn new() -> Editor {
        Editor {
            line: Zeroizing::new(Vec::with_capacity(LEN_MAX)),
            too_long: false,
        }
    }

    fn feed(&mut self, byte: u8) -> Step {
        const CTRL_C: u8 = 0x03;
        const CTRL_D: u8 = 0x04;
        const BACKSPACE: u8 = 0x08;
        const CTRL_U: u8 = 0x15;
        const CTRL_BACKSLASH: u8 = 0x1c;
        const DELETE: u8 = 0x7f;
        match byte {
            b'\n' | b'\r' | CTRL_D => return Step::Done,
            CTRL_C => return Step::Interrupt(Signal::INT),
            CTRL_BACKSLASH => return Step::Interrupt(Signal::QUIT),
            CTRL_U => self.clear(),
            BACKSPACE | DELETE => self.erase(),
            _ if self.line.len() == LEN_MAX => self.too_long = true,
            byte => self.line.push(byte),
        }
        Step::More
    }

    /// Removes the last character, however many bytes of UTF-8 it has.
    fn erase(&mut self) {
        while let Some(byte) = self.line.pop() {
            let continues = byte & 0b1100_0000 == 0b1000_0000;
            if !continues {
                break;
            }
        }
    }

    fn clear(&mut self) {
        self.line.clear();
        self.too_long = false;
    }

    fn finish(self) -> Line {
        if self.too_long {
            Line::TooLong
        } else {
            Line::Complete(self.line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> (Editor, Step) {
        let mut editor = Editor::new();
        for byte in bytes {
            let step = editor.feed(*byte);
            if step != Step::More {
                return (editor, step);
            }
        }
        (editor, Step::More)
    }

    fn line(bytes: &[u8]) -> Vec<u8> {
        match typed(bytes).0.finish() {
            Line::Complete(line) => line.to_vec(),
            Line::TooLong => panic!("too long"),
        }
    }

    #[test]
    fn return_ends_the_line() {
        assert_eq!(typed(b"secret\r").1, Step::Done);
        assert_eq!(typed(b"secret\n").1, Step::Done);
        assert_eq!(line(b"secret\rmore"), b"secret");
    }

    #[test]
    fn backspace_removes_a_whole_character_and_never_fails() {
        assert_eq!(line(b"secres\x7ft"), b"secret");
        assert_eq!(line("añ\u{7f}b".as_bytes()), b"ab");
        assert_eq!(line("a😀\u{8}b".as_bytes()), b"ab");
        assert_eq!(line(b"\x7f\x7fa"), b"a");
    }

    #[test]
    fn control_u_starts_again() {
        assert_eq!(line(b"wrong\x15right"), b"right");
    }

    #[test]
    fn interrupts_are_told_from_text() {
        assert_eq!(typed(b"sec\x03").1, Step::Interrupt(Signal::INT));
        assert_eq!(typed(b"sec\x1c").1, Step::Interrupt(Signal::QUIT));
    }

    #[test]
    fn a_line_too_long_is_refused_even_if_shortened_by_a_character() {
        let mut bytes = vec![b'x'; LEN_MAX + 1];
        bytes.push(0x7f);
        assert!(matches!(typed(&bytes).0.finish(), Line::TooLong));
        bytes.extend(b"\x15good");
        assert_eq!(line(&bytes), b"good");
    }

    #[test]
    fn the_buffer_never_moves() {
        let editor = typed(&[b'x'; LEN_MAX + 1]).0;
        assert_eq!(editor.line.capacity(), LEN_MAX);
    }
}
