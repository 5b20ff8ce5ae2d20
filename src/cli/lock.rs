//! What locks a stream and opens it: a passphrase, a key file, or a vault.

use super::{
    error::CliError,
    passphrase::{Passphrase, Purpose},
    progress::Progress,
    stream_args::LockArgs,
    vault_dir::{OPEN, open_store},
};
use crate::{
    crypto::{KEY_LEN, LockKey},
    format::VaultId,
    stream::Access,
    vault,
};
use data_encoding::HEXLOWER_PERMISSIVE;
use std::{fs::File, io::Read, path::Path};
use zeroize::Zeroizing;

/// It, as long as it is needed.
pub enum Lock {
    Passphrase(Passphrase),
    Key(LockKey),
    Vault(VaultId, LockKey),
}

impl Lock {
    /// Reads what was asked for. `data_on_stdin`: standard input is what is encrypted or decrypted, and no passphrase.
    ///
    /// # Errors
    /// [`CliError`] for the file, the passphrase or the vault.
    pub fn read(args: &LockArgs, purpose: Purpose, data_on_stdin: bool) -> Result<Lock, CliError> {
        if let Some(path) = &args.key_file {
            return key_file(path).map(Lock::Key);
        }
        let source = args.passphrase.source();
        let Some(path) = &args.vault else {
            let prompt = match purpose {
                Purpose::Existing => "Passphrase of the stream",
                Purpose::New => "New passphrase of the stream",
            };
            let passphrase = source.read_beside(data_on_stdin, purpose, prompt)?;
            return Ok(Lock::Passphrase(passphrase));
        };
        let failed = |source| CliError::Vault {
            action: OPEN,
            path: path.clone(),
            source,
        };
        let store = open_store(path)?;
        // Asked for nothing where there is no vault.
        vault::peek(&*store).map_err(failed)?;
        let passphrase =
            source.read_beside(data_on_stdin, Purpose::Existing, "Passphrase of the vault")?;
        let _progress = Progress::start("making the key from the passphrase");
        let (id, key) = vault::stream_lock(&*store, passphrase.bytes()).map_err(failed)?;
        Ok(Lock::Vault(id, key))
    }

    /// For the stream floor.
    pub fn access(&self) -> Access<'_> {
        match self {
            Lock::Passphrase(passphrase) => Access::Passphrase(passphrase.bytes()),
            Lock::Key(key) => Access::Key(key),
            Lock::Vault(id, key) => Access::Vault(*id, key),
        }
    }
}

/// The two forms of a key file have different lengths.
fn key_file(path: &Path) -> Result<LockKey, CliError> {
    const HEX_LEN: usize = 2 * KEY_LEN;
    let read = || {
        let mut bytes = Zeroizing::new([0; HEX_LEN + 2]);
        let mut file = File::open(path)?;
        let mut len = 0;
        while len < bytes.len() {
            match file.read(&mut bytes[len..])? {
                0 => break,
                count => len += count,
            }
        }
        Ok((bytes, len))
    };
    let (bytes, len) = read().map_err(|source| CliError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse_key(&bytes[..len]).ok_or_else(|| CliError::KeyFile(path.to_owned()))
}

fn parse_key(bytes: &[u8]) -> Option<LockKey> {
    if let Ok(key) = bytes.try_into() {
        return Some(LockKey::from_bytes(key));
    }
    let digits = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut key = Zeroizing::new([0; KEY_LEN]);
    if digits.len() != 2 * KEY_LEN {
        return None;
    }
    HEXLOWER_PERMISSIVE.decode_mut(digits, &mut *key).ok()?;
    Some(LockKey::from_bytes(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_or_64_hex_digits_and_nothing_else() {
        let digits = b"00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
        for good in [&[7; 32][..], digits, &[&digits[..], b"\n"].concat()] {
            assert!(parse_key(good).is_some());
        }
        for bad in [
            &b""[..],
            &[7; 31],
            &[7; 33],
            &digits[1..],
            &[&digits[..], b"\n\n"].concat(),
            &[&digits[..], b"0"].concat(),
            &[b'g'; 64],
        ] {
            assert!(parse_key(bad).is_none(), "{bad:?}");
        }
    }
}
