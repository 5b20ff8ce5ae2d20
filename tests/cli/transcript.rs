//! Reads a transcript and compares it with what happens. The form is described in `tests/cli.rs`.

use crate::machine::Machine;
use std::fmt;

/// What a file says.
pub struct Transcript {
    /// What the machine must be able to do (`@needs`).
    pub needs: Vec<String>,
    steps: Vec<Step>,
}

struct Step {
    /// Where it stands in the file, from 1.
    line: usize,
    command: String,
    expected: Vec<String>,
    code: i32,
}

/// A step that went otherwise.
pub struct Failure {
    line: usize,
    command: String,
    expected: String,
    found: String,
}

impl Transcript {
    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Transcript, String> {
        let mut transcript = Transcript {
            needs: Vec::new(),
            steps: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            transcript
                .take(index + 1, line)
                .map_err(|why| format!("{}: {why}", index + 1))?;
        }
        for step in &mut transcript.steps {
            // Blank lines separate steps; only those inside an output are part of it.
            while step.expected.last().is_some_and(String::is_empty) {
                step.expected.pop();
            }
        }
        if transcript.steps.is_empty() {
            Err("no step in it".to_owned())
        } else {
            Ok(transcript)
        }
    }

    fn take(&mut self, line: usize, text: &str) -> Result<(), String> {
        if let Some(command) = text.strip_prefix("$ ") {
            self.steps.push(Step {
                line,
                command: command.to_owned(),
                expected: Vec::new(),
                code: 0,
            });
            return Ok(());
        }
        if let Some(more) = text.strip_prefix("> ") {
            let step = self
                .steps
                .last_mut()
                .filter(|step| step.expected.is_empty());
            step.ok_or("a command goes on where there is none")?
                .command
                .extend(["\n", more]);
            return Ok(());
        }
        if let Some(needs) = text.strip_prefix("@needs ") {
            self.needs
                .extend(needs.split_whitespace().map(str::to_owned));
            return Ok(());
        }
        match (self.steps.last_mut(), text) {
            (_, text) if text.starts_with("# ") => {}
            (None, "") => {}
            (None, _) => return Err("output before the first command".to_owned()),
            (Some(step), text) => match text.strip_prefix("? ") {
                Some(code) => step.code = code.parse().map_err(|_| "no exit code".to_owned())?,
                None => step.expected.push(text.trim_end().to_owned()),
            },
        }
        Ok(())
    }

    /// Runs every step until one goes otherwise.
    pub fn run(&self, machine: &Machine) -> Result<(), Failure> {
        self.steps.iter().try_for_each(|step| step.run(machine))
    }
}

impl Step {
    fn run(&self, machine: &Machine) -> Result<(), Failure> {
        let (output, code) = machine.shell(&self.command);
        // As for the expected lines: blank lines at the end are nothing, and neither are blanks at the end of a line.
        let found: Vec<&str> = output
            .trim_end_matches('\n')
            .lines()
            .map(str::trim_end)
            .collect();
        let expected: Vec<&str> = self.expected.iter().map(String::as_str).collect();
        if matches_lines(&expected, &found) && code == self.code {
            return Ok(());
        }
        let show = |lines: &[&str], code| format!("{}\n? {code}", lines.join("\n"));
        Err(Failure {
            line: self.line,
            command: self.command.clone(),
            expected: show(&expected, self.code),
            found: show(&found, code),
        })
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            line,
            command,
            expected,
            found,
        } = self;
        write!(
            f,
            "{line}: $ {command}\n--- expected\n{expected}\n--- found\n{found}\n---"
        )
    }
}

/// `...` stands for any lines.
fn matches_lines(expected: &[&str], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((&"...", rest)) => (0..=found.len()).any(|skip| matches_lines(rest, &found[skip..])),
        Some((first, rest)) => found
            .split_first()
            .is_some_and(|(line, others)| matches_line(first, line) && matches_lines(rest, others)),
    }
}

/// `[..]` stands for anything.
fn matches_line(expected: &str, found: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == found,
        Some((before, rest)) => found.strip_prefix(before).is_some_and(|found| {
            found
                .char_indices()
                .map(|(index, _)| index)
                .chain([found.len()])
                .any(|index| matches_line(rest, &found[index..]))
        }),
    }
}

#[test]
fn wildcards_match_what_they_should_and_nothing_else() {
    assert!(
        matches_line("a[..]c", "abbbc")
            && matches_line("a[..]", "a")
            && matches_line("[..]b[..]", "abc")
    );
    assert!(
        !matches_line("a[..]c", "abcd")
            && !matches_line("abc", "ab")
            && !matches_line("a[..]b[..]c", "acb")
    );
    assert!(
        matches_lines(&["a", "...", "d"], &["a", "b", "c", "d"])
            && matches_lines(&["...", "a"], &["a"])
    );
    assert!(!matches_lines(&["a", "..."], &["b", "a"]) && !matches_lines(&["a"], &["a", "b"]));
    assert!(!matches_lines(&["a", "b"], &["a"]) && !matches_lines(&["...", "x"], &["a", "b"]));
}

#[test]
fn a_transcript_is_read_as_described() {
    let text = "# comment\n@needs mount user\n\n$ first\none\n\ntwo\n\n\n# comment\n$ second\n> third\n? 3\n";
    let transcript = Transcript::parse(text).unwrap();
    assert_eq!(transcript.needs, ["mount", "user"]);
    let [first, second] = &transcript.steps[..] else {
        panic!("two steps")
    };
    assert_eq!(
        (first.command.as_str(), &first.expected[..], first.code),
        ("first", &["one", "", "two"].map(str::to_owned)[..], 0)
    );
    assert_eq!(
        (second.command.as_str(), second.expected.len(), second.code),
        ("second\nthird", 0, 3)
    );
    assert!(Transcript::parse("output first\n$ command\n").is_err());
    assert!(Transcript::parse("$ command\noutput\n> more\n").is_err());
    assert!(Transcript::parse("$ command\n? many\n").is_err() && Transcript::parse("").is_err());
}
