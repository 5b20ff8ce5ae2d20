//! Durations as people write them: `30s`, `10m`, `2h`, `1h30m`.
//!
//! A bare number is refused: whether it means seconds or minutes is nothing to guess about.

use std::time::Duration;

/// Units in the order they must come, with their seconds.
const UNITS: [(char, u64); 3] = [('h', 3600), ('m', 60), ('s', 1)];

/// The longest duration taken, in seconds: a year. Longer ones are typing errors, and sums stay far from any overflow.
const SECONDS_MAX: u64 = 365 * 24 * 3600;

/// Why a text is no duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing there, a bare number, an unknown unit, or units twice or in the wrong order.
    #[error("write it as 30s, 10m, 2h or 1h30m")]
    Form,
    /// Zero.
    #[error("it must be at least 1s")]
    Zero,
    /// More than a year.
    #[error("it must be at most 8760h")]
    TooLong,
}

/// The duration that `text` names.
///
/// # Errors
/// [`DurationError`] when it names none between one second and a year.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut seconds: u64 = 0;
    let mut units = UNITS.iter();
    let mut rest = text;
    if rest.is_empty() {
        return Err(DurationError::Form);
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or(DurationError::Form)?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.chars().next().ok_or(DurationError::Form)?;
        // `units` only moves forward, so a unit cannot come twice or after a smaller one.
        let (_, factor) = units
            .find(|(name, _)| *name == unit)
            .ok_or(DurationError::Form)?;
        if number.is_empty() {
            return Err(DurationError::Form);
        }
        let count: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        seconds = count
            .checked_mul(*factor)
            .and_then(|part| seconds.checked_add(part))
            .ok_or(DurationError::TooLong)?;
        rest = &tail[unit.len_utf8()..];
    }
    match seconds {
        0 => Err(DurationError::Zero),
        1..=SECONDS_MAX => Ok(Duration::from_secs(seconds)),
        _ => Err(DurationError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> u64 {
        parse(text).unwrap().as_secs()
    }

    #[test]
    fn every_unit_and_their_sums_are_read() {
        assert_eq!(seconds("30s"), 30);
        assert_eq!(seconds("10m"), 600);
        assert_eq!(seconds("2h"), 7200);
        assert_eq!(seconds("1h30m"), 5400);
        assert_eq!(seconds("1h1s"), 3601);
        assert_eq!(seconds("1h2m3s"), 3723);
        assert_eq!(seconds("90m"), 5400);
        assert_eq!(seconds("8760h"), SECONDS_MAX);
    }

    #[test]
    fn bare_numbers_and_other_forms_are_refused() {
        for text in [
            "", "30", "s", "1h30", "1d", "1 h", "-1s", "+1s", "1.5h", "1H", "1m1h", "1s1s", "1h1h",
            "é", "1é", "1ms",
        ] {
            assert_eq!(parse(text), Err(DurationError::Form), "{text:?}");
        }
    }

    #[test]
    fn zero_and_more_than_a_year_are_refused() {
        assert_eq!(parse("0s"), Err(DurationError::Zero));
        assert_eq!(parse("0h0m0s"), Err(DurationError::Zero));
        assert_eq!(parse("8760h1s"), Err(DurationError::TooLong));
        assert_eq!(parse("18446744073709551615s"), Err(DurationError::TooLong));
        assert_eq!(parse("18446744073709551616s"), Err(DurationError::TooLong));
        assert_eq!(parse("18446744073709551615h"), Err(DurationError::TooLong));
    }
}
