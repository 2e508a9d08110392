//! Whatever is done, whatever is heard in whatever order and however often: order and payment agree, and no money is
//! taken twice, kept for nothing or given back twice.

use std::collections::HashSet;

use payment::attempts::Attempt;
use proto::order::v1::OrderStatus;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::world::{Chance, RECOVER_AFTER, WINDOW, World};

/// How many histories are made up, of how many orders and steps each.
const HISTORIES: u64 = 6;
const ORDERS: usize = 5;
const STEPS: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_every_history_orders_and_payments_agree_in_the_end() {
    let mut chance = Chance::new();
    for number in 0..HISTORIES {
        // What comes again may mend what went wrong the first time, so in half of them nothing does.
        let mut history = History::new(&mut chance, number % 2 == 0).await;
        for _ in 0..STEPS {
            history.step().await;
        }
        history.end().await;
    }
}

struct History<'a> {
    world: World,
    chance: &'a mut Chance,
    orders: Vec<String>,
    /// Charges that somebody believes to be under way.
    charges: Vec<Attempt>,
    /// Whether each event is heard once, until the end.
    once: bool,
    heard: HashSet<Uuid>,
}

impl<'a> History<'a> {
    async fn new(chance: &'a mut Chance, once: bool) -> Self {
        let world = World::new().await;
        let mut orders = vec![];
        for _ in 0..ORDERS {
            orders.push(world.place().await);
        }
        Self { world, chance, orders, charges: vec![], once, heard: HashSet::new() }
    }

    /// Something happens.
    async fn step(&mut self) {
        let order = self.orders[self.chance.below(ORDERS)].clone();
        match self.chance.below(20) {
            0 => answered(self.world.cancel(&order).await),
            1 => answered(self.world.delete(&order).await),
            2 => answered(self.world.update(&order, OrderStatus::Shipped).await),
            3 => answered(self.world.refund(&order, "1.00").await.unwrap_or(Ok(()))),
            4..8 => self.charges.extend(self.world.try_start_charge(&order).await),
            8..11 => self.charge().await,
            11 => self.world.clock.advance(WINDOW / 10),
            12 => drop(self.world.expire().await),
            13 => drop(self.world.recover().await),
            _ => self.hear().await,
        }
    }

    /// The provider is called about one of the charges, for the first time or again; then our process may die before it
    /// writes the answer, or take a long time for it.
    async fn charge(&mut self) {
        if self.charges.is_empty() {
            return;
        }
        let attempt = self.charges[self.chance.below(self.charges.len())].clone();
        let token = self.chance.one_of(&["tok_visa", "tok_mastercard", "tok_declined"]);
        let attempts = self.world.payments.payments().attempts();
        let outcome = attempts.charge(&attempt, token).await.unwrap();
        if self.chance.below(4) > 0 {
            attempts.decide(&attempt, &outcome).await.unwrap();
        }
        if self.chance.below(4) > 0 {
            self.charges.retain(|other| other.id != attempt.id);
        }
    }

    /// One of all events that were ever said is heard.
    async fn hear(&mut self) {
        let mut said = self.world.said().await;
        said.retain(|event| !self.once || !self.heard.contains(&event.id));
        if !said.is_empty() {
            let event = &said[self.chance.below(said.len())];
            self.world.deliver(event).await;
            self.heard.insert(event.id);
        }
    }

    /// All is heard, all that is under way ends; and when all is heard again a year later, nothing changes.
    async fn end(mut self) {
        let mut before = vec![];
        while before != self.world.footprint().await {
            before = self.world.footprint().await;
            self.world.clock.advance(RECOVER_AFTER);
            while self.world.recover().await > 0 {}
            self.hear_all().await;
            self.world.clock.advance(WINDOW);
            self.world.expire().await;
        }
        for order in &self.orders {
            assert_ne!(self.world.statuses(order).await.0, "PENDING", "seed {}", self.chance.seed);
            self.world.assert_agrees(order).await;
        }
        self.world.clock.advance(WINDOW * 365 * 48);
        self.once = false;
        self.hear_all().await;
        assert_eq!(self.world.footprint().await, before, "seed {}", self.chance.seed);
    }

    /// Everything is heard that may be, in any order, and twice if it may be.
    async fn hear_all(&mut self) {
        let mut said = self.world.said().await;
        if self.once {
            said.retain(|event| !self.heard.contains(&event.id));
        } else {
            said.extend(said.clone());
        }
        self.chance.shuffle(&mut said);
        for event in &said {
            self.world.deliver(event).await;
            self.heard.insert(event.id);
        }
    }
}

/// A client may be refused, but never by a fault of ours.
fn answered(answer: Result<(), Status>) {
    if let Err(status) = answer {
        assert!(matches!(status.code(), Code::FailedPrecondition | Code::NotFound), "{status:?}");
    }
}
