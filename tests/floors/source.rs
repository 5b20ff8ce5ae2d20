//! One source file as the rules see it: tokens without comments, literals and test modules. Knows
//! no rule, and only as much of the language as they need.

/// A source file without its tests.
pub struct Source {
    /// Relative to `src`, with slashes.
    pub path: String,
    /// Lines that are not in a test module.
    pub line_count: usize,
    /// Modules declared for tests only, by their path relative to `src` and without `.rs`.
    pub test_modules: Vec<String>,
    tokens: Vec<Token>,
}

struct Token {
    text: String,
    line: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let mut source = Source {
            path: path.to_owned(),
            line_count: text.lines().count(),
            test_modules: Vec::new(),
            tokens: tokens(text),
        };
        source.drop_tests();
        source
    }

    /// The directory or file directly under `src`; "lib" and "main" are no floors.
    pub fn floor(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The module path of this file, relative to `src`, with slashes.
    fn module(&self) -> &str {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        path.strip_suffix("/mod").unwrap_or(path)
    }

    /// Every path from the crate's root (`crate::a::B` gives `a::B`), use trees unfolded.
    pub fn crate_paths(&self) -> Vec<String> {
        let depth = self.module().split('/').count();
        let mut paths = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let supers = self.count_supers(at);
            if self.text(at) == "crate" && self.text(at + 1) == "::" {
                self.unfold(at + 2, "", &mut paths);
            } else if supers >= depth {
                self.unfold(at + 2 * supers, "", &mut paths);
            }
            at += 1 + 2 * supers;
        }
        paths
    }

    /// Every path into the crate of this name (`use name::a` gives `name::a`).
    pub fn paths_into(&self, name: &str) -> Vec<String> {
        let mut paths = Vec::new();
        for at in 0..self.tokens.len() {
            let starts_path = !matches!(self.before(at), "::" | ".");
            let used = self.text(at + 1) == "::" || self.before(at) == "use";
            if self.text(at) == name && starts_path && used {
                self.unfold(at, "", &mut paths);
            }
        }
        paths
    }

    pub fn has(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token.text == word)
    }

    pub fn calls_macro(&self, name: &str) -> bool {
        (0..self.tokens.len()).any(|at| self.text(at) == name && self.text(at + 1) == "!")
    }

    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    fn before(&self, at: usize) -> &str {
        at.checked_sub(1).map_or("", |at| self.text(at))
    }

    fn matches(&self, at: usize, expected: &[&str]) -> bool {
        expected
            .iter()
            .enumerate()
            .all(|(i, text)| self.text(at + i) == *text)
    }

    fn count_supers(&self, at: usize) -> usize {
        let rest = self.tokens.get(at..).unwrap_or_default();
        let is_super = |pair: &&[Token]| pair[0].text == "super" && pair[1].text == "::";
        rest.chunks_exact(2).take_while(is_super).count()
    }

    /// Adds every path of the use tree at `at`, and gives the place behind it.
    fn unfold(&self, mut at: usize, prefix: &str, paths: &mut Vec<String>) -> usize {
        if self.text(at) != "{" {
            let path = if prefix.is_empty() {
                self.text(at).to_owned()
            } else {
                format!("{prefix}::{}", self.text(at))
            };
            if self.text(at + 1) == "::" && self.text(at + 2) != "<" {
                return self.unfold(at + 2, &path, paths);
            }
            paths.push(path);
            return at + 1;
        }
        at += 1;
        while !matches!(self.text(at), "}" | "") {
            at = self.unfold(at, prefix, paths);
            while !matches!(self.text(at), "," | "}" | "") {
                at += 1; // `as name`
            }
            at += usize::from(self.text(at) == ",");
        }
        at + 1
    }

    /// Takes out every item under `#[cfg(test)]` or `#[cfg(all(test, ...))]`.
    fn drop_tests(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            let is_test = self.matches(at, &["#", "[", "cfg", "(", "test", ")", "]"])
                || self.matches(at, &["#", "[", "cfg", "(", "all", "(", "test"]);
            if !is_test {
                at += 1;
                continue;
            }
            let end = self.item_end(at);
            self.note_test_module(at, end);
            let lines = self.tokens[end - 1].line - self.tokens[at].line + 1;
            self.line_count -= lines.min(self.line_count);
            self.tokens.drain(at..end);
        }
    }

    /// The place behind the item at `at`: after its `;`, or after its body.
    fn item_end(&self, mut at: usize) -> usize {
        let mut open = 0;
        while at < self.tokens.len() {
            match self.text(at) {
                "(" | "[" | "{" => open += 1,
                "}" if open == 1 => return at + 1,
                ")" | "]" | "}" => open -= 1,
                ";" if open == 0 => return at + 1,
                _ => {}
            }
            at += 1;
        }
        at
    }

    fn note_test_module(&mut self, at: usize, end: usize) {
        if let Some(at) = (at..end).find(|at| self.text(*at) == "mod" && self.text(at + 2) == ";") {
            self.test_modules
                .push(format!("{}/{}", self.module(), self.text(at + 1)));
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (len, keep) = token_len(rest, first);
        let (token, after) = rest.split_at(len);
        if keep {
            found.push(Token {
                text: token.to_owned(),
                line,
            });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    found
}

/// How long the first token is, and whether a rule may want to see it.
fn token_len(rest: &str, first: char) -> (usize, bool) {
    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), false)
    } else if rest.starts_with("/*") {
        (comment_len(rest), false)
    } else if let Some(len) = string_len(rest) {
        (len, false)
    } else if first.is_alphanumeric() || first == '_' {
        let end = |c: char| !c.is_alphanumeric() && c != '_';
        (rest.find(end).unwrap_or(rest.len()), true)
    } else if rest.starts_with("::") {
        (2, true)
    } else {
        (first.len_utf8(), !first.is_whitespace())
    }
}

