//! Keeps the floors apart: imports go down only, some crates and `unsafe` have one place each, the
//! library does not print, and no file grows beyond reading.
//!
//! The tables below are the law that `docs/` describes. A change here is a change of architecture.
//! Test modules are exempt.

mod source;

use std::fs;
use std::path::Path;

use source::Source;

/// What each floor may import from the floors under it: a floor, or single things of it. (The codec's
/// runs are shared out by the engine; the cli has an exit code for every error; a salvage begins with what a check
/// puts in its place.)
const FLOORS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "mount",
            "check",
            "salvage",
            "speed",
            "bundle",
            "vault",
            "stream",
            "journal::JournalError",
            "store",
            "format",
            "crypto",
            "sys",
        ],
    ),
    (
        "mount",
        &[
            "vault",
            "sys",
            "engine::threads",
            "format::Kind",
            "format::Time",
        ],
    ),
    (
        "salvage",
        &[
            "check::gathered",
            "check::put_back",
            "vault",
            "codec",
            "engine",
            "format",
            "crypto",
            "store",
        ],
    ),
    (
        "check",
        &[
            "vault", "journal", "codec", "engine", "format", "crypto", "store",
        ],
    ),
    ("bundle", &["vault", "codec", "format", "crypto"]),
    ("speed", &["codec", "engine", "format", "crypto"]),
    ("stream", &["codec", "format", "crypto"]),
    (
        "vault",
        &["journal", "codec", "engine", "format", "crypto", "store"],
    ),
    ("journal", &["engine", "format", "crypto", "store"]),
    ("codec", &["engine", "format", "crypto"]),
    ("engine", &["sys"]),
    ("format", &["crypto", "store::ObjectPath"]),
    ("store", &["sys"]),
    ("crypto", &["sys"]),
    ("sys", &[]),
];

/// Crates that belong to a floor. (Argon2's lanes run on threads of their own.)
const OWNED_CRATES: &[(&str, &[&str])] = &[
    ("fuser", &["mount"]),
    ("hashbrown", &["vault"]),
    ("lz4_flex", &["codec"]),
    ("rayon", &["crypto"]),
    ("clap", &["cli"]),
    ("argon2", &["crypto"]),
    ("aes_gcm", &["crypto"]),
    ("aes_gcm_siv", &["crypto"]),
    ("aes_siv", &["crypto"]),
    ("aws_lc_rs", &["crypto"]),
];

/// Floors that make no system call.
const PURE_FLOORS: &[&str] = &[
    "format", "crypto", "codec", "engine", "journal", "vault", "bundle",
];
const SYSTEM_CRATES: &[&str] = &["rustix", "libc"];

/// Lines a file may have, its test modules not counted (style: 80 to 250 is the aim).
const LINES_MAX: usize = 500;

#[test]
fn every_source_file_keeps_to_its_floor() {
    assert_none(sources().iter().flat_map(wrongs));
}

#[test]
fn only_one_file_of_the_vault_knows_errno_numbers() {
    let uses_libc =
        |source: &&Source| source.floor() == "vault" && !source.paths_into("libc").is_empty();
    let sources = sources();
    let files: Vec<_> = sources
        .iter()
        .filter(uses_libc)
        .map(|source| &source.path)
        .collect();
    assert!(files.len() <= 1, "{files:?}");
}

#[test]
fn no_source_file_is_too_long() {
    let too_long = |source: &&Source| source.line_count > LINES_MAX;
    let found = |source: &Source| format!("{}: {} lines", source.path, source.line_count);
    assert_none(sources().iter().filter(too_long).map(found));
}

/// What breaks a rule in one file.
fn wrongs(source: &Source) -> Vec<String> {
    let mut wrongs = wrong_imports(source);
    wrongs.extend(wrong_crates(source));
    if source.has("unsafe") && source.floor() != "sys" {
        wrongs.push("has unsafe code".to_owned());
    }
    let prints = ["print", "println", "eprint", "eprintln", "dbg"];
    if !matches!(source.floor(), "cli" | "main")
        && prints.iter().any(|name| source.calls_macro(name))
    {
        wrongs.push("prints".to_owned());
    }
    wrongs
        .into_iter()
        .map(|wrong| format!("{}: {wrong}", source.path))
        .collect()
}

