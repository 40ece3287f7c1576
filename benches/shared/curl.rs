//! The floor that is not ours: the same queries by `curl -Z`, over connections that it keeps.

use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

pub struct Curl {
    folder: TempDir,
    headers: &'static [&'static str],
    body: Option<&'static str>,
}

impl Curl {
    /// `headers` go with every request.
    pub fn new(headers: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            folder,
            headers,
            body: None,
        }
    }

    /// Every request is a POST of this.
    pub fn posting(body: &'static str) -> Self {
        Self {
            body: Some(body),
            ..Self::new(&["content-type: text/plain"])
        }
    }

    pub const fn body(&self) -> Option<&'static str> {
        self.body
    }

    /// Seconds for the queries, `at_once` at a time: what they add to the same process when it
    /// sends them once more, so that neither its start nor its connections count.
    pub fn fetch(&self, urls: &[String], at_once: usize) -> f64 {
        // Fewer are repeated more often: the start takes as long as dozens of queries.
        let rounds = (400 / urls.len()).max(1);
        let (once, more) = (
            self.run(urls, 1, at_once),
            self.run(urls, 1 + rounds, at_once),
        );
        (more - once).max(0.0) / f64::from(u32::try_from(rounds).unwrap_or(1))
    }

    /// Seconds from the start of the process to its end.
    pub fn run(&self, urls: &[String], rounds: usize, at_once: usize) -> f64 {
        let mut config = String::new();
        for url in std::iter::repeat_n(urls, rounds).flatten() {
            let _ = writeln!(config, "url = \"{url}\"\noutput = \"/dev/null\"");
        }
        let file = self.folder.path().join("queries");
        std::fs::write(&file, config).expect("a file");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--parallel", "--parallel-immediate"])
            .args(["--parallel-max", &at_once.to_string(), "--config"])
            .arg(&file)
            .args(self.headers.iter().flat_map(|header| ["--header", header]))
            .args(self.body.iter().flat_map(|body| ["--data-binary", body]))
            .stderr(Stdio::null());
        let start = Instant::now();
        let ended = curl.status().expect("curl");
        assert!(ended.success(), "curl {ended}");
        start.elapsed().as_secs_f64()
    }
}
