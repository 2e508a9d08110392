//! What subscribers are told, and who is told what.

use serde_json::json;

use crate::live::{Live, confirmed};

const STATUS: &str = "subscription { orderStatusChanged { eventId orderId from to order { id status } } }";

#[tokio::test]
async fn a_customer_sees_an_order_turn_confirmed() {
    let live = Live::new().await;
    let (ada, order, _) = live.world.buyer();
    let mut client = live.client(&ada).await;
    client.subscribe("1", STATUS).await;
    client.settle().await;
    let event = live.confirm(&ada, &order).await;
    assert_eq!(
        client.next("1", "orderStatusChanged").await,
        json!({ "eventId": event, "orderId": order, "from": "PENDING", "to": "CONFIRMED",
            "order": { "id": order, "status": "PENDING" } })
    );
    client.send(json!({ "type": "complete", "id": "1" })).await;
    client.settle().await;
    live.confirm(&ada, &order).await;
    client.settle().await;
}

#[tokio::test]
async fn each_event_reads_what_is_true_then() {
    let live = Live::new().await;
    let (ada, order, _) = live.world.buyer();
    let mut client = live.client(&ada).await;
    client.subscribe("1", "subscription { orderStatusChanged { order { notes } } }").await;
    client.settle().await;
    for notes in ["first", "second"] {
        live.world.store.tables().orders[0].notes = notes.into();
        live.confirm(&ada, &order).await;
        assert_eq!(client.next("1", "orderStatusChanged").await["order"]["notes"], notes);
    }
    live.world.store.tables().orders.clear();
    live.confirm(&ada, &order).await;
    assert_eq!(client.next("1", "orderStatusChanged").await["order"], json!(null));
}

