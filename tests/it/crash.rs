//! `kill -9` in the middle: every accepted execution ends all the same.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::executions::{adhoc, series};
use crate::harness::Client;
use crate::scripted_prometheus::ScriptedPrometheus;

/// The binary as a process of its own, killed when dropped.
pub struct Process {
    child: Child,
    pub client: Client,
}

impl Process {
    pub async fn start(directory: &Path, prometheus: &str, port: u16) -> Self {
        let variables = [("SERIN__EXECUTIONS__LEASE", "2s")];
        Self::start_with(directory, prometheus, port, &variables).await
    }

    /// With keys of the configuration, as environment variables.
    pub async fn start_with(
        directory: &Path,
        prometheus: &str,
        port: u16,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        command
            .args(["serve", "--prometheus", prometheus])
            .env("SERIN__STORAGE__DIRECTORY", directory)
            .envs(variables.iter().copied());
        Self::spawn(command, port).await
    }

    /// With arguments and an environment of its own.
    pub async fn spawn(command: Command, port: u16) -> Self {
        Self::spawn_with_log(command, port, Stdio::null()).await
    }

    pub async fn spawn_with_log(mut command: Command, port: u16, log: Stdio) -> Self {
        let child = command
            .args(["--port", &port.to_string()])
            .stderr(log)
            .spawn()
            .unwrap();
        let client = Client::new(&format!("http://127.0.0.1:{port}"));
        let start = Instant::now();
        let ready = format!("{}/health/readiness", client.url);
        while client.http.get(&ready).send().await.is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "serin does not start"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { child, client }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), signal).unwrap();
    }

    /// SIGTERM, and how it ended, at the latest after that time.
    pub async fn terminate(&mut self, within: Duration) -> std::process::ExitStatus {
        self.signal(Signal::TERM);
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < within, "serin does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The most memory that it ever had, in MB.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().unwrap() / 1_000
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Below the ports that connections take for themselves: one to a port where nobody listens yet
/// may else be a connection to itself, and keep the port.
pub fn free_port() -> u16 {
    let random = uuid::Uuid::new_v4().as_u128() % 12_000;
    let port = 20_000 + u16::try_from(random).unwrap();
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => port,
        Err(_) => free_port(),
    }
}

#[tokio::test]
async fn twenty_running_canaries_end_after_a_kill_and_a_restart() {
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = Arc::clone(&slow);
    let prometheus = ScriptedPrometheus::start(move |_| {
        let delay = if is_slow.load(Ordering::SeqCst) {
            2000
        } else {
            0
        };
        series(1.0).after(Duration::from_millis(delay))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut serin = Process::start(folder.path(), &prometheus.url, port).await;
    let mut ids = Vec::new();
    for index in 0..20 {
        // Equal queries would be one request.
        let canary = adhoc(&[&format!("latency{index}")]);
        let path = "/canary?application=web";
        ids.push(serin.client.start_canary(path, &canary).await);
    }
    // Some are fetching, none is done.
    while prometheus.asked().len() < 10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    serin.kill();
    slow.store(false, Ordering::SeqCst);

    let serin = Process::start(folder.path(), &prometheus.url, port).await;
    let mut lists = Vec::new();
    for id in &ids {
        let done = serin.client.poll(id).await;
        assert_eq!(done["status"], "succeeded", "{done}");
        lists.push(done["metricSetPairListId"].as_str().unwrap().to_owned());
    }
    lists.sort();
    lists.dedup();
    assert_eq!(lists.len(), 20);
    let (_, listed) = serin
        .client
        .get("/canary/executions?application=web&limit=100")
        .await;
    assert_eq!(listed.as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn an_execution_that_kills_its_process_every_time_is_given_up() {
    let prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_secs(30))).await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut id = String::new();
    for round in 0..6 {
        let before = prometheus.asked().len();
        let mut serin = Process::start(folder.path(), &prometheus.url, port).await;
        if round == 0 {
            id = serin
                .client
                .start_canary("/canary", &adhoc(&["poison"]))
                .await;
        }
        if round < 5 {
            let start = Instant::now();
            // Both sides: what the killed one sent must not be taken for the next one's.
            while prometheus.asked().len() < before + 2 {
                assert!(start.elapsed() < Duration::from_secs(20), "round {round}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        } else {
            let done = serin.client.poll(&id).await;
            assert_eq!(done["status"], "terminal");
            let told = done["exception"]["details"]["errors"][0].as_str().unwrap();
            assert!(told.contains("started 5 times"), "{told}");
        }
        serin.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_command_tells_whether_the_service_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let asked = || {
        Command::new(env!("CARGO_BIN_EXE_serin"))
            .args(["health", "--port", &port.to_string()])
            .stderr(Stdio::null())
            .output()
            .unwrap()
    };
    let mut serin = Process::start(folder.path(), "http://127.0.0.1:9", port).await;
    let up = asked();
    assert!(up.status.success());
    let told: serde_json::Value = serde_json::from_slice(&up.stdout).unwrap();
    assert_eq!(told["status"], "UP");
    serin.kill();
    assert_eq!(asked().status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_a_running_canary_end() {
    let prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_millis(700))).await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut serin = Process::start(folder.path(), &prometheus.url, port).await;
    let id = serin
        .client
        .start_canary("/canary", &adhoc(&["latency"]))
        .await;
    while prometheus.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pid = serin.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(serin.child.wait().unwrap().success());
    let archive = folder
        .path()
        .join(format!("kayenta/canary_archive/{id}/canary_archive.json"));
    let text = std::fs::read_to_string(archive).unwrap();
    let archived: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(archived["status"], json!("succeeded"));
}
