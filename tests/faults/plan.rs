//! Which faults come in which order: decided by the seed alone.

use std::time::Duration;

use crate::middleman::Mood;
use crate::proxies::{Service, Toxic};
use crate::random::Random;

#[derive(Clone, Debug)]
pub enum Fault {
    Kill {
        replica: usize,
    },
    /// SIGTERM, as at an update.
    Terminate {
        replica: usize,
    },
    /// A canary whose queries kill whoever asks them.
    Poison,
    /// SIGSTOP and SIGCONT: the process does not see the time that passes.
    Pause {
        replica: usize,
    },
    RestartPostgres {
        immediate: bool,
    },
    /// One replica, or all of them.
    Network {
        service: Service,
        replica: Option<usize>,
        toxic: Toxic,
    },
    Http {
        service: Service,
        mood: Mood,
    },
    Clock {
        replica: usize,
        seconds: i64,
    },
}

impl Fault {
    /// As it is counted.
    pub fn name(&self) -> String {
        match self {
            Self::Kill { .. } => "kill -9".to_owned(),
            Self::Terminate { .. } => "SIGTERM".to_owned(),
            Self::Poison => "poison".to_owned(),
            Self::Pause { .. } => "SIGSTOP".to_owned(),
            Self::RestartPostgres { immediate: true } => "PostgreSQL immediate".to_owned(),
            Self::RestartPostgres { immediate: false } => "PostgreSQL fast".to_owned(),
            Self::Network {
                service,
                replica,
                toxic,
            } => {
                let whom = if replica.is_some() { "one" } else { "all" };
                format!("{} {} for {whom}", service.name(), toxic.name())
            }
            Self::Http { service, mood } => format!("{} {}", service.name(), mood.name()),
            Self::Clock { .. } => "clock".to_owned(),
        }
    }
}

/// A fault, when it begins and how long it lasts.
#[derive(Clone, Debug)]
pub struct Planned {
    pub at: Duration,
    pub lasts: Duration,
    pub fault: Fault,
}

const SERVICES: [Service; 3] = [Service::Database, Service::Store, Service::Prometheus];

const OF_PROMETHEUS: [Mood; 7] = [
    Mood::Status(429),
    Mood::Status(500),
    Mood::Status(503),
    Mood::Slow,
    Mood::Truncated,
    Mood::Partial,
    Mood::NotJson,
];

const OF_THE_STORE: [Mood; 5] = [
    Mood::Status(500),
    Mood::Status(503),
    Mood::Slow,
    Mood::Truncated,
    Mood::DoneButFailed,
];

/// The faults of a time. They overlap, so that there are two or three at once.
pub fn plan(random: &mut Random, time: Duration, replicas: usize) -> Vec<Planned> {
    // However short the time, these are among them.
    let mut planned = vec![
        Planned {
            at: Duration::from_secs(2),
            lasts: Duration::ZERO,
            fault: Fault::Poison,
        },
        Planned {
            at: Duration::from_secs(5),
            lasts: Duration::from_secs(1),
            fault: Fault::Terminate {
                replica: random.below(replicas),
            },
        },
    ];
    let mut at = Duration::from_millis(random.between(0, 2000));
    while at < time {
        let fault = fault(random, replicas);
        let lasts = Duration::from_millis(match fault {
            Fault::Kill { .. } | Fault::Terminate { .. } => random.between(200, 15_000),
            Fault::Pause { .. } => random.between(1000, 20_000),
            Fault::RestartPostgres { .. } => random.between(200, 6000),
            _ => random.between(1000, 12_000),
        });
        planned.push(Planned { at, lasts, fault });
        at += Duration::from_millis(random.between(500, 7000));
    }
    planned.sort_by_key(|planned| planned.at);
    planned
}

fn fault(random: &mut Random, replicas: usize) -> Fault {
    let replica = random.below(replicas);
    match random.between(0, 100) {
        0..12 => Fault::Kill { replica },
        12..18 => Fault::Terminate { replica },
        18..20 => Fault::Poison,
        20..32 => Fault::Pause { replica },
        32..40 => Fault::RestartPostgres {
            immediate: random.percent(50),
        },
        40..70 => Fault::Network {
            service: random.pick(&SERVICES),
            replica: random.percent(60).then_some(replica),
            toxic: random.pick(&Toxic::ALL),
        },
        70..82 => Fault::Http {
            service: Service::Prometheus,
            mood: random.pick(&OF_PROMETHEUS),
        },
        82..92 => Fault::Http {
            service: Service::Store,
            mood: random.pick(&OF_THE_STORE),
        },
        _ => Fault::Clock {
            replica,
            seconds: random.pick(&[-7200, -3600, -30, 30, 3600, 7200]),
        },
    }
}
