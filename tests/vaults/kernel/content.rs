//! Content is read, written, copied and cut, and attributes are set.
use super::{
    Kernel,
    outcome::{Effect, Fault, Outcome, both},
};
use crate::vaults::{
    model::NodeId,
    op::{Op, Set},
};
use libc::ENXIO;
use std::cell::Cell;
use wardfs::{
    format::Time,
    vault::{SetAttr, SetTime, Told, Vault, VaultError, Whence, WriteMode},
};

impl Kernel {
    pub(super) fn read(&mut self, vault: &Vault, op: &Op) -> Outcome<()> {
        if let Op::Read { node, at, len } = *op {
            let node = self.pick(node);
            let (ino, offset) = (self.ino(vault, node)?, self.offset(node, at));
            let mut found = vec![0xa5; len];
            let result = vault.read(ino, offset, &mut found);
            let Some((count, expected)) = both(result, self.model.read(node, offset, len))? else {
                return Ok(());
            };
            found.truncate(count);
            if found == expected {
                return Ok(());
            }
            let at = found
                .iter()
                .zip(&expected)
                .position(|(found, expected)| found != expected);
            Err(Fault::new(format!(
                "at {offset}: {count} bytes instead of {}, different from {at:?} on",
                expected.len()
            )))
        } else {
            let Op::Seek { node, at, whence } = *op else {
                return Ok(());
            };
            let node = self.pick(node);
            let (ino, offset) = (self.ino(vault, node)?, self.offset(node, at));
            let found = vault.seek(ino, offset, whence);
            self.check_seek(node, offset, whence, found)
        }
    }

    /// Holes may be told as data, but data not as holes.
    fn check_seek(
        &self,
        node: NodeId,
        offset: u64,
        whence: Whence,
        found: Result<u64, VaultError>,
    ) -> Outcome<()> {
        let pages = match self.model.content(node) {
            Ok(pages) => pages,
            Err(errno) => return both(found, Err::<(), _>(errno)).map(drop),
        };
        let size = pages.size();
        let right = match (&found, whence) {
            (Err(error), Whence::Data) => {
                error.errno() == ENXIO && (offset >= size || pages.is_zero(offset, size))
            }
            (Err(error), Whence::Hole) => error.errno() == ENXIO && offset >= size,
            (Ok(at), Whence::Data) => (offset..size).contains(at) && pages.is_zero(offset, *at),
            (Ok(at), Whence::Hole) => {
                *at >= offset
                    && offset < size
                    && (*at == size || *at < size && pages.is_zero(*at, *at + 1))
            }
        };
        if right {
            Ok(())
        } else {
            Err(Fault {
                what: format!("{whence:?} from {offset} of {size}: {found:?}"),
                errno: found.err().map(|error| error.errno()),
            })
        }
    }

    pub(super) fn change(&mut self, vault: &Vault, op: &Op) -> Outcome<Effect> {
        match *op {
            Op::Write {
                node,
                at,
                len,
                fill,
                kill_priv,
            } => {
                let node = self.pick(node);
                let (ino, offset) = (self.ino(vault, node)?, self.offset(node, at));
                let bytes = fill.bytes(len);
                let wrote = write(vault, ino, offset, &bytes, kill_priv)?;
                // A full disk may cut it short; then exactly what was told is there.
                let told = match &wrote {
                    Ok(len) if *len < bytes.len() => &bytes[..*len],
                    _ => &bytes[..],
                };
                let model = self.model.write(node, offset, told, kill_priv);
                both(wrote, model)?.map_or(Ok(Effect::Nothing), |(wrote, _)| {
                    whole(Some((wrote, bytes.len())))
                })
            }
            Op::CopyRange {
                from,
                at,
                to,
                to_at,
                len,
            } => {
                let (from, to) = (self.pick(from), self.pick(to));
                let (at, to_at) = (self.offset(from, at), self.offset(to, to_at));
                if from == to && at < to_at.saturating_add(len) && to_at < at.saturating_add(len) {
                    // The kernel refuses this itself.
                    return Ok(Effect::Nothing);
                }
                let (ino, to_ino) = (self.ino(vault, from)?, self.ino(vault, to)?);
                let model = self.model.copy_range(
                    (from, at),
                    (to, to_at),
                    usize::try_from(len).expect("a short range"),
                );
                let done = vault.copy_range(ino, at, to_ino, to_at, len);
                whole(both(
                    done.map(|done| usize::try_from(done).expect("a short range")),
                    model,
                )?)
            }
            Op::Allocate {
                node,
                mode,
                at,
                len,
            } => {
                let node = self.pick(node);
                let (ino, offset) = (self.ino(vault, node)?, self.offset(node, at));
                let done = both(
                    vault.allocate(ino, mode, offset, len),
                    self.model.allocate(node, mode, offset, len),
                )?;
                Ok(if done.is_some() {
                    Effect::Changed
                } else {
                    Effect::Nothing
                })
            }
            _ => {
                let Op::SetAttr { node, size, set } = *op else {
                    return Ok(Effect::Nothing);
                };
                let node = self.pick(node);
                let ino = self.ino(vault, node)?;
                let size = size.map(|at| self.offset(node, at));
                let Some((stat, ())) = both(
                    vault.set_attr(ino, &set_attr(size, &set)),
                    self.model.set_attr(node, size, &set),
                )?
                else {
                    return Ok(Effect::Nothing);
                };
                self.same(&stat, node)?;
                Ok(self.state_effect(node, true))
            }
        }
    }
}

/// A write that succeeds is whole.
fn whole(done: Option<(usize, usize)>) -> Outcome<Effect> {
    match done {
        Some((0, 0)) | None => Ok(Effect::Nothing),
        Some((vault, model)) if vault == model => Ok(Effect::Changed),
        Some((vault, model)) => Err(Fault {
            what: format!("{vault} bytes instead of {model}"),
            errno: None,
        }),
    }
}

fn set_attr(size: Option<u64>, set: &Set) -> SetAttr {
    let at = |secs: i64| Time { secs, nanos: 0 };
    let time = |time: Option<i64>| time.map_or(SetTime::Now, |secs| SetTime::At(at(secs)));
    SetAttr {
        mode: set.mode,
        uid: set.uid,
        gid: set.gid,
        size,
        atime: set.atime.map(time),
        mtime: set.mtime.map(time),
        ctime: set.ctime.map(at),
        kill_priv: set.kill_priv,
    }
}

/// Half of the writes may be acknowledged early: then nothing may go wrong any more.
fn write(
    vault: &Vault,
    ino: u64,
    offset: u64,
    bytes: &[u8],
    kill_priv: bool,
) -> Outcome<Result<usize, VaultError>> {
    let acknowledged = Cell::new(None);
    let tell = |count| acknowledged.set(Some(count));
    let mode = WriteMode {
        kill_priv,
        ..WriteMode::default()
    };
    let told: Told<'_> = if kill_priv { Some(&tell) } else { None };
    let wrote = vault.write_telling(ino, offset, bytes, mode, told);
    match (acknowledged.get(), &wrote) {
        (Some(count), Ok(wrote)) if count == *wrote => {}
        (None, _) => {}
        (count, wrote) => {
            return Err(Fault {
                what: format!("{count:?} acknowledged, and then {wrote:?}"),
                errno: None,
            });
        }
    }
    Ok(wrote)
}
