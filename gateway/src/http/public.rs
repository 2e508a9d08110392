//! Answers that are the same for everyone, and what caches are told about them.
//!
//! An answer is public when every field that was asked for is (see `graphql::public`), it has no error, and the request
//! named nobody. Every other answer says `no-store`, and that is the default of every answer.

use std::{collections::HashMap, sync::OnceLock};

use async_graphql::{
    CacheControl, Name, Positioned,
    parser::types::{ExecutableDocument, Field, FragmentDefinition, OperationType, Selection, SelectionSet},
};
use aws_lc_rs::digest::{Context, SHA256};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http_body_util::BodyExt;

use super::{Edge, document::Document, execute::Answer, read::Inquiry};
use crate::graphql::PublicFields;

/// What an answer depends on beside its address and its body. The answer to a request with a token is not kept.
const VARY: HeaderValue = HeaderValue::from_static("Accept, Authorization, Origin");
/// A request with a header that begins so asks for something else beside the answer.
const OURS: &str = "x-portico-";

/// Whether the operation that is meant is a query for public fields alone, where such answers may be kept at all.
pub(super) fn is_public(
    edge: &Edge,
    document: &Document,
    operation: OperationType,
    inquiry: &Inquiry<'_>,
) -> bool {
    let name = inquiry.operation_name.as_deref();
    edge.public_max_age > 0
        && operation == OperationType::Query
        && document.public.have(name, &document.parsed, &edge.public_fields)
}

/// Which operations of a document ask for public fields alone: found out once, when it is first wanted.
#[derive(Default)]
pub(super) struct PublicOperations(OnceLock<Vec<Option<Name>>>);

impl PublicOperations {
    /// Whether the operation of this name is one of them; without a name, the only one that the document has.
    fn have(&self, name: Option<&str>, document: &ExecutableDocument, fields: &PublicFields) -> bool {
        let public = self.0.get_or_init(|| operations(document, fields));
        match name {
            Some(_) => public.iter().any(|public| public.as_deref() == name),
            // Another one was told to be meant by no name: then there is only one.
            None => !public.is_empty(),
        }
    }
}

fn operations(document: &ExecutableDocument, fields: &PublicFields) -> Vec<Option<Name>> {
    let queries =
        document.operations.iter().filter(|(_, operation)| operation.node.ty == OperationType::Query);
    let public = queries.filter(|(_, operation)| {
        let mut walk = Walk { fields, fragments: &document.fragments, seen: HashMap::new(), found: false };
        // What asks for `__typename` alone asks whether the gateway lives, and no cache shall answer that.
        walk.is_public("Query", &operation.node.selection_set.node) && walk.found
    });
    public.map(|(name, _)| name.cloned()).collect()
}

/// Looks at each fragment once.
struct Walk<'a> {
    fields: &'a PublicFields,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    seen: HashMap<&'a Name, bool>,
    /// Whether a listed field was met.
    found: bool,
}

impl<'a> Walk<'a> {
    /// Whether all that is selected of this object is public.
    fn is_public(&mut self, object: &str, selection: &'a SelectionSet) -> bool {
        selection.items.iter().all(|item| match &item.node {
            Selection::Field(field) => self.is_public_field(object, &field.node),
            Selection::InlineFragment(fragment) => {
                let condition = &fragment.node.type_condition;
                condition.as_ref().is_none_or(|condition| condition.node.on.node == object)
                    && self.is_public(object, &fragment.node.selection_set.node)
            }
            Selection::FragmentSpread(spread) => {
                self.is_public_fragment(object, &spread.node.fragment_name.node)
            }
        })
    }

    fn is_public_field(&mut self, object: &str, field: &'a Field) -> bool {
        let name = field.name.node.as_str();
        let Some(result) = self.fields.result(object, name) else { return name == "__typename" };
        self.found = true;
        self.is_public(result, &field.selection_set.node)
    }

    /// No public object is of more than one type, so a fragment on another one is none of ours.
    fn is_public_fragment(&mut self, object: &str, name: &Name) -> bool {
        let Some((name, fragment)) = self.fragments.get_key_value(name) else { return false };
        if fragment.node.type_condition.node.on.node != object {
            return false;
        }
        if let Some(public) = self.seen.get(name) {
            return *public;
        }
        // Who meets it again on the way has gone in a circle.
        self.seen.insert(name, false);
        let public = self.is_public(object, &fragment.node.selection_set.node);
        self.seen.insert(name, public);
        public
    }
}

/// Says by the answer's own word for it that it is the same for everyone. The GraphQL crate has called it public
/// whatever was asked for.
pub(super) fn mark(mut answer: Answer, public: bool) -> Answer {
    let public = public && answer.errors.is_empty();
    answer.cache_control = CacheControl { public, max_age: i32::from(public) };
    answer
}

/// What caches may do with an answer.
pub(crate) struct Keeping<'a> {
    max_age: u32,
    /// What the client has already; only a GET asks by it.
    known: Option<&'a HeaderMap>,
}

