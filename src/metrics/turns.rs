//! Whose query is next: executions take turns, so that none waits for all that another one wants.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Of all that an account may be asked at once, one in so many is left for others; of fewer, none.
const LEFT_FOR_OTHERS: usize = 8;
/// Who was served less often than this goes before who was served more, and so on in steps.
const SERVED_STEP: u64 = 4;

/// The queries that an account may be asked at once.
pub struct Turns(Arc<Mutex<Board>>);

struct Board {
    free: usize,
    /// Of one execution.
    most_each: usize,
    /// Counts what was granted.
    granted: u64,
    queues: HashMap<u64, Queue>,
}

/// Of one execution.
struct Queue {
    held: usize,
    served: u64,
    /// When it was its turn last, or when it came.
    last: u64,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// The right to run one query, while it is kept.
pub struct Turn {
    board: Option<Arc<Mutex<Board>>>,
    number: u64,
}

impl Turns {
    pub fn new(all: usize) -> Self {
        let all = all.max(1);
        Self(Arc::new(Mutex::new(Board {
            free: all,
            most_each: (all - all / LEFT_FOR_OTHERS).max(1),
            granted: 0,
            queues: HashMap::new(),
        })))
    }

    /// The next turn of that execution.
    pub async fn take(&self, number: u64) -> Turn {
        loop {
            let next = {
                let mut board = lock(&self.0);
                let most = board.most_each;
                let is_free = 0 < board.free;
                let now = board.granted;
                let queue = board.queues.entry(number).or_insert_with(|| Queue::at(now));
                // Whoever waits while one is free may have no more.
                if is_free && queue.held < most {
                    board.grant(number);
                    return self.turn(number);
                }
                let (send, next) = oneshot::channel();
                queue.waiting.push_back(send);
                next
            };
            if let Ok(turn) = next.await {
                return turn;
            }
        }
    }

    fn turn(&self, number: u64) -> Turn {
        Turn {
            board: Some(Arc::clone(&self.0)),
            number,
        }
    }
}

impl Queue {
    const fn at(now: u64) -> Self {
        Self {
            held: 0,
            served: 0,
            last: now,
            waiting: VecDeque::new(),
        }
    }
}

impl Board {
    fn grant(&mut self, number: u64) {
        self.free -= 1;
        self.granted += 1;
        let granted = self.granted;
        let queue = self
            .queues
            .entry(number)
            .or_insert_with(|| Queue::at(granted));
        queue.held += 1;
        queue.served += 1;
        queue.last = granted;
    }

    /// One after the other who has waited longest, and who was served least; of these, who wants least.
    fn next(&self) -> Option<u64> {
        let waiting = self.queues.iter();
        let waiting =
            waiting.filter(|(_, queue)| !queue.waiting.is_empty() && queue.held < self.most_each);
        let next = if self.granted.is_multiple_of(2) {
            waiting.min_by_key(|(number, queue)| {
                (queue.served / SERVED_STEP, queue.waiting.len(), **number)
            })
        } else {
            waiting.min_by_key(|(number, queue)| (queue.last, queue.waiting.len(), **number))
        };
        next.map(|(number, _)| *number)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(shared) = self.board.take() else {
            return;
        };
        let mut board = lock(&shared);
        board.give_back(self.number);
        while 0 < board.free
            && let Some(number) = board.next()
        {
            let queue = board.queues.get_mut(&number);
            let Some(next) = queue.and_then(|queue| queue.waiting.pop_front()) else {
                break;
            };
            board.grant(number);
            let turn = Turn {
                board: Some(Arc::clone(&shared)),
                number,
            };
            // Who does not wait any more leaves it to the next one.
            if let Err(mut turn) = next.send(turn) {
                turn.board = None;
                board.give_back(number);
            }
        }
    }
}

impl Board {
    fn give_back(&mut self, number: u64) {
        self.free += 1;
        if let Some(queue) = self.queues.get_mut(&number) {
            queue.held -= 1;
            if queue.held == 0 && queue.waiting.is_empty() {
                self.queues.remove(&number);
            }
        }
    }
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::future::{BoxFuture, join_all, poll_immediate};
    use tokio::task::unconstrained;

    use super::*;

