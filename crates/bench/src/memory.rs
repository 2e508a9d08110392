//! Services that answer from memory: the RPCs of the measured query, behind the same guard as the real ones, so that
//! what is measured is the way to a service and back and not its database.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::ready,
    sync::Arc,
    task::{Context, Poll},
};

use anyhow::{Context as _, Result};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{Args, ValueEnum};
use futures::future::BoxFuture;
use http::{Request, Response};
use identity::PublicKey;
use prost::Message;
use proto::{
    common::v1::PageInfo,
    order::v1::{ListOrdersRequest, ListOrdersResponse, Order},
    payment::v1::{BatchGetPaymentsByOrdersRequest, BatchGetPaymentsByOrdersResponse, Payment},
    user::v1::{
        BatchGetUsersRequest, BatchGetUsersResponse, GetSigningKeysRequest, GetSigningKeysResponse,
        ListRevokedSessionsRequest, ListRevokedSessionsResponse, SigningKey, User,
    },
};
use runtime::{
    Clock, Sessions, Stop,
    config::Environment,
    grpc::{Guard, Server, TlsConfig, connect, in_process, viewer},
    sessions::TokenConfig,
    telemetry::LogConfig,
};
use tonic::{Status, body::Body, server::NamedService};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::dataset::Dataset;

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// The user service.
    User,
    /// The order service.
    Order,
    /// The payment service.
    Payment,
}

/// The settings of one such service, which has a process of its own.
#[derive(Args, Debug)]
pub(crate) struct Memory {
    /// Which service it stands for
    #[arg(long)]
    service: Name,
    /// Where it listens
    #[arg(long)]
    listen: String,
    /// Where it tells that it is ready
    #[arg(long)]
    admin_listen: String,
    /// The user service, from which keys come
    #[arg(long, env = "USER_GRPC_URL")]
    user: String,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    tokens: TokenConfig,
    #[command(flatten)]
    pub(crate) logs: LogConfig,
}

/// The public half of the key that signs the tokens.
#[derive(Args, Clone, Debug)]
pub(crate) struct Key {
    /// Its id
    #[arg(long)]
    key_id: String,
    /// Itself, in URL-safe Base64
    #[arg(long)]
    public_key: String,
}

impl Key {
    /// As the arguments that it is read from.
    pub(crate) fn arguments(&self) -> [String; 4] {
        ["--key-id".into(), self.key_id.clone(), "--public-key".into(), self.public_key.clone()]
    }
}

impl From<&PublicKey> for Key {
    fn from(key: &PublicKey) -> Self {
        Self { key_id: key.id.clone(), public_key: URL_SAFE_NO_PAD.encode(key.bytes) }
    }
}

impl Memory {
    /// Serves until `stop`.
    ///
    /// # Errors
    /// When it can't listen, or the key or the URL is none.
    pub(crate) async fn run(self, stop: Stop) -> Result<()> {
        let sessions = Sessions::new(&self.tokens, Clock::system());
        let guard = Guard::new(sessions.clone());
        let services = Services::new(&self.key)?;
        let users = match self.service {
            Name::User => in_process(guard.around(services.users.clone())),
            Name::Order | Name::Payment => connect(&self.user, &TlsConfig::default())?,
        };
        let checks = vec![sessions.check()];
        tokio::spawn(sessions.follow(users, stop.clone()));
        let server = Server::bind(&self.listen, &self.admin_listen).await?;
        let environment = Environment::Production;
        match self.service {
            Name::User => server.serve(guard.around(services.users), environment, checks, stop).await,
            Name::Order => server.serve(guard.around(services.orders), environment, checks, stop).await,
            Name::Payment => server.serve(guard.around(services.payments), environment, checks, stop).await,
        }
    }
}

/// The three of them, over one set of data.
pub(crate) struct Services {
    /// Answers BatchGetUsers, GetSigningKeys and ListRevokedSessions.
    pub(crate) users: Users,
    /// Answers ListOrders.
    pub(crate) orders: Orders,
    /// Answers BatchGetPaymentsByOrders.
    pub(crate) payments: Payments,
}

impl Services {
    /// Makes the data.
    ///
    /// # Errors
    /// When the key is no text of Base64.
    pub(crate) fn new(key: &Key) -> Result<Self> {
        let data = Dataset::new();
        let public_key = URL_SAFE_NO_PAD.decode(&key.public_key).context("--public-key is no Base64")?;
        let key = SigningKey { id: key.key_id.clone(), public_key };
        let orders = data.users.iter().map(|user| user.id.clone()).zip(data.orders).collect();
        let users = data.users.into_iter().map(|user| (user.id.clone(), user)).collect();
        Ok(Self {
            users: Users { key, by_id: Arc::new(users) },
            orders: Orders { by_user: Arc::new(orders) },
            payments: Payments { by_order: Arc::new(data.payments) },
        })
    }
}

