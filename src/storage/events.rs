//! What happens to executions, told at once to whoever waits for it, in this process and in others.
//!
//! Nobody may depend on hearing: who waits looks again after a while.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, Notify, broadcast};
use tokio_util::sync::CancellationToken;

/// What happened to an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It can be claimed.
    Due,
    Canceled,
    Ended,
    /// What has ended says something more.
    Amended,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub change: Change,
    /// Of the execution; empty: of any.
    pub id: String,
}

/// How many changes of one execution who waits for it may be behind.
const BACKLOG: usize = 16;

/// Those who wait, by execution: nobody wakes for what happens to others.
type Board = Arc<std::sync::Mutex<HashMap<String, broadcast::Sender<Change>>>>;

pub struct Events {
    /// An execution can be claimed.
    pub due: Notify,
    waiting: Board,
    /// For other processes, until they are sent.
    outbox: Option<UnboundedSender<Event>>,
    unsent: Mutex<Option<UnboundedReceiver<Event>>>,
    closed: CancellationToken,
}

impl Events {
    pub fn new(is_shared: bool) -> Self {
        let (outbox, unsent) = unbounded_channel();
        Self {
            due: Notify::new(),
            waiting: Board::default(),
            outbox: is_shared.then_some(outbox),
            unsent: Mutex::new(is_shared.then_some(unsent)),
            closed: CancellationToken::new(),
        }
    }

    /// Tells this process, and the others as soon as may be.
    pub fn tell(&self, change: Change, id: &str) {
        let event = Event {
            change,
            id: id.to_owned(),
        };
        if let Some(outbox) = &self.outbox {
            let _ = outbox.send(event.clone());
        }
        self.hear(&event);
    }

    /// Tells this process.
    pub fn hear(&self, event: &Event) {
        if event.change == Change::Due {
            self.due.notify_waiters();
            return;
        }
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if event.id.is_empty() {
            for told in waiting.values() {
                let _ = told.send(event.change);
            }
        } else if let Some(told) = waiting.get(&event.id) {
            let _ = told.send(event.change);
        }
    }

    /// To be told what happens to an execution from here on.
    pub fn subscribe(&self, id: &str) -> Waiting {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let told = waiting.entry(id.to_owned());
        let told = told.or_insert_with(|| broadcast::channel(BACKLOG).0);
        Waiting {
            told: told.subscribe(),
            id: id.to_owned(),
            board: Arc::clone(&self.waiting),
        }
    }

    /// Nobody should wait any longer: the process ends.
    pub fn close(&self) {
        self.closed.cancel();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// What is to be sent to other processes; taken once.
    pub async fn take_unsent(&self) -> Option<UnboundedReceiver<Event>> {
        self.unsent.lock().await.take()
    }
}

/// One who waits for changes of an execution.
pub struct Waiting {
    told: broadcast::Receiver<Change>,
    id: String,
    board: Board,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        // The last one, itself included, takes the execution off.
        if let Some(told) = waiting.get(&self.id)
            && told.receiver_count() <= 1
        {
            waiting.remove(&self.id);
        }
    }
}

impl Waiting {
    /// Returns when the change has happened, or may have.
    pub async fn until(&mut self, change: Change) {
        loop {
            match self.told.recv().await {
                Ok(told) if told == change => return,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                // Nobody will tell any more; who waits looks after a while.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

/// Events as one text of at most `limit` bytes: `due`, `ended:<id>,canceled:<id>`.
pub fn write(events: &[Event], limit: usize) -> Vec<String> {
    let mut texts = Vec::<String>::new();
    let mut is_due = false;
    for event in events {
        let part = match event.change {
            // One is enough: who hears it claims as many as it can.
            Change::Due if std::mem::replace(&mut is_due, true) => continue,
            Change::Due => "due".to_owned(),
            Change::Canceled => format!("canceled:{}", event.id),
            Change::Ended => format!("ended:{}", event.id),
            Change::Amended => format!("amended:{}", event.id),
        };
        match texts.last_mut() {
            Some(text) if text.len() + part.len() < limit => {
                text.push(',');
                text.push_str(&part);
            }
            _ => texts.push(part),
        }
    }
    texts
}

/// What [`write()`] wrote; what is not understood is left out, a newer version may have sent it.
pub fn read(text: &str) -> Vec<Event> {
    let parts = text
        .split(',')
        .map(|part| part.split_once(':').unwrap_or((part, "")));
    parts
        .filter_map(|(name, id)| {
            let change = match name {
                "due" => Change::Due,
                "canceled" => Change::Canceled,
                "ended" => Change::Ended,
                "amended" => Change::Amended,
                _ => return None,
            };
            let id = id.to_owned();
            Some(Event { change, id })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(change: Change, id: &str) -> Event {
        let id = id.to_owned();
        Event { change, id }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let events = [
            event(Change::Ended, "a"),
            event(Change::Due, "b"),
            event(Change::Due, "c"),
            event(Change::Canceled, "d"),
        ];
        assert_eq!(write(&events, 100), ["ended:a,due,canceled:d"]);
        assert_eq!(write(&events, 12), ["ended:a,due", "canceled:d"]);
        let expected = [
            event(Change::Ended, "a"),
            event(Change::Due, ""),
            event(Change::Canceled, "d"),
        ];
        assert_eq!(read("ended:a,due,canceled:d,new:e"), expected);
    }

    #[tokio::test]
    async fn only_the_execution_that_is_waited_for_wakes() {
        let events = Events::new(false);
        let mut waiting = events.subscribe("mine");
        let others = [events.subscribe("mine"), events.subscribe("other")];
        events.tell(Change::Ended, "other");
        events.tell(Change::Canceled, "mine");
        let short = std::time::Duration::from_millis(20);
        let woken = tokio::time::timeout(short, waiting.until(Change::Ended));
        assert!(woken.await.is_err());
        events.tell(Change::Ended, "mine");
        waiting.until(Change::Ended).await;
        // Of whatever happened, when some of it was not heard.
        events.tell(Change::Ended, "");
        waiting.until(Change::Ended).await;
        drop((waiting, others));
        assert!(events.waiting.lock().unwrap().is_empty());
    }
}
