//! The forms that an amount of money may have on its way in.

use serde_json::{Value, json};

use crate::world::{World, reason, refusal};

const REFUND: &str =
    "mutation($amount: Decimal) { refundPayment(input: { paymentId: \"PAYMENT\", amount: $amount }) { id } }";

#[tokio::test]
async fn amounts_reach_the_service_exactly_as_they_were_written() {
    let world = World::new();
    let (_, _, payment) = world.buyer();
    let admin = world.admin();
    for (written, arrived) in [
        (r#""999.99""#, "999.99"),
        ("999.99", "999.99"),
        ("0.1", "0.1"),
        ("10", "10"),
        (r#""0010.50""#, "0010.50"),
        ("1234567890123.45", "1234567890123.45"),
        (r#""92233720368547758.07""#, "92233720368547758.07"),
    ] {
        let document = REFUND.replace("PAYMENT", &payment);
        let by_variable = json!({ "amount": serde_json::from_str::<Value>(written).unwrap() });
        let body = world.ask_with(Some(&admin), &document, by_variable).await;
        assert!(body.get("errors").is_none(), "{written}: {body}");
        let in_document = document.replace("($amount: Decimal)", "").replace("$amount", written);
        let body = world.ask(Some(&admin), &in_document).await;
        assert!(body.get("errors").is_none(), "{written}: {body}");
        assert_eq!(
            world.store.take_changes(),
            [format!("RefundPayment {arrived}"), format!("RefundPayment {arrived}")]
        );
    }
}

#[tokio::test]
async fn what_is_no_amount_is_refused_with_its_field() {
    let world = World::new();
    let (_, _, payment) = world.buyer();
    let admin = world.admin();
    for written in [
        r#""NaN""#,
        r#""-1""#,
        r#""1e3""#,
        r#""""#,
        r#"" 1""#,
        r#""1,00""#,
        r#""1.""#,
        "-1",
        "-0.01",
        "1234567890123456",
        "0.1234567890123456",
        "1e300",
        "true",
        "[1, 2]",
        r#""1\u0000""#,
    ] {
        let document = REFUND.replace("PAYMENT", &payment);
        let by_variable = json!({ "amount": serde_json::from_str::<Value>(written).unwrap() });
        let body = world.ask_with(Some(&admin), &document, by_variable).await;
        assert_eq!(reason(&body), ("BAD_USER_INPUT", "DECIMAL_INVALID"), "{written}: {body}");
        assert_eq!(refusal(&body)["violations"][0]["field"], "amount", "{written}");
        let in_document = document.replace("($amount: Decimal)", "").replace("$amount", written);
        let body = world.ask(Some(&admin), &in_document).await;
        assert_eq!(reason(&body).0, "BAD_USER_INPUT", "{written}: {body}");
        assert!(world.store.take_changes().is_empty(), "{written}");
    }
}

#[tokio::test]
async fn a_product_s_price_is_read_in_its_currency() {
    let world = World::new();
    let admin = world.admin();
    let upsert = "mutation($price: Decimal!, $currency: String!) {
        upsertProduct(input: { id: \"prod-2\", name: \"Mouse\", unitPrice: $price, currency: $currency }) { unitPrice currency } }";
    for (price, currency, stored, shown) in [
        (json!("19.9"), "USD", "1990 USD", "19.90"),
        (json!(1500), "JPY", "1500 JPY", "1500"),
        (json!(0.125), "KWD", "125 KWD", "0.125"),
    ] {
        let body =
            world.ask_with(Some(&admin), upsert, json!({ "price": price, "currency": currency })).await;
        assert_eq!(
            body["data"]["upsertProduct"],
            json!({ "unitPrice": shown, "currency": currency }),
            "{body}"
        );
        assert_eq!(world.store.take_changes(), [format!("UpsertProduct {stored}")]);
    }
    for (price, currency, reason_, field) in [
        (json!("19.999"), "USD", "DECIMAL_INVALID", "unitPrice"),
        (json!("0.5"), "JPY", "DECIMAL_INVALID", "unitPrice"),
        (json!("92233720368547758.08"), "USD", "DECIMAL_INVALID", "unitPrice"),
        (json!("1"), "usd", "CURRENCY_UNKNOWN", "currency"),
        (json!("1"), "XYZW", "CURRENCY_UNKNOWN", "currency"),
    ] {
        let body =
            world.ask_with(Some(&admin), upsert, json!({ "price": price, "currency": currency })).await;
        assert_eq!(reason(&body), ("BAD_USER_INPUT", reason_), "{price} {currency}: {body}");
        assert_eq!(refusal(&body)["violations"][0]["field"], field);
        assert!(world.store.take_changes().is_empty());
    }
}
