//! What nobody named: leaked payloads, and what is none of the vault's.
use super::{
    super::report::{Finding, Kind},
    Scan,
};
use crate::{
    engine::Pool,
    format::{PayloadId, ZoneId, parse_new_payload_name, payload_path},
    store::ObjectPath,
};
use std::sync::atomic::Ordering::SeqCst;

/// Where repairs put what they replace.
pub(in crate::check) const QUARANTINE: &str = "quarantine";
/// About what a guard takes, for estimates.
const GUARD_BYTES: u64 = 700;

impl Scan<'_> {
    pub(super) fn sweep(&self, _pool: &Pool) {
        self.sweep_payloads();
        self.sweep_new_payloads();
        for dir in ["zones", "zones.copy"] {
            for name in self.names_in(dir) {
                if ZoneId::from_hex(name.as_bytes()) != Some(self.keys.zone()) {
                    self.stray(&format!("{dir}/{name}"));
                }
            }
        }
        for name in self.names_in("journal") {
            let ours = ["log.", "redo."].iter().any(|kind| {
                name.strip_prefix(kind)
                    .is_some_and(|number| number.len() == 16)
            });
            if !ours && name != "reserve" {
                self.stray(&format!("journal/{name}"));
            }
        }
        for name in self.names_in("") {
            match name.as_str() {
                "wardfs.vault" | "wardfs.vault.copy" | "guards" | "zones" | "zones.copy"
                | "payloads" | "journal" => {}
                QUARANTINE => self.tell_quarantine(),
                _ => self.stray(&name),
            }
        }
    }

    fn sweep_payloads(&self) {
        let mut leaked = Vec::new();
        self.spread("payloads", &["new"], &mut |digits| {
            let Some((id, suffix)) = digits.split_at_checked(32) else {
                return false;
            };
            let Some(id) = PayloadId::from_hex(id.as_bytes()) else {
                return false;
            };
            if !matches!(suffix, "" | ".index") {
                return false;
            }
            if !self.payloads.lock().contains(&id) {
                leaked.push(format!("{}{suffix}", payload_path(&id).as_str()));
            }
            true
        });
        leaked.sort_unstable();
        for path in leaked {
            self.leak(&path, "stored content that no guard names");
        }
    }

    fn sweep_new_payloads(&self) {
        for name in self.names_in("payloads/new") {
            let path = format!("payloads/new/{name}");
            if parse_new_payload_name(name.as_bytes()).is_some() {
                self.leak(&path, "new content that the journal does not name");
            } else {
                self.stray(&path);
            }
        }
    }

    fn leak(&self, path: &str, what: &str) {
        // Where the disk does not read, there may be a guard that names it.
        if self.unread.load(SeqCst) {
            return;
        }
        self.find(Finding::new(Kind::Leak, path, what));
        if let Ok(path) = ObjectPath::new(path) {
            self.fixes.lock().leaks.push(path);
        }
    }

    fn tell_quarantine(&self) {
        let (mut objects, mut bytes) = (0_u64, 0_u64);
        let mut waiting = vec![QUARANTINE.to_owned()];
        while let Some(dir) = waiting.pop() {
            for name in self.names_below(&dir) {
                let path = format!("{dir}/{name}");
                let Ok(object) = ObjectPath::new(path.as_str()) else {
                    continue;
                };
                match self.store.open(&object, false).and_then(|blob| blob.len()) {
                    Ok(len) => {
                        objects += 1;
                        bytes += len;
                    }
                    Err(_) => waiting.push(path),
                }
            }
        }
        let what = format!("{objects} objects of {bytes} bytes that repairs have set aside");
        self.find(Finding::new(Kind::Quarantine, QUARANTINE, what));
    }

    /// The same without a word about what is odd.
    fn names_below(&self, dir: &str) -> Vec<String> {
        let names = ObjectPath::new(dir).and_then(|path| self.store.list(&path));
        let names = names.unwrap_or_default().into_iter();
        names
            .filter_map(|name| String::from_utf8(name).ok())
            .collect()
    }

    /// About what all of the vault takes, for an estimate of the time.
    pub(super) fn stored_bytes(&self) -> u64 {
        let mut bytes = 0;
        for (top, sized) in [("payloads", true), ("guards", false)] {
            for first in self.names_below(top) {
                for rest in self.names_below(&format!("{top}/{first}")) {
                    let path = format!("{top}/{first}/{rest}");
                    bytes += if sized {
                        let path = ObjectPath::new(path);
                        let blob = path.and_then(|path| self.store.open(&path, false));
                        blob.and_then(|blob| blob.len()).unwrap_or(0)
                    } else {
                        self.names_below(&path).len() as u64 * GUARD_BYTES
                    };
                }
            }
        }
        bytes
    }
}
