//! The recoverer with a provider that is away. What it does after a crash is in `crashes`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use messaging::Outbox;
use money::Money;
use payment::{
    Config,
    attempts::Attempts,
    payment::AttemptId,
    provider::{Outcome, Provider, Undecided},
};
use proto::payment::v1::PaymentStatus;
use runtime::postgres::{Database, Place};

use crate::world::{RECOVER_AFTER, WINDOW, World, payment_id};

/// A provider that can't be reached, and counts who tried.
#[derive(Default)]
struct Away(AtomicUsize);

impl Away {
    fn nothing(&self) -> BoxFuture<'_, Result<Outcome, Undecided>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        async { Err(Undecided::Unreachable) }.boxed()
    }
}

impl Provider for Away {
    fn accepts(&self, _: &str) -> bool {
        true
    }

    fn charge<'a>(&'a self, _: AttemptId, _: &'a str, _: Money) -> BoxFuture<'a, Result<Outcome, Undecided>> {
        self.nothing()
    }

    fn refund<'a>(&'a self, _: AttemptId, _: &'a str, _: Money) -> BoxFuture<'a, Result<Outcome, Undecided>> {
        self.nothing()
    }

    fn settle(&self, _: AttemptId) -> BoxFuture<'_, Result<Outcome, Undecided>> {
        self.nothing()
    }
}

#[tokio::test]
async fn an_attempt_whose_provider_is_away_is_asked_about_again_later_until_it_is_back() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    world.attempts().start_charge(world.ann.viewer, payment_id(&payment.id), None).await.unwrap();
    let pool = world.database.pool().clone();
    let config: Config = runtime::config::parse(["payment", "--database-url", world.database.url()]).unwrap();
    let away = Arc::new(Away::default());
    let place = Place { url: &config.database_url, connections: 1, replica: None, read_connections: 1 };
    let attempts = Attempts::new(
        Database::at(place, ["payment", "payment read", "payment replica"]).unwrap(),
        Outbox::new(pool, "payment"),
        world.clock.clone(),
        Arc::clone(&away) as Arc<dyn Provider>,
        config.timing,
    );
    for round in 1..=3 {
        world.clock.advance(RECOVER_AFTER);
        // The second look is too early: the provider is not asked again at once.
        assert_eq!((attempts.recover_once().await.unwrap(), attempts.recover_once().await.unwrap()), (0, 0));
        assert_eq!(away.0.load(Ordering::Relaxed), round);
        assert_eq!(world.get(&world.ann, &payment.id).await.unwrap(), payment);
    }
    world.clock.advance(RECOVER_AFTER);
    assert_eq!(world.attempts().recover_once().await.unwrap(), 1);
    let payment = world.get(&world.ann, &payment.id).await.unwrap();
    assert_eq!((payment.status(), payment.failure_reason.as_str()), (PaymentStatus::Pending, "abandoned"));
}

#[tokio::test]
async fn the_background_jobs_recover_and_expire_by_themselves_and_stop_when_asked() {
    let world = World::new().await;
    let paid = world.paid(&world.ann, 500).await;
    world.cancel_order(&paid.order_id).await.unwrap();
    let unpaid = world.pending(&world.ann, 500).await;
    world.clock.advance(WINDOW);
    let stop = runtime::Stop::new();
    let (app, asked) = (world.restarted(), stop.clone());
    let running = tokio::spawn(async move { app.background(asked).await });
    for (id, status) in [(paid.id, PaymentStatus::Refunded), (unpaid.id, PaymentStatus::Cancelled)] {
        let reached = async {
            while world.get(&world.ann, &id).await.unwrap().status() != status {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reached).await.expect("a job does not run");
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}
