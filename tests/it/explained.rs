//! What an explanation must hold, whatever was judged.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::cmp::Reverse;

use serde_json::Value;

/// What is wrong with the explanations of a judgement; `thresholds` are those of its score.
pub fn complaints(judged: &Value, thresholds: &Value) -> Vec<String> {
    let results = judged["results"].as_array().unwrap().iter();
    let mut wrong: Vec<String> = results
        .flat_map(|result| complaints_of_metric(judged, result))
        .collect();
    wrong.extend(complaints_of_summary(judged, thresholds));
    wrong
}

fn complaints_of_metric(judged: &Value, result: &Value) -> Vec<String> {
    let name = result["name"].as_str().unwrap();
    let explanation = &result["explanation"];
    let Some(sentence) = explanation["sentence"].as_str() else {
        return vec![format!("{name}: no sentence")];
    };
    let mut numbers = numbers_in(result);
    if let Some(ratio) = result["resultMetadata"]["ratio"].as_f64() {
        numbers.push((ratio - 1.0) * 100.0);
    }
    let judge = judged["judgeName"].as_str().unwrap();
    let told = sentence.replace(name, "").replace(judge, "");
    let strangers = strangers(&told, &numbers).into_iter();
    let mut wrong: Vec<String> = strangers
        .map(|number| format!("{name}: {number} is not in the JSON: {sentence}"))
        .collect();
    let rule = explanation["rule"].as_str().unwrap();
    let label = result["classification"].as_str().unwrap();
    if rule != "otherJudge" && !labels_of(rule).contains(&label) {
        wrong.push(format!("{name}: {rule} does not give {label}"));
    }
    wrong
}

fn complaints_of_summary(judged: &Value, thresholds: &Value) -> Vec<String> {
    let summary = &judged["summary"];
    let Some(sentence) = summary["sentence"].as_str() else {
        return vec!["no summary".to_owned()];
    };
    let results = judged["results"].as_array().unwrap();
    let groups = summary["groups"].as_array().unwrap();
    let heard = || results.iter().filter(|result| result["muted"] == false);
    let without_data = heard().filter(|result| result["classification"] == "Nodata");
    let counts = [heard().count(), without_data.count()];
    // Of groups and of doubtful metrics, those that are not named are counted.
    let counts = counts.into_iter().chain(1..groups.len().max(results.len()));
    let mut numbers: Vec<f64> = counts
        .map(|count| u32::try_from(count).unwrap().into())
        .collect();
    for told in [summary, &judged["score"], thresholds] {
        numbers.extend(numbers_in(told));
    }
    let with_metrics = groups.iter().filter(|group| {
        let judged = ["passed", "failed", "notJudged"];
        judged.iter().any(|member| group[member] != 0)
    });
    numbers.push(
        with_metrics
            .filter_map(|group| group["weight"].as_f64())
            .sum(),
    );
    numbers.push(100.0);
    // Names may hold numbers, and one name another one.
    let all = groups.iter().chain(results);
    let mut names: Vec<&str> = all.filter_map(|one| one["name"].as_str()).collect();
    names.sort_by_key(|name| Reverse(name.len()));
    let told = names
        .iter()
        .fold(sentence.to_owned(), |told, name| told.replace(name, ""));
    let strangers = strangers(&told, &numbers).into_iter();
    let mut wrong: Vec<String> = strangers
        .map(|number| format!("{number} is not in the JSON: {sentence}"))
        .collect();

    let sum = |member: &str| -> f64 {
        groups
            .iter()
            .filter_map(|group| group[member].as_f64())
            .sum()
    };
    let earned = sum("weight") - sum("cost");
    let score = judged["score"]["score"].as_f64().unwrap_or(f64::NAN);
    if summary["rule"] == "score" && (earned - score).abs() > 0.006 {
        wrong.push(format!("{earned} is earned, and the score is {score}"));
    }
    wrong
}

/// Leaves what Kayenta tells too.
pub fn remove(judged: &mut Value) {
    judged.as_object_mut().unwrap().remove("summary").unwrap();
    for result in judged["results"].as_array_mut().unwrap() {
        let explanation = result.as_object_mut().unwrap().remove("explanation");
        explanation.unwrap();
    }
}

fn labels_of(rule: &str) -> &[&str] {
    match rule {
        "increase" => &["High"],
        "decrease" => &["Low"],
        "noData" | "noDataCritical" => &["Nodata"],
        "noDataFails" => &["NodataFailMetric"],
        "testFailed" => &["Error"],
        "identical" | "sameConstant" | "noClearShift" | "otherDirection" | "allowedEffect"
        | "noDataReplaced" => &["Pass"],
        _ => &[],
    }
}

/// The numbers of a text that are none of those, as far as they are written out.
fn strangers(text: &str, numbers: &[f64]) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_digit() || ['.', '-', 'e'].contains(&c);
    let tokens = text.split(|c: char| !is_part(c));
    let tokens = tokens.map(|token| token.trim_matches('.'));
    tokens
        .filter(|token| token.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
        .filter_map(|token| Some((token, token.parse::<f64>().ok()?)))
        // The greatest double, rounded up, is none any more.
        .filter(|(_, told)| told.is_finite())
        .filter(|(token, told)| {
            let limit = half_a_digit(token);
            let is_written = |number: &f64| (number.abs() - told.abs()).abs() <= limit;
            !numbers.iter().any(is_written)
        })
        .map(|(token, _)| token.to_owned())
        .collect()
}

/// How far a number may be from its text.
fn half_a_digit(token: &str) -> f64 {
    let (digits, exponent) = token.split_once('e').unwrap_or((token, "0"));
    let decimals = digits
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    let exponent: i32 = exponent.parse().unwrap();
    0.500_001 * 10.0_f64.powi(exponent - i32::try_from(decimals).unwrap())
}

/// All numbers below a value.
fn numbers_in(value: &Value) -> Vec<f64> {
    match value {
        Value::Number(number) => vec![number.as_f64().unwrap()],
        Value::Array(values) => values.iter().flat_map(numbers_in).collect(),
        Value::Object(members) => members.values().flat_map(numbers_in).collect(),
        _ => Vec::new(),
    }
}
