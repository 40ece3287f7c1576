//! The time that one side was asked for, as the attributes of its series tell it.

use super::{Attributes, CanaryScope};

const START: &str = "windowStartMillis";
const END: &str = "windowEndMillis";
const STEP: &str = "windowStepMillis";
const ASKED_AT: &str = "askedAtMillis";

/// In milliseconds. What a series holds does not tell it: Kayenta reads start and step off the points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: i64,
    pub end: i64,
    /// Above 0.
    pub step: i64,
    /// When the source was asked; at its end, if that was over.
    pub asked_at: i64,
}

impl Window {
    /// `None` for a scope that is no window of points.
    pub fn of(scope: &CanaryScope, asked_at: i64) -> Option<Self> {
        let end = scope.end?.as_millis();
        let window = Self {
            start: scope.start?.as_millis(),
            end,
            step: scope.step?.checked_mul(1000)?,
            asked_at: asked_at.min(end),
        };
        window.is_one().then_some(window)
    }

    /// What the attributes of a side tell of it.
    pub fn told(attributes: &Attributes) -> Option<Self> {
        let (mut start, mut end, mut step, mut asked_at) = (None, None, None, None);
        for (name, text) in attributes.iter() {
            let place = match name {
                START => &mut start,
                END => &mut end,
                STEP => &mut step,
                ASKED_AT => &mut asked_at,
                _ => continue,
            };
            *place = text.parse().ok();
        }
        let window = Self {
            start: start?,
            end: end?,
            step: step?,
            asked_at: asked_at.or(end)?,
        };
        window.is_one().then_some(window)
    }

    /// Tells it, unless the source has told another one.
    pub fn tell(self, attributes: &mut Attributes) {
        if attributes.get(START).is_some() {
            return;
        }
        // Not of a window that was over, which is the same whenever it is asked for.
        let asked_at = (self.asked_at < self.end).then_some((ASKED_AT, self.asked_at));
        let told = [(START, self.start), (END, self.end), (STEP, self.step)];
        for (name, millis) in told.into_iter().chain(asked_at) {
            attributes.insert(name, millis.to_string());
        }
    }

    /// Tells it, whatever was told before.
    pub fn tell_instead(self, attributes: &mut Attributes) {
        for name in [START, END, STEP, ASKED_AT] {
            attributes.remove(name);
        }
        self.tell(attributes);
    }

    pub const fn length(self) -> i64 {
        self.end - self.start
    }

    /// How many points it holds, both ends included.
    pub fn points(self) -> usize {
        usize::try_from(self.length() / self.step + 1).unwrap_or(usize::MAX)
    }

    const fn is_one(self) -> bool {
        0 < self.step && self.start < self.end
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_window_comes_back_from_what_was_told() {
        let cases = [
            (
                json!({"start": "2024-06-01T01:00:00.5Z", "end": "2024-06-01T01:30:00.5Z", "step": 60}),
                Some(31),
            ),
            (
                json!({"start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:00:59Z", "step": 60}),
                Some(1),
            ),
            (
                json!({"start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:00:00Z", "step": 60}),
                None,
            ),
            (
                json!({"start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:30:00Z"}),
                None,
            ),
            (
                json!({"start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:30:00Z", "step": 0}),
                None,
            ),
            (json!({"step": 60}), None),
        ];
        for (scope, points) in cases {
            let scope: CanaryScope = serde_json::from_value(scope).unwrap();
            for asked_at in [1_717_204_000_001, 1_717_300_000_000] {
                let window = Window::of(&scope, asked_at);
                assert_eq!(window.map(Window::points), points, "{scope:?}");
                let mut attributes = Attributes::default();
                if let Some(window) = window {
                    window.tell(&mut attributes);
                }
                assert_eq!(Window::told(&attributes), window, "{scope:?}");
            }
        }
    }
}
