//! Calls outside of serin as an execution goes on: a weight is set, a service is annotated.
//!
//! What is to be called is written with what happened, as a row that holds the call as it will be
//! sent. Calls of one execution are sent one at a time and in their order; what a later event has
//! overtaken is not sent any more.

mod render;
mod sender;

use std::time::Duration;

use url::Url;

pub use sender::Actor;

use render::Variables;

use crate::app::App;
use crate::canary::actions::MOST_ACTIONS;
use crate::canary::{
    Action, ActionCall, Actions, CanaryConfig, Event, Execution, Fault, Path, Told,
};
use crate::config::{ActionHost, Config, check_url};
use crate::error::{Error, Result};
use crate::storage::{NewAction, Turn};

/// The end comes after every interval.
const END: i64 = 1_000_000;

/// With which score actions are tried.
const TRIED_SCORE: f64 = 97.5;

/// Of how many intervals the actions are tried when they are accepted, beside the last one.
const TRIED_INTERVALS: u32 = 20;

/// What has become of an execution.
#[derive(Clone, Copy, Debug)]
pub struct Happened {
    pub event: Event,
    /// That passed.
    judgement: Option<Judgement>,
}

/// A judgement of an analysis.
#[derive(Clone, Copy, Debug)]
pub struct Judgement {
    /// From 1.
    pub number: u32,
    pub score: f64,
}

impl Happened {
    pub const fn of(event: Event) -> Self {
        Self {
            event,
            judgement: None,
        }
    }

    pub const fn passed(judgement: Judgement) -> Self {
        Self {
            event: Event::Interval,
            judgement: Some(judgement),
        }
    }

    /// Where its actions begin among those of the execution.
    fn place(&self) -> i64 {
        let turn = match self.judgement {
            _ if self.event.is_end() => END,
            Some(judgement) => i64::from(judgement.number),
            None => 0,
        };
        turn * i64::try_from(MOST_ACTIONS).unwrap_or(i64::MAX / END)
    }

    /// It does not vouch for what came before.
    fn takes_back(&self) -> bool {
        self.event.is_end() && self.event != Event::Pass
    }

    fn number(&self) -> Option<u32> {
        self.judgement.map(|judgement| judgement.number)
    }
}

/// How an execution ended, if it has ended by itself.
pub fn end<S: Execution>(document: &S) -> Option<Happened> {
    Event::of_end(document.told().outcome).map(Happened::of)
}

/// What is to be called because of what happened, which is told in its order.
pub fn turn<S: Execution>(
    app: &App,
    parent: Option<&str>,
    document: &S,
    happened: &[Happened],
) -> Option<Turn> {
    // Of the canaries of an analysis, the analysis decides.
    if parent.is_some() {
        return None;
    }
    // They were in order when the execution was accepted; a rule that came later is no reason to
    // leave traffic where it is.
    let told = document.told();
    let actions = of(&told).ok().filter(|actions| !actions.is_empty())?;
    let last = happened.last()?;
    let happened = if last.takes_back() {
        std::slice::from_ref(last)
    } else {
        happened
    };
    let at = app.clock.now_millis();
    let new = happened
        .iter()
        .flat_map(|happened| called(app, &told, &actions, happened, at));
    let new: Vec<NewAction> = new.collect();
    // What is not overtaken by an action is still of use, unless it is taken back.
    (!new.is_empty() || last.takes_back()).then_some(Turn {
        place: happened.first()?.place(),
        at,
        actions: new,
    })
}

/// Whether all that an execution may call can be written and is allowed. `intervals` is how many an
/// analysis has.
///
/// # Errors
/// `Invalid`, with the place of what is wrong.
pub fn check<S: Execution>(app: &App, document: &S, intervals: u32) -> Result<()> {
    let told = document.told();
    let actions = of(&told)?;
    if actions.is_empty() {
        return Ok(());
    }
    if app.config.action_hosts.is_empty() {
        return Err(Error::Invalid(
            "actions: this serin may call nobody: actions.hosts of its configuration is empty"
                .to_owned(),
        ));
    }
    let budget = render::budget();
    let tried = (1..=intervals).filter(|number| {
        // One list of steps is as good as the next.
        *number <= TRIED_INTERVALS || *number == intervals
    });
    let passed = tried.map(|number| {
        Happened::passed(Judgement {
            number,
            score: TRIED_SCORE,
        })
    });
    let all = std::iter::once(Happened::of(Event::Start))
        .chain(passed)
        .chain(Event::ENDS.map(Happened::of));
    for happened in all {
        let event = happened.event;
        let mut variables = Variables::of(app, &told, &happened);
        // Only what ends without a verdict that stands has none.
        if matches!(event, Event::Pass | Event::Marginal | Event::Fail) {
            variables.score = Some(TRIED_SCORE);
        }
        let named = actions.stands_at(event).unwrap_or(event);
        let tried = match happened.number() {
            Some(number) => format!(" (tried with number {number})"),
            None if named != event => format!(" (tried at '{}')", event.as_str()),
            None => String::new(),
        };
        for (at, action) in chosen(&actions, &happened) {
            let place = Path::element(named.as_str(), at);
            render::known(action, &variables)
                .and_then(|()| render::call(action, &variables, &budget))
                .and_then(|call| {
                    let allowed = host_of(&app.config.action_hosts, &call.url);
                    allowed.map_err(|why| Fault::new(Path::of("url"), why))
                })
                .map_err(|fault| {
                    let fault = fault.within(place);
                    Error::Invalid(format!("actions.{}: {}{tried}", fault.path, fault.message))
                })?;
        }
    }
    Ok(())
}