/// Users in memory.
#[derive(Clone)]
pub(crate) struct Users {
    key: SigningKey,
    by_id: Arc<HashMap<String, User>>,
}

/// Orders in memory.
#[derive(Clone)]
pub(crate) struct Orders {
    by_user: Arc<HashMap<String, Vec<Order>>>,
}

/// Payments in memory.
#[derive(Clone)]
pub(crate) struct Payments {
    by_order: Arc<HashMap<String, Payment>>,
}

impl Users {
    fn batch_get(
        &self,
        request: tonic::Request<BatchGetUsersRequest>,
    ) -> Result<BatchGetUsersResponse, Status> {
        let viewer = viewer(&request)?.user_id.to_string();
        let ids = request.into_inner().ids;
        let users = ids.iter().filter(|id| **id == viewer).filter_map(|id| self.by_id.get(id).cloned());
        Ok(BatchGetUsersResponse { users: users.collect() })
    }
}

impl Orders {
    fn list(&self, request: tonic::Request<ListOrdersRequest>) -> Result<ListOrdersResponse, Status> {
        let viewer = viewer(&request)?.user_id.to_string();
        let page = request.into_inner().page.unwrap_or_default();
        let limit = usize::try_from(page.limit).unwrap_or_default();
        let all = self.by_user.get(&viewer).map(Vec::as_slice).unwrap_or_default();
        let orders: Vec<_> = all.iter().take(limit).cloned().collect();
        let end_cursor = orders.last().map(|order| order.id.clone()).unwrap_or_default();
        let page = PageInfo { has_more: all.len() > limit, end_cursor, total: None };
        Ok(ListOrdersResponse { orders, page: Some(page) })
    }
}

impl Payments {
    fn of_orders(
        &self,
        request: tonic::Request<BatchGetPaymentsByOrdersRequest>,
    ) -> Result<BatchGetPaymentsByOrdersResponse, Status> {
        let viewer = viewer(&request)?.user_id.to_string();
        let ids = request.into_inner().order_ids;
        let found = ids.iter().filter_map(|id| self.by_order.get(id));
        let payments = found.filter(|payment| payment.user_id == viewer).cloned().collect();
        Ok(BatchGetPaymentsByOrdersResponse { payments })
    }
}

/// Answers one call of an RPC as the generated servers do.
async fn answer<Q, A>(
    request: Request<Body>,
    reply: impl Fn(tonic::Request<Q>) -> Result<A, Status> + Send,
) -> Result<Response<Body>, Infallible>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    let service = tower::service_fn(move |request| ready(reply(request).map(tonic::Response::new)));
    Ok(tonic::server::Grpc::new(ProstCodec::<A, Q>::default()).unary(service, request).await)
}

fn unknown(path: &str) -> Result<Response<Body>, Infallible> {
    Ok(Status::unimplemented(format!("{path} is not answered from memory")).into_http())
}

/// Makes a type a service: its name, and which of its functions answers which RPC.
macro_rules! service {
    ($service:ty, $name:literal, $($rpc:literal => $reply:expr),+ $(,)?) => {
        impl NamedService for $service {
            const NAME: &'static str = $name;
        }

        impl Service<Request<Body>> for $service {
            type Response = Response<Body>;
            type Error = Infallible;
            type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: Request<Body>) -> Self::Future {
                let service = self.clone();
                match request.uri().path() {
                    $(concat!("/", $name, "/", $rpc) => {
                        Box::pin(async move { answer(request, |message| $reply(&service, message)).await })
                    })+
                    path => Box::pin(ready(unknown(path))),
                }
            }
        }
    };
}

service!(Users, "user.v1.UserService",
    "BatchGetUsers" => Users::batch_get,
    "GetSigningKeys" => |users: &Users, _: tonic::Request<GetSigningKeysRequest>| {
        Ok(GetSigningKeysResponse { keys: vec![users.key.clone()] })
    },
    "ListRevokedSessions" => |_: &Users, _: tonic::Request<ListRevokedSessionsRequest>| {
        Ok(ListRevokedSessionsResponse::default())
    },
);
service!(Orders, "order.v1.OrderService", "ListOrders" => Orders::list);
service!(Payments, "payment.v1.PaymentService", "BatchGetPaymentsByOrders" => Payments::of_orders);
