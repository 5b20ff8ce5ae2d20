//! Mounting as an ordinary user: the set-user-id program `fusermount3` calls mount(2) for us and
//! passes the descriptor of `/dev/fuse` back over a socket. It gets an argument vector, never a
//! shell.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};

use super::attach::fuse_words;
use super::{MountError, MountOptions, UnmountError};

/// The current name, then the one of FUSE 2.
const PROGRAMS: [&str; 2] = ["fusermount3", "fusermount"];

/// Mounts on `dir`; gives `/dev/fuse`.
pub(crate) fn mount(
    dir: &Path,
    source: &OsStr,
    options: &MountOptions,
) -> Result<OwnedFd, MountError> {
    let options = option_list(source, options);
    let arguments = [
        OsStr::new("-o"),
        &options,
        OsStr::new("--"),
        dir.as_os_str(),
    ];
    let cannot = |source: io::Error| MountError::NoFusermount { source };
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(|errno| cannot(errno.into()))?;
    // As its standard input the socket needs no descriptor that is open across an exec, which other
    // threads could then leak into children of their own.
    let output = run(&arguments, || Ok(Stdio::from(theirs.try_clone()?))).map_err(cannot)?;
    drop(theirs);
    if !output.status.success() {
        return Err(MountError::FusermountRefused {
            dir: dir.into(),
            message: message(&output),
        });
    }
    receive(&ours).ok_or(MountError::NoDescriptor)
}

/// Unmounts `dir`; `lazily` also when it is busy.
pub(crate) fn unmount(dir: &Path, lazily: bool) -> Result<(), UnmountError> {
    let mut arguments = vec![OsStr::new("-u")];
    if lazily {
        arguments.push(OsStr::new("-z"));
    }
    arguments.extend([OsStr::new("--"), dir.as_os_str()]);
    let output = run(&arguments, || Ok(Stdio::null()))
        .map_err(|source| UnmountError::NoFusermount { source })?;
    if output.status.success() {
        return Ok(());
    }
    let message = message(&output);
    if is_busy(&message) {
        return Err(UnmountError::Busy { dir: dir.into() });
    }
    Err(UnmountError::FusermountRefused {
        dir: dir.into(),
        message,
    })
}

/// Runs the first of the programs that there is.
fn run(arguments: &[&OsStr], stdin: impl Fn() -> io::Result<Stdio>) -> io::Result<Output> {
    let mut first_error = None;
    for program in PROGRAMS {
        let mut command = Command::new(program);
        // English messages, because one of them has to be understood.
        command
            .args(arguments)
            .env("_FUSE_COMMFD", "0")
            .env("LC_ALL", "C")
            .stdin(stdin()?);
        match command.output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                first_error = first_error.or(Some(error));
            }
            other => return other,
        }
    }
    Err(first_error.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

/// What `-o` of fusermount3 gets.
fn option_list(source: &OsStr, options: &MountOptions) -> OsString {
    let mut words: Vec<String> = vec![
        if options.read_only { "ro" } else { "rw" }.into(),
        "nosuid".into(),
        "nodev".into(),
    ];
    if options.no_exec {
        words.push("noexec".into());
    }
    words.push("subtype=wardfs".into());
    words.extend(fuse_words(options, false));
    let mut list = words.join(",").into_bytes();
    list.extend_from_slice(b",fsname=");
    list.extend(escape(source.as_bytes()));
    OsString::from_vec(list)
}

/// fusermount3 takes a comma for the end of an option and a backslash for an escape.
fn escape(value: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| {
        if matches!(byte, b',' | b'\\') {
            vec![b'\\', *byte]
        } else {
            vec![*byte]
        }
    };
    value.iter().flat_map(escape).collect()
}

/// One line of what was printed.
fn message(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    if line.is_empty() {
        output.status.to_string()
    } else {
        line
    }
}

fn is_busy(message: &str) -> bool {
    message.contains("Device or resource busy")
}

/// The descriptor that came with one byte.
fn receive(socket: &OwnedFd) -> Option<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    loop {
        match recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut byte)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
            Ok(_) => break,
        }
    }
    control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::os::fd::AsFd;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    fn list(source: &str, options: &str) -> String {
        let options = MountOptions::parse(options).unwrap();
        option_list(OsStr::new(source), &options)
            .into_string()
            .unwrap()
    }

    #[test]
    fn the_option_list_is_safe_by_default() {
        assert_eq!(
            list("/v", ""),
            "rw,nosuid,nodev,subtype=wardfs,max_read=131072,default_permissions,fsname=/v"
        );
        assert!(list("/v", "ro,noexec").starts_with("ro,nosuid,nodev,noexec,"));
    }

    #[test]
    fn a_source_cannot_smuggle_an_option_in() {
        assert!(list("/v,allow_other\\", "").ends_with(",fsname=/v\\,allow_other\\\\"));
    }

    #[test]
    fn a_descriptor_comes_through_the_socket() {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let sent = std::fs::File::open("/dev/null").unwrap();
        let fds = [sent.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(
            &theirs,
            &[IoSlice::new(b"x")],
            &mut control,
            SendFlags::empty(),
        )
        .unwrap();
        let received = receive(&ours).unwrap();
        let (sent, received) = (
            rustix::fs::fstat(&sent).unwrap(),
            rustix::fs::fstat(&received).unwrap(),
        );
        assert_eq!(
            (sent.st_dev, sent.st_ino),
            (received.st_dev, received.st_ino)
        );
    }

    #[test]
    fn a_closed_socket_or_a_bare_byte_gives_no_descriptor() {
        let pair = || {
            socketpair(
                AddressFamily::UNIX,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            )
            .unwrap()
        };
        let (ours, theirs) = pair();
        drop(theirs);
        assert!(receive(&ours).is_none());
        let (ours, theirs) = pair();
        rustix::io::write(&theirs, b"x").unwrap();
        assert!(receive(&ours).is_none());
    }

    #[test]
    fn busy_is_told_from_other_refusals() {
        assert!(is_busy(
            "fusermount3: failed to unmount /mnt/x: Device or resource busy"
        ));
        assert!(!is_busy(
            "fusermount3: entry for /mnt/x not found in /etc/mtab"
        ));
    }
}
