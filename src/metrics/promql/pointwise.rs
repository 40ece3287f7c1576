//! Whether what a query gives for a time is the same whatever range was asked for, and settled
//! once that time has passed.

use crate::metrics::promql::bare;
use crate::metrics::strings::is_of_word;

/// Functions and aggregations whose value at a time depends on that time only; and what may stand
/// before a parenthesis beside them. What is not listed is not trusted: servers have functions of
/// their own that look at the whole range.
const KNOWN: &str = "\
    abs absent absent_over_time acos acosh and asin asinh atan atan2 atanh avg \
    avg_over_time bool bottomk by ceil changes clamp clamp_max clamp_min cos cosh count \
    count_over_time count_values day_of_month day_of_week day_of_year days_in_month deg \
    delta deriv double_exponential_smoothing exp floor group group_left group_right \
    histogram_avg histogram_count histogram_fraction histogram_quantile histogram_stddev \
    histogram_stdvar histogram_sum holt_winters hour idelta ignoring increase irate \
    label_join label_replace last_over_time ln log10 log2 mad_over_time max \
    max_over_time min min_over_time minute month on or pi predict_linear \
    present_over_time quantile quantile_over_time rad rate resets round scalar sgn sin \
    sinh sqrt stddev stddev_over_time stdvar stdvar_over_time sum sum_over_time tan tanh \
    time timestamp topk unless vector without year";

/// Whether an answer may be put together from answers to parts of its range, asked at other times.
pub fn is_pointwise(query: &str) -> bool {
    let bare = bare(query).to_lowercase();
    // `@` may name a time that has not come; the others look ahead of every time.
    if ["@", "offset-", "smoothed"]
        .iter()
        .any(|ahead| bare.contains(ahead))
    {
        return false;
    }
    let mut before = bare.split('(');
    // What follows the last parenthesis is called by nobody.
    before.next_back();
    before.all(|text| {
        let start = text.rfind(|c: char| !is_of_word(c)).map_or(0, |at| at + 1);
        let word = &text[start..];
        word.is_empty() || KNOWN.split(' ').any(|known| known == word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_queries_are_pointwise() {
        let queries = [
            "up",
            "avg(up{version=\"v1\"}) by (job)",
            "sum by (le) (rate(m_bucket{path=~\"/a(b|start())\\\"@\"}[5m] offset 1h))",
            "histogram_quantile(0.99, sum(rate(x[1m])) by(le))",
            "a / on (x) group_left (y) (b > bool (1))",
            "AVG WITHOUT (x) (m) # offset -5m",
            "max_over_time(rate(m[1m])[10m:30s])",
            "(up) or (m{a='(',b=`\\`})",
        ];
        for query in queries {
            assert!(is_pointwise(query), "{query}");
        }
    }

    #[test]
    fn what_looks_at_the_range_or_ahead_is_not() {
        let queries = [
            "up @ start()",
            "up @ end ( )",
            "up @ 1717203600",
            "up - start()",
            "rate(m[range ( )])",
            "m offset -5m",
            "sum(rate(m[5m] offset  - 1h))",
            "m OFFSET # away\n -5m",
            "m offset (-5m)",
            "rate(m[5m] smoothed)",
            "range_avg(m)",
            "running_sum(m)",
            "sort(m)",
            "m{a=`\\`} - start()",
            "m{a=\"'\"} - start() - m{a=\"'\"}",
        ];
        for query in queries {
            assert!(!is_pointwise(query), "{query}");
        }
    }
}
