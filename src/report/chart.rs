//! Both series of a metric over time, as a picture: SVG, and PNG for those who show no SVG.

mod scale;
mod sides;

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::Pixmap;
use resvg::usvg::fontdb::Database;
use resvg::usvg::{FontResolver, Options, Transform, Tree};

use self::scale::{clock_time, date, nice_step, number, passed, ticks, time_step};
use self::sides::{Point, Sides, TimeAxis, to_f64};
use crate::canary::MetricSetPair;
use crate::error::{Error, Result};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;

/// Pixels of the PNG for one of the SVG: sharp on every screen.
const SCALE: u16 = 2;

const TOP: f64 = 74.0;
const BOTTOM: f64 = HEIGHT - 34.0;
const RIGHT: f64 = WIDTH - 24.0;

const INK: &str = "#1f2933";
const QUIET: &str = "#66727f";
const GRID: &str = "#e8ecf0";
const AXIS: &str = "#c5ced6";
/// In the colours of the pages, and wide enough to be seen below an experiment that is equal.
const CONTROL: Stroke = Stroke {
    color: "#46699e",
    width: 3.2,
};
const EXPERIMENT: Stroke = Stroke {
    color: "#b9500a",
    width: 1.5,
};

#[derive(Clone, Copy)]
struct Stroke {
    color: &'static str,
    width: f64,
}

/// Inter, under the licence that lies beside it; reduced to Latin, Greek and Cyrillic letters.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(include_bytes!("font/Inter-Regular.ttf").to_vec());
    fonts.load_font_data(include_bytes!("font/Inter-SemiBold.ttf").to_vec());
    Arc::new(fonts)
});

/// With those of the system, which are looked up once a letter wants them.
static ALL_FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::clone(&FONTS);
    fonts.load_system_fonts();
    Arc::new(fonts)
});

/// The picture as PNG; takes tens of milliseconds of work. A name that no font here can write is left out: it stands in
/// the text beside the picture.
///
/// # Errors
/// `Internal` when it cannot be drawn.
pub fn png(pair: &MetricSetPair, label: &str) -> Result<Vec<u8>> {
    let failed = |cause: String| Error::Internal(format!("cannot draw a chart: {cause}"));
    let sides = Sides::of(pair);
    let tree = match tree(&drawn(&sides, &Heading::of(pair), label))? {
        Some(tree) => Some(tree),
        None => tree(&drawn(&sides, &Heading::default(), label))?,
    };
    let tree = tree.ok_or_else(|| failed("no font has its digits".to_owned()))?;
    let size = tree.size().to_int_size();
    let scale = u32::from(SCALE);
    let mut pixels = Pixmap::new(size.width() * scale, size.height() * scale)
        .ok_or_else(|| failed("it has no size".to_owned()))?;
    let scale = f32::from(SCALE);
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixels.as_mut(),
    );
    pixels.encode_png().map_err(|e| failed(e.to_string()))
}

/// `None` where a letter is in no font.
fn tree(svg: &str) -> Result<Option<Tree>> {
    let is_whole = AtomicBool::new(true);
    let fallback = FontResolver::default_fallback_selector();
    let options = Options {
        fontdb: Arc::clone(&FONTS),
        font_family: "Inter".to_owned(),
        font_resolver: FontResolver {
            select_fallback: Box::new(|letter, tried, fonts| {
                *fonts = Arc::clone(&ALL_FONTS);
                let found = fallback(letter, tried, fonts);
                if found.is_none() {
                    is_whole.store(false, Ordering::Relaxed);
                }
                found
            }),
            ..FontResolver::default()
        },
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options)
        .map_err(|cause| Error::Internal(format!("cannot draw a chart: {cause}")))?;
    drop(options);
    Ok(is_whole.into_inner().then_some(tree))
}

/// The picture as SVG. `label` is that of the metric; it may be empty.
pub fn svg(pair: &MetricSetPair, label: &str) -> String {
    drawn(&Sides::of(pair), &Heading::of(pair), label)
}

