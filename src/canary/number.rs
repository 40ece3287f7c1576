//! Numbers for people: few digits, but enough to tell apart what differs.

/// Of a number that stands alone.
const DIGITS: usize = 3;

/// More digits than these do not make a sentence clearer.
const MOST_DIGITS: usize = 12;

/// With three significant digits.
pub fn number(value: f64) -> String {
    with_digits(value, DIGITS)
}

/// Each by itself, with more than three significant digits where different ones would look equal.
pub fn each<const N: usize>(values: [f64; N]) -> [String; N] {
    told_apart(values, |digits| {
        values.map(|value| with_digits(value, digits))
    })
}

/// All with the decimals that give the largest three significant digits, or more where different
/// ones would look equal.
pub fn together<const N: usize>(values: [f64; N]) -> [String; N] {
    let largest = values.into_iter().filter(|value| value.is_finite());
    let largest = largest.map(f64::abs).fold(0.0, f64::max);
    told_apart(values, |digits| {
        let decimals = decimals(largest, digits);
        values.map(|value| with_decimals(value, decimals))
    })
}

/// `+375 %` of a ratio of 4.75.
pub fn percent(ratio: f64) -> String {
    let text = number((ratio - 1.0) * 100.0);
    let sign = if ratio > 1.0 { "+" } else { "" };
    format!("{sign}{text} %")
}

/// A score, with two decimals at most.
pub fn score(score: f64) -> String {
    if !score.is_finite() {
        return "not a number".to_owned();
    }
    let text = format!("{score:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn told_apart<const N: usize>(
    values: [f64; N],
    write: impl Fn(usize) -> [String; N],
) -> [String; N] {
    #[expect(clippy::float_cmp, reason = "different numbers, however little")]
    let is_clear = |texts: &[String; N]| {
        (1..N).all(|i| (0..i).all(|j| values[i] == values[j] || texts[i] != texts[j]))
    };
    let mut texts = (DIGITS..MOST_DIGITS).map(&write);
    texts.find(is_clear).unwrap_or_else(|| write(MOST_DIGITS))
}

fn with_digits(value: f64, digits: usize) -> String {
    let size = value.abs();
    if size != 0.0 && size.is_finite() && !(1e-5..1e15).contains(&size) {
        return format!("{value:.*e}", digits - 1);
    }
    with_decimals(value, decimals(size, digits))
}

/// How many decimals a number of that size needs for so many significant digits.
fn decimals(size: f64, digits: usize) -> usize {
    if size == 0.0 || !size.is_finite() {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 308")]
    let exponent = size.log10().floor() as i64;
    let decimals = i64::try_from(digits).unwrap_or(0) - 1 - exponent;
    usize::try_from(decimals.clamp(0, 20)).unwrap_or(0)
}

fn with_decimals(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return match value {
            f64::INFINITY => "infinity".to_owned(),
            f64::NEG_INFINITY => "-infinity".to_owned(),
            _ => "not a number".to_owned(),
        };
    }
    let text = format!("{value:.decimals$}");
    let short = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    match short {
        "-0" => "0".to_owned(),
        short => short.to_owned(),
    }
}

/// `90 s`, `5 min`, `1.5 h`.
pub fn duration(millis: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for reading")]
    let seconds = millis as f64 / 1000.0;
    match seconds {
        ..120.0 => format!("{} s", number(seconds)),
        ..7200.0 => format!("{} min", number(seconds / 60.0)),
        _ => format!("{} h", number(seconds / 3600.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_three_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (0.4, "0.4"),
            (1.0 / 3.0, "0.333"),
            (-2.675_1, "-2.68"),
            (12_345.6, "12346"),
            (0.000_12, "0.00012"),
            (1.234e-7, "1.23e-7"),
            (f64::NAN, "not a number"),
            (f64::NEG_INFINITY, "-infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn different_numbers_look_different() {
        assert_eq!(each([100_000.2, 100_000.5]), ["100000.2", "100000.5"]);
        assert_eq!(each([0.0001, 5000.0]), ["0.0001", "5000"]);
        assert_eq!(together([-1.000_01, 9.9e-6, 0.125]), ["-1", "0", "0.12"]);
        assert_eq!(together([1.234, 1.2341, 7.0]), ["1.234", "1.2341", "7"]);
        assert_eq!(together([2.0, 2.0]), ["2", "2"]);
    }

    #[test]
    fn a_ratio_is_told_in_percent() {
        let cases = [(4.75, "+375 %"), (0.875, "-12.5 %"), (1.0, "0 %")];
        for (ratio, expected) in cases {
            assert_eq!(percent(ratio), expected);
        }
    }
}
