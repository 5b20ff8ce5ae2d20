//! `wardfs speed` for people. Programs use `--json`; this may change.

use super::{size, speed::command};
use crate::speed::{Advice, Speed, Work};

/// A table, the KDF, and a command to make a vault with.
pub fn show(speed: &Speed, advice: Option<&Advice>) -> String {
    let suites = speed.suites.iter();
    let suites: String = suites
        .map(|suite| row(suite.suite.name(), &suite.work))
        .collect();
    let advice = advice.map_or(String::new(), |advice| {
        format!("\nRecommended:\n  {}\n", command(advice))
    });
    format!(
        "\
MB/s                 one core           all cores
                  write     read     write     read
{suites}{lz4}
cores:    {cores}
lz4:      leaves {left:.0} % of this text, and passes what does not shrink at {noise:.0} MB/s
argon2id: {time} ms with {kdf}
{advice}",
        lz4 = row("lz4 of text", &speed.lz4.text),
        cores = speed.cores,
        left = 100.0 * speed.lz4.left,
        noise = speed.lz4.noise / 1e6,
        time = speed.kdf.time.as_millis(),
        kdf = size::kdf(&speed.kdf.params)
    )
}

fn row(name: &str, work: &Work) -> String {
    let [a, b, c, d] =
        [work.one.write, work.one.read, work.all.write, work.all.read].map(|rate| rate / 1e6);
    format!("{name:<15} {a:>7.0}  {b:>7.0}   {c:>7.0}  {d:>7.0}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::speed::tests::{advice, speed};

    #[test]
    fn figures_stand_in_columns_under_their_units() {
        let expected = "\
MB/s                 one core           all cores
                  write     read     write     read
aes-256-gcm        9500    10000     38500    40000
lz4 of text         650     3000      2500    12000

cores:    4
lz4:      leaves 41 % of this text, and passes what does not shrink at 8000 MB/s
argon2id: 110 ms with 256 MiB, 3 passes, 4 lanes

Recommended:
  wardfs init --suite aes-256-gcm --compress lz4 --kdf-memory 256 VAULT
";
        assert_eq!(show(&speed(), Some(&advice())), expected);
    }
}
