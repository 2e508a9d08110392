//! Whatever bytes come: an answer or a refusal with a code, never a fault of ours.

use std::sync::LazyLock;

use axum::{
    body::Body,
    http::{HeaderValue, Request, Uri, header},
};
use proptest::{collection::vec, prelude::*, sample::select};
use tokio::runtime::Runtime;

use crate::world::{Answer, World};

/// One for all cases; without rate limits, which would answer most of them.
static WORLD: LazyLock<(Runtime, World)> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let world = runtime.block_on(async { World::with(&["--batch", "10", "--rate-limits", "off"]) });
    (runtime, world)
});

fn send(request: Request<Body>) -> Answer {
    let (runtime, world) = &*WORLD;
    runtime.block_on(world.send(request))
}

/// That it was answered, or refused with a code and an id.
fn check(answer: &Answer) -> Result<(), TestCaseError> {
    prop_assert!(answer.status.as_u16() < 500, "{} {}", answer.status, answer.text);
    let answers = match answer.body.as_array() {
        Some(batch) => batch.clone(),
        None => vec![answer.body.clone()],
    };
    for body in answers {
        prop_assert!(body.is_object(), "{}", answer.text);
        for error in body["errors"].as_array().into_iter().flatten() {
            prop_assert!(error["extensions"]["code"].is_string(), "{}", answer.text);
            prop_assert_ne!(&error["extensions"]["code"], "INTERNAL");
            prop_assert!(error["extensions"]["requestId"].is_string(), "{}", answer.text);
        }
        prop_assert!(answer.status.is_success() || body.get("data").is_none(), "{}", answer.text);
    }
    Ok(())
}

/// JSON, of the members that requests have more often than of others.
fn json() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        select(vec![
            r#""{ __typename }""#,
            r#""{ products(limit: 1) { data { id } } }""#,
            r#""query ($a: Int) { __typename }""#,
            r#""\ud800""#,
            r#""{""#
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        text,
        any::<f64>().prop_map(|number| number.to_string()),
        select(vec!["null", "true", "0", "-1", "1e999", "9999999999999999999999", "", "NaN", "\u{feff}{}"])
            .prop_map(str::to_owned),
    ];
    let name = prop_oneof![
        4 => select(vec!["query", "operationName", "variables", "extensions", "persistedQuery", "sha256Hash", "documentId", "a"])
            .prop_map(str::to_owned),
        1 => "[a-z]{0,3}",
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec((name.clone(), inner), 0..5).prop_map(|members| {
                let members = members.into_iter().map(|(name, value)| format!("{name:?}:{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

fn header_value() -> impl Strategy<Value = HeaderValue> {
    let bytes =
        vec(any::<u8>(), 0..40).prop_filter_map("no header", |bytes| HeaderValue::from_bytes(&bytes).ok());
    let known = select(vec![
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=\"utf-8\";q",
        "application/graphql-response+json;q=0.5, */*",
        "text/event-stream",
        "*/*;q=0",
        "application/json;q=-1",
        ";;;,=",
    ]);
    prop_oneof![known.prop_map(HeaderValue::from_static), bytes]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_a_body_are_answered_or_refused(body in vec(any::<u8>(), 0..300)) {
        check(&send(Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()))?;
    }

    #[test]
    fn any_json_as_a_body_is_answered_or_refused(body in json()) {
        check(&send(Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()))?;
    }

    #[test]
    fn any_text_as_a_document_is_answered_or_refused(query in "[{}()\\[\\]a-z$:!@.\"# ,\u{1f980}]{0,60}|\\PC{0,60}") {
        let body = serde_json::json!({ "query": query }).to_string();
        check(&send(Request::post("/graphql").header(header::CONTENT_TYPE, "application/json").body(body.into()).unwrap()))?;
    }

    #[test]
    fn any_headers_are_answered_or_refused(accept in header_value(), content_type in header_value(), id in header_value()) {
        let request = Request::post("/graphql")
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, content_type)
            .header("x-request-id", id);
        let answer = send(request.body(r#"{"query":"{__typename}"}"#.into()).unwrap());
        prop_assert!(answer.status.as_u16() < 500, "{} {}", answer.status, answer.text);
        prop_assert!(answer.headers["x-request-id"].to_str().is_ok());
    }

    #[test]
    fn any_url_parameters_are_answered_or_refused(parameters in "((query|variables|extensions|operationName|documentId)=)?[!-~]{0,20}(&(query|variables|[a-z])=(%[0-9a-fA-F]{2}|%|\\+|[{}a-z_]){0,20}){0,3}") {
        prop_assume!(format!("/graphql?{parameters}").parse::<Uri>().is_ok());
        check(&send(Request::get(format!("/graphql?{parameters}")).body(Body::empty()).unwrap()))?;
    }
}
