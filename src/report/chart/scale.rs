//! Where the lines of a scale lie, and what stands beside them.

use jiff::Timestamp;

/// From `first` to `last`, both included.
pub fn ticks(first: f64, last: f64, step: f64) -> impl Iterator<Item = f64> {
    (0..1_000_u32)
        .map(move |index| first + f64::from(index) * step)
        .take_while(move |tick| *tick <= last + step / 1_000.0)
}

/// 1, 2 or 5 times a power of ten, not less than `least`.
pub fn nice_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let fits = factors
        .into_iter()
        .find(|factor| least <= factor * power * 1.000_001);
    fits.unwrap_or(10.0) * power
}

/// A step that people count time in, not less than `least`; in milliseconds.
pub fn time_step(least: f64) -> f64 {
    const SECOND: f64 = 1_000.0;
    const MINUTE: f64 = 60.0 * SECOND;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    let seconds = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0].map(|count| count * SECOND);
    let minutes = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0].map(|count| count * MINUTE);
    let hours = [1.0, 2.0, 3.0, 6.0, 12.0].map(|count| count * HOUR);
    let mut steps = seconds.into_iter().chain(minutes).chain(hours);
    let fits = steps.find(|step| least <= *step);
    fits.unwrap_or_else(|| nice_step(least / DAY).max(1.0) * DAY)
}

pub fn clock_time(millis: f64, step: f64) -> String {
    let format = match step {
        step if step < 60_000.0 => "%H:%M:%S",
        step if step < 86_400_000.0 => "%H:%M",
        _ => "%b %-d",
    };
    timestamp(millis).map_or_else(String::new, |time| time.strftime(format).to_string())
}

pub fn date(millis: f64) -> Option<String> {
    timestamp(millis).map(|time| time.strftime("%Y-%m-%d").to_string())
}

pub fn timestamp(millis: f64) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it was a whole number before"
    )]
    Timestamp::from_millisecond(millis as i64).ok()
}

/// `45 s`, `10 min`, `1 h 30`, `2 d`.
pub fn passed(millis: f64) -> String {
    let seconds = (millis / 1_000.0).round();
    let minutes = seconds / 60.0;
    match seconds {
        0.0 => "0".to_owned(),
        _ if seconds % 60.0 != 0.0 => format!("{seconds} s"),
        _ if minutes < 60.0 => format!("{minutes} min"),
        _ if minutes % 1_440.0 == 0.0 => format!("{} d", minutes / 1_440.0),
        _ if minutes % 60.0 == 0.0 => format!("{} h", minutes / 60.0),
        _ => format!("{} h {}", (minutes / 60.0).floor(), minutes % 60.0),
    }
}

/// A number of the scale, with as many digits as tell it from its neighbours.
pub fn number(value: f64, step: f64) -> String {
    let size = value.abs().max(step);
    if !(1e-6..1e15).contains(&size) {
        return format!("{value:.1e}");
    }
    let (factor, unit) = match size {
        size if 1e12 <= size => (1e12, " T"),
        size if 1e9 <= size => (1e9, " G"),
        size if 1e6 <= size => (1e6, " M"),
        size if 1e4 <= size => (1e3, " k"),
        _ => (1.0, ""),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 12"
    )]
    let digits = (-(step / factor).log10().floor()).clamp(0.0, 12.0) as usize;
    let value = value / factor;
    // Zero has no sign.
    let value = if value.abs() < step / factor / 1_000.0 {
        0.0
    } else {
        value
    };
    format!("{value:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_tell_them_apart() {
        let cases = [
            (0.0, 1.0, "0"),
            (-0.0, 0.5, "0.0"),
            (0.25, 0.05, "0.25"),
            (1_500.0, 500.0, "1500"),
            (12_000.0, 2_000.0, "12 k"),
            (3e9, 1e9, "3 G"),
            (-2e6, 1e6, "-2 M"),
            (2e-9, 1e-9, "2.0e-9"),
        ];
        for (value, step, expected) in cases {
            assert_eq!(number(value, step), expected, "{value} by {step}");
        }
    }
}
