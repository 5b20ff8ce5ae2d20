//! Running programs and looking at what they say.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Output},
};

/// Runs a shell script in a directory; it must succeed. Gives what it printed, without the last line's end.
pub fn shell(dir: &Path, script: &str) -> String {
    let output = try_shell(dir, script);
    assert!(
        output.status.success(),
        "`{script}` ended with {}:\n{}",
        output.status,
        text(&output)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end_matches('\n')
        .to_owned()
}

/// The same, whatever comes of it.
pub fn try_shell(dir: &Path, script: &str) -> Output {
    let script = format!("set -eu; export LC_ALL=C.UTF-8; {script}");
    Command::new("sh")
        .arg("-c")
        .arg(script)
        .current_dir(dir)
        .output()
        .unwrap()
}

/// Runs a shell script that must fail, saying this.
pub fn refused(dir: &Path, script: &str, message: &str) {
    let output = try_shell(dir, script);
    assert!(
        !output.status.success() && text(&output).contains(message),
        "`{script}`: {}",
        text(&output)
    );
}

/// Runs a program with arguments; it must succeed.
pub fn run<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}",
        output.status,
        text(&output)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end_matches('\n')
        .to_owned()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