/// What is compared.
#[derive(Default)]
struct Heading {
    name: String,
    tags: String,
}

impl Heading {
    fn of(pair: &MetricSetPair) -> Self {
        let tags: Vec<String> = pair.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let name = shortened(&pair.name, 60);
        let left = 72_usize.saturating_sub(name.chars().count());
        Self {
            tags: shortened(&tags.join(", "), left),
            name,
        }
    }
}

fn drawn(sides: &Sides, what: &Heading, label: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"Inter, sans-serif\" font-size=\"11\">\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>"
    );
    heading(&mut svg, what, label);
    legend(&mut svg, sides);
    if let Some(plot) = Plot::of(sides) {
        plot.draw(&mut svg, sides);
    } else {
        let (x, y) = (WIDTH / 2.0, f64::midpoint(TOP, BOTTOM));
        text(&mut svg, x, y, "middle", QUIET, "no data on either side");
    }
    svg.push_str("</svg>");
    svg
}

/// Metric and label, side by side.
fn heading(svg: &mut String, what: &Heading, label: &str) {
    let _ = write!(
        svg,
        "<text x=\"24\" y=\"31\" font-size=\"15\" fill=\"{INK}\"><tspan font-weight=\"600\">{}</tspan>\
         <tspan dx=\"8\" font-size=\"11\" fill=\"{QUIET}\">{}</tspan></text>",
        escaped(&what.name),
        escaped(&what.tags)
    );
    let color = match label {
        "Pass" => "#2b7a4b",
        "High" | "Low" | "NodataFailMetric" | "Error" => "#b42318",
        _ => QUIET,
    };
    let _ = write!(
        svg,
        "<text x=\"{RIGHT}\" y=\"31\" text-anchor=\"end\" font-size=\"13\" font-weight=\"600\" \
         fill=\"{color}\">{}</text>",
        escaped(match label {
            "Nodata" => "No data",
            "NodataFailMetric" => "No data, fails",
            label => label,
        })
    );
}

fn legend(svg: &mut String, sides: &Sides) {
    let mut x = 24.0;
    for (name, stroke, points) in [
        ("control", CONTROL, &sides.points.control),
        ("experiment", EXPERIMENT, &sides.points.experiment),
    ] {
        let has_data = points.iter().any(|point| point.value.is_some());
        let note = if has_data { "" } else { " (no data)" };
        let _ = write!(
            svg,
            "<path d=\"M{x} 48h16\" stroke=\"{}\" stroke-width=\"{}\"/>",
            stroke.color, stroke.width
        );
        let told = format!("{name}{note}");
        text(svg, x + 22.0, 52.0, "start", QUIET, &told);
        x += 84.0 + 50.0 * f64::from(u8::from(!has_data));
    }
}

/// Where points lie in the picture.
struct Plot {
    left: f64,
    from: f64,
    to: f64,
    low: f64,
    high: f64,
    /// Between two lines of the grid.
    step: f64,
}

impl Plot {
    /// `None` when there is nothing to draw.
    fn of(sides: &Sides) -> Option<Self> {
        let mut values: Vec<f64> = sides.all().filter_map(|point| point.value).collect();
        values.sort_by(f64::total_cmp);
        let (mut low, mut high) = (*values.first()?, *values.last()?);
        // A scale that begins near zero begins there; a constant lies in the middle of its own.
        if 0.0 < low && low < 0.5 * high {
            low = 0.0;
        }
        if low >= high {
            let margin = if low == 0.0 { 1.0 } else { low.abs() / 10.0 };
            (low, high) = (low - margin, high + margin);
        }
        let step = nice_step((high - low) / 4.0);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        let mut times: Vec<f64> = sides.all().map(|point| point.at).collect();
        times.sort_by(f64::total_cmp);
        let (from, to) = (*times.first()?, *times.last()?);
        let (from, to) = if from < to {
            (from, to)
        } else {
            (from - 1.0, to + 1.0)
        };
        let longest = ticks(low, high, step)
            .map(|value| number(value, step).chars().count())
            .max()
            .unwrap_or(0);
        Some(Self {
            left: 24.0 + 6.5 * to_f64(longest) + 8.0,
            from,
            to,
            low,
            high,
            step,
        })
    }

