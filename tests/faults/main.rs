//! A fleet of serin under faults: nothing that was acknowledged is lost, judged twice or stuck.
//!
//! `tests/faults/run` starts it beside real services; docs/faults.md tells what it does.

#![expect(clippy::unwrap_used, reason = "a lock is poisoned only by a defect")]

mod arguments;
mod canaries;
mod checker;
mod client;
mod fleet;
mod history;
mod inject;
mod middleman;
mod plan;
mod proxies;
mod random;
mod services;
mod soak;
mod takeover;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::sleep;

use arguments::{Arguments, Database};
use canaries::Canary;
use fleet::{Replica, Ways};
use history::{History, Wrong};
use middleman::Middleman;
use proxies::{Service, Toxiproxy};
use random::Random;
use services::Services;

/// Everything that clients and faults act on.
pub struct World {
    pub services: Services,
    pub database: Database,
    /// The name of the database, where it is PostgreSQL's.
    pub postgres: Option<String>,
    pub http: reqwest::Client,
    pub toxiproxy: Toxiproxy,
    pub prometheus: Arc<Middleman>,
    pub store: Arc<Middleman>,
    pub replicas: Vec<Replica>,
    pub history: History,
    /// What each canary comes to, as it came without faults.
    pub expected: Vec<(Canary, Value)>,
    /// What suffers from one fault is left alone by the next.
    pub network_busy: HashMap<Service, Vec<Mutex<()>>>,
    pub prometheus_busy: Mutex<()>,
    pub store_busy: Mutex<()>,
    pub postgres_busy: Mutex<()>,
    /// No more clients are to come.
    pub over: AtomicBool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faults: {error:#}");
            return ExitCode::from(2);
        }
    };
    let services = match Services::read() {
        Ok(services) => services,
        Err(missing) => {
            println!(
                "faults: skipped, {missing} is not set; tests/faults/run starts what it names"
            );
            let ci = services::variable("CI").is_ok_and(|ci| ci == "true");
            return ExitCode::from(u8::from(ci));
        }
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let done = runtime.block_on(async {
        tokio::select! {
            done = run(&arguments, services) => done,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        }
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: seed {}: {error:#}", arguments.seed);
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well.
async fn run(arguments: &Arguments, services: Services) -> anyhow::Result<bool> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = logs(arguments.seed)?;
    println!(
        "seed {}, {} replicas on {:?}, logs in {}",
        arguments.seed,
        arguments.replicas,
        arguments.database,
        folder.display()
    );
    let random = Random::new(arguments.seed);
    let mut world = open(arguments, services, &folder, &random).await?;
    for replica in &world.replicas {
        replica.start()?;
        replica.ready(&world.http).await?;
    }
    learn(&mut world).await?;
    let world = Arc::new(world);
    if arguments.soak {
        let clients = tokio::spawn(load(Arc::clone(&world), arguments.rate, random.fork(1)));
        soak::watch(&world, arguments.time).await?;
        world.over.store(true, Ordering::SeqCst);
        clients.await??;
        return finish(&world, arguments, &[]).await;
    }

    tokio::spawn(inject::supervise(Arc::clone(&world)));
    tokio::spawn(inject::poison(Arc::clone(&world)));
    let rounds = if arguments.time < Duration::from_mins(2) {
        1
    } else {
        3
    };
    let mut taken = Vec::new();
    for round in 0..rounds {
        taken.push(takeover::measure(&world, &format!("before-{round}")).await?);
    }
    let clients = tokio::spawn(load(Arc::clone(&world), arguments.rate, random.fork(1)));
    let mut chance = random.fork(2);
    let plan = plan::plan(&mut chance, arguments.time, arguments.replicas);
    inject::inject(&world, plan).await;
    world.over.store(true, Ordering::SeqCst);
    for replica in &world.replicas {
        replica.ready(&world.http).await?;
    }
    println!(
        "faults are over; {} executions are open",
        world.history.open()
    );
    let waited = checker::wait(&world).await;
    println!("all that ended did so within {:.1} s", waited.as_secs_f64());
    clients.await??;
    for round in 0..rounds {
        taken.push(takeover::measure(&world, &format!("after-{round}")).await?);
    }
    finish(&world, arguments, &taken).await
}

/// Clients at a steady rate until it is over, then those that are left.
async fn load(world: Arc<World>, rate: f64, mut random: Random) -> anyhow::Result<()> {
    let mut clients = tokio::task::JoinSet::new();
    while !world.over.load(Ordering::SeqCst) {
        let client = Random::new(random.next());
        clients.spawn(client::live(Arc::clone(&world), client));
        sleep(Duration::from_secs_f64(1.0 / rate)).await;
        while let Some(ended) = clients.try_join_next() {
            ended?;
        }
    }
    let rest = async {
        while let Some(ended) = clients.join_next().await {
            ended?;
        }
        anyhow::Ok(())
    };
    // Those that wait for what is stuck have been counted.
    tokio::time::timeout(Duration::from_mins(2), rest)
        .await
        .unwrap_or(Ok(()))
}

async fn finish(world: &World, arguments: &Arguments, taken: &[Duration]) -> anyhow::Result<bool> {
    checker::wait(world).await;
    match arguments.keep {
        Some(keep) => checker::check_kept(world, keep).await?,
        None => checker::check(world).await?,
    }
    let history = &world.history;
    let told = history
        .counts()
        .into_iter()
        .map(|(what, count)| format!("{count:6} {what}"));
    println!("{}", told.collect::<Vec<_>>().join("\n"));
    let extra = history.counted(checker::EXTRA);
    let unknown = history.counted("POST: unknown")
        + history.counted("POST: 500")
        + history.counted("POST: 503");
    if extra > unknown {
        let text =
            format!("{extra} executions that nobody was told of, from {unknown} lost answers");
        history.wrong(Wrong::Odd, text);
    }
    if !taken.is_empty() {
        let mut taken = taken.to_vec();
        taken.sort();
        let (median, most) = (taken[taken.len() / 2], taken[taken.len() - 1]);
        println!(
            "take-over: {} measured, median {:.1} s, most {:.1} s",
            taken.len(),
            median.as_secs_f64(),
            most.as_secs_f64()
        );
    }
    let wrongs = Wrong::ALL.map(|wrong| format!("{} {}", history.wrongs(wrong), wrong.name()));
    println!(
        "seed {}: {} executions acknowledged, {} unknown: {}",
        arguments.seed,
        history.executions().len(),
        history.counted("POST: unknown"),
        wrongs.join(", ")
    );
    Ok(Wrong::ALL.iter().all(|wrong| history.wrongs(*wrong) == 0))
}

async fn open(
    arguments: &Arguments,
    services: Services,
    folder: &Path,
    random: &Random,
) -> anyhow::Result<World> {
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(8))
        .connect_timeout(Duration::from_secs(2))
        .build()?;
    // What passes through stays as it is, packed or not.
    let plain = reqwest::Client::builder()
        .no_gzip()
        .timeout(Duration::from_secs(30))
        .build()?;
    let prometheus =
        Middleman::start(plain.clone(), services.prometheus.clone(), random.fork(3)).await?;
    let store = Middleman::start(plain, services.s3_endpoint.clone(), random.fork(4)).await?;
    let toxiproxy = Toxiproxy::new(http.clone(), services.toxiproxy.clone());

    let name = format!("faults_{}", arguments.seed);
    let mut postgres = url::Url::parse(&services.postgres)?;
    if arguments.database == Database::Postgres {
        services.make_database(&name).await?;
    }
    let host = postgres.host_str().context("PostgreSQL has a host")?;
    let upstream = format!("{host}:{}", postgres.port().unwrap_or(5432));
    let mut replicas = Vec::new();
    for number in 0..arguments.replicas {
        let make = |service, upstream: String| {
            let toxiproxy = &toxiproxy;
            async move { toxiproxy.make(service, number, &upstream).await }
        };
        let database = match arguments.database {
            Database::Sqlite => format!("sqlite:{}", folder.join("serin.db").display()),
            Database::Postgres => {
                let listen = make(Service::Database, upstream.clone()).await?;
                let (_, port) = listen.rsplit_once(':').context("a proxy has a port")?;
                let set = postgres.set_port(Some(port.parse()?));
                ensure!(set.is_ok(), "the URL of PostgreSQL takes a port");
                postgres.set_path(&name);
                postgres.to_string()
            }
        };
        let ways = Ways {
            database,
            store: format!(
                "http://{}",
                make(Service::Store, store.address.clone()).await?
            ),
            prometheus: format!(
                "http://{}/replica-{number}",
                make(Service::Prometheus, prometheus.address.clone()).await?
            ),
        };
        replicas.push(Replica::new(
            number,
            folder,
            &ways,
            &services,
            arguments.keep,
        )?);
    }
    let each = || replicas.iter().map(|_| Mutex::default()).collect();
    let network_busy = [Service::Database, Service::Store, Service::Prometheus]
        .map(|service| (service, each()))
        .into();
    Ok(World {
        database: arguments.database,
        postgres: (arguments.database == Database::Postgres).then_some(name),
        http,
        toxiproxy,
        prometheus,
        store,
        replicas,
        history: History::default(),
        expected: Vec::new(),
        network_busy,
        prometheus_busy: Mutex::default(),
        store_busy: Mutex::default(),
        postgres_busy: Mutex::default(),
        over: AtomicBool::new(false),
        services,
    })
}

/// Stores the config, and lets every canary be judged once while all is well.
async fn learn(world: &mut World) -> anyhow::Result<()> {
    let first = &world.replicas[0].url;
    world
        .http
        .post(format!("{first}/canaryConfig"))
        .json(&canaries::stored_config())
        .send()
        .await?
        .error_for_status()?;
    for canary in Canary::all() {
        let request = world.http.post(format!("{first}{}", canary.path()));
        let answer = request.json(&canary.body()).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "{canary:?}: {status} {text}");
        let answer: Value = serde_json::from_str(&text)?;
        let id = answer
            .as_object()
            .and_then(|answer| answer.values().next()?.as_str());
        let id = id.context("a POST gives an id")?;
        world.history.acknowledge(canary, id);
        while !client::look(world, canary, id, 0).await {
            sleep(Duration::from_millis(50)).await;
        }
    }
    for execution in world.history.executions() {
        let end = execution.end.context("it has ended")?;
        let refused = execution.canary.kind == canaries::Kind::Refused;
        let succeeded = end["status"] == "succeeded" || end["executionStatus"] == "SUCCEEDED";
        ensure!(succeeded != refused, "without any fault: {end}");
        world
            .expected
            .push((execution.canary, canaries::verdict(&end)));
    }
    Ok(())
}

/// An empty folder that stays, so that logs can be read.
fn logs(seed: u64) -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{seed}"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
