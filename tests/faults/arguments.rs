//! What the suite is asked to do.

use std::time::Duration;

use anyhow::{Context, bail};

#[derive(Clone, Debug)]
pub struct Arguments {
    /// How long faults are injected, or the soak lasts.
    pub time: Duration,
    pub seed: u64,
    pub replicas: usize,
    /// Canaries a second.
    pub rate: f64,
    pub soak: bool,
    /// How many canaries stay; without it, all do.
    pub keep: Option<usize>,
    pub database: Database,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Postgres,
    Sqlite,
}

impl Arguments {
    /// `None`: the tests that were asked for by name are others.
    pub fn read(given: impl Iterator<Item = String>) -> anyhow::Result<Option<Self>> {
        let mut arguments = Self {
            // The short form, which every run of all tests can afford.
            time: Duration::from_secs(30),
            seed: u64::from(std::process::id()),
            replicas: 3,
            rate: 2.0,
            soak: false,
            keep: None,
            database: Database::Postgres,
        };
        let mut given = given;
        while let Some(name) = given.next() {
            let mut value = || {
                given
                    .next()
                    .with_context(|| format!("{name} needs a value"))
            };
            match name.as_str() {
                "--minutes" => {
                    arguments.time = Duration::from_secs_f64(value()?.parse::<f64>()? * 60.0);
                }
                "--seed" => arguments.seed = value()?.parse()?,
                "--replicas" => arguments.replicas = value()?.parse()?,
                "--rate" => arguments.rate = value()?.parse()?,
                "--soak" => arguments.soak = true,
                "--keep" => arguments.keep = Some(value()?.parse()?),
                "--database" => {
                    arguments.database = match value()?.as_str() {
                        "postgres" => Database::Postgres,
                        "sqlite" => Database::Sqlite,
                        other => bail!("'{other}' is no database; postgres and sqlite are"),
                    }
                }
                // Meant for the test harness of the other targets.
                "--nocapture" | "--quiet" | "-q" => {}
                name if name.starts_with('-') => bail!("there is no argument '{name}'"),
                name if "faults".contains(name) => {}
                _ => return Ok(None),
            }
        }
        if arguments.replicas == 0 || arguments.rate <= 0.0 {
            bail!("there must be a replica, and a rate above 0");
        }
        if arguments.keep.is_some() && !arguments.soak {
            bail!("--keep is for a --soak: what is deleted cannot be checked");
        }
        Ok(Some(arguments))
    }
}
