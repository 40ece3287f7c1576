//! `serin serve`: the service, from its first to its last request.

mod answer;
mod connections;
mod door;
mod tls;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use futures::FutureExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use self::door::Door;
use super::{Configured, start_log_and};
use crate::actions::Actor;
use crate::api;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Migration, Server};
use crate::notify::Notifier;
use crate::run;
use crate::storage::import::{Import, Mode};
use crate::telemetry::VERSION;
use crate::telemetry::traces::Traces;

/// Connections at the address of operators.
const OPERATORS: usize = 100;

/// How long answers under way may take, where work took all the grace.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long the row of an execution may lack that its archive is written.
const NOTE_EVERY: Duration = Duration::from_millis(250);

#[derive(clap::Args)]
pub struct Serve {
    #[command(flatten)]
    configured: Configured,
    /// Port to listen on, 0 for any free one; else server.port.
    #[arg(long)]
    port: Option<u16>,
}

impl Serve {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let mut loaded = self.configured.load()?;
        let config = &mut loaded.config;
        config.server.port = self.port.unwrap_or(config.server.port);
        let traces = config.traces.as_ref().map(Traces::open).transpose()?;
        start_log_and(&config.log.level, config.log.format, traces.as_ref())?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        if !config.gives_series() {
            tracing::warn!(
                "no account gives series, so no canary can be judged: name a \
                 source by --prometheus URL or its like, or accounts as config/serin.yml has them"
            );
        }
        let mut service = Service::start(loaded.config).await?;
        service.tell_start();
        let broken = tokio::select! {
            signal = stop_signal() => signal.map(|()| None)?,
            task = service.first_end() => Some(task),
        };
        if let Some(task) = broken {
            tracing::error!(task, "a task that works as long as serin does has ended");
        }
        tracing::info!("shutting down");
        service.stop().await;
        if let Some(traces) = traces {
            traces.close().await;
        }
        match broken {
            None => Ok(ExitCode::SUCCESS),
            Some(task) => bail!("the task '{task}' ended before the shutdown"),
        }
    }
}

/// A running service: its listener, its worker, its senders and its housekeeping.
pub struct Service {
    pub app: App,
    /// Where it listens.
    pub url: String,
    /// Where it listens for operators.
    pub admin_url: Option<String>,
    /// They end once nothing new is begun, when what they do has come to its end.
    work: JoinSet<&'static str>,
    /// They end after that.
    doors: JoinSet<&'static str>,
}

impl Service {
    /// Listens and works from here on.
    ///
    /// # Errors
    /// When the address is taken, or storage cannot be opened.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let server = config.server.clone();
        let listener = TcpListener::bind((server.address.as_str(), server.port))
            .await
            .with_context(|| format!("cannot listen on {}:{}", server.address, server.port))?;
        let address = listener
            .local_addr()
            .context("the listener has no address")?;
        let app = Box::pin(App::open(config, Clock::shared())).await?;
        let notifier = Notifier::open(&app)?;
        let actor = Actor::open(&app)?;
        let (stopping, closing) = (&app.stopping, &app.closing);
        let door = Door::new(api::router(&app, address.ip()), server.clone(), closing)?;
        let mut work = JoinSet::new();
        let working = run::work(app.clone(), stopping.clone());
        spawn(&mut work, "worker", working);
        spawn(&mut work, "notifier", notifier.work(stopping.clone()));
        spawn(&mut work, "actor", actor.work(stopping.clone()));
        if let Some(every) = app.config.recalibrate_every {
            let relearning = run::relearn::work(app.clone(), every, stopping.clone());
            spawn(&mut work, "recalibration", relearning);
        }
        if let Some(Migration { from, to }) = &app.config.migration {
            let import = Import::open(&app.config, from, to, Mode::Missing)
                .context("kayenta.data-migration cannot be done")?;
            let migrating = run::migration::work(app.clone(), import, to.clone(), stopping.clone());
            spawn(&mut work, "data migration", migrating);
        }
        let mut doors = JoinSet::new();
        let until = || closing.clone();
        spawn(&mut doors, "listener", door.accept(listener));
        let operators = match &server.admin_address {
            None => None,
            Some(address) => Some(of_operators(&app, address).await?),
        };
        let admin_url = operators.map(|(door, listener, url)| {
            spawn(&mut doors, "admin listener", door.accept(listener));
            url
        });
        spawn(&mut doors, "relay", relay(app.clone(), until()));
        spawn(&mut doors, "housekeeping", keep_house(app.clone(), until()));
        spawn(&mut doors, "archiver", note_archived(app.clone(), until()));
        Ok(Self {
            app,
            url: url(&server, address),
            admin_url,
            work,
            doors,
        })
    }

    fn tell_start(&self) {
        let config = &self.app.config;
        let directory = &config.storage.directory;
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
        let access = &config.access;
        let access = if access.rules.is_some() || access.break_glass.is_some() {
            "by the rules of the configuration"
        } else {
            "no login: who reaches it may do everything"
        };
        tracing::info!(
            url = self.url,
            admin_url = self.admin_url,
            version = VERSION,
            directory = %directory.display(),
            access,
            accounts = self.app.accounts().len(),
            "serin listens"
        );
    }

    /// The name of the first task that ends before it is told to: nothing else does its work.
    pub async fn first_end(&mut self) -> &'static str {
        let ended = tokio::select! {
            ended = self.work.join_next() => ended,
            ended = self.doors.join_next() => ended,
        };
        ended.and_then(Result::ok).unwrap_or("unknown")
    }

    /// Begins nothing more, and waits for what is under way, `server.shutdownGrace` at most. What
    /// does not end in that time is taken up by the next process. Until then requests are answered:
    /// clients that are refused a connection give up, and those that are told to come again do.
    pub async fn stop(mut self) {
        let until = Instant::now() + self.app.config.server.shutdown_grace;
        self.app.stopping.cancel();
        // Executions go on where the worker that began them has ended.
        self.app.running.close();
        let work = async {
            while self.work.join_next().await.is_some() {}
            self.app.running.wait().await;
        };
        if timeout_at(until, work).await.is_err() {
            match self.app.storage.give_back().await {
                Ok(given) => tracing::warn!(
                    given,
                    "some work did not end in time; it will be taken up again"
                ),
                Err(error) => tracing::warn!(
                    %error,
                    "some work did not end in time; it will be taken up when its lease ends"
                ),
            }
        }
        self.app.storage.events.close();
        self.app.closing.cancel();
        let doors = async { while self.doors.join_next().await.is_some() {} };
        let until = until.max(Instant::now() + LAST_ANSWERS);
        if timeout_at(until, doors).await.is_err() {
            tracing::warn!("some answers did not end in time");
        }
        if let Err(error) = self.app.storage.note_archived().await {
            tracing::warn!(%error, "cannot note archives; they will be written again");
        }
        self.app.storage.close().await;
    }
}

