//! Times, as FUSE and the vault have them: seconds before or after 1970 and nanoseconds that always
//! count forwards. In between `fuser` uses `SystemTime`, and does it wrongly on the way in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::format::Time;

/// For replies. Every time that the vault can hold is representable; what is not (nanoseconds past
/// a second at the very end of time) becomes 1970.
pub(super) fn to_system(time: Time) -> SystemTime {
    let seconds = Duration::from_secs(time.secs.unsigned_abs());
    let whole = if time.secs < 0 {
        UNIX_EPOCH.checked_sub(seconds)
    } else {
        UNIX_EPOCH.checked_add(seconds)
    };
    let nanos = Duration::from_nanos(u64::from(time.nanos));
    whole
        .and_then(|whole| whole.checked_add(nanos))
        .unwrap_or(UNIX_EPOCH)
}

/// For messages. Before 1970 `fuser` 0.18.0 makes a time of `-s` seconds and `n` nanoseconds into
/// "`s` seconds and `n` nanoseconds before 1970", where it should be `s` seconds before, less `n`
/// nanoseconds. Taken apart the same way, it gives back what the kernel said. (`Cargo.toml` demands
/// exactly this release.)
pub(super) fn from_message(time: SystemTime) -> Time {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Time {
            secs: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            nanos: after.subsec_nanos(),
        },
        Err(error) => {
            let before = error.duration();
            Time {
                secs: 0i64
                    .checked_sub_unsigned(before.as_secs())
                    .unwrap_or(i64::MIN),
                nanos: before.subsec_nanos(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: [(i64, u32); 9] = [
        (0, 0),
        (0, 999_999_999),
        (1_700_000_000, 123_456_789),
        (-1, 0),
        (-1, 1),
        (-2, 800_000_000),
        (-86_400 * 365 * 70, 5),
        (i64::MAX, 999_999_999),
        (i64::MIN, 0),
    ];

    /// What `fuser` 0.18.0 does with the numbers of a message.
    fn as_fuser_does(secs: i64, nanos: u32) -> SystemTime {
        let distance = Duration::new(secs.unsigned_abs(), nanos);
        if secs >= 0 {
            UNIX_EPOCH + distance
        } else {
            UNIX_EPOCH - distance
        }
    }

    /// What `fuser` 0.18.0 makes of a reply's time, for times that it does not saturate.
    fn as_fuser_sends(time: SystemTime) -> (i64, u32) {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (
                i64::try_from(after.as_secs()).unwrap(),
                after.subsec_nanos(),
            ),
            Err(error) => {
                let (secs, nanos) = (error.duration().as_secs(), error.duration().subsec_nanos());
                let floor = 0i64.checked_sub_unsigned(secs).unwrap();
                if nanos == 0 {
                    (floor, 0)
                } else {
                    (floor - 1, 1_000_000_000 - nanos)
                }
            }
        }
    }

    #[test]
    fn a_time_of_a_message_is_what_the_kernel_said_also_before_1970() {
        for (secs, nanos) in TIMES {
            assert_eq!(
                from_message(as_fuser_does(secs, nanos)),
                Time { secs, nanos }
            );
        }
    }

    #[test]
    fn a_time_of_a_reply_is_what_the_vault_said_also_before_1970() {
        for (secs, nanos) in TIMES {
            assert_eq!(
                as_fuser_sends(to_system(Time { secs, nanos })),
                (secs, nanos)
            );
        }
    }
}
