//! Both services in one process. Events go from one to the other by the test's hand, so that it decides on their order.

mod agreement;
mod chance;
mod running;

use std::{sync::Arc, time::Duration};

use messaging::{CloudEvent, Consumer};
use payment::{
    attempts::{Attempt, Started},
    payment::PaymentId,
};
use proto::{
    order::v1::{order_service_client::OrderServiceClient, *},
    payment::v1::{payment_service_client::PaymentServiceClient, *},
};
use runtime::{Clock, grpc::Transport};
use testkit::{Caller, Database, Tokens};
use tonic::Status;
use uuid::Uuid;

pub(crate) use chance::Chance;
pub(crate) use running::Running;

/// What each order comes to, in cents.
pub(crate) const TOTAL: i64 = 500;
/// For how long an order can be paid, and after how long an attempt without a result is looked into.
pub(crate) const WINDOW: Duration = Duration::from_secs(1800);
pub(crate) const RECOVER_AFTER: Duration = Duration::from_secs(30);

/// The order service and the payment service, with a clock that the test moves.
pub(crate) struct World {
    pub(crate) orders: order::App,
    pub(crate) payments: payment::App,
    pub(crate) clock: Clock,
    pub(crate) buyer: Caller,
    pub(crate) admin: Caller,
    order_client: OrderServiceClient<Transport>,
    payment_client: PaymentServiceClient<Transport>,
    // Last, so that they are dropped after all that uses them.
    pub(crate) order_database: Database,
    pub(crate) payment_database: Database,
}

impl World {
    pub(crate) async fn new() -> Self {
        let (order_database, payment_database) =
            tokio::join!(Database::new("order"), Database::new("payment"));
        let (tokens, clock) = (Tokens::new(), Clock::system());
        // Tokens are judged by a clock of their own: they would be too old once a test has moved the services'.
        let sessions = tokens.sessions(&Clock::system());
        let config = runtime::config::parse(["order", "--database-url", order_database.url()]).unwrap();
        let orders = order::App::build(config, sessions.clone(), clock.clone()).unwrap();
        let config: payment::Config =
            runtime::config::parse(["payment", "--database-url", payment_database.url()]).unwrap();
        assert_eq!((config.timing.window, config.timing.recover_after), (WINDOW, RECOVER_AFTER));
        let payments = payment::App::build(config, sessions, clock.clone()).unwrap();
        let product =
            order::SeedProduct { id: "prod-1", name: "Laptop", unit_price: "5.00", currency: "USD" };
        orders.seed_products(&[product]).await.unwrap();
        Self {
            order_client: OrderServiceClient::new(orders.transport()),
            payment_client: PaymentServiceClient::new(payments.transport()),
            orders,
            payments,
            clock,
            buyer: tokens.customer(),
            admin: tokens.admin(),
            order_database,
            payment_database,
        }
    }

    pub(crate) fn consumers(&self) -> Vec<Arc<dyn Consumer>> {
        [self.orders.consumers(), self.payments.consumers()].concat()
    }

    /// The buyer places an order.
    pub(crate) async fn place(&self) -> String {
        let item = NewOrderItem { product_id: "prod-1".into(), quantity: 1, unit_price: None };
        let request = CreateOrderRequest {
            shipping_address: "1 Main St".into(),
            items: vec![item],
            ..CreateOrderRequest::default()
        };
        let placed = self.order_client.clone().create_order(self.buyer.request(request)).await.unwrap();
        placed.into_inner().order.unwrap().id
    }

    /// As [`World::place`], and the payment service hears of it.
    pub(crate) async fn placed(&self) -> String {
        let order = self.place().await;
        self.deliver_named(&order, "order.created").await;
        order
    }

    /// As [`World::placed`], and the buyer has paid; nobody heard of that yet.
    pub(crate) async fn paid(&self) -> String {
        let order = self.placed().await;
        let attempt = self.start_charge(&order).await;
        self.finish(&attempt, "tok_visa").await;
        order
    }

    pub(crate) async fn cancel(&self, order: &str) -> Result<(), Status> {
        let request = CancelOrderRequest { id: order.into() };
        self.order_client.clone().cancel_order(self.buyer.request(request)).await.map(drop)
    }

    pub(crate) async fn delete(&self, order: &str) -> Result<(), Status> {
        let request = DeleteOrderRequest { id: order.into() };
        self.order_client.clone().delete_order(self.buyer.request(request)).await.map(drop)
    }

    /// An admin gives it its next status.
    pub(crate) async fn update(&self, order: &str, status: OrderStatus) -> Result<(), Status> {
        let request = UpdateOrderStatusRequest { id: order.into(), status: status.into() };
        self.order_client.clone().update_order_status(self.admin.request(request)).await.map(drop)
    }

    /// The buyer pays; `None` while the order has no payment.
    pub(crate) async fn pay(&self, order: &str, token: &str) -> Option<Result<(), Status>> {
        let payment_id = self.payment(order).await?.0.to_string();
        let request = ProcessPaymentRequest { payment_id, token: token.into(), ..Default::default() };
        Some(self.payment_client.clone().process_payment(self.buyer.request(request)).await.map(drop))
    }

