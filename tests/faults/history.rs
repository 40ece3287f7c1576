//! What clients were told, and what is wrong with it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::Value;

use crate::canaries::Canary;

/// An execution that serin accepted: it gave its id.
#[derive(Clone, Debug)]
pub struct Execution {
    pub canary: Canary,
    pub id: String,
    /// The document once it was complete, as it was read first.
    pub end: Option<Value>,
    pub ended_at: Option<Instant>,
    pub cancel_asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// It was acknowledged and is not there.
    Lost,
    /// It ended in two ways, or otherwise than it must.
    Double,
    /// It did not end in time.
    Stuck,
    /// A document that is not whole.
    Half,
    /// Another replica took too long to go on.
    Slow,
    /// Anything else that must not be.
    Odd,
}

impl Wrong {
    pub const ALL: [Self; 6] = [
        Self::Lost,
        Self::Double,
        Self::Stuck,
        Self::Half,
        Self::Slow,
        Self::Odd,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Double => "double",
            Self::Stuck => "stuck",
            Self::Half => "half",
            Self::Slow => "slow",
            Self::Odd => "odd",
        }
    }
}

#[derive(Default)]
pub struct History {
    executions: Mutex<BTreeMap<String, Execution>>,
    wrongs: Mutex<Vec<(Wrong, String)>>,
    /// Whatever is worth a count: answers by status, faults by kind.
    counts: Mutex<BTreeMap<String, usize>>,
}

impl History {
    pub fn acknowledge(&self, canary: Canary, id: &str) {
        let execution = Execution {
            canary,
            id: id.to_owned(),
            end: None,
            ended_at: None,
            cancel_asked: false,
        };
        let before = self
            .executions
            .lock()
            .unwrap()
            .insert(id.to_owned(), execution);
        if before.is_some() {
            self.wrong(Wrong::Odd, format!("{id} was given twice"));
        }
    }

    pub fn cancel_asked(&self, id: &str) {
        if let Some(execution) = self.executions.lock().unwrap().get_mut(id) {
            execution.cancel_asked = true;
        }
    }

    /// A document as it was read. Whether it is complete.
    pub fn read(&self, id: &str, document: &Value, whence: &str) -> bool {
        let mut executions = self.executions.lock().unwrap();
        let Some(execution) = executions.get_mut(id) else {
            return false;
        };
        let complete = document["complete"] == true;
        match &execution.end {
            None if complete => {
                execution.end = Some(document.clone());
                execution.ended_at = Some(Instant::now());
            }
            None => {}
            Some(end) if end == document => {}
            Some(end) => {
                let text = format!("{id} ended as {end}, then {whence} told {document}");
                drop(executions);
                self.wrong(Wrong::Double, text);
            }
        }
        complete
    }

    pub fn wrong(&self, wrong: Wrong, text: String) {
        println!("WRONG, {}: {text}", wrong.name());
        self.wrongs.lock().unwrap().push((wrong, text));
    }

    pub fn count(&self, what: impl Into<String>) {
        *self.counts.lock().unwrap().entry(what.into()).or_default() += 1;
    }

    /// How often something was counted.
    pub fn counted(&self, what: &str) -> usize {
        self.counts.lock().unwrap().get(what).copied().unwrap_or(0)
    }

    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.counts.lock().unwrap().clone()
    }

    pub fn wrongs(&self, wrong: Wrong) -> usize {
        let wrongs = self.wrongs.lock().unwrap();
        wrongs.iter().filter(|(kind, _)| *kind == wrong).count()
    }

    pub fn executions(&self) -> Vec<Execution> {
        self.executions.lock().unwrap().values().cloned().collect()
    }

    pub fn open(&self) -> usize {
        let executions = self.executions.lock().unwrap();
        executions.values().filter(|one| one.end.is_none()).count()
    }
}
