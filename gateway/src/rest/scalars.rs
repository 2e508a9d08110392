//! How the scalars of the graph stand in the document.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, OneOfBuilder, RefOr, Schema, SchemaFormat, Type},
};

use crate::graphql::{Amount, DateTime, Decimal};

/// Digits, with at most one point between them.
const DECIMAL: &str = r"^[0-9]+(\.[0-9]+)?$";

impl PartialSchema for Decimal {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(DECIMAL));
        let number = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0));
        OneOfBuilder::new()
            .description(Some("An exact decimal number: a string, or a number of up to 15 digits."))
            .item(text)
            .item(number)
            .into()
    }
}

impl ToSchema for Decimal {
    fn name() -> Cow<'static, str> {
        "Decimal".into()
    }
}

impl PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(DECIMAL))
            .description(Some("An exact amount of money."))
            .examples(["999.99"])
            .into()
    }
}

impl ToSchema for Amount {
    fn name() -> Cow<'static, str> {
        "Amount".into()
    }
}

impl PartialSchema for DateTime {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A point in time in UTC (RFC 3339)."))
            .into()
    }
}

impl ToSchema for DateTime {
    fn name() -> Cow<'static, str> {
        "DateTime".into()
    }
}
