//! A service that answers as it was recorded, to the byte, and remembers what it was asked.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Listens until the runtime of its test ends.
pub struct StandIn {
    pub url: String,
    desk: Arc<Mutex<Desk>>,
}

type Answer = Box<dyn Fn(&Asked) -> Value + Send>;

#[derive(Default)]
struct Desk {
    /// The last one for ever.
    replies: Vec<Value>,
    /// Instead of these.
    answer: Option<Answer>,
    asked: Vec<Asked>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// As it came.
    pub target: String,
    /// Sorted.
    pub query: Vec<(String, String)>,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl StandIn {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let desk = Arc::new(Mutex::new(Desk::default()));
        let shared = Arc::clone(&desk);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let desk = Arc::clone(&shared);
                // Who hangs up hears nothing more.
                tokio::spawn(async move { drop(serve(connection, &desk).await) });
            }
        });
        Self { url, desk }
    }

    /// Forgets what was, and answers with these, one after the other.
    pub fn play(&self, replies: Vec<Value>) {
        *self.desk.lock().unwrap() = Desk {
            replies,
            ..Desk::default()
        };
    }

    /// Answers with what that says.
    pub fn answer(&self, answer: impl Fn(&Asked) -> Value + Send + 'static) {
        self.desk.lock().unwrap().answer = Some(Box::new(answer));
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.desk.lock().unwrap().asked.clone()
    }
}

/// One request a connection: what was sent before tells nothing then.
async fn serve(connection: TcpStream, desk: &Mutex<Desk>) -> std::io::Result<()> {
    let mut connection = BufReader::new(connection);
    let mut line = String::new();
    connection.read_line(&mut line).await?;
    let mut first = line.split_whitespace();
    let (method, came) = (first.next().unwrap_or(""), first.next().unwrap_or(""));
    let target = url::Url::parse(&format!("http://h{came}")).unwrap();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    let mut query: Vec<(String, String)> = target.query_pairs().into_owned().collect();
    query.sort();
    let reply = {
        let mut desk = desk.lock().unwrap();
        desk.asked.push(Asked {
            method: method.to_owned(),
            path: target.path().to_owned(),
            target: came.to_owned(),
            query,
            headers,
            body: String::from_utf8(body).unwrap(),
        });
        let at = (desk.asked.len() - 1).min(desk.replies.len().saturating_sub(1));
        match (&desk.answer, desk.asked.last()) {
            (Some(answer), Some(asked)) => answer(asked),
            _ => desk.replies.get(at).cloned().unwrap_or_default(),
        }
    };
    send(&mut connection, &reply).await
}

async fn send(connection: &mut BufReader<TcpStream>, reply: &Value) -> std::io::Result<()> {
    if let Some(seconds) = reply["delay"].as_f64() {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }
    if reply["close"] == true {
        return Ok(());
    }
    let body = reply["body"].as_str().unwrap_or("");
    let mut head = format!(
        "HTTP/1.1 {} As recorded\r\nconnection: close\r\n",
        reply["status"]
    );
    for (name, value) in reply["headers"].as_object().into_iter().flatten() {
        let _ = write!(head, "{name}: {}\r\n", value.as_str().unwrap());
    }
    if let Some(size) = reply["chunks"].as_u64() {
        head += "transfer-encoding: chunked\r\n\r\n";
        connection.write_all(head.as_bytes()).await?;
        for chunk in body.as_bytes().chunks(usize::try_from(size).unwrap()) {
            let begin = format!("{:x}\r\n", chunk.len());
            connection.write_all(begin.as_bytes()).await?;
            connection.write_all(chunk).await?;
            connection.write_all(b"\r\n").await?;
        }
        connection.write_all(b"0\r\n\r\n").await?;
    } else {
        let missing = if reply["cut"] == true { 100 } else { 0 };
        let _ = write!(head, "content-length: {}\r\n\r\n", body.len() + missing);
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(body.as_bytes()).await?;
    }
    connection.flush().await
}
