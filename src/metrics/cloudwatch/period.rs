//! How far apart points may be: CloudWatch keeps fine ones for a short time only.

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;

/// Below a minute there are these, of metrics that were written as finely.
const FINE: [i64; 5] = [1, 5, 10, 20, 30];

/// For so many seconds points of so many seconds are kept; of all older ones, those of an hour.
const KEPT: [(i64, i64); 3] = [(10_800, 1), (15 * DAY, MINUTE), (63 * DAY, 5 * MINUTE)];
const OLDEST: i64 = 3_600;
const KEPT_AT_ALL: i64 = 455 * DAY;

/// Seconds between two points, and what there is to tell of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    pub seconds: i64,
    /// CloudWatch rounds the begin of a window down to a multiple of that.
    pub rounding: i64,
    pub remark: Option<String>,
}

pub const RIGHT: &str = "1, 5, 10, 20, 30 or a multiple of 60";

pub fn is_right(seconds: i64) -> bool {
    FINE.contains(&seconds) || 0 < seconds && seconds % MINUTE == 0
}

/// That of points which are wanted so many seconds apart, of a window that began so many seconds ago.
pub fn of(wanted: i64, age: i64) -> Period {
    let kept = KEPT.into_iter().find(|(within, _)| age < *within);
    let finest = kept.map_or(OLDEST, |(_, finest)| finest);
    let fine = FINE.into_iter().find(|fine| wanted <= *fine);
    let fine = fine.filter(|_| finest < MINUTE);
    let seconds = fine.unwrap_or_else(|| {
        let unit = finest.max(MINUTE);
        let units = wanted.max(1).saturating_add(unit - 1) / unit;
        units.saturating_mul(unit)
    });
    let remark = if KEPT_AT_ALL < age {
        Some("CloudWatch keeps nothing for longer than 455 days".to_owned())
    } else if seconds == wanted {
        None
    } else if is_right(wanted) {
        Some(format!(
            "points are {seconds} s apart instead of {wanted} s: CloudWatch keeps no finer ones of that time"
        ))
    } else {
        Some(format!(
            "points are {seconds} s apart instead of {wanted} s: CloudWatch has {RIGHT}"
        ))
    };
    Period {
        seconds,
        rounding: finest.max(MINUTE.min(seconds)),
        remark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_one_that_cloudwatch_has_of_that_time() {
        let hour = 3_600;
        let cases = [
            // wanted, age, seconds, rounding, whether it is told
            (60, hour, 60, 60, false),
            (300, hour, 300, 60, false),
            (1, hour, 1, 1, false),
            (10, hour, 10, 10, false),
            (7, hour, 10, 10, true),
            (45, hour, 60, 60, true),
            (90, hour, 120, 60, true),
            (0, hour, 1, 1, true),
            (10, 4 * hour, 60, 60, true),
            (60, 14 * DAY, 60, 60, false),
            (60, 16 * DAY, 300, 300, true),
            (600, 16 * DAY, 600, 300, false),
            (60, 64 * DAY, 3_600, 3_600, true),
            (7_200, 64 * DAY, 7_200, 3_600, false),
            (3_600, 500 * DAY, 3_600, 3_600, true),
            // Of a window that is yet to come.
            (60, -hour, 60, 60, false),
        ];
        for (wanted, age, seconds, rounding, is_told) in cases {
            let period = of(wanted, age);
            assert_eq!(
                (period.seconds, period.rounding, period.remark.is_some()),
                (seconds, rounding, is_told),
                "{wanted} {age}: {period:?}"
            );
            assert!(is_right(period.seconds), "{wanted} {age}");
        }
    }
}
