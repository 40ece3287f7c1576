//! Work that several want at the same time is done once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

/// What is under way, by what it answers.
pub struct Flights<K: Eq + Hash, T: Clone>(Arc<Mutex<Board<K, T>>>);

struct Board<K, T: Clone> {
    flights: HashMap<K, (u64, WeakShared<BoxFuture<'static, T>>)>,
    begun: u64,
}

/// Takes a flight off the board when it has ended, or when nobody waits for it any more.
struct Entry<K: Eq + Hash, T: Clone> {
    board: Arc<Mutex<Board<K, T>>>,
    key: K,
    number: u64,
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Board {
            flights: HashMap::new(),
            begun: 0,
        })))
    }

    /// The flight of that key; `start` is called at once when there is none. Whoever waits carries it
    /// on, so it needs no task of its own and is dropped with the last of them.
    pub fn join<F>(&self, key: K, start: impl FnOnce() -> F) -> Shared<BoxFuture<'static, T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut board = lock(&self.0);
        let under_way = board.flights.get(&key);
        if let Some(flight) = under_way.and_then(|(_, flight)| flight.upgrade()) {
            return flight;
        }
        board.begun += 1;
        let number = board.begun;
        let entry = Entry {
            board: Arc::clone(&self.0),
            key: key.clone(),
            number,
        };
        let work = start();
        let flight = async move {
            let _entry = entry;
            work.await
        };
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            board.flights.insert(key, (number, weak));
        }
        flight
    }
}

impl<K: Eq + Hash, T: Clone> Drop for Entry<K, T> {
    fn drop(&mut self) {
        let mut board = lock(&self.board);
        // The next flight of that key may have begun between the last one's end and this.
        let is_own = |(number, _): &(u64, _)| *number == self.number;
        if board.flights.get(&self.key).is_some_and(is_own) {
            board.flights.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::{join, pending, poll_immediate, ready};
    use tokio::sync::oneshot;

    use super::*;

    fn flights() -> Flights<&'static str, usize> {
        Flights::new()
    }

    #[tokio::test]
    async fn all_who_wait_get_one_result_and_the_next_one_begins_anew() {
        let (flights, begun) = (flights(), AtomicUsize::new(0));
        let go = || {
            let number = begun.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::task::yield_now().await;
                number
            }
        };
        let both = join(flights.join("a", go), flights.join("a", go));
        assert_eq!(join(both, flights.join("b", go)).await, ((0, 0), 1));
        assert_eq!(flights.join("a", go).await, 2);
        assert!(lock(&flights.0).flights.is_empty());
    }

    #[tokio::test]
    async fn who_waits_survives_the_one_who_began() {
        let (flights, (send, receive)) = (flights(), oneshot::channel());
        let mut first = Box::pin(flights.join("a", || receive.map(Result::unwrap)));
        assert!(poll_immediate(&mut first).await.is_none());
        let mut second = Box::pin(flights.join("a", || ready(0)));
        assert!(poll_immediate(&mut second).await.is_none());
        drop(first);
        send.send(7).unwrap();
        assert_eq!(second.await, 7);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_dropped_where_it_stands() {
        let (flights, held) = (flights(), Arc::new(()));
        let alive = Arc::downgrade(&held);
        let go = || async move {
            let never = pending().await;
            drop(held);
            never
        };
        let mut waiting = Box::pin(flights.join("a", go));
        assert!(poll_immediate(&mut waiting).await.is_none());
        drop(waiting);
        assert!(alive.upgrade().is_none());
        assert!(lock(&flights.0).flights.is_empty());
    }
}