    fn x(&self, at: f64) -> f64 {
        self.left + (at - self.from) / (self.to - self.from) * (RIGHT - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (value - self.low) / (self.high - self.low) * (BOTTOM - TOP)
    }

    fn draw(&self, svg: &mut String, sides: &Sides) {
        for value in ticks(self.low, self.high, self.step) {
            let y = self.y(value);
            let _ = write!(
                svg,
                "<path d=\"M{:.1} {y:.1}H{RIGHT}\" stroke=\"{GRID}\"/>",
                self.left
            );
            let told = number(value, self.step);
            text(svg, self.left - 8.0, y + 4.0, "end", QUIET, &told);
        }
        let _ = write!(
            svg,
            "<path d=\"M{:.1} {BOTTOM}H{RIGHT}\" stroke=\"{AXIS}\"/>",
            self.left
        );
        self.draw_times(svg, sides.axis);
        for (stroke, points, longest_step) in [
            (CONTROL, &sides.points.control, sides.longest_step.control),
            (
                EXPERIMENT,
                &sides.points.experiment,
                sides.longest_step.experiment,
            ),
        ] {
            self.draw_line(svg, points, longest_step, stroke);
        }
    }

    fn draw_times(&self, svg: &mut String, axis: TimeAxis) {
        let step = match axis {
            TimeAxis::Number => nice_step((self.to - self.from) / 7.0).max(1.0),
            TimeAxis::Clock | TimeAxis::SinceStart => time_step((self.to - self.from) / 7.0),
        };
        for at in ticks((self.from / step).ceil() * step, self.to, step) {
            let x = self.x(at);
            let _ = write!(svg, "<path d=\"M{x:.1} {BOTTOM}v4\" stroke=\"{AXIS}\"/>");
            let told = match axis {
                TimeAxis::Clock => clock_time(at, step),
                TimeAxis::SinceStart => format!("+{}", passed(at)),
                TimeAxis::Number => format!("{at}"),
            };
            text(svg, x, BOTTOM + 17.0, "middle", QUIET, &told);
        }
        let note = match axis {
            TimeAxis::Clock => date(self.from).map(|date| format!("{date}, UTC")),
            TimeAxis::SinceStart => Some("time since the start of each side".to_owned()),
            TimeAxis::Number => Some("number of the point".to_owned()),
        };
        text(svg, RIGHT, 52.0, "end", QUIET, &note.unwrap_or_default());
    }

    /// One stroke for each run of points without a gap; a point alone is a dot.
    fn draw_line(&self, svg: &mut String, points: &[Point], longest_step: f64, stroke: Stroke) {
        let mut runs = Vec::<Vec<(f64, f64)>>::new();
        let mut last = None;
        for point in points {
            let Some(value) = point.value else {
                last = None;
                continue;
            };
            let place = (self.x(point.at), self.y(value));
            let goes_on = last.is_some_and(|last| point.at - last <= longest_step);
            match runs.last_mut() {
                Some(run) if goes_on => run.push(place),
                _ => runs.push(vec![place]),
            }
            last = Some(point.at);
        }
        let mut line = String::new();
        for run in &runs {
            if let [(x, y)] = run[..] {
                let _ = write!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.2\" fill=\"{}\"/>",
                    stroke.color
                );
                continue;
            }
            for (index, (x, y)) in run.iter().enumerate() {
                let letter = if index == 0 { 'M' } else { 'L' };
                let _ = write!(line, "{letter}{x:.1} {y:.1}");
            }
        }
        let _ = write!(
            svg,
            "<path d=\"{line}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\"/>",
            stroke.color, stroke.width
        );
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, color: &str, text: &str) {
    let _ = write!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{color}\">{}</text>",
        escaped(text)
    );
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// For XML, which cannot hold most control characters at all.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            character if character.is_control() => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::{MetricSetScope, Pair};