/// The door at `server.adminAddress`, which others cannot fill.
async fn of_operators(app: &App, at: &str) -> anyhow::Result<(Door, TcpListener, String)> {
    let listener = TcpListener::bind(at)
        .await
        .with_context(|| format!("cannot listen on server.adminAddress {at}"))?;
    let address = listener
        .local_addr()
        .context("the listener of operators has no address")?;
    let mut server = Server {
        max_connections: OPERATORS.min(app.config.server.max_connections),
        ..app.config.server.clone()
    };
    if let Some(clients) = server.tls.as_mut().and_then(|tls| tls.clients.as_mut()) {
        // The probes of a cluster have none.
        clients.required = false;
    }
    let url = url(&server, address);
    let router = api::router_of_operators(app, address.ip());
    Ok((Door::new(router, server, &app.closing)?, listener, url))
}

fn url(server: &Server, address: SocketAddr) -> String {
    let scheme = if server.tls.is_some() {
        "https"
    } else {
        "http"
    };
    format!("{scheme}://{address}")
}

/// A panic ends a task as any other end does; its hook has told of it.
fn spawn(
    tasks: &mut JoinSet<&'static str>,
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) {
    tasks.spawn(AssertUnwindSafe(task).catch_unwind().map(move |_| name));
}

/// Reconciles the index with the stores and forgets what is archived, until `shutdown`.
async fn keep_house(app: App, shutdown: CancellationToken) {
    let mut every = tokio::time::interval(app.config.storage.refresh);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = shutdown.cancelled() => return,
        }
        // What nobody scrapes is summed up here, else every sample would be kept.
        app.telemetry.run_upkeep();
        app.tell_refusals().await;
        let work = app.storage.keep_house();
        tokio::select! {
            () = work => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Notes together what was archived one by one, until `shutdown`.
async fn note_archived(app: App, shutdown: CancellationToken) {
    let mut every = tokio::time::interval(NOTE_EVERY);
    while !shutdown.is_cancelled() {
        tokio::select! {
            _ = every.tick() => {}
            () = shutdown.cancelled() => {}
        }
        if let Err(error) = app.storage.note_archived().await {
            tracing::warn!(%error, "cannot note archives; they will be written again");
        }
    }
}

/// Keeps in touch with the other replicas, until `shutdown`.
async fn relay(app: App, shutdown: CancellationToken) {
    tokio::select! {
        () = app.storage.relay() => {}
        () = shutdown.cancelled() => {}
    }
}

/// SIGTERM or Ctrl-C.
pub async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for Ctrl-C")?,
    }
    Ok(())
}
