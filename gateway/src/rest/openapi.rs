//! The OpenAPI 3.1 document: what the handlers say of themselves, and what holds for all of them.

use proto::common::v1::Access;
use runtime::Kind;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ComponentsBuilder, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Paths, Ref,
        RefOr, ResponseBuilder, Schema, Type,
        extensions::ExtensionsBuilder,
        path::{Operation, PathItem},
        schema::AdditionalProperties,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{ROOT, answer::Failed};

const TOKEN: &str = "token";

/// What may become of any request, by its status: the name of the answer, and when it comes.
const FAILURES: [(u16, &str, &str); 13] = [
    (400, "BadInput", "The input breaks a rule"),
    (401, "Unauthenticated", "No valid token, or wrong credentials"),
    (403, "Forbidden", "A valid token without the right, or a page of another site"),
    (404, "NotFound", "There is no such thing, or not for this viewer"),
    (406, "NotAcceptable", "The client takes no JSON"),
    (409, "Conflict", "Something else happened at the same time, or first"),
    (413, "BodyTooLarge", "The body is too large"),
    (415, "MediaTypeUnsupported", "The body is not sent as JSON"),
    (422, "FailedPrecondition", "The state of the thing does not allow it"),
    (429, "RateLimited", "Too often: try again after `retryAfter`"),
    (500, "Internal", "A fault of ours"),
    (503, "Unavailable", "A service can't be reached"),
    (504, "Timeout", "It took too long; whether it happened is not known"),
];

/// The document, as JSON.
pub fn document() -> String {
    let info = InfoBuilder::new().title("Portico").version("1").description(Some(
        "The REST interface of Portico: what the graph at `/graphql` can do, for clients without GraphQL.",
    ));
    let mut schemas = vec![(Failed::name().into_owned(), Failed::schema())];
    Failed::schemas(&mut schemas);
    let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let components = FAILURES.iter().fold(
        ComponentsBuilder::new()
            .schemas_from_iter(schemas)
            .security_scheme(TOKEN, SecurityScheme::Http(http.build())),
        |components, (_, name, when)| {
            let failed = ContentBuilder::new().schema(Some(Ref::from_schema_name(Failed::name()))).build();
            let response = ResponseBuilder::new().description(*when).content("application/json", failed);
            components.response(*name, response.build())
        },
    );
    let document = OpenApiBuilder::new().info(info.build()).components(Some(components.build())).build();
    let mut document = document.nest(ROOT, super::routes().into_document());
    refuse_unknown_members(&mut document);
    document.to_pretty_json().unwrap_or_default() + "\n"
}

/// Says of the operations of a route who may use it, and how it may fail.
pub(super) fn complete(paths: &mut Paths, access: Access) {
    for item in paths.paths.values_mut() {
        let is_write = item.get.is_none();
        for operation in operations(item) {
            let has_path = operation.parameters.iter().flatten().any(is_in_path);
            for (status, name, _) in FAILURES {
                let can_be = match status {
                    404 => has_path,
                    413 | 415 => operation.request_body.is_some(),
                    409 | 422 => is_write,
                    _ => true,
                };
                if can_be {
                    let response = RefOr::Ref(Ref::from_response_name(name));
                    operation.responses.responses.insert(status.to_string(), response);
                }
            }
            if access != Access::Public {
                let token = SecurityRequirement::new::<_, [&str; 0], _>(TOKEN, []);
                operation.security = Some(vec![token]);
            }
            let rule = access.as_str_name();
            operation.extensions = Some(ExtensionsBuilder::new().add("x-access", rule).build());
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn is_in_path(parameter: &RefOr<utoipa::openapi::path::Parameter>) -> bool {
    use utoipa::openapi::path::ParameterIn;
    matches!(parameter, RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Path))
}

/// A member that is not known is refused, as the graph does: it is more often a slip than a wish.
fn refuse_unknown_members(document: &mut OpenApi) {
    let schemas = document.components.iter_mut().flat_map(|components| &mut components.schemas);
    for (name, schema) in schemas {
        if let RefOr::T(Schema::Object(object)) = schema
            && name.ends_with("Input")
        {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
}

/// The codes of failures, but for the one that only documents by their hash can have.
pub(super) fn codes() -> Schema {
    let kinds = Kind::all().filter(|kind| *kind != Kind::PersistedQueryNotFound);
    let codes = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds.map(Kind::code)));
    codes.description(Some("What kind of failure it is, as in the graph.")).into()
}
