//! A serin in a process of its own, and what the system tells of a process.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `SERIN_BENCH_BINARY` measures another binary, an older one for example.
pub fn binary() -> String {
    std::env::var("SERIN_BENCH_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_serin").to_owned())
}

/// Killed when dropped.
pub struct Replica {
    child: Child,
    pub url: String,
    /// Seconds from its start until `/health` said UP.
    pub up_after: f64,
}

impl Replica {
    pub async fn start(prometheus: &str, variables: &[(&str, String)]) -> Self {
        Self::start_binary(&binary(), prometheus, variables).await
    }

    /// Another port is tried when somebody was faster.
    pub async fn start_binary(
        binary: &str,
        prometheus: &str,
        variables: &[(&str, String)],
    ) -> Self {
        loop {
            if let Some(replica) = Self::try_start(binary, prometheus, variables).await {
                return replica;
            }
        }
    }

    async fn try_start(
        binary: &str,
        prometheus: &str,
        variables: &[(&str, String)],
    ) -> Option<Self> {
        let port = free_port().to_string();
        let start = Instant::now();
        let mut child = Command::new(binary)
            .args(["serve", "--prometheus", prometheus, "--port", &port])
            .envs(variables.iter().map(|(name, value)| (name, value.as_str())))
            .env("SERIN__LOG__LEVEL", "warn")
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary");
        let http = super::client();
        let url = format!("http://127.0.0.1:{port}");
        loop {
            if let Ok(answer) = http.get(format!("{url}/health")).send().await
                && answer.status().is_success()
            {
                break;
            }
            if child.try_wait().ok().flatten().is_some() {
                return None;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "serin does not start"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Some(Self {
            child,
            url,
            up_after: start.elapsed().as_secs_f64(),
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Of `/proc/PID/status`, in KiB.
    pub fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(what));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        kib.unwrap_or(0)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of CPU that a process has taken, user and system, with its ended threads.
pub fn cpu(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name of the program comes before, and may hold anything.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// Below the ports that connections take for themselves: one to a port where nobody listens yet
/// may else be a connection to itself, and keep the port.
fn free_port() -> u16 {
    let random = uuid::Uuid::new_v4().as_u128() % 12_000;
    let port = 20_000 + u16::try_from(random).unwrap_or(0);
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => port,
        Err(_) => free_port(),
    }
}
