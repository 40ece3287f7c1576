//! `serin serve`: the service, from its first to its last request.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{Configured, start_log};
use crate::actions::Actor;
use crate::api;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Server};
use crate::notify::Notifier;
use crate::run;

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
        start_log(&config.log.level, config.log.format)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        if !config.gives_series() {
            tracing::warn!(
                "no account gives series (METRICS_STORE), so no canary can be judged: name a \
                 Prometheus by --prometheus URL, or under kayenta.prometheus.accounts"
            );
        }
        let service = Service::start(loaded.config).await?;
        tracing::info!(
            url = service.url,
            accounts = service.app.accounts().len(),
            "serin listens"
        );
        stop_signal().await?;
        tracing::info!("shutting down");
        service.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// A running service: its listener, its worker, its senders and its housekeeping.
pub struct Service {
    pub app: App,
    /// Where it listens.
    pub url: String,
    shutdown: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
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
        let app = App::open(config, Clock::shared()).await?;
        let notifier = Notifier::open(&app)?;
        let actor = Actor::open(&app)?;
        let shutdown = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(accept(
                listener,
                api::router(&app),
                server,
                shutdown.clone(),
            )),
            tokio::spawn(run::work(app.clone(), shutdown.clone())),
            tokio::spawn(notifier.work(shutdown.clone())),
            tokio::spawn(actor.work(shutdown.clone())),
            tokio::spawn(relay(app.clone(), shutdown.clone())),
            tokio::spawn(keep_house(app.clone(), shutdown.clone())),
            tokio::spawn(note_archived(app.clone(), shutdown.clone())),
        ];
        Ok(Self {
            app,
            url: format!("http://{address}"),
            shutdown,
            tasks,
        })
    }

    /// Takes no more, and waits for what is under way, `server.shutdownGrace` at most. What does
    /// not end in that time is taken up by the next process.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.app.storage.events.close();
        let grace = self.app.config.server.shutdown_grace;
        let all = futures::future::join_all(self.tasks);
        if tokio::time::timeout(grace, all).await.is_err() {
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
        if let Err(error) = self.app.storage.note_archived().await {
            tracing::warn!(%error, "cannot note archives; they will be written again");
        }
        self.app.storage.close().await;
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    server: Server,
    shutdown: CancellationToken,
) {
    let connections = GracefulShutdown::new();
    let gate_aliases = server.gate_aliases;
    let service = router.map_request(move |request: Request<hyper::body::Incoming>| {
        let request = api::plain_path(request.map(axum::body::Body::new));
        if gate_aliases {
            api::without_gate(request)
        } else {
            request
        }
    });
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files, most likely: others must close first.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = shutdown.cancelled() => break,
        };
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(server.header_timeout);
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(service.clone());
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    connections.shutdown().await;
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
