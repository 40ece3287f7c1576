use std::net::{IpAddr, Ipv4Addr};

use super::*;

fn entry(id: &str) -> Entry {
    let by = By {
        name: "token:ci".to_owned(),
        proof: "token",
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    };
    let entry = Entry::new(by, Deed::Started, What::Canary, id);
    Entry {
        at: 1_000,
        ..entry.of("shop").with(&json!({"account": "prod"}))
    }
}

fn chain(rows: usize) -> Vec<Row> {
    let mut chain = Vec::new();
    let mut last = Link::default();
    for number in 0..rows {
        let row = link("a", &last, &entry(&format!("e{number}")));
        last = row.link();
        chain.push(row);
    }
    chain
}

fn walk(rows: &[Row], end: &Link) -> Result<(), Fault> {
    let mut walk = Walk::default();
    rows.iter().try_for_each(|row| walk.take(row))?;
    walk.end(end)
}

#[test]
fn a_row_hashes_as_the_documents_say() {
    let row = link("a", &Link::default(), &entry("e0"));
    // printf '0:,1:a,1:1,4:1000,8:token:ci,5:token,9:127.0.0.1,0:,7:started,6:canary,2:e0,4:shop,4:done,18:{"account":"prod"},' | sha256sum
    let expected = "43820f0c0135b9ac1f7838dd128c48ae2dbf72ccc97ed9634289f37b13496a86";
    assert_eq!(row.hash, expected);
}