/// What its author should know of the actions of a config.
pub fn faults(own: &Config, config: &CanaryConfig) -> Vec<Fault> {
    let within = |fault: Fault| fault.within(Path::of("actions"));
    let actions = match config.actions.as_ref().map(Actions::read) {
        None => return Vec::new(),
        Some(Err(faults)) => return faults.into_iter().map(within).collect(),
        Some(Ok(actions)) => actions,
    };
    let mut faults = Vec::new();
    for event in Event::ALL {
        for (at, action) in actions.named(event).unwrap_or_default().iter().enumerate() {
            let mut found = render::faults(action);
            // Who looks at a config far from its server knows no hosts.
            if !own.action_hosts.is_empty()
                && !action.url.contains('{')
                && let Err(why) = host_of(&own.action_hosts, &action.url)
            {
                found.push(Fault::new(Path::of("url"), why));
            }
            let place = || Path::element(event.as_str(), at);
            let found = found.into_iter().map(|fault| fault.within(place()));
            faults.extend(found.map(within));
        }
    }
    faults
}

/// The settings of the host that a URL leads to.
///
/// # Errors
/// Why it may not be called.
fn host_of<'a>(hosts: &'a [ActionHost], url: &str) -> Result<(Url, &'a ActionHost), String> {
    let url = check_url(url)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must not hold credentials: they stand in actions.hosts of serin's configuration"
                .to_owned(),
        );
    }
    let Some(host) = hosts.iter().find(|host| host.allows(&url)) else {
        if hosts.iter().any(|host| host.leads_to(&url)) {
            let scheme = url.scheme();
            return Err(format!(
                "must not begin with '{scheme}://': actions.hosts of serin's configuration allows the other scheme only, as it does for every host with a token, a secret or a caFile that is not written with 'http://'"
            ));
        }
        let name = url.host_str().unwrap_or_default();
        let port = url
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        return Err(format!(
            "must lead to where actions may go: actions.hosts of serin's configuration does not allow '{name}{port}{}'",
            url.path()
        ));
    };
    Ok((url, host))
}

/// The actions of the request, and for the rest those of the config.
fn of(told: &Told<'_>) -> Result<Actions> {
    let read = |value, whose: &str| match Actions::read(value) {
        Ok(actions) => Ok(actions),
        Err(faults) => {
            let first = faults.into_iter().next();
            let told = first.map_or_else(String::new, |fault| {
                let fault = fault.within(Path::of("actions"));
                format!(": {}: {}", fault.path, fault.message)
            });
            Err(Error::Invalid(format!(
                "the actions of the {whose} cannot be taken{told}"
            )))
        }
    };
    let config = told.config.and_then(|config| config.actions.as_ref());
    let config = config
        .map(|value| read(value, "canary config"))
        .transpose()?;
    let request = told.actions.map(|value| read(value, "request"));
    let request = request.transpose()?;
    Ok(request.unwrap_or_default().over(config.unwrap_or_default()))
}

/// The actions for what happened, with their numbers in the list of its event.
fn chosen<'a>(
    actions: &'a Actions,
    happened: &Happened,
) -> impl Iterator<Item = (usize, &'a Action)> + use<'a> {
    let number = happened.number();
    let listed = actions.at(happened.event).iter().enumerate();
    listed.filter(move |(_, action)| action.is_for(number))
}

fn called(
    app: &App,
    told: &Told<'_>,
    actions: &Actions,
    happened: &Happened,
    at: i64,
) -> Vec<NewAction> {
    let variables = Variables::of(app, told, happened);
    let budget = render::budget();
    let new = chosen(actions, happened).map(|(index, action)| {
        let call: Result<ActionCall, Fault> = render::call(action, &variables, &budget);
        NewAction {
            place: happened.place() + i64::try_from(index).unwrap_or(0),
            event: happened.event,
            number: happened.number().map(i64::from),
            call: call.map_err(|fault| {
                let fault = fault.within(Path::element(happened.event.as_str(), index));
                format!("{}: {}", fault.path, fault.message)
            }),
            patience: Duration::from_secs(action.patience_seconds().into()),
            at,
        }
    });
    new.collect()
}
