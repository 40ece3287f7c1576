use serde_json::json;

use super::*;

fn variables() -> Variables {
    Variables {
        event: Event::Interval,
        number: Some(2),
        score: Some(97.5),
        kind: "analysis",
        execution_id: "run".to_owned(),
        application: "my shop/eu".to_owned(),
        canary_config_id: "checkout".to_owned(),
        canary_config_name: None,
        control: Some("v1".to_owned()),
        experiment: Some("v\"2".to_owned()),
        location: None,
        parameters: [("route".to_owned(), "7".to_owned())].into(),
        thresholds: None,
        time: "2026-11-21T10:00:00Z".to_owned(),
        link: None,
    }
}

fn call(action: &Action, variables: &Variables) -> Result<ActionCall, Fault> {
    super::call(action, variables, &budget())
}

fn action(action: Value) -> Action {
    serde_json::from_value(action).unwrap()
}

#[test]
fn a_text_that_is_one_expression_keeps_the_kind_of_its_value() {
    let cases = [
        (json!("{{ number }}"), json!(2)),
        (json!("{{ 10 * number }}"), json!(20)),
        (json!(" {{- [30, 60][number - 1] -}} "), json!(60)),
        (json!("{{ score }}"), json!(97.5)),
        (json!("{{ number | string }}"), json!("2")),
        (json!("{{ (10 * number) | string }}"), json!("20")),
        (
            json!("{{ (score - 2.5) * parameters.route | int }}"),
            json!(665.0),
        ),
        (
            json!("**{{ experiment }}** isn't {{ '*' ~ 1 }}"),
            json!("**v\"2** isn't *1"),
        ),
        (
            json!("{{ [1, number] | join('-') }} {{ 'a' | replace('a', 'b') }}"),
            json!("1-2 b"),
        ),
        (
            json!("{\"a\": {{ experiment | tojson }}}"),
            json!("{\"a\": \"v\\\"2\"}"),
        ),
        (json!("{{ number }}%"), json!("2%")),
        (json!("{{ experiment }}"), json!("v\"2")),
        (json!("{{ location }}"), json!(null)),
        (json!("{{ {'a': number} }}"), json!({"a": 2})),
        (json!("{{ number }}{{ number }}"), json!("22")),
        (json!("plain"), json!("plain")),
        (
            json!({"a": [null, 1, {"b": "{{ parameters.route }}"}]}),
            json!({"a": [null, 1, {"b": "7"}]}),
        ),
    ];
    for (body, expected) in cases {
        let call = call(
            &action(json!({"url": "http://a", "body": {"b": body}})),
            &variables(),
        );
        assert_eq!(call.unwrap().body.unwrap()["b"], expected, "{body}");
    }
}

#[test]
fn a_call_says_what_its_body_is() {
    let cases = [
        (json!({"url": "http://a"}), "POST", None, ""),
        (
            json!({"url": "http://a", "body": {"a": "{{ number }}"}}),
            "POST",
            Some("application/json"),
            "{\"a\":2}",
        ),
        (
            json!({"url": "http://a", "mergePatch": {"a": null}}),
            "PATCH",
            Some("application/merge-patch+json"),
            "{\"a\":null}",
        ),
        (
            json!({"url": "http://a", "method": "PUT", "body": "n={{ number }}"}),
            "PUT",
            Some("text/plain; charset=utf-8"),
            "n=2",
        ),
        (
            json!({"url": "http://a", "method": "DELETE"}),
            "DELETE",
            None,
            "",
        ),
        (
            json!({"url": "http://a", "body": "a", "headers": {"content-type": "text/x"}}),
            "POST",
            Some("text/x"),
            "a",
        ),
    ];
    for (given, method, kind, body) in cases {
        let call = call(&action(given.clone()), &variables()).unwrap();
        let said = call.headers.values().next().map(String::as_str);
        assert_eq!((call.method.as_str(), said), (method, kind), "{given}");
        assert_eq!(text(&call), body, "{given}");
    }
}

#[test]
fn a_value_in_a_url_is_one_part_of_it() {
    let given = action(json!({"url": "http://a/{{ application }}?n={{ number }}"}));
    let call = call(&given, &variables()).unwrap();
    assert_eq!(call.url, "http://a/my%20shop%2Feu?n=2");
}

