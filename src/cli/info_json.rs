//! `wardfs info --json`: one object, for programs. Fields are added, never changed or taken away.

use super::info::{Info, MountFacts, Usage, VaultInfo};
use crate::crypto::KdfParams;
use serde_json::{Value, json};
use std::path::Path;

/// The object, on lines of its own.
pub fn show(info: &Info) -> String {
    let mut object = match &info.vault {
        Ok(vault) => vault_object(vault),
        Err(report) => json!({ "error": report.message }),
    };
    object["vault"] = json!(path(&info.path));
    object["mount"] = json!(info.mount.as_ref().map(mount));
    format!("{object:#}\n")
}

fn vault_object(vault: &VaultInfo) -> Value {
    json!({
        "in_use": in_use(vault.usage),
        "id": vault.id.to_string(),
        "format": vault.format,
        "suite": vault.suite.name(),
        "chunk_size": vault.chunk.len(),
        "compression": if vault.compress { "lz4" } else { "none" },
        "slot_count": vault.slot_count,
        "slots": vault.slots.iter().map(slot).collect::<Vec<_>>(),
        "header": { "first": vault.header.name(), "second": vault.header_copy.name() },
    })
}

fn mount(mount: &MountFacts) -> Value {
    let MountFacts {
        status,
        options,
        scrub,
    } = mount;
    let scrub = scrub.as_ref().map(|scrub| {
        json!({
            "state": scrub.state,
            "nodes": scrub.seen.dirs + scrub.seen.files + scrub.seen.others,
            "bytes": scrub.seen.bytes,
            "damaged": scrub.damaged,
            "done": scrub.done,
            "total": scrub.total,
        })
    });
    json!({ "scrub": scrub, "dir": path(&status.dir), "pid": status.pid, "state": status.state, "dead": status.dead, "options": options })
}

/// `false`, `{"pid": 1234}`, `{"pid": null}`; null when it cannot be found out.
fn in_use(usage: Usage) -> Value {
    match usage {
        Usage::Free => json!(false),
        Usage::InUse(pid) => json!({ "pid": pid }),
        Usage::Unknown => Value::Null,
    }
}

fn slot((number, kdf): &(usize, KdfParams)) -> Value {
    json!({
        "number": number,
        "kind": "passphrase",
        "kdf": { "name": "argon2id", "memory_kib": kdf.memory_kib, "time": kdf.time, "lanes": kdf.lanes },
    })
}

/// JSON knows text alone: what is no UTF-8 is replaced.
fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::info::tests::{info, silent_mount};

    fn parsed(info: &Info) -> Value {
        serde_json::from_str(&show(info)).unwrap()
    }

    #[test]
    fn numbers_are_numbers_and_units_are_in_the_names() {
        let value = parsed(&info());
        assert_eq!(value["chunk_size"], 16384);
        assert_eq!(value["slots"][0]["kdf"]["memory_kib"], 65536);
        assert_eq!(value["format"], info().vault.unwrap().format);
    }

    #[test]
    fn who_uses_it_can_be_told_apart_from_nobody_and_nobody_knows() {
        let mut info = info();
        for (usage, expected) in [
            (Usage::Free, json!(false)),
            (Usage::InUse(Some(7)), json!({ "pid": 7 })),
            (Usage::InUse(None), json!({ "pid": null })),
            (Usage::Unknown, Value::Null),
        ] {
            info.vault.as_mut().unwrap().usage = usage;
            assert_eq!(parsed(&info)["in_use"], expected);
        }
    }

    #[test]
    fn no_mount_is_null() {
        let mut info = info();
        assert_eq!(parsed(&info)["mount"], Value::Null);
        info.mount = Some(silent_mount());
        let expected = json!({ "dir": "/m", "pid": null, "state": null, "dead": false, "options": "rw,nodev", "scrub": null });
        assert_eq!(parsed(&info)["mount"], expected);
    }
}
