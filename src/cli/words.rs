//! A command line in one string, split into words as a POSIX shell splits it.
//!
//! Quotes and backslashes are handled; nothing is ever expanded: no variables, no globs, no `~`, no operators. So a
//! string that holds a stranger's file name runs no other program than the one it starts with.

/// Why a string is no command line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// No word in it.
    #[error("it names no program")]
    Empty,
    /// A quote is opened and not closed.
    #[error("a {0} is not closed")]
    Unclosed(char),
    /// The last character is a backslash that quotes nothing.
    #[error("it ends in a backslash")]
    TrailingBackslash,
    /// A word with a NUL character cannot be given to a program.
    #[error("it contains a NUL character")]
    Nul,
}

/// The words of `text`: at least one, the first of them not empty.
///
/// # Errors
/// [`WordsError`] when a shell could not split it either, or nothing is in it.
pub fn split(text: &str) -> Result<Vec<String>, WordsError> {
    if text.contains('\0') {
        return Err(WordsError::Nul);
    }
    let mut words = Vec::new();
    // `None` between words; `Some("")` inside a word that is still empty, as after an opening quote.
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => single_quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next().ok_or(WordsError::TrailingBackslash)? {
                '\n' => {}
                quoted => word.get_or_insert_default().push(quoted),
            },
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(WordsError::Empty),
    }
}

/// Everything up to the next single quote, as it stands.
fn single_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsError> {
    loop {
        match chars.next().ok_or(WordsError::Unclosed('\''))? {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
}

/// Up to the next double quote; a backslash quotes only what has a meaning there (POSIX shell, 2.2.3).
fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsError> {
    const OPEN: WordsError = WordsError::Unclosed('"');
    loop {
        match chars.next().ok_or(OPEN)? {
            '"' => return Ok(()),
            '\\' => match chars.next().ok_or(OPEN)? {
                '\n' => {}
                c @ ('$' | '`' | '"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).unwrap()
    }

    #[test]
    fn blanks_separate_words() {
        assert_eq!(words("pass show vault"), ["pass", "show", "vault"]);
        assert_eq!(words("  pass \t show\nvault  "), ["pass", "show", "vault"]);
    }

    #[test]
    fn quotes_keep_blanks_and_join_with_what_touches_them() {
        assert_eq!(words("a 'b c' d"), ["a", "b c", "d"]);
        assert_eq!(words(r#"a "b c"'d e'f"#), ["a", "b cd ef"]);
        assert_eq!(words(r#"a '' "" b"#), ["a", "", "", "b"]);
        assert_eq!(
            words(r#"a 'say "hi"' "it's""#),
            ["a", r#"say "hi""#, "it's"]
        );
    }

    #[test]
    fn backslashes_quote_as_in_a_shell() {
        assert_eq!(words(r"a\ b c\\d"), ["a b", r"c\d"]);
        assert_eq!(words(r"'a\b'"), [r"a\b"]);
        assert_eq!(words(r#""a\b\"\\\$\`""#), [r#"a\b"\$`"#]);
        assert_eq!(words("a\\\nb \"c\\\nd\""), ["ab", "cd"]);
        assert_eq!(words("a \\\n b"), ["a", "b"]);
    }

    #[test]
    fn nothing_is_expanded() {
        assert_eq!(
            words("cat $HOME/*.txt ~ `id` $(id) ; rm | x > y # z"),
            [
                "cat",
                "$HOME/*.txt",
                "~",
                "`id`",
                "$(id)",
                ";",
                "rm",
                "|",
                "x",
                ">",
                "y",
                "#",
                "z"
            ]
        );
    }

    #[test]
    fn unclosed_quotes_and_empty_commands_are_refused() {
        assert_eq!(split("a 'b"), Err(WordsError::Unclosed('\'')));
        assert_eq!(split("a \"b"), Err(WordsError::Unclosed('"')));
        assert_eq!(split("a \"b\\"), Err(WordsError::Unclosed('"')));
        assert_eq!(split("a\\"), Err(WordsError::TrailingBackslash));
        for text in ["", "  ", "''", "'' a"] {
            assert_eq!(split(text), Err(WordsError::Empty), "{text:?}");
        }
        assert_eq!(split("a\0b"), Err(WordsError::Nul));
    }
}
