//! What an explanation must hold, whatever was judged.

use serde_json::Value;

/// What is wrong with the explanations of a judgement; `thresholds` are those of its score.
pub fn complaints(judged: &Value, thresholds: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for result in judged["results"].as_array().unwrap() {
        let name = result["name"].as_str().unwrap();
        let explanation = &result["explanation"];
        let Some(sentence) = explanation["sentence"].as_str() else {
            wrong.push(format!("{name}: no sentence"));
            continue;
        };
        let mut numbers = numbers_in(result);
        if let Some(ratio) = result["resultMetadata"]["ratio"].as_f64() {
            numbers.push((ratio - 1.0) * 100.0);
        }
        let judge = judged["judgeName"].as_str().unwrap();
        let told = sentence.replace(name, "").replace(judge, "");
        for number in strangers(&told, &numbers) {
            wrong.push(format!("{name}: {number} is not in the JSON: {sentence}"));
        }
        let rule = explanation["rule"].as_str().unwrap();
        let label = result["classification"].as_str().unwrap();
        if rule != "otherJudge" && !labels_of(rule).contains(&label) {
            wrong.push(format!("{name}: {rule} does not give {label}"));
        }
    }
    let summary = &judged["summary"];
    let Some(sentence) = summary["sentence"].as_str() else {
        wrong.push("no summary".to_owned());
        return wrong;
    };
    let mut numbers = numbers_in(summary);
    numbers.extend(numbers_in(&judged["score"]));
    numbers.extend(numbers_in(thresholds));
    let counts = |label: &str| {
        let results = judged["results"].as_array().unwrap().iter();
        results
            .filter(|result| result["muted"] == false)
            .filter(|result| label.is_empty() || result["classification"] == label)
            .count() as f64
    };
    numbers.extend([counts(""), counts("Nodata")]);
    let costly = summary["groups"].as_array().unwrap().len() as f64;
    numbers.extend((4..=costly as usize).map(|groups| groups as f64 - 3.0));
    let mut told = sentence.to_owned();
    let groups = summary["groups"].as_array().unwrap().iter();
    let results = judged["results"].as_array().unwrap().iter();
    let mut names: Vec<&str> = groups
        .chain(results)
        .filter_map(|named| named["name"].as_str())
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    for name in names {
        told = told.replace(name, "");
    }
    for number in strangers(&told, &numbers) {
        wrong.push(format!("{number} is not in the JSON: {sentence}"));
    }
    let costs = summary["groups"].as_array().unwrap().iter();
    let costs: f64 = costs.filter_map(|group| group["cost"].as_f64()).sum();
    let weights = summary["groups"].as_array().unwrap().iter();
    let weights: f64 = weights.filter_map(|group| group["weight"].as_f64()).sum();
    let score = judged["score"]["score"].as_f64().unwrap_or(f64::NAN);
    if summary["rule"] == "score" && (weights - costs - score).abs() > 0.006 {
        wrong.push(format!("{weights} less {costs} is not {score}"));
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
    let tokens = text
        .split(|c: char| !is_part(c))
        .map(|token| token.trim_matches('.'));
    let tokens = tokens.filter(|token| token.starts_with(|c: char| c == '-' || c.is_ascii_digit()));
    tokens
        .filter_map(|token| Some((token, token.parse::<f64>().ok()?)))
        .filter(|(token, told)| {
            let is_written =
                |number: &f64| (number.abs() - told.abs()).abs() <= half_a_digit(token);
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
