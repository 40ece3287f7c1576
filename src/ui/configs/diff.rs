//! Two texts line by line: what goes, what comes, and a little of what stays around it.

/// Lines that stay, before and after what does not.
const AROUND: usize = 3;

/// Beyond, all that differs goes and comes as a whole: it takes as much time and memory.
const MOST_CELLS: usize = 1_000_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Stays(&'a str),
    Goes(&'a str),
    Comes(&'a str),
    /// So many that stay are not shown.
    Hidden(usize),
}

/// Empty when both are the same.
pub fn of<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let head = before.iter().zip(&after).take_while(same).count();
    let tails = before[head..].iter().rev().zip(after[head..].iter().rev());
    let tail = tails.take_while(same).count();
    let (before_end, after_end) = (before.len() - tail, after.len() - tail);
    let mut lines: Vec<Line<'a>> = before[..head]
        .iter()
        .map(|line| Line::Stays(line))
        .collect();
    lines.extend(changed(&before[head..before_end], &after[head..after_end]));
    lines.extend(before[before_end..].iter().map(|line| Line::Stays(line)));
    around(lines)
}

/// By the longest common subsequence.
fn changed<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Line<'a>> {
    let goes = |lines: &[&'a str]| {
        lines
            .iter()
            .map(|line| Line::Goes(line))
            .collect::<Vec<_>>()
    };
    let comes = |lines: &[&'a str]| {
        lines
            .iter()
            .map(|line| Line::Comes(line))
            .collect::<Vec<_>>()
    };
    let width = after.len() + 1;
    if MOST_CELLS < (before.len() + 1).saturating_mul(width) {
        return [goes(before), comes(after)].concat();
    }
    // How much is common to what begins at both places.
    let mut common = vec![0_u32; (before.len() + 1) * width];
    for (row, line) in before.iter().enumerate().rev() {
        for (column, other) in after.iter().enumerate().rev() {
            let at = row * width + column;
            common[at] = if line == other {
                common[at + width + 1] + 1
            } else {
                common[at + width].max(common[at + 1])
            };
        }
    }
    let (mut row, mut column, mut lines) = (0, 0, Vec::new());
    while row < before.len() && column < after.len() {
        let at = row * width + column;
        if before[row] == after[column] {
            lines.push(Line::Stays(before[row]));
            (row, column) = (row + 1, column + 1);
        } else if common[at + 1] <= common[at + width] {
            lines.push(Line::Goes(before[row]));
            row += 1;
        } else {
            lines.push(Line::Comes(after[column]));
            column += 1;
        }
    }
    lines.extend(goes(&before[row..]));
    lines.extend(comes(&after[column..]));
    lines
}

/// Without what stays far from what does not.
fn around(lines: Vec<Line<'_>>) -> Vec<Line<'_>> {
    let is_changed = |line: &Line<'_>| !matches!(line, Line::Stays(_));
    let changed = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is_changed(line));
    let changed: Vec<usize> = changed.map(|(at, _)| at).collect();
    let mut next = 0;
    let mut shown = Vec::new();
    let mut hidden = 0;
    for (at, line) in lines.into_iter().enumerate() {
        while changed.get(next).is_some_and(|place| place + AROUND < at) {
            next += 1;
        }
        let is_near = changed.get(next).is_some_and(|place| *place <= at + AROUND);
        if !is_near {
            hidden += 1;
            continue;
        }
        if 0 < hidden {
            shown.push(Line::Hidden(std::mem::take(&mut hidden)));
        }
        shown.push(line);
    }
    if 0 < hidden && !shown.is_empty() {
        shown.push(Line::Hidden(hidden));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> String {
        let line = |line: &Line<'_>| match line {
            Line::Stays(text) => format!(" {text}"),
            Line::Goes(text) => format!("-{text}"),
            Line::Comes(text) => format!("+{text}"),
            Line::Hidden(count) => format!("@{count}"),
        };
        let lines = of(before, after);
        lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_goes_and_comes_is_shown_with_what_is_around_it() {
        let cases = [
            ("a\nb", "a\nb", ""),
            ("", "a", "+a"),
            ("a", "", "-a"),
            ("a\nb\nc", "a\nx\nc", " a\n-b\n+x\n c"),
            ("a\nb\nc\nd", "b\nd\ne", "-a\n b\n-c\n d\n+e"),
            (
                "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12",
                "1\n2\n3\n4\n5\nsix\n7\n8\n9\n10\n11\n12",
                "@2\n 3\n 4\n 5\n-6\n+six\n 7\n 8\n 9\n@3",
            ),
        ];
        for (before, after, expected) in cases {
            assert_eq!(told(before, after), expected, "{before} {after}");
        }
    }

    #[test]
    fn what_is_shown_leads_from_one_text_to_the_other() {
        let text = |seed: usize| {
            let lines = (0..40).map(|at| ((at * seed + at / 3) % 7).to_string());
            lines.collect::<Vec<_>>().join("\n")
        };
        for seed in 1..20 {
            let (before, after) = (text(seed), text(seed + 1));
            let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
            let lines = changed(&old, &new);
            let keep = |wanted: fn(&Line<'_>) -> bool| {
                let kept = lines
                    .iter()
                    .filter(|line| wanted(line))
                    .map(|line| match line {
                        Line::Stays(text) | Line::Goes(text) | Line::Comes(text) => *text,
                        Line::Hidden(_) => "",
                    });
                kept.collect::<Vec<_>>()
            };
            assert_eq!(keep(|line| !matches!(line, Line::Comes(_))), old);
            assert_eq!(keep(|line| !matches!(line, Line::Goes(_))), new);
        }
    }
}
