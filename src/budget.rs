//! Memory that is shared out: taken before something is read, given back when it is not held any more.
//!
//! Most executions find what they need in the common pool. When that is empty, one at a time may go on
//! with a part that is kept for it and as large as any execution may become: it waits for nobody, so all
//! come to their turn, whatever the others hold.
//!
//! What else an execution takes of others is noted beside it: the calls of services.

mod machine;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::canary::{Costs, ServiceCost};
pub use machine::memory;

/// The pool is handed out in such pieces.
const STEP: usize = 256 << 10;
/// Of all memory, what an execution may have at most.
const LARGEST_PART: (usize, usize) = (3, 4);

/// The number of all shares that are no execution's: together they come to their turn as one of these.
pub const BY_HAND: u64 = u64::MAX;

/// Of one process. Cheap to clone: all clones are the same.
#[derive(Clone)]
pub struct Budget(Arc<Parts>);

struct Parts {
    pool: Arc<Semaphore>,
    pool_steps: usize,
    /// Of the one that is kept.
    turn: Arc<Semaphore>,
    most: usize,
    shares: AtomicU64,
}

/// Of one execution. It gives back all at its end.
pub struct Share {
    budget: Budget,
    /// Tells it from those of other executions.
    pub number: u64,
    used: AtomicUsize,
    granted: AtomicUsize,
    grants: Mutex<Grants>,
    /// One of the tasks of an execution waits for all of them.
    waiting: tokio::sync::Mutex<()>,
    costs: Mutex<Costs>,
}

#[derive(Default)]
struct Grants {
    steps: Option<OwnedSemaphorePermit>,
    turn: Option<OwnedSemaphorePermit>,
}

/// Bytes of a share that are given back before its end.
pub struct Held {
    share: Arc<Share>,
    bytes: usize,
}

/// Why bytes were not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Others have them.
    Later { wanted: usize },
    /// No execution may have so many.
    TooMany { most: usize },
}

/// What executions may take together: half of what there is, where it is not said.
pub fn whole(said: Option<usize>) -> usize {
    said.unwrap_or_else(|| memory() / 2)
}

impl Budget {
    /// `all` for the process, as `whole` reads it, and `most` for an execution.
    pub fn new(all: Option<usize>, most: usize) -> Self {
        let all = whole(all);
        let most = most.min(all / LARGEST_PART.1 * LARGEST_PART.0).max(STEP);
        let pool_steps = (all.saturating_sub(most) / STEP).clamp(1, Semaphore::MAX_PERMITS >> 1);
        Self(Arc::new(Parts {
            pool: Arc::new(Semaphore::new(pool_steps)),
            pool_steps,
            turn: Arc::new(Semaphore::new(1)),
            most,
            shares: AtomicU64::new(0),
        }))
    }

    pub fn share(&self) -> Arc<Share> {
        self.numbered(self.0.shares.fetch_add(1, Ordering::Relaxed))
    }

    /// Of what is asked by hand.
    pub fn share_by_hand(&self) -> Arc<Share> {
        self.numbered(BY_HAND)
    }

    fn numbered(&self, number: u64) -> Arc<Share> {
        Arc::new(Share {
            budget: self.clone(),
            number,
            used: AtomicUsize::new(0),
            granted: AtomicUsize::new(0),
            grants: Mutex::default(),
            waiting: tokio::sync::Mutex::default(),
            costs: Mutex::default(),
        })
    }
}

impl Share {
    /// Until the end of the share.
    ///
    /// # Errors
    /// When there is not enough now, or never.
    pub fn take(&self, bytes: usize) -> Result<(), Refused> {
        let used = self.used.fetch_add(bytes, Ordering::AcqRel);
        let used = used.saturating_add(bytes);
        if used <= self.granted.load(Ordering::Acquire) || self.grow(used) {
            return Ok(());
        }
        self.give_back(bytes);
        let most = self.budget.0.most;
        Err(if most < used {
            Refused::TooMany { most }
        } else {
            Refused::Later { wanted: used }
        })
    }

    /// As [`Share::take`], and waits until there is enough.
    ///
    /// # Errors
    /// When there never is: as many an execution may have.
    pub async fn take_in_turn(&self, bytes: usize) -> Result<(), usize> {
        loop {
            match self.take(bytes) {
                Ok(()) => return Ok(()),
                Err(Refused::Later { wanted }) => self.wait(wanted).await,
                Err(Refused::TooMany { most }) => return Err(most),
            }
        }
    }

    /// Until the returned is dropped.
    ///
    /// # Errors
    /// As [`Share::take`].
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Result<Held, Refused> {
        self.take(bytes)?;
        Ok(Held {
            share: Arc::clone(self),
            bytes,
        })
    }

    /// Whether it will find all that it may have.
    pub fn has_turn(&self) -> bool {
        self.lock().turn.is_some()
    }

    /// Waits until as much as was `wanted` in all can be had. Nothing that others need to go on may be held
    /// meanwhile, but for memory.
    pub async fn wait(&self, wanted: usize) {
        let _one_for_all = self.waiting.lock().await;
        let granted = self.granted.load(Ordering::Acquire);
        if wanted <= granted {
            return;
        }
        let parts = &self.budget.0;
        let own = {
            let grants = self.lock();
            let steps = grants.steps.as_ref();
            steps.map_or(0, OwnedSemaphorePermit::num_permits)
        };
        let there = parts.pool_steps.saturating_sub(own);
        // What failed may want more when it is tried again: twice as much spares it most trials.
        let twice = wanted.saturating_mul(2).min(parts.most).max(wanted);
        let steps = (twice - granted).div_ceil(STEP).min(there);
        let steps = steps.max((wanted - granted).div_ceil(STEP));
        let (pool, turn) = (&parts.pool, &parts.turn);
        let from_pool = async {
            // It would keep from others what comes back, and never have enough.
            if there < steps {
                return std::future::pending().await;
            }
            let steps = u32::try_from(steps).unwrap_or(u32::MAX);
            Arc::clone(pool).acquire_many_owned(steps).await
        };
        tokio::select! {
            Ok(got) = Arc::clone(turn).acquire_owned() => self.has(&mut self.lock(), got),
            Ok(got) = from_pool => self.add(&mut self.lock(), got),
            else => {}
        }
    }

