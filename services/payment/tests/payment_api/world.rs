//! A payment service of a test: its database, its callers, a clock that the test moves, and looks behind the scenes.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use identity::Role;
use messaging::{CloudEvent, Failure};
use payment::{
    App, Config,
    attempts::{Attempt, Attempts, Started},
    payment::PaymentId,
};
use proto::{
    common::v1::Money,
    order::v1::{OrderCreated, OrderStatus, OrderStatusChanged},
    payment::v1::{
        CreatePaymentRequest, GetPaymentRequest, Payment, PaymentStatus, ProcessPaymentRequest,
        RefundPaymentRequest, payment_service_client::PaymentServiceClient,
    },
};
use runtime::{Clock, Kind, Refusal, grpc::Transport};
use serde::Serialize;
use testkit::{Caller, Database, Tokens};
use tonic::Status;
use uuid::Uuid;

/// The result of a call.
pub(crate) type Answer<T> = Result<T, Status>;

/// After how long an attempt is due, as the tests set it, and the payment window.
pub(crate) const RECOVER_AFTER: Duration = Duration::from_secs(30);
pub(crate) const WINDOW: Duration = Duration::from_secs(1800);

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) tokens: Tokens,
    pub(crate) clock: Clock,
    pub(crate) app: App,
    pub(crate) transport: Transport,
    /// A customer, and another.
    pub(crate) ann: Caller,
    pub(crate) bob: Caller,
    pub(crate) admin: Caller,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::waiting("20").await
    }

    /// One that waits a second for the provider: long enough for one that answers, on a busy machine too.
    pub(crate) async fn impatient() -> Self {
        Self::waiting("1").await
    }

    async fn waiting(provider_timeout: &'static str) -> Self {
        let (database, tokens, clock) = (Database::new("payment").await, Tokens::new(), Clock::system());
        let app = build(&database, &tokens, &clock, provider_timeout);
        let (_, transport) = testkit::serve(app.service()).await;
        let (ann, bob, admin) = (tokens.customer(), tokens.customer(), tokens.admin());
        Self { database, tokens, clock, app, transport, ann, bob, admin }
    }

    /// Another process on the same database: what is left of this one after a crash.
    pub(crate) fn restarted(&self) -> App {
        build(&self.database, &self.tokens, &self.clock, "20")
    }

    pub(crate) fn client(&self) -> PaymentServiceClient<Transport> {
        PaymentServiceClient::new(self.transport.clone())
    }

    pub(crate) fn attempts(&self) -> &Attempts {
        self.app.payments().attempts()
    }

    /// Another session of the same user.
    pub(crate) fn again(&self, caller: &Caller) -> Caller {
        self.tokens.caller(caller.viewer.user_id, Role::Customer)
    }

    /// Hands an event about the order that it names to the service as the bus does: in one transaction.
    pub(crate) async fn hear(&self, name: &str, data: &impl Serialize) -> Result<(), Failure> {
        let data = serde_json::to_value(data).unwrap();
        let subject = data["orderId"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(Uuid::now_v7);
        self.hear_of(subject, name, data).await
    }

    /// Hands it an event whose envelope names `subject`.
    pub(crate) async fn hear_of(
        &self,
        subject: Uuid,
        name: &str,
        data: serde_json::Value,
    ) -> Result<(), Failure> {
        let event = CloudEvent {
            specversion: "1.0".into(),
            id: Uuid::now_v7(),
            source: "order".into(),
            kind: format!("portico.{name}.v1"),
            subject,
            time: Utc::now(),
            sequence: "1".into(),
            traceparent: None,
            datacontenttype: "application/json".into(),
            data,
        };
        let consumers = self.app.consumers();
        let consumer = Arc::clone(consumers.iter().find(|one| one.events().contains(&name)).unwrap());
        let mut tx = consumer.pool().begin().await.unwrap();
        consumer.handle(&mut tx, &event).await?;
        tx.commit().await.unwrap();
        consumer.committed();
        Ok(())
    }

    /// An order of this caller was placed; gives its id.
    pub(crate) async fn place_order_in(&self, caller: &Caller, minor_units: i64, currency: &str) -> String {
        let order_id = Uuid::now_v7().to_string();
        let created = OrderCreated {
            order_id: order_id.clone(),
            user_id: caller.viewer.user_id.to_string(),
            total: Some(Money { minor_units, currency: currency.into() }),
            items: vec![],
            created_at: Some(Utc::now().into()),
        };
        self.hear("order.created", &created).await.unwrap();
        order_id
    }

    pub(crate) async fn place_order(&self, caller: &Caller, minor_units: i64) -> String {
        self.place_order_in(caller, minor_units, "USD").await
    }

    pub(crate) async fn cancel_order(&self, order_id: &str) -> Result<(), Failure> {
        let changed = OrderStatusChanged {
            order_id: order_id.to_owned(),
            user_id: Uuid::now_v7().to_string(),
            from: OrderStatus::Pending.into(),
            to: OrderStatus::Cancelled.into(),
            total: Some(Money { minor_units: 500, currency: "USD".into() }),
        };
        self.hear("order.status_changed", &changed).await
    }

    /// A PENDING payment of this caller over this many cents.
    pub(crate) async fn pending(&self, caller: &Caller, minor_units: i64) -> Payment {
        let order_id = self.place_order(caller, minor_units).await;
        let request = CreatePaymentRequest { order_id, idempotency_key: String::new() };
        self.client().create_payment(caller.request(request)).await.unwrap().into_inner().payment.unwrap()
    }

    /// A payment that was paid with `token`.
    pub(crate) async fn paid_with(&self, caller: &Caller, minor_units: i64, token: &str) -> Payment {
        let payment = self.pending(caller, minor_units).await;
        let payment = self.process(caller, &payment.id, token, "").await.unwrap();
        assert_eq!(payment.status(), PaymentStatus::Succeeded);
        payment
    }

    pub(crate) async fn paid(&self, caller: &Caller, minor_units: i64) -> Payment {
        self.paid_with(caller, minor_units, "tok_visa").await
    }

    pub(crate) async fn get(&self, caller: &Caller, id: &str) -> Answer<Payment> {
        let answer = self.client().get_payment(caller.request(GetPaymentRequest { id: id.into() })).await?;
        Ok(answer.into_inner().payment.unwrap())
    }

    pub(crate) async fn process(&self, caller: &Caller, id: &str, token: &str, key: &str) -> Answer<Payment> {
        let answer = self.client().process_payment(caller.request(process(id, token, key))).await?;
        Ok(answer.into_inner().payment.unwrap())
    }

    pub(crate) async fn refund(
        &self,
        caller: &Caller,
        id: &str,
        amount: Option<&str>,
        key: &str,
    ) -> Answer<Payment> {
        let answer = self.client().refund_payment(caller.request(refund(id, amount, key))).await?;
        Ok(answer.into_inner().payment.unwrap())
    }

    /// What the outbox tells of the payment, by sequence: names and payloads.
    pub(crate) async fn told(&self, payment_id: &str) -> Vec<(String, serde_json::Value)> {
        let rows: Vec<(String, serde_json::Value, i64)> =
            sqlx::query_as("SELECT name, data, sequence FROM outbox WHERE subject = $1 ORDER BY sequence")
                .bind(uuid(payment_id))
                .fetch_all(self.database.pool())
                .await
                .unwrap();
        assert!(rows.windows(2).all(|pair| pair[0].2 < pair[1].2), "two events with one sequence");
        rows.into_iter().map(|(name, data, _)| (name, data)).collect()
    }

    /// The names alone.
    pub(crate) async fn told_names(&self, payment_id: &str) -> Vec<String> {
        self.told(payment_id).await.into_iter().map(|(name, _)| name).collect()
    }

    /// What the provider says that it took and gave back, over all payments, in cents, and how often it took.
    pub(crate) async fn ledger(&self) -> Ledger {
        let (taken, charges, given_back): (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT coalesce(sum(amount), 0)::bigint FROM sandbox_charges WHERE status = 'SUCCEEDED'),
                    (SELECT count(*) FROM sandbox_charges WHERE status = 'SUCCEEDED'),
                    (SELECT coalesce(sum(amount), 0)::bigint FROM sandbox_refunds WHERE status = 'SUCCEEDED')",
        )
        .fetch_one(self.database.pool())
        .await
        .unwrap();
        Ledger { taken, charges, given_back }
    }

    /// How many attempts there are in this status.
    pub(crate) async fn count_attempts(&self, status: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM attempts WHERE status = $1")
            .bind(status)
            .fetch_one(self.database.pool())
            .await
            .unwrap()
    }

    /// What refunds under way hold back, in cents.
    pub(crate) async fn reserved(&self, payment_id: &str) -> i64 {
        sqlx::query_scalar("SELECT reserved FROM payments WHERE id = $1")
            .bind(uuid(payment_id))
            .fetch_one(self.database.pool())
            .await
            .unwrap()
    }
}

