//! A service of its own for each test, and the sentences in which the tests speak.

use messaging::{CloudEvent, Failure};
use order::{App, Config};
use proto::{
    common::v1::{Money, PageRequest},
    order::v1::{order_service_client::OrderServiceClient, *},
    payment::v1::PaymentSucceeded,
};
use runtime::{Clock, Kind, Refusal, grpc::Transport};
use serde::Serialize;
use testkit::{Caller, Database, Tokens, until};
use tonic::{Response, Status};
use uuid::Uuid;

pub(crate) type Client = OrderServiceClient<Transport>;

/// One order service behind a socket, with a database of its own.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) clock: Clock,
    pub(crate) tokens: Tokens,
    pub(crate) admin: Caller,
    /// Over the network.
    pub(crate) client: Client,
    // Last, so that it is dropped after all that uses it.
    pub(crate) database: Database,
}

impl World {
    /// With the products prod-1 (999.99 USD), prod-2 (0.50 USD), euro-1 (10.00 EUR), yen-1 (500 JPY) and old-1, which
    /// was withdrawn.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same with these settings.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let database = Database::new("order").await;
        let clock = Clock::system();
        let tokens = Tokens::new();
        let usual = ["order", "--database-url", database.url()];
        let config: Config = runtime::config::parse(usual.iter().chain(arguments)).unwrap();
        let app = App::build(config, tokens.sessions(&clock), clock.clone()).unwrap();
        let (_, transport) = testkit::serve(app.service()).await;
        let admin = tokens.admin();
        let world = Self { app, clock, tokens, admin, client: Client::new(transport), database };
        for (id, name, price, currency, active) in [
            ("prod-1", "Laptop", 99_999, "USD", true),
            ("prod-2", "Sticker", 50, "USD", true),
            ("euro-1", "Postkarte", 1_000, "EUR", true),
            ("yen-1", "はがき", 500, "JPY", true),
            ("old-1", "Floppy disk", 100, "USD", false),
        ] {
            world.product(id, name, price, currency, active).await;
        }
        world
    }

    /// The same service over the network and inside the process.
    pub(crate) fn ways(&self) -> [(&'static str, Client); 2] {
        [("network", self.client.clone()), ("in process", Client::new(self.app.transport()))]
    }

    pub(crate) async fn product(
        &self,
        id: &str,
        name: &str,
        price: i64,
        currency: &str,
        active: bool,
    ) -> Product {
        let request = UpsertProductRequest {
            id: id.into(),
            name: name.into(),
            unit_price: money(price, currency),
            active: Some(active),
        };
        let response = self.client.clone().upsert_product(self.admin.request(request)).await.unwrap();
        response.into_inner().product.unwrap()
    }

    /// An order of one laptop.
    pub(crate) async fn order(&self, buyer: &Caller) -> Order {
        self.create(buyer, create_request(&[("prod-1", 1)])).await.unwrap()
    }

    pub(crate) async fn create(&self, buyer: &Caller, request: CreateOrderRequest) -> Result<Order, Status> {
        let response = self.client.clone().create_order(buyer.request(request)).await?;
        Ok(response.into_inner().order.unwrap())
    }

    pub(crate) async fn get(&self, caller: &Caller, id: &str) -> Result<Order, Status> {
        let response =
            self.client.clone().get_order(caller.request(GetOrderRequest { id: id.into() })).await?;
        Ok(response.into_inner().order.unwrap())
    }

    pub(crate) async fn cancel(&self, caller: &Caller, id: &str) -> Result<Order, Status> {
        let response =
            self.client.clone().cancel_order(caller.request(CancelOrderRequest { id: id.into() })).await?;
        Ok(response.into_inner().order.unwrap())
    }

    pub(crate) async fn delete(&self, caller: &Caller, id: &str) -> Result<(), Status> {
        self.client.clone().delete_order(caller.request(DeleteOrderRequest { id: id.into() })).await.map(drop)
    }

    /// UpdateOrderStatus on behalf of the admin.
    pub(crate) async fn update(&self, id: &str, status: OrderStatus) -> Result<Order, Status> {
        let request = UpdateOrderStatusRequest { id: id.into(), status: status.into() };
        let response = self.client.clone().update_order_status(self.admin.request(request)).await?;
        Ok(response.into_inner().order.unwrap())
    }

    pub(crate) async fn list(
        &self,
        caller: &Caller,
        request: ListOrdersRequest,
    ) -> Result<ListOrdersResponse, Status> {
        self.client.clone().list_orders(caller.request(request)).await.map(Response::into_inner)
    }

    /// Says `payment.success` of this order, as the bus would.
    pub(crate) async fn pay(&self, order: &Order) -> Result<(), Failure> {
        self.deliver("payment.success", &success_of(order)).await
    }

    /// Brings the order into this status by the ways that there are.
    pub(crate) async fn bring(&self, order: &Order, status: OrderStatus) {
        use OrderStatus::*;
        if matches!(status, Confirmed | Shipped | Delivered) {
            self.pay(order).await.unwrap();
        }
        let steps: &[OrderStatus] = match status {
            Shipped => &[Shipped],
            Delivered => &[Shipped, Delivered],
            Cancelled => &[Cancelled],
            _ => &[],
        };
        for step in steps {
            self.update(&order.id, *step).await.unwrap();
        }
    }

    /// Hands an event to the consumer that asked for it, in a transaction.
    pub(crate) async fn deliver(&self, name: &str, message: &impl Serialize) -> Result<(), Failure> {
        self.deliver_event(&cloud_event(name, serde_json::to_value(message).unwrap())).await
    }

    pub(crate) async fn deliver_event(&self, event: &CloudEvent) -> Result<(), Failure> {
        let consumers = self.app.consumers();
        let wanted = |name: &str| consumers.iter().find(|consumer| consumer.events().contains(&name));
        let consumer = event.name().and_then(wanted).unwrap_or(&consumers[0]);
        let mut tx = consumer.pool().begin().await?;
        consumer.handle(&mut tx, event).await?;
        tx.commit().await?;
        consumer.committed();
        Ok(())
    }

    /// What the outbox says of this order, oldest first: name, sequence and payload.
    pub(crate) async fn events_of(&self, order_id: &str) -> Vec<(String, i64, serde_json::Value)> {
        sqlx::query_as("SELECT name, sequence, data FROM outbox WHERE subject = $1 ORDER BY sequence")
            .bind(order_id.parse::<Uuid>().unwrap())
            .fetch_all(self.database.pool())
            .await
            .unwrap()
    }

    /// The status changes that the outbox tells of this order.
    pub(crate) async fn changes_of(&self, order_id: &str) -> Vec<(OrderStatus, OrderStatus)> {
        let changes =
            self.events_of(order_id).await.into_iter().filter(|event| event.0 == "order.status_changed");
        changes
            .map(|(_, _, data)| serde_json::from_value::<OrderStatusChanged>(data).unwrap())
            .map(|changed| (changed.from(), changed.to()))
            .collect()
    }

    /// All that the service wrote: rows of orders, items, outbox and idempotency, and the sum of the orders' versions.
    pub(crate) async fn footprint(&self) -> (i64, i64, i64, i64, i64) {
        sqlx::query_as(
            "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_items), (SELECT count(*) FROM outbox),
                    (SELECT count(*) FROM idempotency), (SELECT COALESCE(sum(version), 0)::bigint FROM orders)",
        )
        .fetch_one(self.database.pool())
        .await
        .unwrap()
    }

    /// Waits until this many sessions of the service wait for a lock that another one holds.
    pub(crate) async fn blocked(&self, sessions: i64) {
        until("the sessions wait for the lock", || async move {
            let blocked: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'order' AND wait_event_type = 'Lock'",
            )
            .fetch_one(self.database.pool())
            .await
            .unwrap();
            blocked >= sessions
        })
        .await;
    }
}

