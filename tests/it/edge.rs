//! The edge of the service: what clients send that would break it for others.

mod requests;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tempfile::TempDir;

use crate::crash::{Process, free_port};
use crate::executions::{adhoc, series};
use crate::harness::{Client, Serin};
use crate::scripted_prometheus::ScriptedPrometheus;

/// What a client sends at once and then no more.
const SILENT: &[u8] = b"";
const HALF_PREFACE: &[u8] = b"PRI * HT";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const HALF_HEAD: &[u8] = b"GET /judges HTTP/1.1\r\nHost: localhost\r\nA: ";
const HALF_BODY: &[u8] =
    b"POST /canary HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{";

fn connect(url: &str, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(sent).unwrap();
    stream
}

/// All that comes until the connection is closed, or the client has waited for long.
fn rest(mut stream: &TcpStream) -> String {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}

/// What is answered to a request as it is written, until nothing more comes.
async fn raw(url: &str, request: &[u8]) -> String {
    let (url, request) = (url.to_owned(), request.to_vec());
    let ask = move || {
        let stream = connect(&url, &request);
        let patience = Some(Duration::from_millis(1_500));
        stream.set_read_timeout(patience).unwrap();
        rest(&stream)
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

/// A serin with a process of its own, and as many open files as a plain Linux lets it have.
async fn process(prometheus: &str) -> (Process, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 1024 && exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_serin"))
        .args(["serve", "--prometheus", prometheus])
        .env("SERIN__STORAGE__DIRECTORY", folder.path());
    (Process::spawn(command, free_port()).await, folder)
}

fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
}

#[tokio::test(flavor = "multi_thread")]
async fn eleven_hundred_silent_connections_leave_a_healthy_client_alone() {
    raise_file_limit();
    let (serin, _folder) = process("http://127.0.0.1:9").await;
    let kinds = [SILENT, HALF_PREFACE, PREFACE, HALF_HEAD];
    let silent: Vec<TcpStream> = (0..1_100)
        .map(|at| connect(&serin.client.url, kinds[at % kinds.len()]))
        .collect();
    for _ in 0..50 {
        let start = Instant::now();
        let client = Client::new(&serin.client.url);
        assert_eq!(client.get("/judges").await.0, 200);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    println!("peak beside silent connections: {} MB", serin.peak());
    let closed = tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        for stream in &silent {
            drop(rest(stream));
        }
        start.elapsed()
    });
    let closed = closed.await.unwrap();
    assert!(closed < Duration::from_secs(18), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_takes_no_more_memory_than_it_may() {
    raise_file_limit();
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let (serin, _folder) = process(&prometheus.url).await;
    let url = serin.client.url.clone();

    // Bodies that stop before their end.
    let part = vec![b' '; (10 << 20) - 10];
    let head =
        "POST /canaryConfig/lint HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10485760\r\n\r\n";
    let holding: Vec<TcpStream> = tokio::task::spawn_blocking(move || {
        let kept = (0..100).map(|_| {
            let mut stream = connect(&url, head.as_bytes());
            // What is refused cannot be sent to its end.
            let _ = stream.write_all(&part);
            stream
        });
        kept.collect()
    })
    .await
    .unwrap();
    // What starts a canary does not wait behind them.
    let id = serin.client.start_canary("/canary", &adhoc(&["a"])).await;
    assert_eq!(serin.client.poll(&id).await["status"], "succeeded");
    let url = serin.client.url.clone();
    let refused = holding.iter().filter(|stream| {
        stream.set_nonblocking(true).unwrap();
        rest(stream).contains("503 Service Unavailable")
    });
    assert!(0 < refused.count());
    println!("peak with 100 bodies: {} MB", serin.peak());
    drop(holding);

    // Readers that do not read.
    let sets = json!([{"name": "m", "values": vec![1.5; 1_700_000], "tags": {}, "startTimeMillis": 0, "stepMillis": 1}]);
    let (status, stored) = serin.client.post("/metricSetList", &sets).await;
    assert_eq!(status, 200, "{stored}");
    let id = stored["metricSetListId"].as_str().unwrap();
    let head = format!("GET /metricSetList/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let reading: Vec<TcpStream> = (0..100).map(|_| connect(&url, head.as_bytes())).collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("peak with 100 readers of 7 MB: {} MB", serin.peak());
    drop(reading);

    // Names that a list and a label would hold.
    for _ in 0..5 {
        let mut body = adhoc(&["a"]);
        body["canaryConfig"]["name"] = "n".repeat(5 << 20).into();
        let (status, _) = serin.client.post("/canary", &body).await;
        assert!([400, 503].contains(&status), "{status}");
    }
    println!("peak with names of 5 MiB: {} MB", serin.peak());

    // Methods that a label would hold.
    let methods = tokio::task::spawn_blocking(move || {
        let stream = connect(&url, SILENT);
        let mut asking = stream.try_clone().unwrap();
        let ask = std::thread::spawn(move || {
            for at in 0..2_000 {
                let method = format!("M{at}{}", "A".repeat(8_000));
                let head = format!("{method} /judges HTTP/1.1\r\nHost: localhost\r\n\r\n");
                asking.write_all(head.as_bytes()).unwrap();
            }
        });
        let answers = rest(&stream).matches("HTTP/1.1 405").count();
        ask.join().unwrap();
        answers
    });
    assert_eq!(methods.await.unwrap(), 2_000);
    let (_, metrics) = serin.client.get("/metrics").await;
    assert!(metrics.as_str().unwrap().len() < 200_000);
    println!("peak with 2,000 methods of 8 KB: {} MB", serin.peak());
    assert!(serin.peak() < 300, "{} MB", serin.peak());
}

#[tokio::test]
async fn a_request_that_names_serin_wrongly_is_refused() {
    let serin = Serin::start("").await;
    let cases = [
        ("GET /judges HTTP/1.1|Host: localhost", "200"),
        ("GET /judges HTTP/1.0", "200"),
        ("GET /judges HTTP/1.1", "400"),
        (
            "GET /judges HTTP/1.1|Host: localhost|Host: localhost",
            "400",
        ),
        ("GET /judges HTTP/1.1|Host: evil.example:8090", "421"),
        (
            "GET http://evil.example/judges HTTP/1.1|Host: localhost",
            "421",
        ),
        (
            "POST /canaryConfig HTTP/1.1|Host: evil.example|Content-Length: 2||{}",
            "421",
        ),
    ];
    for (head, expected) in cases {
        let request = head.replace('|', "\r\n");
        let end = if head.contains("||") { "" } else { "\r\n\r\n" };
        let answer = raw(&serin.client.url, format!("{request}{end}").as_bytes()).await;
        let status = answer.split(' ').nth(1);
        assert_eq!(status, Some(expected), "{head}: {answer}");
        assert!(answer.contains("x-request-id"), "{answer}");
        if expected != "200" {
            assert!(answer.contains("\"message\":"), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_body_is_refused_by_its_length_and_the_connection_with_it() {
    let keys = [("server.maxBodySize", "10KiB")];
    let serin = Serin::start_with("", &keys, None).await;
    let url = serin.client.url.clone();
    // Nothing of the body is sent: the length is enough.
    let head = "POST /canaryConfig HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n";
    let start = Instant::now();
    let asked = url.clone();
    let early = tokio::task::spawn_blocking(move || {
        let mut stream = connect(&asked, head.as_bytes());
        let mut some = [0; 4096];
        let length = stream.read(&mut some).unwrap();
        String::from_utf8_lossy(&some[..length]).into_owned()
    });
    let early = early.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(early.starts_with("HTTP/1.1 413 "), "{early}");
    assert!(early.contains("connection: close"), "{early}");
    assert!(early.contains("server.maxBodySize"), "{early}");

    let chunked =
        "POST /canaryConfig HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("5000\r\n{}\r\n0\r\n\r\n", " ".repeat(0x5000));
    let late = raw(&url, format!("{chunked}{chunk}").as_bytes()).await;
    assert!(late.starts_with("HTTP/1.1 413 "), "{late}");

    // A connection whose body was read is kept.
    let small = "POST /canaryConfig HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    let both = raw(&url, small.repeat(2).as_bytes()).await;
    assert_eq!(both.matches("HTTP/1.1 400 ").count(), 2, "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_take_an_answer_loses_it_and_who_waits_does_not() {
    let slow = Duration::from_secs(5);
    let prometheus = ScriptedPrometheus::start(move |_| series(1.0).after(slow)).await;
    let keys = [
        ("server.headerTimeout", "1s"),
        ("server.leastRate", "1MiB"),
        ("server.idleTimeout", "2s"),
    ];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    // More than the buffers of two sockets hold: without a reader some kernels take 4 MB and a bit.
    let values = vec![1.234_567_89; 800_000];
    let sets =
        json!([{"name": "m", "values": values, "tags": {}, "startTimeMillis": 0, "stepMillis": 1}]);
    let (status, stored) = serin.client.post("/metricSetList", &sets).await;
    assert_eq!(status, 200, "{stored}");
    let id = stored["metricSetListId"].as_str().unwrap();
    let path = format!("/metricSetList/{id}");

    // Streams and long polls have nothing to give for longer than any time-out.
    let canary = serin.client.start_canary("/canary", &adhoc(&["a"])).await;
    let (events, wait) = (
        format!("/canary/{canary}/events"),
        format!("/canary/{canary}?wait=20s"),
    );
    let (watched, waited) = (serin.client.get(&events), serin.client.get(&wait));

    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (url, asked) = (serin.client.url.clone(), head.clone());
    let taken = async {
        let begun = tokio::task::spawn_blocking(move || {
            let stream = connect(&url, asked.as_bytes());
            // It takes nothing from when the answer begins, which a busy machine puts off.
            stream.peek(&mut [0]).unwrap();
            stream
        });
        let stream = begun.await.unwrap();
        tokio::time::sleep(Duration::from_secs(4)).await;
        tokio::task::spawn_blocking(move || rest(&stream).len()).await
    };
    let (watched, waited, taken) = tokio::join!(watched, waited, taken);
    assert!(watched.1.as_str().unwrap().contains("event: end"));
    assert_eq!(waited.1["complete"], true);
    let url = serin.client.url.clone();
    let last = head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let whole = tokio::task::spawn_blocking(move || rest(&connect(&url, last.as_bytes())).len());
    let whole = whole.await.unwrap();
    assert!(8_000_000 < whole, "{whole}");
    let taken = taken.unwrap();
    assert!(taken < whole, "{taken} of {whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_no_window_for_a_short_answer_is_cut() {
    let keys = [("server.headerTimeout", "1s")];
    let serin = Serin::start_with("http://127.0.0.1:9", &keys, None).await;
    // SETTINGS_INITIAL_WINDOW_SIZE = 0, then GET /judges.
    let sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
        \0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0\
        \0\0\x16\x01\x05\0\0\0\x01\x82\x86\x44\x07/judges\x41\x09localhost";
    let stream = connect(&serin.client.url, sent);
    let start = Instant::now();
    tokio::task::spawn_blocking(move || rest(&stream))
        .await
        .unwrap();
    let took = start.elapsed();
    // Asked nothing it would stay for a minute, and be pinged after 20 seconds.
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(serin.client.get("/judges").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn until_serin_ends_it_answers_and_begins_nothing() {
    let slow = Duration::from_secs(3);
    let prometheus = ScriptedPrometheus::start(move |_| series(1.0).after(slow)).await;
    let (mut serin, _folder) = process(&prometheus.url).await;
    let client = serin.client.clone();
    let mut named = adhoc(&["a"])["canaryConfig"].clone();
    named["id"] = "stored".into();
    named["name"] = "stored".into();
    named["applications"] = json!(["web"]);
    assert_eq!(client.post("/canaryConfig", &named).await.0, 200);
    let id = client.start_canary("/canary", &adhoc(&["a"])).await;
    let holding = [SILENT, HALF_PREFACE, PREFACE, HALF_HEAD, HALF_BODY]
        .map(|sent| connect(&client.url, sent));
    let (path, wait) = (format!("/canary/{id}"), format!("/canary/{id}?wait=20s"));
    let waited = client.get(&wait);
    let refused = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let fresh = Client::new(&client.url);
        let posted = fresh.http.post(format!("{}/canary", client.url));
        let posted = posted.json(&adhoc(&["a"])).send().await.unwrap();
        for path in [
            "/judges/comparison?canaryConfigId=stored&metricSetPairListId=b&passThreshold=95&marginalThreshold=75",
            "/fetch/prometheus/query?metricSetName=a&metricName=a&step=60&customFilter=PromQL:a",
            "/retention",
        ] {
            let posted = fresh.http.post(format!("{}{path}", client.url));
            let posted = posted.send().await.unwrap();
            assert_eq!(posted.status(), 503, "{path}");
            assert_eq!(posted.headers()["retry-after"], "2", "{path}");
        }
        let read = fresh.get(&path).await.0;
        let ready = client.get("/health/readiness").await.0;
        let lives = client.get("/health/liveness").await.0;
        assert_eq!((ready, lives), (503, 200));
        assert_eq!(read, 200);
        assert_eq!(posted.headers()["retry-after"], "2");
        posted.status()
    };
    let end = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let start = Instant::now();
        let status = serin.terminate(Duration::from_secs(10)).await;
        (status, start.elapsed())
    };
    let (waited, refused, (status, took)) = tokio::join!(waited, refused, end);
    assert_eq!(waited.1["status"], "succeeded");
    assert_eq!(refused, 503);
    assert!(status.success(), "{status}");
    // As long as the canary, and no longer, whoever holds on.
    assert!(took < Duration::from_secs(4), "{took:?}");
    drop(holding);
}
