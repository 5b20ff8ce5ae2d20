//! What came of an operation: the same on both sides, or a fault.
use libc::c_int;
use wardfs::vault::VaultError;

pub struct Fault {
    pub what: String,
    pub errno: Option<c_int>,
}

/// What an acknowledged operation promises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Nothing,
    Changed,
    Logged,
    Durable,
}

impl Fault {
    pub fn new(what: impl Into<String>) -> Fault {
        Fault {
            what: what.into(),
            errno: None,
        }
    }

    pub fn from(what: &str, error: &VaultError) -> Fault {
        Fault {
            what: format!("{what}: {error}"),
            errno: Some(error.errno()),
        }
    }
}

pub type Outcome<T> = Result<T, Fault>;

/// Both gave the same, or this is a fault.
pub fn both<A, B>(
    vault: Result<A, VaultError>,
    model: Result<B, c_int>,
) -> Outcome<Option<(A, B)>> {
    match (vault, model) {
        (Ok(vault), Ok(model)) => Ok(Some((vault, model))),
        (Err(vault), Err(model)) if vault.errno() == model => Ok(None),
        (Err(error), Err(model)) => Err(Fault {
            what: format!("errno {} ({error}) instead of {model}", error.errno()),
            errno: Some(error.errno()),
        }),
        (Err(error), Ok(_)) => Err(Fault::from("failed", &error)),
        (Ok(_), Err(model)) => Err(Fault::new(format!("succeeded instead of errno {model}"))),
    }
}