/// What the payment service says once this order is paid.
pub(crate) fn success_of(order: &Order) -> PaymentSucceeded {
    PaymentSucceeded {
        payment_id: Uuid::now_v7().to_string(),
        order_id: order.id.clone(),
        user_id: order.user_id.clone(),
        amount: order.total.clone(),
        ..PaymentSucceeded::default()
    }
}

pub(crate) fn create_request(items: &[(&str, i32)]) -> CreateOrderRequest {
    CreateOrderRequest {
        shipping_address: "1 Main St".into(),
        items: items.iter().map(|(id, quantity)| item(id, *quantity)).collect(),
        ..Default::default()
    }
}

pub(crate) fn item(product_id: &str, quantity: i32) -> NewOrderItem {
    NewOrderItem { product_id: product_id.into(), quantity, unit_price: None }
}

pub(crate) fn money(minor_units: i64, currency: &str) -> Option<Money> {
    Some(Money { minor_units, currency: currency.into() })
}

pub(crate) fn first_page(limit: i32) -> Option<PageRequest> {
    Some(PageRequest { limit, after: String::new(), include_total: false })
}

/// An event about the payment that its payload names.
pub(crate) fn cloud_event(name: &str, data: serde_json::Value) -> CloudEvent {
    let subject = data["paymentId"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(Uuid::now_v7);
    CloudEvent {
        specversion: "1.0".into(),
        id: Uuid::now_v7(),
        source: "payment".into(),
        kind: format!("portico.{name}.v1"),
        subject,
        time: Clock::system().now(),
        sequence: "1".into(),
        traceparent: None,
        datacontenttype: "application/json".into(),
        data,
    }
}

/// What was refused. `field` is the one that the refusal names, "" for none.
#[track_caller]
pub(crate) fn assert_refused<T: std::fmt::Debug>(
    outcome: Result<T, Status>,
    kind: Kind,
    reason: &str,
    field: &str,
) -> Refusal {
    let refusal = testkit::refusal(&outcome.expect_err(reason));
    let fields: Vec<_> = refusal.violations.iter().map(|violation| violation.field.as_str()).collect();
    let expected = if field.is_empty() { vec![] } else { vec![field] };
    assert_eq!((refusal.kind, refusal.reason.as_ref(), fields), (kind, reason, expected));
    refusal
}
