//! What the gateway is measured against: one endpoint, written by hand. It checks the same tokens, makes the same three
//! RPCs to the same services (the last two at the same time) and writes the same JSON, and does nothing else.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use clap::Args;
use proto::{
    common::v1::PageRequest,
    order::v1::{ListOrdersRequest, order_service_client::OrderServiceClient},
    payment::v1::{BatchGetPaymentsByOrdersRequest, payment_service_client::PaymentServiceClient},
    user::v1::{BatchGetUsersRequest, user_service_client::UserServiceClient},
};
use runtime::{
    Clock, Sessions, Stop,
    grpc::{CallContext, TlsConfig, Transport, connect},
    sessions::TokenConfig,
    telemetry::LogConfig,
};
use secrecy::SecretString;
use tokio::{net::TcpListener, time::Instant};
use tonic::Status;

use crate::{answer, dataset::SHOWN};

/// How long a request may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The settings of the handler, which has a process of its own.
#[derive(Args, Debug)]
pub(crate) struct Handler {
    /// Where it listens
    #[arg(long)]
    listen: String,
    /// The user service
    #[arg(long, env = "USER_GRPC_URL")]
    user: String,
    /// The order service
    #[arg(long, env = "ORDER_GRPC_URL")]
    order: String,
    /// The payment service
    #[arg(long, env = "PAYMENT_GRPC_URL")]
    payment: String,
    #[command(flatten)]
    tokens: TokenConfig,
    #[command(flatten)]
    pub(crate) logs: LogConfig,
}

#[derive(Clone)]
struct Services {
    sessions: Sessions,
    users: UserServiceClient<Transport>,
    orders: OrderServiceClient<Transport>,
    payments: PaymentServiceClient<Transport>,
}

impl Handler {
    /// Serves until `stop`.
    ///
    /// # Errors
    /// When it can't listen, or a URL is none.
    pub(crate) async fn run(self, stop: Stop) -> Result<()> {
        let sessions = Sessions::new(&self.tokens, Clock::system());
        let users = connect(&self.user, &TlsConfig::default())?;
        let services = Services {
            sessions: sessions.clone(),
            users: UserServiceClient::new(users.clone()),
            orders: OrderServiceClient::new(connect(&self.order, &TlsConfig::default())?),
            payments: PaymentServiceClient::new(connect(&self.payment, &TlsConfig::default())?),
        };
        tokio::spawn(sessions.follow(users, stop.clone()));
        let app =
            Router::new().route("/graphql", post(orders)).route("/ready", get(ready)).with_state(services);
        let listener = TcpListener::bind(&self.listen).await?.tap_io(|stream| {
            // A socket that keeps its delay is slower and no less right.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await?;
        Ok(())
    }
}

async fn ready(State(services): State<Services>) -> StatusCode {
    if services.sessions.is_loaded() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// The body is read, since the client sends one, and says nothing that is not known.
async fn orders(State(services): State<Services>, headers: HeaderMap, _body: Bytes) -> Response {
    match page(services, &headers).await {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(status) => (StatusCode::BAD_GATEWAY, status.message().to_owned()).into_response(),
    }
}

async fn page(mut services: Services, headers: &HeaderMap) -> Result<Vec<u8>, Status> {
    let token =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| Status::unauthenticated("no token"))?;
    services.sessions.viewer(token).await?;
    let context = CallContext::new(Instant::now() + DEADLINE).with_token(&SecretString::from(token));
    let page = PageRequest { limit: i32::try_from(SHOWN).unwrap_or(i32::MAX), ..PageRequest::default() };
    let asked = ListOrdersRequest { page: Some(page), ..ListOrdersRequest::default() };
    let orders = services.orders.list_orders(context.request(asked, DEADLINE)).await?.into_inner().orders;
    let ids: BTreeSet<_> = orders.iter().map(|order| order.user_id.as_str()).collect();
    let ids = ids.into_iter().map(str::to_owned).collect();
    let order_ids = orders.iter().map(|order| order.id.clone()).collect();
    let (users, payments) = tokio::try_join!(
        services.users.batch_get_users(context.request(BatchGetUsersRequest { ids }, DEADLINE)),
        services.payments.batch_get_payments_by_orders(
            context.request(BatchGetPaymentsByOrdersRequest { order_ids }, DEADLINE)
        ),
    )?;
    let json = answer::write(&orders, &users.into_inner().users, &payments.into_inner().payments);
    json.map_err(|error| Status::internal(error.to_string()))
}
