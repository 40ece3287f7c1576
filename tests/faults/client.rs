//! Clients as Orca is one: a POST is sent again only when it surely did nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::World;
use crate::canaries::{Canary, Kind};
use crate::history::Wrong;
use crate::random::Random;

/// From the POST to two more looks at the end.
pub async fn live(world: Arc<World>, mut random: Random) {
    let canary = Canary::any(&mut random);
    let Some(id) = post(&world, canary, &mut random).await else {
        return;
    };
    if random.percent(3) {
        let wait = Duration::from_millis(random.between(50, 3000));
        tokio::time::sleep(wait).await;
        cancel(&world, &id, &mut random).await;
    }
    while !look(&world, canary, &id, random.below(world.replicas.len())).await {
        let wait = Duration::from_millis(random.between(300, 1200));
        tokio::time::sleep(wait).await;
    }
    for _ in 0..2 {
        let wait = Duration::from_millis(random.between(1000, 10_000));
        tokio::time::sleep(wait).await;
        look(&world, canary, &id, random.below(world.replicas.len())).await;
    }
}

/// Lets one in that kills whoever asks its queries.
pub async fn poison(world: &World) {
    let canary = Canary {
        kind: Kind::Poison,
        hour: 0,
    };
    post(world, canary, &mut Random::new(1)).await;
}

/// The id of what was accepted.
async fn post(world: &World, canary: Canary, random: &mut Random) -> Option<String> {
    let history = &world.history;
    for _ in 0..200 {
        let replica = &world.replicas[random.below(world.replicas.len())];
        let request = world.http.post(format!("{}{}", replica.url, canary.path()));
        let sent = request.json(&canary.body()).send().await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                history.count("POST: no connection");
                tokio::time::sleep(Duration::from_millis(300)).await;
                continue;
            }
            Err(_) => {
                history.count("POST: unknown");
                return None;
            }
        };
        let status = answer.status().as_u16();
        history.count(format!("POST: {status}"));
        let Ok(body) = answer.bytes().await else {
            history.count("POST: unknown");
            return None;
        };
        match status {
            200 => {
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let name = if canary.is_analysis() {
                    "canaryAnalysisExecutionId"
                } else {
                    "canaryExecutionId"
                };
                let Some(id) = body[name].as_str() else {
                    history.wrong(Wrong::Half, format!("a POST was answered 200 and {body}"));
                    return None;
                };
                history.acknowledge(canary, id);
                return Some(id.to_owned());
            }
            503 => tokio::time::sleep(Duration::from_millis(300)).await,
            500..600 => return None,
            _ => {
                let body = String::from_utf8_lossy(&body);
                history.wrong(Wrong::Odd, format!("a POST was answered {status}: {body}"));
                return None;
            }
        }
    }
    None
}

async fn cancel(world: &World, id: &str, random: &mut Random) {
    world.history.cancel_asked(id);
    let replica = &world.replicas[random.below(world.replicas.len())];
    let request = world
        .http
        .put(format!("{}/pipelines/{id}/cancel", replica.url));
    let status = match request.send().await {
        Ok(answer) => answer.status().as_u16().to_string(),
        Err(_) => "no answer".to_owned(),
    };
    world.history.count(format!("cancel: {status}"));
}

/// Reads an execution through one replica. Whether it is complete.
pub async fn look(world: &World, canary: Canary, id: &str, replica: usize) -> bool {
    let history = &world.history;
    let group = if canary.is_analysis() {
        "standalone_canary_analysis"
    } else {
        "canary"
    };
    let url = format!("{}/{group}/{id}", world.replicas[replica].url);
    let Ok(answer) = world.http.get(url).send().await else {
        history.count("GET: no answer");
        return false;
    };
    let status = answer.status().as_u16();
    history.count(format!("GET: {status}"));
    let Ok(body) = answer.bytes().await else {
        history.count("GET: broken off");
        return false;
    };
    match (status, serde_json::from_slice::<Value>(&body)) {
        (200, Ok(document)) => {
            let whence = format!("GET from replica {replica}");
            history.read(id, &document, &whence)
        }
        (200, Err(error)) => {
            history.wrong(
                Wrong::Half,
                format!("GET {id} from replica {replica}: {error}"),
            );
            false
        }
        (404, _) => {
            let body = String::from_utf8_lossy(&body);
            history.wrong(
                Wrong::Lost,
                format!("replica {replica} does not know {id}: {body}"),
            );
            false
        }
        (500..600, _) => false,
        _ => {
            let body = String::from_utf8_lossy(&body);
            history.wrong(
                Wrong::Odd,
                format!("GET {id} from replica {replica}: {status} {body}"),
            );
            false
        }
    }
}