#[test]
fn what_cannot_be_written_is_told_with_its_place() {
    let cases = [
        (
            json!({"url": "http://{{ hosst }}"}),
            "url: its template cannot be written: undefined value",
        ),
        (
            json!({"url": "http://a", "body": {"a": [1, "{{ nosuch }}"]}}),
            "body.a[1]: its template cannot be written: undefined value: 'nosuch' has no value",
        ),
        (
            json!({"url": "http://a", "body": {"a": "{{ [1][number] }}"}}),
            "body.a: its template",
        ),
        (
            json!({"url": "http://a", "body": {"a": "{{ number"}}),
            "body.a: its template",
        ),
        (
            json!({"url": "http://a/{{ location }}"}),
            "url: its template cannot be written: invalid operation: 'null' cannot be a part",
        ),
        (
            json!({"url": "http://a/{{ '..' }}/b"}),
            "url: its template cannot be written: invalid operation: '..' cannot be a part",
        ),
        (
            json!({"url": "http://a/x/{{ '.' }}{{ '.' }}/b"}),
            "url: its template cannot be written: invalid operation: '.' cannot be a part",
        ),
        (
            json!({"url": "http://a", "mergePatch": {"a": null, "b": "{{ location }}"}}),
            "mergePatch.b: its template cannot be written: invalid operation: 'location' is null",
        ),
        (
            json!({"url": "http://a", "mergePatch": {"b": ["{{ {'c': [link]} }}"]}}),
            "mergePatch.b[0]: its template cannot be written: invalid operation",
        ),
        (
            json!({"url": "http://a", "headers": {"X-A": "a\nb"}}),
            "headers.X-A: a header is one line",
        ),
        (
            json!({"url": "http://a", "body": "{% for i in range(9000) %}{% for j in range(9000) %}{% endfor %}{% endfor %}"}),
            "body: its template cannot be written: invalid operation: '{%' and '{#' are not understood",
        ),
        (
            json!({"url": "http://a", "body": "x".repeat(MOST_BYTES + 1)}),
            "body: it is longer",
        ),
    ];
    for (given, expected) in cases {
        let fault = call(&action(given.clone()), &variables()).unwrap_err();
        let told = format!("{}: {}", fault.path, fault.message);
        assert!(told.starts_with(expected), "{told}");
    }
    let given = action(
        json!({"url": "http://{{ a", "headers": {"X": "{% if"}, "body": "{ }", "mergePatch": {"a": "{{ 1 + }}", "b": "{{ nosuch }}"}}),
    );
    let places: Vec<String> = faults(&given)
        .iter()
        .map(|fault| fault.path.to_string())
        .collect();
    assert_eq!(places, ["url", "headers.X", "mergePatch.a"]);
}

#[test]
fn a_template_that_makes_much_of_little_is_refused_at_once() {
    let doubled = format!("{}{{{{ a }}}}", "{% set a=a~a %}".repeat(35));
    let chained = |filter: &str| format!("{{{{ experiment{} }}}}", filter.repeat(20));
    let cases = [
        doubled,
        format!("{{% set a='a' %}}{}", "{{ a }}".repeat(9)),
        "{# much #}{{ number }}".to_owned(),
        "{{ \"a\"|indent(999999999999) }}".to_owned(),
        "{{ \"x\"*100000000 }}".to_owned(),
        "{{ 100000000*'x' }}".to_owned(),
        "{{ ('x')*100000000 }}".to_owned(),
        "{{ experiment*100000000 }}".to_owned(),
        "{{ 100000000 * (number | string) }}".to_owned(),
        "{{ 100000000 * number | string }}".to_owned(),
        "{{ (number) * (1) | string }}".to_owned(),
        "{{ [1] * 100000000 }}".to_owned(),
        "{{ (1, 2) * 100000000 }}".to_owned(),
        "{{ parameters.route * 100000000 }}".to_owned(),
        "{{ parameters.route | int ~ 1 * 9 }}".to_owned(),
        "it's {{ 'x' * 100000000 }}, isn't it".to_owned(),
        "{{ {'a': {'}}': 1}} }}{{ 'x' * 100000000 }}".to_owned(),
        "{{ range(100000) | join(experiment) }}".to_owned(),
        chained("|tojson"),
        chained("|replace('', '12345678')"),
        chained("|join('12345678')"),
        format!("{{{{ experiment{} }}}}", "~experiment".repeat(33)),
        format!("{{{{ number }}}}{}", "x".repeat(4_096)),
    ];
    for template in cases {
        let given = action(json!({"url": "http://a", "body": template}));
        let begun = std::time::Instant::now();
        let fault = call(&given, &variables()).unwrap_err();
        assert!(fault.message.starts_with("its template"), "{fault:?}");
        let found = faults(&given);
        assert!(found.len() <= 1, "{template}");
        let taken = begun.elapsed();
        assert!(taken.as_millis() < 500, "{template}: {taken:?}");
    }
}

#[test]
fn what_one_request_may_cost_is_bounded() {
    let long = format!("{{{{ number }}}}{}", "x".repeat(4_000));
    let given = action(json!({"url": "http://a", "body": vec![long; 40]}));
    let budget = budget();
    assert!(super::call(&given, &variables(), &budget).is_ok());
    let fault = super::call(&given, &variables(), &budget).unwrap_err();
    assert!(
        fault
            .message
            .contains("that are to be tried are longer than 262144 bytes"),
        "{fault:?}"
    );
    let mut much = variables();
    much.control = Some("x".repeat(MOST_KNOWN));
    assert!(known(&given, &much).is_err());
    assert!(known(&given, &variables()).is_ok());
    assert!(known(&action(json!({"url": "http://a"})), &much).is_ok());
    let written = action(json!({"url": "http://a", "body": vec!["{{ control }}"; 40]}));
    let fault = call(&written, &much).unwrap_err();
    assert!(
        fault.message.contains("longer than 262144 bytes"),
        "{fault:?}"
    );
}