impl<'a> Keeping<'a> {
    /// Of this answer to this request, for so many seconds; `None` when they may not keep it.
    pub(super) fn of(answer: &Answer, head: &'a Parts, max_age: u32) -> Option<Self> {
        let public = answer.cache_control.public && answer.cache_control.max_age > 0;
        Self::of_public(head, max_age).filter(|_| public && answer.extensions.is_empty())
    }

    /// Of an answer outside the graph that is the same for everyone.
    pub(crate) fn of_public(head: &'a Parts, max_age: u32) -> Option<Self> {
        let kept = max_age > 0 && names_nobody(&head.headers);
        kept.then(|| Self { max_age, known: (head.method == Method::GET).then_some(&head.headers) })
    }

    /// Tells it, and answers 304 where the client has the same answer already.
    pub(crate) async fn tell(self, response: Response) -> Response {
        let (mut head, body) = response.into_parts();
        let keep = format!("public, max-age={}", self.max_age);
        if let Ok(keep) = HeaderValue::from_str(&keep) {
            head.headers.insert(header::CACHE_CONTROL, keep);
        }
        head.headers.append(header::VARY, VARY);
        let Some(known) = self.known else { return Response::from_parts(head, body) };
        // It is whole already, and nothing of it can fail.
        let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else {
            return Response::from_parts(head, Body::empty());
        };
        let tag = tag(&head.headers, &body);
        let same = is_known(known, &tag);
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            head.headers.insert(header::ETAG, tag);
        }
        if !same {
            return Response::from_parts(head, body.into());
        }
        head.status = StatusCode::NOT_MODIFIED;
        head.headers.remove(header::CONTENT_TYPE);
        Response::from_parts(head, Body::empty())
    }
}

/// Whether the request says nothing about who sends it, and wants nothing beside the answer.
fn names_nobody(headers: &HeaderMap) -> bool {
    let tells = |name: &str| name == "authorization" || name == "cookie" || name.starts_with(OURS);
    !headers.keys().any(|name| tells(name.as_str()))
}

/// Weak, since who compresses the answer on its way keeps its tag.
fn tag(headers: &HeaderMap, body: &[u8]) -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default());
    digest.update(&[0]);
    digest.update(body);
    format!("W/\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest.finish().as_ref()[..16]))
}

/// Whether the client has the answer of this tag (RFC 9110, section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(str::trim);
    known.any(|known| known == "*" || opaque(known) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;
    use crate::graphql::{Validation, schema};

    fn public(text: &str, name: Option<&str>) -> bool {
        let fields = PublicFields::of(&schema(Validation::Strict));
        PublicOperations::default().have(name, &parse_query(text).unwrap(), &fields)
    }

    #[test]
    fn a_query_is_public_when_each_of_its_fields_is() {
        for text in [
            "{ products { data { id name unitPrice currency active createdAt updatedAt } pageInfo { total } } }",
            "query Q($id: ID!) { product(id: $id) { __typename name } __typename }",
            "{ a: products { ...p } b: products { ... on ProductPage { ...p } ... { ...p } } } fragment p on ProductPage { data { id } }",
            "{ products @skip(if: true) { data { id } } }",
        ] {
            assert!(public(text, None), "{text}");
        }
    }

    #[test]
    fn one_field_that_is_not_listed_makes_a_query_private() {
        for text in [
            "{ products { data { id } } me { id } }",
            "{ products { data { id } } me @skip(if: true) { id } }",
            "{ orders { pageInfo { total } } }",
            "{ products { data { id } } ...q } fragment q on Query { me { id } }",
            "{ ... on Query { ... { me { id } } } }",
            "{ products { ...missing } }",
            "{ products { ...u } } fragment u on User { id }",
            "{ products { data { ... on User { id } } } }",
            "{ products { ...a } } fragment a on ProductPage { ...a }",
            "{ __schema { queryType { name } } }",
            "{ __type(name: \"Product\") { name } }",
            "{ _service { sdl } }",
            "{ _entities(representations: []) { ... on Product { id } } }",
            "{ nonsense }",
            "{ __typename }",
            "mutation { products { data { id } } }",
            "subscription { products { data { id } } }",
        ] {
            assert!(!public(text, None), "{text}");
        }
    }

    #[test]
    fn of_several_operations_the_one_that_is_meant_decides() {
        let text = "query A { products { data { id } } } query B { me { id } } mutation C { logout }";
        assert!(public(text, Some("A")));
        assert!(!public(text, Some("B")) && !public(text, Some("C")) && !public(text, Some("D")));
        assert!(public("query A { products { data { id } } }", None));
    }

    #[test]
    fn a_tag_is_known_in_a_list_with_or_without_its_weakness_and_by_a_star() {
        let known = |value: &str| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, value.parse().unwrap())]);
            is_known(&headers, "W/\"abc\"")
        };
        for value in ["W/\"abc\"", "\"abc\"", "\"x\", W/\"abc\"", "*", "\"x\" , \"abc\" "] {
            assert!(known(value), "{value}");
        }
        for value in ["", "abc", "\"ab\"", "W/abc", "\"x\", \"y\""] {
            assert!(!known(value), "{value}");
        }
    }
}
