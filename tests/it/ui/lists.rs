//! The lists of what was judged: empty, and longer than a page.

use std::time::Duration;

use serde_json::json;
use serin::clock::Clock;

use super::{page, says};
use crate::executions::{adhoc, series};
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

#[tokio::test]
async fn a_newcomer_is_told_what_to_do() {
    let serin = Serin::start("").await;
    says(
        &serin,
        "/",
        &["Nothing has been judged yet", "/ui/configs/new", "curl"],
    )
    .await;
    says(
        &serin,
        "/ui/analyses",
        &["No analysis has been started yet", "curl"],
    )
    .await;
}

#[tokio::test]
async fn what_a_newcomer_copies_has_the_address_that_they_know_and_the_last_hour() {
    for public in [None, Some("https://serin.example.com/judge")] {
        let keys: Vec<(&str, &str)> = public
            .map(|url| ("server.publicUrl", url))
            .into_iter()
            .collect();
        let serin = Serin::start_with("", &keys, None).await;
        let port = serin.client.url.rsplit(':').next().unwrap();
        let host = format!("localhost:{port}");
        let here = public.map_or_else(|| format!("http://{host}"), str::to_owned);
        let mut pages = Vec::new();
        for path in ["/ui/", "/ui/analyses"] {
            let asked = serin.client.http.get(format!("{}{path}", serin.client.url));
            let answer = asked.header("host", &host).send().await.unwrap();
            let text = answer.text().await.unwrap();
            assert!(
                text.contains(&format!("curl -s '{here}/")),
                "{path}: {text}"
            );
            pages.push(text);
        }
        let button = pages[1]
            .split("curl")
            .next()
            .unwrap()
            .contains("Try a config");
        assert!(button, "{}", pages[1]);
        let times = pages[0].split("\"start\": \"").nth(1).unwrap();
        let start: jiff::Timestamp = times.split('"').next().unwrap().parse().unwrap();
        let ago = Clock::System.now_millis() - start.as_millisecond();
        assert!((3_600_000..3_720_000).contains(&ago), "{ago}");
    }
}

#[tokio::test]
async fn a_long_list_goes_on_where_it_ended() {
    let slow = Duration::from_secs(20);
    let prometheus = ScriptedPrometheus::start(move |asked| {
        let is_slow = asked.params["query"].contains("slow");
        if is_slow {
            series(1.0).after(slow)
        } else {
            series(1.0)
        }
    })
    .await;
    let keys = [("server.shutdownGrace", "1s")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let mut ids = Vec::new();
    for index in 0..53 {
        let path = format!("/canary?application=app-{}", index % 2);
        ids.push(serin.client.start_canary(&path, &adhoc(&["latency"])).await);
    }
    for id in &ids {
        serin.client.poll(id).await;
    }
    let (_, first) = page(&serin, "/ui/").await;
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap();
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let (_, second) = page(&serin, &next).await;
    let seen = |text: &str| ids.iter().filter(|id| text.contains(id.as_str())).count();
    assert_eq!((seen(&first), seen(&second)), (50, 3));
    assert!(!second.contains("rel=\"next\""));
    let (_, one) = page(&serin, "/ui/?application=app-1").await;
    assert_eq!(seen(&one), 26);
    let none = [
        "until=2020-01-01T00:00",
        "since=2100-01-01",
        "until=now-1h",
        "config=other",
        "application=none",
    ];
    for filter in none {
        says(&serin, &format!("/ui/?{filter}"), &["No run is like that"]).await;
    }
    says(
        &serin,
        "/ui/?since=2020-01-01T00:00&until=2100-01-01",
        &[&ids[52]],
    )
    .await;
    let recent = "/ui/?since=now-1h&until=2100-01-01T00:00:00%2B02:00";
    says(&serin, recent, &[&ids[52], "value=\"now-1h\""]).await;
    says(&serin, "/ui/?verdict=nonsense", &["is no verdict"]).await;
    for list in ["/ui/", "/ui/analyses"] {
        let wrong = ["&#39;now-1&#39; is no time: one like", "value=\"now-1\""];
        says(&serin, &format!("{list}?since=now-1"), &wrong).await;
        let empty = "&#39;now-2h&#39; is not after &#39;now-1h&#39;";
        says(
            &serin,
            &format!("{list}?since=now-1h&until=now-2h"),
            &[empty],
        )
        .await;
    }

    // What runs has the text in its document only, and takes no place in the list.
    let mut other = adhoc(&["slow"]);
    other["canaryConfig"]["description"] = json!("as app-0");
    let path = "/canary?application=other";
    let running = serin.client.start_canary(path, &other).await;
    let (_, found) = page(&serin, "/ui/?find=app-").await;
    assert_eq!((seen(&found), found.contains(&running)), (50, false));
    assert!(found.contains("rel=\"next\""), "{found}");
    let (status, _) = serin.client.delete(&format!("/canary/{running}")).await;
    assert_eq!(status, 202);
}
