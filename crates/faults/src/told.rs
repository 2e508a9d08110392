//! What clients were told: the promises that the checks hold the system to. It lives in the memory of this process, which
//! no fault touches.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

/// The last that a client was told of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It was placed.
    Placed,
    /// Its payment succeeded.
    Paid,
    /// It was cancelled, paid or not.
    Cancelled,
}

/// An order that a client was told of.
#[derive(Clone, Debug)]
pub(crate) struct ToldOrder {
    /// Who placed it.
    pub(crate) user: Uuid,
    /// What it costs, in cents.
    pub(crate) total: i64,
    /// What became of it.
    pub(crate) fate: Fate,
    /// Whether its client has come to the end of what it wanted with it.
    pub(crate) finished: bool,
}

/// All that was told, in the order's id. Shared by the clients.
#[derive(Default)]
pub(crate) struct Told {
    inner: Mutex<Inner>,
}

/// See [`Told`].
pub(crate) struct Inner {
    /// Orders by their id.
    pub(crate) orders: HashMap<Uuid, ToldOrder>,
    /// The accounts that were made.
    pub(crate) users: Vec<Uuid>,
    /// How many requests were answered.
    pub(crate) answers: u64,
    /// How often a request had to be sent again, by the reason.
    pub(crate) repeats: BTreeMap<String, u64>,
    /// The longest that a client waited for an answer, and for which one.
    pub(crate) longest_wait: (Duration, &'static str),
    /// The longest time in which no client got an answer.
    pub(crate) longest_silence: Duration,
    /// What must not have been answered.
    pub(crate) wrong: Vec<String>,
    last_answer: Instant,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            orders: HashMap::new(),
            users: Vec::new(),
            answers: 0,
            repeats: BTreeMap::new(),
            longest_wait: (Duration::ZERO, ""),
            longest_silence: Duration::ZERO,
            wrong: Vec::new(),
            last_answer: Instant::now(),
        }
    }
}

impl Told {
    /// To read, or to write more than one thing.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was answered at last.
    pub(crate) fn answered(&self, what: &'static str, waited: Duration) {
        let mut inner = self.lock();
        inner.answers += 1;
        inner.longest_wait = inner.longest_wait.max((waited, what));
        inner.longest_silence = inner.longest_silence.max(inner.last_answer.elapsed());
        inner.last_answer = Instant::now();
    }

    /// A request has to be sent again.
    pub(crate) fn repeated(&self, why: String) {
        *self.lock().repeats.entry(why).or_default() += 1;
    }

    /// An order was placed.
    pub(crate) fn placed(&self, order: Uuid, user: Uuid, total: i64) {
        let told = ToldOrder { user, total, fate: Fate::Placed, finished: false };
        let before = self.lock().orders.insert(order, told);
        if before.is_some() {
            self.wrong(format!("order {order} was given to two different requests"));
        }
    }

    /// More became of an order. What was told before is never taken back.
    pub(crate) fn became(&self, order: Uuid, fate: Fate) {
        if let Some(told) = self.lock().orders.get_mut(&order) {
            told.fate = told.fate.max(fate);
        }
    }

    /// Its client wants no more of an order.
    pub(crate) fn finished(&self, order: Uuid) {
        if let Some(told) = self.lock().orders.get_mut(&order) {
            told.finished = true;
        }
    }

    /// Something was answered that must not be.
    pub(crate) fn wrong(&self, what: String) {
        self.lock().wrong.push(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_is_not_taken_back_by_a_payment_that_is_told_later() {
        let (told, order) = (Told::default(), Uuid::from_u128(1));
        told.placed(order, Uuid::nil(), 100);
        told.became(order, Fate::Cancelled);
        told.became(order, Fate::Paid);
        assert_eq!(told.lock().orders[&order].fate, Fate::Cancelled);
    }

    #[test]
    fn one_order_for_two_requests_is_wrong() {
        let told = Told::default();
        told.placed(Uuid::from_u128(1), Uuid::nil(), 100);
        told.placed(Uuid::from_u128(1), Uuid::nil(), 100);
        assert_eq!(told.lock().wrong.len(), 1);
    }
}
