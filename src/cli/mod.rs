//! The command line: arguments, passphrases, the background process, and what people are told.
//!
//! The only floor that prints, and the only one that ends the process. What a vault or a mount *is* is decided below;
//! here it is only asked for.
//!
//! ```text
//! args         what can be asked for                   init  mount  unmount  passwd  info  check  scrub   a command each
//! help         the longer explanations                 info_text    info_json    two ways to print it
//!                                                      check_text   check_json   the same of a check
//! mount_flags  how the kernel mounted something        vault_dir    where a vault is or may be made
//! duration     `1h30m`                                 mountpoint   where one may be shown
//! size         `16K`                                   daemon       into the background
//! words        a command line into words               watch        when a mount ends
//! passphrase   where they come from                    signals      being asked to end
//! extpass      from a program                          idle         being used by nobody
//! terminal     from the keyboard, unseen               users        being used by somebody
//! error        what can fail                           logger       warnings
//! hints        what to do about it
//! exit         the exit codes                          progress     a sign of life
//! report       how errors are told                     output       how results are told
//! salvage      a command; two ways to print its report in salvage_text and salvage_json
//! speed        a command; the same in speed_text and speed_json
//! inside       three commands, cat, ls and get         inside_args  what they and put can be asked for
//! put          a command                               interrupt    being asked to end while a vault is changed
//! streams      two commands, encrypt and decrypt       stream_args  what they can be asked for
//! lock         what locks a stream                     new_file     a file that is there when it is whole
//! bundles      two commands, export and import         bundle_args  what they can be asked for
//! ways         what streams and bundles are read from and written to           sparse   holes on their way in and out
//! ```

mod args;
mod bundle_args;
mod bundles;
mod check;
mod check_json;
mod check_text;
mod daemon;
mod duration;
mod error;
mod exit;
mod extpass;
mod help;
mod hints;
mod idle;
mod info;
mod info_json;
mod info_text;
mod init;
mod inside;
mod inside_args;
mod interrupt;
mod lock;
mod logger;
mod mount;
mod mount_flags;
mod mountpoint;
mod new_file;
mod output;
mod passphrase;
mod passwd;
mod progress;
mod put;
mod report;
mod salvage;
mod salvage_json;
mod salvage_text;
mod scrub;
mod signals;
mod size;
mod sparse;
mod speed;
mod speed_json;
mod speed_text;
mod stream_args;
mod streams;
mod terminal;
mod unmount;
mod users;
mod vault_dir;
mod watch;
mod ways;
mod words;
mod write_back;

use args::{Cli, Command};
use clap::Parser;
use error::CliError;
use exit::Exit;
use report::Report;
use std::process::ExitCode;

/// The program: does what the command line asks for and gives the code to end with.
pub fn main() -> ExitCode {
    logger::start();
    if let Err(error) = crate::sys::harden() {
        log::warn!("this process cannot be closed to others: {error}");
    }
    if let Err(error) = crate::sys::survive_file_limits() {
        log::warn!("a limit on the size of files may end this process: {error}");
    }
    let exit = match Cli::try_parse() {
        Ok(cli) => match run(&cli.command) {
            Ok(exit) => exit,
            Err(error) if error.is_reader_gone() => error.exit(),
            Err(error) => {
                let report = Report::of(&error);
                report.print();
                report.exit
            }
        },
        Err(answer) => explain(&answer),
    };
    ExitCode::from(exit.code())
}

fn run(command: &Command) -> Result<Exit, CliError> {
    match command {
        Command::Init(args) => init::run(args),
        Command::Mount(args) => mount::run(args),
        Command::Unmount(args) => unmount::run(args),
        Command::Passwd(args) => passwd::run(args),
        Command::Info(args) => info::run(args),
        Command::Check(args) => return check::run(args),
        Command::Scrub(args) => return scrub::run(args),
        Command::Salvage(args) => salvage::run(args),
        Command::Speed(args) => speed::run(args),
        Command::Cat(args) => inside::cat(args),
        Command::Ls(args) => inside::ls(args),
        Command::Get(args) => inside::get(args),
        Command::Put(args) => put::put(args),
        Command::Export(args) => bundles::export(args),
        Command::Import(args) => bundles::import(args),
        Command::Encrypt(args) => streams::encrypt(args),
        Command::Decrypt(args) => streams::decrypt(args),
        Command::WriteBackMount { dir } => Ok(write_back::serve(dir).map_err(CliError::Pages)?),
        Command::WriteBackPages => Ok(crate::mount::pages::serve().map_err(CliError::Pages)?),
    }
    .map(|()| Exit::Ok)
}

/// Prints the help that was asked for, or what is wrong with the command line.
fn explain(answer: &clap::Error) -> Exit {
    if answer.use_stderr() {
        let text = answer.render().to_string();
        // Errors of every kind begin alike.
        let text = text
            .strip_prefix("error: ")
            .map_or(text.clone(), |text| format!("wardfs: {text}"));
        report::print_text(&text);
        return Exit::Usage;
    }
    match output::print(&answer.render().to_string()) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            let report = Report::of(&error);
            report.print();
            report.exit
        }
    }
}
