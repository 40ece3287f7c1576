//! Replicas of the binary, each a process with its own log, connections and clock.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::services::{BUCKET, Services};

pub struct Replica {
    pub number: usize,
    pub url: String,
    folder: PathBuf,
    faketime: Option<PathBuf>,
    child: Mutex<Option<Child>>,
    started: Mutex<Instant>,
    /// Who has it down or still, one fault at a time.
    pub busy: tokio::sync::Mutex<()>,
    pub clock_busy: tokio::sync::Mutex<()>,
}

/// Where a replica finds its services.
pub struct Ways {
    pub database: String,
    pub store: String,
    pub prometheus: String,
}

impl Replica {
    pub fn new(
        number: usize,
        folder: &Path,
        ways: &Ways,
        services: &Services,
        keep: Option<usize>,
    ) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let folder = folder.join(format!("replica-{number}"));
        std::fs::create_dir_all(&folder)?;
        let mut config = configuration(port, &folder, ways, services);
        if let Some(keep) = keep {
            config["retention"] = json!({"maxCount": keep, "every": "20s"});
        }
        // JSON is YAML too.
        std::fs::write(folder.join("serin.yml"), config.to_string())?;
        std::fs::write(folder.join("clock"), "+0")?;
        Ok(Self {
            number,
            url: format!("http://127.0.0.1:{port}"),
            folder,
            faketime: services.faketime.clone(),
            child: Mutex::default(),
            started: Mutex::new(Instant::now()),
            busy: tokio::sync::Mutex::default(),
            clock_busy: tokio::sync::Mutex::default(),
        })
    }

    pub fn start(&self) -> anyhow::Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        command
            .args(["serve", "--config"])
            .arg(self.folder.join("serin.yml"))
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(library) = &self.faketime {
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME_TIMESTAMP_FILE", self.folder.join("clock"))
                .env("FAKETIME_CACHE_DURATION", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let child = command.spawn().context("cannot start serin")?;
        *self.child.lock().unwrap() = Some(child);
        *self.started.lock().unwrap() = Instant::now();
        Ok(())
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// STOP, CONT or TERM.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.pid().context("the replica does not run")?;
        let sent = Command::new("kill")
            .args(["-s", name, &pid.to_string()])
            .status()?;
        ensure!(sent.success(), "cannot send {name}");
        Ok(())
    }

    /// Sets its clock off by so many seconds.
    pub fn set_clock(&self, seconds: i64) -> anyhow::Result<()> {
        // Renamed, so that it is never read half.
        let next = self.folder.join("clock.next");
        std::fs::write(&next, format!("{seconds:+}"))?;
        Ok(std::fs::rename(next, self.folder.join("clock"))?)
    }

    /// When the process was started that runs now, or ran last.
    pub fn started(&self) -> Instant {
        *self.started.lock().unwrap()
    }

    /// Whether the process ended by itself.
    pub fn ended(&self) -> bool {
        let mut child = self.child.lock().unwrap();
        child
            .as_mut()
            .is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_some()))
    }

    /// What it said last.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().last().unwrap_or_default().to_owned()
    }

    pub async fn ready(&self, http: &reqwest::Client) -> anyhow::Result<()> {
        let start = Instant::now();
        let url = format!("{}/health/readiness", self.url);
        loop {
            let answer = http.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            ensure!(
                start.elapsed() < Duration::from_secs(30),
                "replica {} is not ready; its log: {}",
                self.number,
                self.folder.join("log").display()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Resident memory in KiB, and open files.
    pub fn weight(&self) -> anyhow::Result<(u64, usize)> {
        let process = PathBuf::from(format!("/proc/{}", self.pid().context("it runs")?));
        let status = std::fs::read_to_string(process.join("status"))?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .context("a process has resident memory")?;
        let files = std::fs::read_dir(process.join("fd"))?.count();
        Ok((resident.trim().parse()?, files))
    }

    fn pid(&self) -> Option<u32> {
        self.child.lock().unwrap().as_ref().map(Child::id)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

fn configuration(port: u16, folder: &Path, ways: &Ways, services: &Services) -> Value {
    json!({
        "server": {"address": "127.0.0.1", "port": port, "shutdownGrace": "5s"},
        "storage": {"directory": folder.join("data"), "refresh": "10s"},
        "database": {"url": ways.database},
        "kayenta": {
            "prometheus": {"enabled": true, "queryDeadline": "20s", "accounts": [
                {"name": "prometheus", "endpoint": {"baseUrl": ways.prometheus}},
            ]},
            "aws": {"enabled": true, "accounts": [{
                "name": "s3", "bucket": BUCKET, "rootFolder": "kayenta", "endpoint": ways.store,
                "explicitCredentials": {"accessKey": services.s3_access_key, "secretKey": services.s3_secret_key},
                "supportedTypes": ["OBJECT_STORE", "CONFIGURATION_STORE"],
            }]},
            "s3": {"enabled": true},
            "metrics": {"retry": {"attempts": 10, "backoffPeriodMultiplierMs": 200}},
        },
    })
}