    /// Whether `used` bytes are granted now.
    fn grow(&self, used: usize) -> bool {
        let parts = &self.budget.0;
        if parts.most < used {
            return false;
        }
        let mut grants = self.lock();
        let granted = self.granted.load(Ordering::Acquire);
        if used <= granted {
            return true;
        }
        let steps = u32::try_from((used - granted).div_ceil(STEP)).unwrap_or(u32::MAX);
        if let Ok(got) = Arc::clone(&parts.pool).try_acquire_many_owned(steps) {
            self.add(&mut grants, got);
            return true;
        }
        match Arc::clone(&parts.turn).try_acquire_owned() {
            Ok(got) => self.has(&mut grants, got),
            Err(_) => return false,
        }
        true
    }

    fn add(&self, grants: &mut Grants, got: OwnedSemaphorePermit) {
        let bytes = got.num_permits() * STEP;
        match &mut grants.steps {
            Some(steps) => steps.merge(got),
            None => grants.steps = Some(got),
        }
        self.granted.fetch_add(bytes, Ordering::AcqRel);
    }

    /// What is kept is enough for all: the pool gets its own back.
    fn has(&self, grants: &mut Grants, turn: OwnedSemaphorePermit) {
        grants.turn = Some(turn);
        grants.steps = None;
        self.granted.store(self.budget.0.most, Ordering::Release);
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Notes what an account was asked.
    pub fn spend(&self, account: &str, note: impl FnOnce(&mut ServiceCost)) {
        let mut costs = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        match costs.get_mut(account) {
            Some(cost) => note(cost),
            None => note(costs.entry(account.to_owned()).or_default()),
        }
    }

    /// What all accounts were asked.
    pub fn spent(&self) -> Costs {
        let costs = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        costs.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// # Errors
    /// As [`Share::take`].
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        self.share.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// # Errors
    /// As [`Share::take`], when these are more.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Refused> {
        if self.bytes < bytes {
            return self.grow(bytes - self.bytes);
        }
        self.share.give_back(self.bytes - bytes);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.share.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures::future::{join_all, poll_immediate};

    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_share_ends_where_an_execution_or_the_pool_does() {
        let budget = Budget::new(Some(8 * MIB), 4 * MIB);
        let (one, two, three) = (budget.share(), budget.share(), budget.share());
        let too_many = Err(Refused::TooMany { most: 4 * MIB });
        assert_eq!(one.take(4 * MIB + 1), too_many);
        assert_eq!(one.take(4 * MIB), Ok(()), "the pool");
        assert_eq!(one.take(1), too_many);
        assert_eq!(two.take(MIB), Ok(()), "what is kept for one");
        assert!(two.has_turn() && !one.has_turn());
        let later = |wanted| Err(Refused::Later { wanted });
        assert_eq!(three.take(1), later(1));
        drop(one);
        assert_eq!(three.take(1), Ok(()));
    }

    #[test]
    fn what_is_held_is_given_back_before_the_end() {
        let budget = Budget::new(Some(2 * MIB), MIB);
        let share = budget.share();
        let mut held = share.hold(MIB / 2).unwrap();
        held.grow(MIB / 2).unwrap();
        assert!(held.grow(1).is_err());
        held.resize(MIB / 2).unwrap();
        share.take(MIB / 2).unwrap();
        assert!(held.resize(MIB).is_err());
        share.give_back(MIB / 2);
        held.resize(MIB).unwrap();
        drop(held);
        share.take(MIB).unwrap();
    }

    /// Each takes a part, then wants more than there is for all: none may wait for ever.
    #[tokio::test]
    async fn all_come_to_their_turn_whatever_the_others_hold() {
        let budget = Budget::new(Some(6 * MIB), 4 * MIB);
        let working = (0..32).map(|_| {
            let share = budget.share();
            async move {
                for _ in 0..8 {
                    share.take_in_turn(MIB / 2).await.unwrap();
                    tokio::task::yield_now().await;
                }
                drop(share);
            }
        });
        let all = tokio::time::timeout(std::time::Duration::from_secs(20), join_all(working));
        all.await.unwrap();
        assert_eq!(budget.0.pool.available_permits(), budget.0.pool_steps);
        assert_eq!(budget.0.turn.available_permits(), 1);
    }

    #[tokio::test]
    async fn tasks_of_one_execution_do_not_wait_for_each_other() {
        let budget = Budget::new(Some(2 * MIB), MIB);
        let (other, share) = (budget.share(), budget.share());
        other.take(MIB).unwrap();
        let first = budget.share();
        first.take(MIB).unwrap();
        let both = [0; 2].map(|_| share.take_in_turn(MIB / 2));
        let mut both = Box::pin(join_all(both));
        assert!(poll_immediate(&mut both).await.is_none());
        drop(first);
        both.await.into_iter().for_each(|taken| taken.unwrap());
    }
}