    /// An admin gives some of it back.
    pub(crate) async fn refund(&self, order: &str, amount: &str) -> Option<Result<(), Status>> {
        let payment_id = self.payment(order).await?.0.to_string();
        let request = RefundPaymentRequest { payment_id, amount: Some(amount.into()), ..Default::default() };
        Some(self.payment_client.clone().refund_payment(self.admin.request(request)).await.map(drop))
    }

    /// The id of the order's payment, if it has one.
    pub(crate) async fn payment(&self, order: &str) -> Option<PaymentId> {
        let id: Option<Uuid> = sqlx::query_scalar("SELECT id FROM payments WHERE order_id = $1")
            .bind(uuid(order))
            .fetch_optional(self.payment_database.pool())
            .await
            .unwrap();
        id.map(PaymentId)
    }

    /// The first step of paying: a charge is STARTED, and the provider not called yet.
    pub(crate) async fn start_charge(&self, order: &str) -> Attempt {
        self.try_start_charge(order).await.unwrap()
    }

    /// `None` when the order has no payment that can be charged now.
    pub(crate) async fn try_start_charge(&self, order: &str) -> Option<Attempt> {
        let payment = self.payment(order).await?;
        let attempts = self.payments.payments().attempts();
        match attempts.start_charge(self.buyer.viewer, payment, None).await {
            Ok(Started::New(attempt)) => Some(attempt),
            Ok(Started::Repeat(_)) => panic!("it was answered before"),
            Err(payment::error::Error::Internal(error)) => panic!("{error}"),
            Err(_) => None,
        }
    }

    /// The other steps: the provider is called, and its answer written.
    pub(crate) async fn finish(&self, attempt: &Attempt, token: &str) {
        let attempts = self.payments.payments().attempts();
        let outcome = attempts.charge(attempt, token).await.unwrap();
        attempts.decide(attempt, &outcome).await.unwrap();
    }

    /// The refunds that follow from a cancel are made, and attempts of old are brought to an end.
    pub(crate) async fn recover(&self) -> usize {
        self.payments.payments().attempts().recover_once().await.unwrap()
    }

    /// Payments whose window is over are cancelled.
    pub(crate) async fn expire(&self) -> usize {
        self.payments.payments().expire_once(self.clock.now()).await.unwrap()
    }

    /// All that both services ever said, oldest first.
    pub(crate) async fn said(&self) -> Vec<CloudEvent> {
        let mut said = vec![];
        for (database, source) in [(&self.order_database, "order"), (&self.payment_database, "payment")] {
            let rows: Vec<(Uuid, String, Uuid, i64, serde_json::Value, chrono::DateTime<chrono::Utc>)> =
                sqlx::query_as(
                    "SELECT id, name, subject, sequence, data, occurred_at FROM outbox ORDER BY position",
                )
                .fetch_all(database.pool())
                .await
                .unwrap();
            said.extend(rows.into_iter().map(|(id, name, subject, sequence, data, time)| CloudEvent {
                specversion: "1.0".into(),
                id,
                source: source.into(),
                kind: format!("portico.{name}.v1"),
                subject,
                time,
                sequence: sequence.to_string(),
                traceparent: None,
                datacontenttype: "application/json".into(),
                data,
            }));
        }
        // Ids are in the order of time.
        said.sort_by_key(|event| event.id);
        said
    }

    /// What was said with this name of this order or of its payment, oldest first.
    pub(crate) async fn said_of(&self, order: &str, name: &str) -> Vec<CloudEvent> {
        let mut said = self.said().await;
        said.retain(|event| event.name() == Some(name) && event.data["orderId"] == order);
        said
    }

    /// Hands an event to all who want it, as if nobody remembered having had it: without an inbox.
    ///
    /// # Panics
    /// When one of them refuses it, or wants to have it later: no consumer waits for another event.
    pub(crate) async fn deliver(&self, event: &CloudEvent) {
        for consumer in self.consumers() {
            if event.name().is_some_and(|name| consumer.events().contains(&name)) {
                let mut tx = consumer.pool().begin().await.unwrap();
                let handled = consumer.handle(&mut tx, event).await;
                handled.unwrap_or_else(|failure| panic!("{}: {failure}: {event:?}", consumer.name()));
                tx.commit().await.unwrap();
            }
        }
    }

    /// Hands on what was said with this name of this order or of its payment.
    pub(crate) async fn deliver_named(&self, order: &str, name: &str) {
        let said = self.said_of(order, name).await;
        assert!(!said.is_empty(), "nobody said {name}");
        for event in said {
            self.deliver(&event).await;
        }
    }

    /// Hands on whatever is said, makes refunds that are due, and so on until nothing follows any more.
    pub(crate) async fn settle(&self) {
        let mut told = 0;
        loop {
            self.recover().await;
            let said = self.said().await;
            if said.len() == told {
                return;
            }
            for event in &said[told..] {
                self.deliver(event).await;
            }
            told = said.len();
        }
    }
}

pub(crate) fn uuid(text: &str) -> Uuid {
    text.parse().unwrap()
}
