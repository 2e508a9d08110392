//! Who is let in at all: the same over the network and in the process.

use std::time::Duration;

use identity::Role;
use proto::payment::v1::{
    BatchGetPaymentsByOrdersRequest, BatchGetPaymentsRequest, CreatePaymentRequest, GetPaymentRequest,
    ListPaymentsRequest, ProcessPaymentRequest, RefundPaymentRequest,
    payment_service_client::PaymentServiceClient,
};
use runtime::{Kind, grpc::Transport};
use secrecy::SecretString;
use testkit::{Caller, anonymous};

use crate::world::{Answer, World, assert_refused, process, refund, uuid};

fn both_ways(world: &World) -> [PaymentServiceClient<Transport>; 2] {
    [world.client(), PaymentServiceClient::new(world.app.transport())]
}

fn with_token(world: &World, token: SecretString) -> Caller {
    Caller { token, ..world.ann.clone() }
}

#[tokio::test]
async fn no_rpc_answers_without_a_token() {
    let world = World::new().await;
    for mut client in both_ways(&world) {
        let answers: [Answer<()>; 7] = [
            client.create_payment(anonymous(CreatePaymentRequest::default())).await.map(|_| ()),
            client.get_payment(anonymous(GetPaymentRequest::default())).await.map(|_| ()),
            client.batch_get_payments(anonymous(BatchGetPaymentsRequest::default())).await.map(|_| ()),
            client
                .batch_get_payments_by_orders(anonymous(BatchGetPaymentsByOrdersRequest::default()))
                .await
                .map(|_| ()),
            client.list_payments(anonymous(ListPaymentsRequest::default())).await.map(|_| ()),
            client.process_payment(anonymous(ProcessPaymentRequest::default())).await.map(|_| ()),
            client.refund_payment(anonymous(RefundPaymentRequest::default())).await.map(|_| ()),
        ];
        for answer in answers {
            assert_refused(answer, Kind::Unauthenticated, "TOKEN_MISSING");
        }
    }
}

#[tokio::test]
async fn tokens_that_are_forged_or_too_old_or_for_others_are_refused() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let good = world.tokens.claims(world.ann.viewer.user_id, Role::Customer);
    let mut expired = good.clone();
    expired.exp = 1;
    let stranger = testkit::Tokens::new();
    // {"alg":"none"} over a payload, without a signature.
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJ4In0.";
    for mut client in both_ways(&world) {
        for (token, reason) in [
            (world.tokens.sign(&expired), "TOKEN_EXPIRED"),
            (stranger.sign(&good), "TOKEN_INVALID"),
            (SecretString::from(none), "TOKEN_INVALID"),
            (SecretString::from("rubbish"), "TOKEN_INVALID"),
        ] {
            let request = with_token(&world, token).request(GetPaymentRequest { id: payment.id.clone() });
            assert_refused(client.get_payment(request).await, Kind::Unauthenticated, reason);
        }
    }
}

#[tokio::test]
async fn only_admins_refund() {
    let world = World::new().await;
    let payment = world.paid(&world.ann, 500).await;
    for mut client in both_ways(&world) {
        let request = world.ann.request(refund(&payment.id, None, ""));
        assert_refused(client.refund_payment(request).await, Kind::Forbidden, "FORBIDDEN");
        let request = world.admin.request(refund(&payment.id, Some("1.00"), ""));
        client.refund_payment(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let world = World::new().await;
    let payment = world.pending(&world.ann, 500).await;
    let mut hold = world.database.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM payments WHERE id = $1 FOR UPDATE")
        .bind(uuid(&payment.id))
        .execute(&mut *hold)
        .await
        .unwrap();
    for mut client in both_ways(&world) {
        let mut request = world.ann.request(process(&payment.id, "tok_visa", ""));
        request.set_timeout(Duration::from_millis(100));
        assert_refused(client.process_payment(request).await, Kind::Timeout, "SERVICE_TIMEOUT");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_said_so_without_a_word_about_it() {
    let tokens = testkit::Tokens::new();
    let clock = runtime::Clock::system();
    let url = "postgres://nobody:hunter2@127.0.0.1:1/none";
    let config = runtime::config::parse(["payment", "--database-url", url]).unwrap();
    let app = payment::App::build(config, tokens.sessions(&clock), clock).unwrap();
    let mut client = PaymentServiceClient::new(app.transport());
    let asked = tokens.customer().request(GetPaymentRequest { id: ::uuid::Uuid::now_v7().to_string() });
    let refused = client.get_payment(asked).await.unwrap_err();
    let refusal = testkit::refusal(&refused);
    assert_eq!((refusal.kind, refusal.reason.as_ref()), (Kind::Unavailable, "DATABASE_UNAVAILABLE"));
    assert!(!format!("{refused:?}").contains("hunter2") && !refusal.message.contains("127.0.0.1"));
}