/// What is changed, how, and what is found.
type Case = (&'static str, fn(&mut Vec<Row>), Fault);

#[test]
fn a_chain_is_whole_or_names_the_first_row_that_is_not() {
    let whole = chain(5);
    let end = whole[4].link();
    assert_eq!(walk(&whole, &end), Ok(()));
    assert_eq!(walk(&whole[..4], &whole[3].link()), Ok(()), "its beginning");

    let cases: [Case; 20] = [
        ("chain", |rows| rows[2].chain.push('b'), Fault::Changed(3)),
        ("at", |rows| rows[2].at += 1, Fault::Changed(3)),
        ("who", |rows| rows[2].who.push('x'), Fault::Changed(3)),
        ("proof", |rows| rows[2].proof.clear(), Fault::Changed(3)),
        ("address", |rows| rows[2].address.clear(), Fault::Changed(3)),
        (
            "request",
            |rows| rows[2].request_id.push('1'),
            Fault::Changed(3),
        ),
        (
            "deed",
            |rows| rows[2].deed = "stopped".to_owned(),
            Fault::Changed(3),
        ),
        ("kind", |rows| rows[2].kind.push('x'), Fault::Changed(3)),
        ("id", |rows| rows[2].id.push('x'), Fault::Changed(3)),
        (
            "application",
            |rows| rows[2].application.clear(),
            Fault::Changed(3),
        ),
        (
            "outcome",
            |rows| rows[2].outcome.push('x'),
            Fault::Changed(3),
        ),
        (
            "details",
            |rows| rows[2].details = "{}".to_owned(),
            Fault::Changed(3),
        ),
        (
            "hash",
            |rows| rows[2].hash.replace_range(..1, "g"),
            Fault::Changed(3),
        ),
        (
            "from one column into the next",
            |rows| {
                rows[2].kind.push('e');
                rows[2].id.remove(0);
            },
            Fault::Changed(3),
        ),
        ("first", |rows| drop(rows.remove(0)), Fault::Missing(1)),
        ("middle", |rows| drop(rows.remove(2)), Fault::Missing(3)),
        ("last", |rows| drop(rows.pop()), Fault::Missing(5)),
        (
            "swapped",
            |rows| {
                rows.swap(1, 3);
                rows[1].number = 2;
                rows[3].number = 4;
            },
            Fault::Changed(2),
        ),
        (
            "twice",
            |rows| rows.insert(2, rows[1].clone()),
            Fault::Twice(2),
        ),
        (
            "written anew with its hash",
            |rows| {
                let previous = rows[1].link();
                rows[2] = link("a", &previous, &entry("other"));
            },
            Fault::Changed(4),
        ),
    ];
    for (name, change, expected) in cases {
        let mut rows = whole.clone();
        change(&mut rows);
        assert_eq!(walk(&rows, &end), Err(expected), "{name}");
    }
}

#[test]
fn the_last_row_written_anew_is_missed_by_the_end_alone() {
    let mut rows = chain(2);
    let end = rows[1].link();
    rows[1] = link("a", &rows[0].link(), &entry("other"));
    assert_eq!(walk(&rows, &end), Err(Fault::Changed(2)));
}

#[test]
fn a_line_is_read_as_the_row_that_it_was() {
    let rows = chain(2);
    let line = rows[1].line(Some(&rows[0].hash)).unwrap();
    let line = serde_json::to_vec(&line).unwrap();
    assert_eq!(read(&line).unwrap(), (rows[0].link(), rows[1].clone()));
    assert!(read(b"{}").is_err());
}

#[test]
fn what_clients_make_up_is_bounded() {
    let long = "é\0".repeat(5_000);
    let entry = Entry::new(By::serin(), Deed::Refused, What::Request, long.clone());
    let entry = entry.of(long.clone()).with(&json!({"path": long}));
    assert!(
        entry.id.len() < 1_100 && !entry.id.contains('\0'),
        "{}",
        entry.id
    );
    assert!(entry.application.len() < 1_100);
    assert_eq!(entry.details, json!({"leftOutBytes": 40_011}).to_string());
    assert_eq!(entry.outcome(), "refused");
}

#[test]
fn a_change_of_a_config_holds_what_it_was_and_leads_to_what_it_became() {
    let (before, after) = (
        json!({"name": "a", "metrics": [1]}),
        json!({"name": "b", "metrics": [1, 2]}),
    );
    let cases = [
        (None, Some(&after)),
        (Some(&before), Some(&after)),
        (Some(&before), None),
    ];
    for (before, after) in cases {
        let entry = Entry::new(By::serin(), Deed::ConfigChanged, What::Config, "c");
        let details: Value = serde_json::from_str(&entry.changing(before, after).details).unwrap();
        assert_eq!(details["before"], before.cloned().unwrap_or_default());
        let mut rebuilt = details["before"].clone();
        let diff: json_patch::Patch = serde_json::from_value(details["diff"].clone()).unwrap();
        json_patch::patch(&mut rebuilt, &diff).unwrap();
        assert_eq!(rebuilt, after.cloned().unwrap_or_default());
    }
}

#[test]
fn a_change_of_a_config_is_told_place_by_place() {
    let before = json!({"name": "a", "metrics": [{"name": "cpu"}], "description": "old"});
    let after = json!({"name": "b", "metrics": [{"name": "cpu"}, {"name": "errors"}]});
    let told = |before: Option<&Value>, after: Option<&Value>| {
        let entry = Entry::new(By::serin(), Deed::ConfigChanged, What::Config, "c");
        let changes = changes(&entry.changing(before, after).details).into_iter();
        let change = |it: Change| format!("{}: {:?} {:?}", it.place, it.before, it.after);
        let mut told: Vec<String> = changes.map(change).collect();
        told.sort();
        told
    };
    assert_eq!(
        told(Some(&before), Some(&after)),
        [
            r#"/description: Some("\"old\"") None"#,
            r#"/metrics/1: None Some("{\"name\":\"errors\"}")"#,
            r#"/name: Some("\"a\"") Some("\"b\"")"#,
        ]
    );
    assert_eq!(
        told(None, Some(&json!("new"))),
        [r#": None Some("\"new\"")"#]
    );
    assert_eq!(told(Some(&before), None).len(), 1);
    assert_eq!(told(Some(&before), Some(&before)).len(), 0);
    assert_eq!(changes("{}").len(), 0);
}