fn comment_len(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(first) = rest[at..].chars().next() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += first.len_utf8();
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string, raw string or character literal, if one starts here.
fn string_len(rest: &str) -> Option<usize> {
    let plain = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - plain.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = plain.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let body = raw[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(prefix + 2 + hashes + body.find(&end)? + end.len());
    }
    let quote = plain.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let len = quoted_len(plain, quote)?;
    let is_lifetime =
        quote == '\'' && !plain[1..].starts_with('\\') && plain[1..len - 1].chars().count() != 1;
    (!is_lifetime).then_some(prefix + len)
}

fn quoted_len(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if !escaped && c == quote {
            return Some(at + 1);
        }
        escaped = !escaped && c == '\\';
    }
    None
}

#[test]
fn use_trees_unfold() {
    let text =
        "use crate::{format::{self, Kind as K, a::*,}, store,}; fn f() { crate::x::Y::<u8>::z() }";
    let source = Source::new("vault/mod.rs", text);
    let expected = [
        "format::self",
        "format::Kind",
        "format::a::*",
        "store",
        "x::Y",
    ];
    assert_eq!(source.crate_paths(), expected);
}

#[test]
fn super_counts_when_it_reaches_the_root() {
    let text = "use super::super::store::Blob; use super::own;";
    assert_eq!(
        Source::new("journal/log.rs", text).crate_paths(),
        ["store::Blob"]
    );
    assert_eq!(
        Source::new("journal/mod.rs", "use super::vault;").crate_paths(),
        ["vault"]
    );
    assert!(
        Source::new("journal/a/log.rs", text)
            .crate_paths()
            .is_empty()
    );
}

#[test]
fn comments_literals_and_tests_are_not_seen() {
    let text = r##"
        // crate::a::X
        /* crate::b /*/ nested */ crate::c */
        /// unsafe
        fn f<'a>(x: &'a str) { g("crate::d \" crate::e", r#"crate::f " "#, '"', b'\'') }
        fn g() { crate::seen::X }
        #[cfg(test)]
        mod tests { use crate::g::X; fn f() { unsafe { h() } } }
        #[cfg(test)]
        mod more;
        fn last(_: [u8; 2]) -> crate::last::X {}
    "##;
    let source = Source::new("codec/run.rs", text);
    assert_eq!(source.crate_paths(), ["seen::X", "last::X"]);
    assert_eq!(source.test_modules, ["codec/run/more"]);
    assert!(!source.has("unsafe"));
    assert_eq!(source.line_count, text.lines().count() - 4);
}

#[test]
fn foreign_crates_are_found_by_use_and_by_path() {
    let text = "use libc; use rustix::fs; fn f() { libc::EIO; x.libc(); a::rustix::b() }";
    let source = Source::new("vault/mod.rs", text);
    assert_eq!(source.paths_into("libc"), ["libc", "libc::EIO"]);
    assert_eq!(source.paths_into("rustix"), ["rustix::fs"]);
}