/// What the provider did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) taken: i64,
    pub(crate) charges: i64,
    pub(crate) given_back: i64,
}

fn build(database: &Database, tokens: &Tokens, clock: &Clock, provider_timeout: &str) -> App {
    let arguments = ["payment", "--database-url", database.url(), "--provider-timeout", provider_timeout];
    let config: Config = runtime::config::parse(arguments).unwrap();
    assert_eq!((config.timing.recover_after, config.timing.window), (RECOVER_AFTER, WINDOW));
    // Tokens are judged by a clock of their own: they would be too old once a test has moved the service's.
    App::build(config, tokens.sessions(&Clock::system()), clock.clone()).unwrap()
}

pub(crate) fn process(id: &str, token: &str, key: &str) -> ProcessPaymentRequest {
    ProcessPaymentRequest { payment_id: id.into(), token: token.into(), idempotency_key: key.into() }
}

pub(crate) fn refund(id: &str, amount: Option<&str>, key: &str) -> RefundPaymentRequest {
    RefundPaymentRequest {
        payment_id: id.into(),
        amount: amount.map(Into::into),
        reason: "broken".into(),
        idempotency_key: key.into(),
    }
}

pub(crate) fn uuid(text: &str) -> Uuid {
    text.parse().unwrap()
}

pub(crate) fn payment_id(text: &str) -> PaymentId {
    PaymentId(uuid(text))
}

/// The attempt that was started; a repeat has none.
pub(crate) fn started(started: Started) -> Attempt {
    match started {
        Started::New(attempt) => attempt,
        Started::Repeat(_) => panic!("it was answered before"),
    }
}

/// Fails unless the call was refused for this reason; gives the refusal.
#[track_caller]
pub(crate) fn assert_refused<T: std::fmt::Debug>(answer: Answer<T>, kind: Kind, reason: &str) -> Refusal {
    let refusal = testkit::refusal(&answer.unwrap_err());
    assert_eq!((refusal.kind, refusal.reason.as_ref()), (kind, reason), "{refusal:?}");
    refusal
}

/// As [`assert_refused`], for bad input in this one field.
#[track_caller]
pub(crate) fn assert_bad_input<T: std::fmt::Debug>(answer: Answer<T>, reason: &str, field: &str) {
    let refusal = assert_refused(answer, Kind::BadInput, reason);
    assert_eq!(refusal.violations.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), [field]);
}

pub(crate) fn cents(money: &Option<Money>) -> i64 {
    money.as_ref().unwrap().minor_units
}