    /// Queries of equal length, in rounds: all that are asked end together.
    struct Rounds<'a> {
        turns: &'a Turns,
        waiting: Vec<(u64, BoxFuture<'a, Turn>)>,
        asked: Vec<(u64, Turn)>,
    }

    impl<'a> Rounds<'a> {
        fn of(turns: &'a Turns) -> Self {
            Self {
                turns,
                waiting: Vec::new(),
                asked: Vec::new(),
            }
        }

        async fn ask(&mut self, number: u64, queries: usize) {
            let turns = self.turns;
            for _ in 0..queries {
                self.waiting.push((number, Box::pin(turns.take(number))));
            }
            self.look().await;
        }

        async fn look(&mut self) {
            for (number, mut next) in std::mem::take(&mut self.waiting) {
                // All are looked at, however many there are.
                let looked = poll_immediate(unconstrained(&mut next));
                match looked.await {
                    Some(turn) => self.asked.push((number, turn)),
                    None => self.waiting.push((number, next)),
                }
            }
        }

        async fn next(&mut self) {
            self.asked.clear();
            self.look().await;
        }

        /// After how many rounds that one has all of its answers.
        async fn until_ended(&mut self, number: u64) -> usize {
            let mut rounds = 0;
            let is_its = |of: u64| of == number;
            while self.waiting.iter().any(|(of, _)| is_its(*of))
                || self.asked.iter().any(|(of, _)| is_its(*of))
            {
                self.next().await;
                rounds += 1;
            }
            rounds
        }
    }

    #[tokio::test]
    async fn a_small_one_does_not_wait_for_a_large_one() {
        let cases = [
            // large ones, queries of each, rounds until a small one of two queries has its answers
            (0, 0, 1),
            (1, 2_000, 1),
            (16, 2_000, 2),
            (32, 40, 2),
            (200, 40, 2),
        ];
        for (large, queries, expected) in cases {
            let turns = Turns::new(16);
            let mut rounds = Rounds::of(&turns);
            for number in 1..=large {
                rounds.ask(number, queries).await;
            }
            rounds.ask(0, 2).await;
            assert_eq!(
                rounds.until_ended(0).await,
                expected,
                "{large} of {queries}"
            );
            drop(rounds);
            assert_idle(&turns);
        }
    }

    #[tokio::test]
    async fn a_large_one_gets_its_part_beside_small_ones_without_end() {
        let turns = Turns::new(4);
        let mut rounds = Rounds::of(&turns);
        rounds.ask(0, 40).await;
        let (mut passed, mut number) = (0, 0);
        while rounds.waiting.iter().any(|(of, _)| *of == 0) {
            for _ in 0..2 {
                number += 1;
                rounds.ask(number, 2).await;
            }
            rounds.next().await;
            passed += 1;
            assert!(passed < 200, "{} are left", rounds.waiting.len());
        }
    }

    #[tokio::test]
    async fn a_turn_that_nobody_waits_for_goes_to_the_next() {
        let turns = Turns::new(1);
        let first = turns.take(1).await;
        let (mut gone, mut next) = (Box::pin(turns.take(2)), Box::pin(turns.take(3)));
        assert!(poll_immediate(&mut gone).await.is_none());
        assert!(poll_immediate(&mut next).await.is_none());
        drop(gone);
        drop(first);
        drop(next.await);
        // One that was given and never seen comes back as well.
        let first = turns.take(1).await;
        let mut unseen = Box::pin(turns.take(2));
        assert!(poll_immediate(&mut unseen).await.is_none());
        drop(first);
        drop(unseen);
        drop(turns.take(4).await);
        assert_idle(&turns);
    }

    #[tokio::test]
    async fn nobody_has_all() {
        let turns = Turns::new(16);
        let held = join_all((0..14).map(|_| turns.take(1))).await;
        assert!(poll_immediate(Box::pin(turns.take(1))).await.is_none());
        drop(join_all((0..2).map(|_| turns.take(2))).await);
        drop(held);
        assert_idle(&turns);
    }

    fn assert_idle(turns: &Turns) {
        let board = lock(&turns.0);
        // Those that went away while they waited are forgotten when it is their turn.
        let held: usize = board.queues.values().map(|queue| queue.held).sum();
        assert_eq!(held, 0);
    }
}