#[tokio::test]
async fn a_customer_hears_of_their_own_orders_and_an_admin_of_all() {
    let live = Live::new().await;
    let (ada, order, _) = live.world.buyer();
    let (mallory, admin) = (live.world.customer("Mallory"), live.world.admin());
    let mut clients = [live.client(&ada).await, live.client(&mallory).await, live.client(&admin).await];
    let query = format!(r#"subscription {{ orderStatusChanged(orderId: "{order}") {{ orderId }} }}"#);
    for client in &mut clients {
        client.subscribe("all", "subscription { orderStatusChanged { orderId } }").await;
        client.subscribe("one", &query).await;
        client.settle().await;
    }
    let other = uuid::Uuid::now_v7().to_string();
    let said = vec![confirmed(&ada, &order), confirmed(&mallory, &other)];
    live.say_all(said.into_iter().map(|data| ("order.status_changed", data)).collect()).await;
    let [adas, mallorys, admins] = &mut clients;
    let mut heard = vec![];
    for _ in 0..2 {
        heard.push(adas.receive().await["id"].as_str().unwrap().to_owned());
    }
    heard.sort();
    assert_eq!(heard, ["all", "one"]);
    assert_eq!(mallorys.next("all", "orderStatusChanged").await["orderId"], other.as_str());
    for _ in 0..3 {
        assert_eq!(admins.receive().await["type"], "next");
    }
    for client in &mut clients {
        client.settle().await; // and of nothing else
    }
}

#[tokio::test]
async fn what_happens_to_a_payment_is_told_with_the_payment() {
    let live = Live::new().await;
    let (ada, order, payment) = live.world.buyer();
    let mut client = live.client(&ada).await;
    let query =
        "subscription($order: ID) { paymentUpdated(orderId: $order) { kind paymentId payment { amount } } }";
    let payload = json!({ "query": query, "variables": { "order": order } });
    client.send(json!({ "type": "subscribe", "id": "p", "payload": payload })).await;
    client.settle().await;
    let data = json!({ "paymentId": payment, "orderId": order, "userId": ada.viewer.user_id, "failureReason": "card_declined" });
    let names = ["payment.failed", "payment.success", "payment.refunded", "payment.cancelled"];
    live.say_all(names.map(|name| (name, data.clone())).to_vec()).await;
    for kind in ["FAILED", "SUCCEEDED", "REFUNDED", "CANCELLED"] {
        let expected = json!({ "kind": kind, "paymentId": payment, "payment": { "amount": "999.99" } });
        assert_eq!(client.next("p", "paymentUpdated").await, expected);
    }
}

#[tokio::test]
async fn an_admin_follows_everything_or_what_they_name() {
    let live = Live::new().await;
    let (ada, admin) = (live.world.customer("Ada"), live.world.admin());
    let mut client = live.client(&admin).await;
    let fields = "{ id name type source subject sequence time data }";
    client.subscribe("all", &format!("subscription {{ domainEvents {fields} }}")).await;
    client
        .subscribe(
            "some",
            r#"subscription { domainEvents(types: ["order.deleted", "user.updated"]) { name } }"#,
        )
        .await;
    client.settle().await;
    let data = json!({ "user": { "id": ada.viewer.user_id, "email": "ada@example.com" } });
    let created = live.say("user.created", data.clone()).await;
    let told = client.next("all", "domainEvents").await;
    assert_eq!((&told["id"], &told["data"]), (&json!(created), &data));
    assert_eq!(
        (&told["name"], &told["type"], &told["source"], &told["sequence"]),
        (&json!("user.created"), &json!("portico.user.created.v1"), &json!("order"), &json!("1"))
    );
    live.say("user.updated", data).await;
    let mut ids = [client.receive().await, client.receive().await].map(|message| message["id"].to_string());
    ids.sort();
    assert_eq!(ids, [r#""all""#, r#""some""#]);
    client.subscribe("x", r#"subscription { domainEvents(types: ["order.exploded"]) { name } }"#).await;
    assert_eq!(client.refused("x").await, ("BAD_USER_INPUT".into(), "INPUT_INVALID".into()));
}

#[tokio::test]
async fn a_document_that_can_t_be_followed_is_refused_before_it_starts() {
    let live = Live::new().await;
    let mut client = live.client(&live.world.admin()).await;
    let root = ("BAD_USER_INPUT", "SUBSCRIPTION_ROOT_INVALID");
    let invalid = ("BAD_USER_INPUT", "GRAPHQL_INVALID");
    let input = ("BAD_USER_INPUT", "INPUT_INVALID");
    for (query, expected) in [
        ("subscription { orderStatusChanged { orderId } paymentUpdated { orderId } }", root),
        ("subscription { ...f } fragment f on Subscription { orderStatusChanged { orderId } }", root),
        ("subscription { ... on Subscription { orderStatusChanged { orderId } } }", root),
        ("subscription { orderStatusChanged @skip(if: true) { orderId } }", root),
        ("subscription { __typename }", root),
        ("subscription { nonsense }", invalid),
        ("subscription { orderStatusChanged { nonsense } }", invalid),
        ("subscription { orderStatusChanged", invalid),
        (r#"subscription { orderStatusChanged(orderId: "x") { orderId } }"#, input),
        (r#"subscription { orderStatusChanged(after: "x") { orderId } }"#, input),
        ("subscription { orderStatusChanged(orderId: true) { orderId } }", input),
        ("subscription($o: ID!) { orderStatusChanged(orderId: $o) { orderId } }", input),
    ] {
        client.subscribe("1", query).await;
        let (code, reason) = client.refused("1").await;
        assert_eq!((code.as_str(), reason.as_str()), expected, "{query}");
    }
}

#[tokio::test]
async fn queries_and_mutations_go_over_a_socket_too() {
    let live = Live::new().await;
    let (ada, order, _) = live.world.buyer();
    let mut client = live.client(&ada).await;
    client.subscribe("q", "{ me { email } }").await;
    assert_eq!(client.next("q", "me").await, json!({ "email": "ada@example.com" }));
    assert_eq!(client.receive().await, json!({ "type": "complete", "id": "q" }));
    client.subscribe("m", &format!(r#"mutation {{ cancelOrder(id: "{order}") {{ status }} }}"#)).await;
    assert_eq!(client.next("m", "cancelOrder").await, json!({ "status": "CANCELLED" }));
    assert_eq!(client.receive().await, json!({ "type": "complete", "id": "m" }));
    client.subscribe("m", &format!(r#"mutation {{ cancelOrder(id: "{order}") {{ status }} }}"#)).await;
    let failed = client.receive().await;
    assert_eq!(failed["payload"]["errors"][0]["extensions"]["reason"], "ORDER_NOT_CANCELLABLE", "{failed}");
    assert_eq!(client.receive().await, json!({ "type": "complete", "id": "m" }));
    client.subscribe("bad", "{ nonsense }").await;
    assert_eq!(client.refused("bad").await.1, "GRAPHQL_INVALID");
}

#[tokio::test]
async fn over_plain_http_a_subscription_is_told_where_to_go() {
    let live = Live::new().await;
    let admin = live.world.admin();
    let body = live.world.ask(Some(&admin), "subscription { domainEvents { id } }").await;
    assert_eq!(crate::world::reason(&body), ("BAD_USER_INPUT", "SUBSCRIPTION_NEEDS_STREAM"));
}
