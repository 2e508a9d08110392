//! The services as the gateway calls them: one client each, and what every call of one request carries.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context;
use proto::{
    order::v1::{order_service_client::OrderServiceClient, order_service_server},
    payment::v1::{payment_service_client::PaymentServiceClient, payment_service_server},
    user::v1::{user_service_client::UserServiceClient, user_service_server},
};
use runtime::{
    Faults, Refusal,
    grpc::{Batch, CallContext, Client, ClientConfig, Transport, connect, health},
    status::Part,
};
use tonic::{Request, Response, Status};

use crate::Config;

/// The largest answer that is read from a service. A page of users with the newest orders of each is far larger than
/// tonic's default of 4 MiB allows.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// The ways to the services, over the network or in the process.
#[derive(Clone)]
pub struct Clients {
    /// To the user service.
    pub user: Transport,
    /// To the order service.
    pub order: Transport,
    /// To the payment service.
    pub payment: Transport,
}

impl Clients {
    /// The ways over the network that the settings name. They connect when they are first used.
    ///
    /// # Errors
    /// When one of the settings is no URL.
    pub fn connect(config: &Config) -> anyhow::Result<Self> {
        let to = |variable: &str, url: &str| {
            connect(url, &config.tls).with_context(|| format!("{variable} is no URL of a service"))
        };
        Ok(Self {
            user: to("USER_GRPC_URL", &config.user_grpc_url)?,
            order: to("ORDER_GRPC_URL", &config.order_grpc_url)?,
            payment: to("PAYMENT_GRPC_URL", &config.payment_grpc_url)?,
        })
    }
}

impl Clients {
    /// What each service says of its own health.
    pub(crate) fn health(&self) -> [Part; 3] {
        let part = |name, transport: &Transport, service| {
            Part::new(name, vec![health(transport, service)], &Faults::none())
        };
        [
            part("user", &self.user, user_service_server::SERVICE_NAME),
            part("order", &self.order, order_service_server::SERVICE_NAME),
            part("payment", &self.payment, payment_service_server::SERVICE_NAME),
        ]
    }
}

/// A client of each service, made once and shared by all requests.
pub(crate) struct Services {
    users: UserServiceClient<Client>,
    orders: OrderServiceClient<Client>,
    payments: PaymentServiceClient<Client>,
}

impl Services {
    pub(crate) fn new(clients: Clients, config: &ClientConfig) -> Self {
        let users = UserServiceClient::new(Client::new("user", clients.user, config));
        let orders = OrderServiceClient::new(Client::new("order", clients.order, config));
        let payments = PaymentServiceClient::new(Client::new("payment", clients.payment, config));
        Self {
            users: users.max_decoding_message_size(LARGEST_ANSWER),
            orders: orders.max_decoding_message_size(LARGEST_ANSWER),
            payments: payments.max_decoding_message_size(LARGEST_ANSWER),
        }
    }
}

/// The calls of one client request: to whom, in whose name, and until when.
pub(crate) struct Calls {
    services: Arc<Services>,
    context: CallContext,
    at_most: Duration,
}

impl Calls {
    /// Calls that carry `context` and take `at_most` that long each.
    pub(crate) fn new(services: Arc<Services>, context: CallContext, at_most: Duration) -> Self {
        Self { services, context, at_most }
    }

    pub(crate) fn users(&self) -> UserServiceClient<Client> {
        self.services.users.clone()
    }

    pub(crate) fn orders(&self) -> OrderServiceClient<Client> {
        self.services.orders.clone()
    }

    pub(crate) fn payments(&self) -> PaymentServiceClient<Client> {
        self.services.payments.clone()
    }

    /// The same for a call of a loader; `None` where nobody wants to know.
    pub(crate) fn of_batch(&self, batch: Batch) -> Option<Self> {
        let context = self.context.of_batch(batch)?;
        Some(Self { services: self.services.clone(), context, at_most: self.at_most })
    }

    /// The request that carries `message` in the client's name.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        self.context.request(message, self.at_most)
    }
}

/// What a service answered, or what it refused.
pub(crate) async fn answer<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Refusal> {
    match call.await {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(Refusal::from(&status)),
    }
}

/// What a service must have put into its answer; that it did not is a fault of ours.
pub(crate) fn required<T>(part: Option<T>, name: &'static str) -> Result<T, Refusal> {
    part.ok_or_else(|| Refusal::internal(format_args!("a service answered without {name}")))
}
