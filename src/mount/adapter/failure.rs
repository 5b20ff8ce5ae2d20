//! Why a message is refused, and the one place where that becomes an errno.

use fuser::Errno;

use crate::vault::VaultError;

/// What the work for a message can end with instead of a result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The vault says no.
    Vault(VaultError),
    /// The message asks for something that is not to be had, and the vault was not asked.
    Refused(Errno),
}

impl Failure {
    /// What the kernel is told. An input/output error is also logged: somebody has to look after
    /// it, and the errno alone does not say why.
    pub(super) fn errno(self, operation: &'static str) -> Errno {
        match self {
            Failure::Refused(errno) => errno,
            Failure::Vault(error) => {
                let errno = Errno::from_i32(error.errno());
                if errno == Errno::EIO {
                    log::warn!("{operation}: {error}");
                }
                errno
            }
        }
    }

    /// Is this the vault saying exactly that?
    pub(super) fn is(&self, errno: Errno) -> bool {
        match self {
            Failure::Refused(refused) => *refused == errno,
            Failure::Vault(error) => error.errno() == errno.code(),
        }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Failure::Vault(error)
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure::Refused(errno)
    }
}

/// Turns one errno of the vault into "nothing".
pub(super) fn absent<T>(
    result: Result<T, VaultError>,
    means_nothing: Errno,
) -> Result<Option<T>, Failure> {
    match result.map_err(Failure::from) {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.is(means_nothing) => Ok(None),
        Err(failure) => Err(failure),
    }
}