    fn pair(control: &[f64], experiment: &[f64]) -> MetricSetPair {
        let scope = MetricSetScope {
            start_time_iso: None,
            start_time_millis: 1_717_203_600_000,
            step_millis: 60_000,
        };
        MetricSetPair {
            name: "latency".to_owned(),
            values: Pair {
                control: control.to_vec(),
                experiment: experiment.to_vec(),
            },
            scopes: ["control", "experiment"]
                .map(|side| (side.to_owned(), scope.clone()))
                .into_iter()
                .collect(),
            ..MetricSetPair::default()
        }
    }

    /// How many runs the line of that colour has.
    fn runs(svg: &str, stroke: Stroke) -> usize {
        let line = svg
            .split("<path ")
            .find(|path| path.contains("fill=\"none\"") && path.contains(stroke.color))
            .unwrap();
        line.split('"').nth(1).unwrap().matches('M').count()
    }

    #[test]
    fn a_line_breaks_where_a_value_is_missing() {
        const NAN: f64 = f64::NAN;
        let cases = [
            (&[1.0, 2.0, 3.0][..], 1, 0),
            (&[1.0, 2.0, NAN, 3.0, 4.0], 2, 0),
            (&[1.0, NAN, 3.0, 4.0], 1, 1),
            (&[NAN, f64::INFINITY, 3.0], 0, 1),
        ];
        for (values, expected, dots) in cases {
            let svg = svg(&pair(values, &[1.0, 2.0]), "High");
            assert_eq!(runs(&svg, CONTROL), expected, "{values:?}");
            assert_eq!(svg.matches("<circle").count(), dots, "{values:?}");
        }
        let mut late = pair(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]);
        late.timestamps = Some(Pair {
            control: vec![0, 60_000, 120_000],
            experiment: vec![0, 60_000, 240_000, 300_000],
        });
        let svg = svg(&late, "");
        assert_eq!((runs(&svg, CONTROL), runs(&svg, EXPERIMENT)), (1, 2));
    }

    #[test]
    fn sides_have_the_colours_of_the_pages() {
        let style = include_str!("../ui/assets/style.css");
        for (name, stroke) in [("control", CONTROL), ("experiment", EXPERIMENT)] {
            // The first of that name is that of light pages.
            let (_, rest) = style.split_once(&format!("--{name}: ")).unwrap();
            assert_eq!(rest.split(';').next(), Some(stroke.color), "{name}");
        }
        let told = svg(&pair(&[], &[]), "NodataFailMetric");
        assert!(told.contains(">No data, fails<"), "{told}");
    }

    #[test]
    fn a_name_that_no_font_has_is_left_out() {
        let values = [1.0, 2.0, 3.0];
        let of = |name: &str| {
            let mut pair = pair(&values, &values);
            name.clone_into(&mut pair.name);
            png(&pair, "Pass").unwrap()
        };
        // For private use: no font has it.
        assert_eq!(of("\u{10fffd}"), of(""));
        for name in ["latency", "задержка", "καθυστέρηση"] {
            assert_ne!(of(name), of(""), "{name}");
        }
    }

    #[test]
    fn a_chart_is_a_png_whatever_it_is_made_of() {
        let mut strange = pair(&[1e300, -1e300], &[0.0]);
        strange.name = "a <b> & \"c\" \u{0}\u{8} 漢字".repeat(20);
        strange.scopes.clear();
        let cases = [
            pair(&[1.0, 2.0, 3.0], &[2.0, f64::NAN, 4.0]),
            pair(&[], &[]),
            pair(&[5.0, 5.0], &[]),
            pair(&[0.0], &[0.0]),
            pair(&[f64::NAN], &[f64::INFINITY]),
            MetricSetPair::default(),
            strange,
        ];
        for pair in cases {
            let png = png(&pair, "High").unwrap();
            assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{pair:?}");
            assert!((2_000..200_000).contains(&png.len()), "{}", png.len());
        }
    }
}
