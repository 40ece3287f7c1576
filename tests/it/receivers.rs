//! Those who are told: a web server and a mail server that remember what they got.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long it waits for what must not come.
const SILENCE: Duration = Duration::from_millis(1_500);

/// One request, and how it was answered.
#[derive(Clone, Debug)]
pub struct Post {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
    pub status: u16,
}

impl Post {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// By which its receiver knows it again.
    pub fn id(&self) -> &str {
        self.header("idempotency-key")
    }
}

type Script = dyn Fn(&Post, usize) -> u16 + Send + Sync;

struct Desk {
    script: Box<Script>,
    posts: Mutex<Vec<Post>>,
}

#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    desk: Arc<Desk>,
}

impl Receiver {
    /// Takes everything.
    pub async fn start() -> Self {
        Self::answering(|_, _| 200).await
    }

    /// The script gives a status, from the request and the number of those before it; 0 is no
    /// answer at all.
    pub async fn answering(script: impl Fn(&Post, usize) -> u16 + Send + Sync + 'static) -> Self {
        let desk = Arc::new(Desk {
            script: Box::new(script),
            posts: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(Arc::clone(&desk));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, desk }
    }

    /// Every request so far.
    pub fn posts(&self) -> Vec<Post> {
        self.desk.posts.lock().unwrap().clone()
    }

    /// Every request so far that was taken.
    pub fn taken(&self) -> Vec<Post> {
        let mut posts = self.posts();
        posts.retain(|post| post.status == 200);
        posts
    }

    /// Those that were taken, once there are so many and no more come.
    pub async fn taken_in_the_end(&self, count: usize) -> Vec<Post> {
        self.until(|receiver| count <= receiver.taken().len()).await;
        tokio::time::sleep(SILENCE).await;
        let taken = self.taken();
        assert_eq!(taken.len(), count, "{taken:#?}");
        taken
    }

    pub async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "{:#?}", self.posts());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn take(State(desk): State<Arc<Desk>>, request: Request) -> StatusCode {
    let (head, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 10 << 20).await.unwrap();
    let mut post = Post {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        status: 0,
    };
    let status = {
        let mut posts = desk.posts.lock().unwrap();
        post.status = (desk.script)(&post, posts.len());
        let status = post.status;
        posts.push(post);
        status
    };
    match status {
        0 => std::future::pending().await,
        status => StatusCode::from_u16(status).unwrap(),
    }
}

/// Refuses everything, and says all that it was sent.
pub async fn echo() -> String {
    async fn answer(request: Request) -> (StatusCode, String) {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 10 << 20).await.unwrap();
        let mut told = head.uri.to_string();
        for (name, value) in &head.headers {
            told.extend(["\n", name.as_str(), ": ", value.to_str().unwrap()]);
        }
        told += &String::from_utf8_lossy(&body);
        (StatusCode::UNAUTHORIZED, told)
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A mail server that lets nobody in by that mechanism, and says what it was sent.
pub fn echoing_mail(mechanism: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let say_again = move |mut stream: &TcpStream| -> Option<()> {
        let mut lines = BufReader::new(stream).lines();
        stream.write_all(b"220 here\r\n").ok()?;
        loop {
            let line = lines.next()?.ok()?;
            let answer = match line.split(' ').next()? {
                "EHLO" => format!("250-here\r\n250 AUTH {mechanism}\r\n"),
                "AUTH" if mechanism == "LOGIN" => {
                    stream.write_all(b"334 VXNlcm5hbWU6\r\n").ok()?;
                    lines.next()?.ok()?;
                    stream.write_all(b"334 UGFzc3dvcmQ6\r\n").ok()?;
                    format!("535 no: {}\r\n", lines.next()?.ok()?)
                }
                "AUTH" => format!("535 no: {line}\r\n"),
                _ => "250 yes\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).ok()?;
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || say_again(&stream.unwrap()));
        }
    });
    port
}

/// A mail server that takes what comes.
#[derive(Clone)]
pub struct MailServer {
    pub port: u16,
    letters: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            letters: Arc::default(),
        };
        let letters = Arc::clone(&server.letters);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let letters = Arc::clone(&letters);
                std::thread::spawn(move || converse(&stream.unwrap(), &letters));
            }
        });
        server
    }

    /// The letters, with their long lines put together again, once there are so many.
    pub async fn letters(&self, count: usize) -> Vec<String> {
        let start = Instant::now();
        loop {
            let letters = self.letters.lock().unwrap().clone();
            if letters.len() == count {
                return letters;
            }
            assert!(start.elapsed() < PATIENCE, "{letters:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One conversation, without a look at what is asked.
fn converse(mut stream: &TcpStream, letters: &Mutex<Vec<String>>) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    stream.write_all(b"220 here\r\n").ok()?;
    loop {
        let line = lines.next()?.ok()?;
        match line.get(..4)? {
            "DATA" => {
                stream.write_all(b"354 go on\r\n").ok()?;
                let mut letter = String::new();
                loop {
                    let line = lines.next()?.ok()?;
                    match line.strip_suffix('=') {
                        _ if line == "." => break,
                        Some(first) => letter.push_str(first),
                        None => letter.extend([line.as_str(), "\n"]),
                    }
                }
                letters.lock().unwrap().push(letter);
                stream.write_all(b"250 taken\r\n").ok()?;
            }
            "QUIT" => return stream.write_all(b"221 bye\r\n").ok(),
            _ => stream.write_all(b"250 yes\r\n").ok()?,
        }
    }
}
