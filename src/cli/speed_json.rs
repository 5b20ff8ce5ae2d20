//! `wardfs speed --json`: one object, for programs. Fields are added, never changed or taken away.

use super::speed::command;
use crate::speed::{Advice, Rates, Speed, Work};
use serde_json::{Value, json};

/// The object, on lines of its own.
pub fn show(speed: &Speed, advice: Option<&Advice>) -> String {
    let suites = speed.suites.iter().map(|suite| {
        let mut object = work(&suite.work);
        object["name"] = json!(suite.suite.name());
        object
    });
    let mut lz4 = work(&speed.lz4.text);
    lz4["left_percent"] = rounded(100.0 * speed.lz4.left);
    lz4["noise_mb_s"] = rounded(speed.lz4.noise / 1e6);
    let kdf = &speed.kdf;
    let object = json!({
        "cores": speed.cores,
        "suites": suites.collect::<Vec<_>>(),
        "lz4": lz4,
        "kdf": {
            "name": "argon2id",
            "memory_kib": kdf.params.memory_kib,
            "time": kdf.params.time,
            "lanes": kdf.params.lanes,
            "ms": rounded(kdf.time.as_secs_f64() * 1e3),
        },
        "recommended": advice.map(recommended),
    });
    format!("{object:#}\n")
}

fn recommended(advice: &Advice) -> Value {
    json!({
        "suite": advice.suite.name(),
        "compress": if advice.compress { "lz4" } else { "none" },
        "kdf_memory_mib": advice.kdf.memory_kib / 1024,
        "command": command(advice),
    })
}

fn work(work: &Work) -> Value {
    json!({ "one_core": rates(work.one), "all_cores": rates(work.all) })
}

fn rates(rates: Rates) -> Value {
    json!({ "write_mb_s": rounded(rates.write / 1e6), "read_mb_s": rounded(rates.read / 1e6) })
}

/// To one decimal: more would not be the same in the next run.
fn rounded(value: f64) -> Value {
    json!((value * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::speed::tests::{advice, speed};

    #[test]
    fn numbers_are_numbers_and_units_are_in_the_names() {
        let value: Value = serde_json::from_str(&show(&speed(), Some(&advice()))).unwrap();
        let gcm = &value["suites"][0];
        assert_eq!(gcm["name"], "aes-256-gcm");
        assert_eq!(gcm["one_core"]["write_mb_s"], 9500.0);
        assert_eq!(gcm["all_cores"]["read_mb_s"], 40000.0);
        assert_eq!(value["lz4"]["left_percent"], 41.2);
        assert_eq!(value["kdf"]["ms"], 110.4);
        assert_eq!(value["recommended"]["kdf_memory_mib"], 256);
    }

    #[test]
    fn no_advice_is_null() {
        let value: Value = serde_json::from_str(&show(&speed(), None)).unwrap();
        assert_eq!(value["recommended"], Value::Null);
    }
}