fn wrong_imports(source: &Source) -> Vec<String> {
    let floor = source.floor();
    if floor == "lib" {
        return Vec::new();
    }
    if floor == "main" {
        return source
            .paths_into("wardfs")
            .into_iter()
            .filter(|path| !is_under(path, "wardfs::cli"))
            .collect();
    }
    let Some((_, allowed)) = FLOORS.iter().find(|(name, _)| *name == floor) else {
        return vec![format!("{floor} is not in the table of floors")];
    };
    let wrong = |path: &String| {
        !is_under(path, floor) && !allowed.iter().any(|other| is_under(path, other))
    };
    let message = |path| format!("{floor} may not import {path}");
    source
        .crate_paths()
        .into_iter()
        .filter(wrong)
        .map(message)
        .collect()
}

fn wrong_crates(source: &Source) -> Vec<String> {
    let floor = source.floor();
    let not_ours = OWNED_CRATES
        .iter()
        .filter(|(_, owners)| !owners.contains(&floor))
        .map(|(name, _)| *name);
    let system = SYSTEM_CRATES
        .iter()
        .copied()
        .filter(|_| PURE_FLOORS.contains(&floor));
    let used = not_ours
        .chain(system)
        .flat_map(|name| source.paths_into(name));
    used.filter(|path| !(floor == "vault" && is_errno(path)))
        .map(|path| format!("{floor} may not use {path}"))
        .collect()
}

/// `libc::ENOENT` and the like, and the type they have.
fn is_errno(path: &str) -> bool {
    path.strip_prefix("libc::")
        .is_some_and(|name| name == "c_int" || name.starts_with('E'))
}

/// `a::b` is under `a` and under `a::b`.
fn is_under(path: &str, base: &str) -> bool {
    path.strip_prefix(base)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every file under `src` that is not itself a test module.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    read_dir(&root, &root, &mut sources);
    assert!(sources.len() > FLOORS.len(), "the source was not found");
    let tests: Vec<_> = sources
        .iter()
        .flat_map(|source| source.test_modules.clone())
        .collect();
    let is_test = |path: &str| {
        let in_module = |module: &String| {
            path.strip_prefix(module.as_str())
                .is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        tests.iter().any(in_module)
    };
    sources.retain(|source| !is_test(&source.path));
    sources
}

fn read_dir(root: &Path, dir: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).expect("the source can be listed") {
        let path = entry.expect("the source can be listed").path();
        if path.is_dir() {
            read_dir(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("the source can be read");
            let relative = path.strip_prefix(root).expect("it lies under the root");
            sources.push(Source::new(&relative.to_string_lossy(), &text));
        }
    }
}

#[track_caller]
fn assert_none(wrongs: impl Iterator<Item = String>) {
    let wrongs: Vec<_> = wrongs.collect();
    assert!(wrongs.is_empty(), "\n{}\n", wrongs.join("\n"));
}

#[test]
fn the_table_goes_down_only() {
    for (at, (floor, allowed)) in FLOORS.iter().enumerate() {
        for other in *allowed {
            let below = FLOORS[at + 1..]
                .iter()
                .any(|(name, _)| is_under(other, name));
            assert!(below, "{floor} may not be allowed {other}");
        }
    }
}

#[test]
fn each_rule_finds_what_breaks_it() {
    let broken = [
        ("crypto/aead.rs", "use crate::format::Kind;"),
        ("format/guard.rs", "fn f(s: &dyn crate::store::Store) {}"),
        ("format/guard.rs", "use crate::store;"),
        ("mount/mod.rs", "use crate::format::*;"),
        ("engine/mod.rs", "use super::codec::ChunkCodec;"),
        ("helpers/mod.rs", ""),
        ("main.rs", "use wardfs::vault;"),
        ("vault/mod.rs", "use fuser::Request;"),
        ("vault/mod.rs", "fn f() { libc::sync(); }"),
        ("journal/mod.rs", "use libc::EIO;"),
        ("format/mod.rs", "use lz4_flex::block;"),
        ("crypto/keys.rs", "fn f() { unsafe { g() } }"),
        ("mount/mod.rs", "fn f() { println!(); }"),
    ];
    for (path, text) in broken {
        assert_eq!(wrongs(&Source::new(path, text)).len(), 1, "{path}: {text}");
    }
    let sound = [
        (
            "vault/error.rs",
            "use libc::{EIO, ENOENT}; use crate::{vault::Stat, store::Store};",
        ),
        (
            "mount/mod.rs",
            "use crate::{format::{Kind, Time}, vault}; use fuser::Request;",
        ),
        ("sys/mod.rs", "fn f() { unsafe { libc::sync() } }"),
        ("main.rs", "fn main() { wardfs::cli::main() }"),
    ];
    for (path, text) in sound {
        assert_none(wrongs(&Source::new(path, text)).into_iter());
    }
}
