//! Moves the serving of a mount into the background, so that the command ends when the mount can be used and not before.
//!
//! The order, each step for a reason:
//! 1. The passphrase is read by the process that was started. It owns the terminal: Ctrl-C at the prompt ends it as any
//!    program, and nobody else changes the terminal after the shell has it back.
//! 2. It forks, while it has one thread and no key. The parent wipes its copy of the passphrase and waits.
//! 3. The child opens the vault and mounts, still in the terminal's process group: Ctrl-C ends both.
//! 4. The child leaves session, terminal and directory, then reports. If nobody listens any more, because the command was
//!    interrupted, that is a failure like any other and it unmounts.
//!
//! Until then it prints nothing: what failed goes through the pipe, and the parent prints it, after its progress line.

use super::{error::CliError, exit::Exit, logger, progress::Progress, report::Report};
use crate::sys::{self, Fork};
use rustix::{
    io::retry_on_intr,
    process::{Pid, WaitOptions, waitpid},
};
use std::{
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::fd::AsFd,
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
};

/// The report of success: [`Exit::Ok`] and nothing else.
const READY: [u8; 1] = [Exit::Ok as u8];

/// The longest report that is read, in bytes; messages hold paths of up to 4096 bytes.
const REPORT_MAX: u64 = 64 << 10;

/// Says that the mount can be used.
#[derive(Debug)]
pub struct Ready {
    /// `None` in the foreground, and once it was said.
    pipe: Option<PipeWriter>,
}

impl Ready {
    /// For a process that stays where it is.
    pub fn in_foreground() -> Ready {
        Ready { pipe: None }
    }

    /// Leaves the terminal and says that the mount can be used. In the foreground nothing happens.
    ///
    /// # Errors
    /// [`CliError::Background`] when the terminal cannot be left, or the command that waited is gone. The mount must be
    /// ended then.
    pub fn report(&mut self) -> Result<(), CliError> {
        let Some(mut pipe) = self.pipe.take() else {
            return Ok(());
        };
        let leave = || -> io::Result<()> {
            sys::start_session()?;
            std::env::set_current_dir("/")?;
            logger::detach();
            sys::silence_standard_streams()
        };
        match leave() {
            Ok(()) => pipe.write_all(&READY).map_err(CliError::Background),
            Err(error) => {
                // Said to the parent after the mount has been ended.
                self.pipe = Some(pipe);
                Err(CliError::Background(error))
            }
        }
    }

    /// Tells an error to whoever waits for the mount, or the log.
    fn fail(self, report: &Report) {
        match self.pipe {
            Some(mut pipe) => {
                // Where nobody listens there is nobody to tell.
                let _ = pipe.write_all(&report.encode());
            }
            None => log::error!("{}", report.message),
        }
    }
}

/// Runs `serve` with `payload` in a process in the background, and returns when it has said that it is ready.
///
/// # Errors
/// [`CliError`]: what `serve` failed with before, or that it ended without a word.
pub fn start<T>(
    payload: T,
    serve: impl FnOnce(T, &mut Ready) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let (reader, writer) = io::pipe().map_err(CliError::Background)?;
    match sys::fork()? {
        Fork::Child => {
            drop(reader);
            // An inherited file would keep another mount busy, an inherited pipe its reader waiting. Old kernels cannot.
            let _ = sys::close_inherited(writer.as_fd());
            let exit = run(payload, serve, Ready { pipe: Some(writer) });
            std::process::exit(i32::from(exit.code()))
        }
        Fork::Parent { child } => {
            drop(writer);
            // The child has its own copy now; this one is wiped before the long wait.
            drop(payload);
            wait(reader, child)
        }
    }
}

/// The whole life of the child.
fn run<T>(
    payload: T,
    serve: impl FnOnce(T, &mut Ready) -> Result<(), CliError>,
    mut ready: Ready,
) -> Exit {
    match serve(payload, &mut ready) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            let report = Report::of(&error);
            ready.fail(&report);
            report.exit
        }
    }
}

fn wait(reader: PipeReader, child: Pid) -> Result<(), CliError> {
    let progress = Progress::start("unlocking the vault");
    let mut report = Vec::new();
    reader
        .take(REPORT_MAX)
        .read_to_end(&mut report)
        .map_err(CliError::Background)?;
    if report == READY {
        return Ok(());
    }
    // It may still hold the vault's lock; who tries again at once must not meet it.
    let status = retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
    drop(progress);
    match (Report::decode(&report), status) {
        (Some(report), _) => Err(CliError::Daemon(report)),
        (None, Ok(Some((_, status)))) => {
            Err(CliError::DaemonDied(ExitStatus::from_raw(status.as_raw())))
        }
        (None, Ok(None)) => unreachable!("waiting without a limit returns with a child"),
        (None, Err(errno)) => Err(CliError::Background(errno.into())),
    }
}
