//! A client that costs next to nothing: who drives the load works on the same cores.

use std::time::Instant;

use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Connections to one server, kept for the next request.
pub struct Wire {
    address: String,
    idle: Mutex<Vec<TcpStream>>,
}

impl Wire {
    pub fn to(url: &str) -> Self {
        Self {
            address: url.trim_start_matches("http://").to_owned(),
            idle: Mutex::default(),
        }
    }

    /// The body of the answer.
    pub async fn post(&self, path: &str, body: &str) -> Vec<u8> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.exchange(head.as_bytes()).await
    }

    pub async fn get(&self, path: &str) -> Vec<u8> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        self.exchange(head.as_bytes()).await
    }

    async fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connection().await;
        stream.write_all(request).await.expect("serin");
        let mut answer = Vec::with_capacity(16 * 1024);
        let (head, length) = loop {
            let read = stream.read_buf(&mut answer).await.expect("serin");
            assert!(read > 0, "the answer broke off");
            if let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
                let status = text.split(' ').nth(1);
                assert_eq!(status, Some("200"), "{}", String::from_utf8_lossy(&answer));
                let length = text.split("content-length: ").nth(1).expect("a length");
                let length: usize = length
                    .lines()
                    .next()
                    .unwrap_or("")
                    .parse()
                    .expect("a length");
                break (head + 4, length);
            }
        };
        while answer.len() < head + length {
            let read = stream.read_buf(&mut answer).await.expect("serin");
            assert!(read > 0, "the answer broke off");
        }
        self.idle.lock().await.push(stream);
        answer.split_off(head)
    }

    /// One that is idle and was not closed meanwhile, else a new one.
    async fn connection(&self) -> TcpStream {
        while let Some(idle) = self.idle.lock().await.pop() {
            let nothing = idle.try_read(&mut [0]);
            if nothing.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
                return idle;
            }
        }
        let stream = TcpStream::connect(&self.address).await.expect("serin");
        stream.set_nodelay(true).expect("a connection");
        stream
    }

    /// Starts a canary, and waits for its end; seconds from the POST.
    pub async fn judge(&self, body: &str) -> f64 {
        let start = Instant::now();
        let started = self.post("/canary", body).await;
        let started: Value = serde_json::from_slice(&started).expect("JSON");
        let id = started["canaryExecutionId"].as_str().expect("an id");
        loop {
            let answer = self.get(&format!("/canary/{id}?wait=30s")).await;
            let has = |text: &str| {
                answer
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            };
            if has("\"complete\":true") {
                assert!(
                    has("\"status\":\"succeeded\""),
                    "{}",
                    String::from_utf8_lossy(&answer)
                );
                return start.elapsed().as_secs_f64();
            }
        }
    }
}

/// Seconds from POST to the end of each canary, `at_once` at a time, on one replica after the other.
pub async fn judge_all(
    replicas: &[Wire],
    first: u32,
    count: u32,
    metrics: usize,
    at_once: usize,
) -> Vec<f64> {
    stream::iter(first..first + count)
        .map(|run| async move {
            let body = super::canary(run, metrics).to_string();
            replicas[run as usize % replicas.len()].judge(&body).await
        })
        .buffer_unordered(at_once)
        .collect()
        .await
}
