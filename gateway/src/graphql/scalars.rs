//! The scalars of the graph beside those of GraphQL itself: exact decimals and points in time.

use std::{borrow::Cow, cell::Cell};

use async_graphql::{
    ContextSelectionSet, ID, InputValueError, InputValueResult, OutputType, Positioned, Scalar, ScalarType,
    ServerResult, Value, parser::types::Field, registry::Registry,
};
use chrono::{SecondsFormat, Utc};
use money::{Currency, Money};
use pbjson_types::Timestamp;
use proto::common::v1;
use runtime::Refusal;
use serde::{Serialize, Serializer};

use super::json::{Json, Tell};
use crate::clients::required;

/// The most digits of a number that are certain to survive its way through a 64-bit float (IEEE 754: 15.95).
const EXACT_DIGITS: usize = 15;

/// Why a value is no [`Decimal`]. It never repeats the value.
pub(crate) const DECIMAL_RULE: &str =
    "must be a decimal such as \"999.99\", without sign or exponent; more than 15 digits only as a string";

/// An exact decimal number, such as an amount of money. Answers are strings ("999.99"). Inputs are strings, or numbers
/// of up to 15 digits; longer ones would lose digits on their way and are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal(pub(crate) String);

impl Decimal {
    /// Reads the forms that an input may have. It knows no currency, so it judges the shape alone.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let text = match value {
            Value::String(text) => return is_decimal(text).then(|| Self(text.clone())),
            // Numbers arrive as integers or as floats; a float's shortest text is what the client wrote, if that had
            // no more digits than a float can tell apart.
            Value::Number(number) if number.is_f64() => number.as_f64()?.to_string(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        (digits <= EXACT_DIGITS && is_decimal(&text)).then_some(Self(text))
    }
}

/// An amount that a service answered: a [`Decimal`] that is written when it is told.
pub(crate) struct Amount(Money);

impl Amount {
    /// The amount of this message.
    pub(crate) fn of(money: Option<&v1::Money>) -> Result<Self, Refusal> {
        let money = required(money, "an amount")?;
        let currency = required(currency(&money.currency), "a currency")?;
        Ok(Self(Money::new(money.minor_units, currency)))
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The currency of this code. The amounts of an answer are nearly all in one, and the crate compares a code with each of
/// its two hundred.
fn currency(code: &str) -> Option<Currency> {
    thread_local! {
        static LAST: Cell<Currency> = const { Cell::new(Currency::USD) };
    }
    let last = LAST.get();
    if last.code() == code {
        return Some(last);
    }
    let found = Currency::from_code(code)?;
    LAST.set(found);
    Some(found)
}

/// An id that a service answered: an [`ID`] without a text of its own.
pub(super) struct Id<'a>(pub(super) &'a str);

/// Makes a type one that is told as the scalar `$scalar`, in the text that it writes.
macro_rules! told_as {
    ($type:ty, $scalar:ty) => {
        impl OutputType for $type {
            fn type_name() -> Cow<'static, str> {
                <$scalar as OutputType>::type_name()
            }

            fn create_type_info(registry: &mut Registry) -> String {
                <$scalar as OutputType>::create_type_info(registry)
            }

            async fn resolve(
                &self,
                _: &ContextSelectionSet<'_>,
                _: &Positioned<Field>,
            ) -> ServerResult<Value> {
                Ok(Value::String(self.0.to_string()))
            }
        }
    };
}

told_as!(Amount, Decimal);
told_as!(Id<'_>, ID);

impl Tell for Amount {
    fn tell(self, json: &mut Json) -> Result<(), Refusal> {
        json.shown(self.0);
        Ok(())
    }
}

impl Tell for Id<'_> {
    fn tell(self, json: &mut Json) -> Result<(), Refusal> {
        self.0.tell(json)
    }
}

impl Tell for DateTime {
    fn tell(self, json: &mut Json) -> Result<(), Refusal> {
        self.text().tell(json)
    }
}

/// Digits, with at most one point between them.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

/// An exact decimal number, such as an amount of money. Answers are strings ("999.99"). Inputs are strings, or numbers
/// of up to 15 digits; longer ones would lose digits on their way and are refused.
#[Scalar(name = "Decimal")]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        Self::read(&value).ok_or_else(|| InputValueError::custom(DECIMAL_RULE))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A point in time in UTC, as RFC 3339 writes it: "2026-11-20T15:22:34.123456Z".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateTime(chrono::DateTime<Utc>);

impl DateTime {
    /// A time that a service answered.
    pub(crate) fn of(time: Option<Timestamp>) -> Result<Self, Refusal> {
        required(time, "a time").and_then(Self::try_from)
    }

    /// A time that a service answered if there is one.
    pub(crate) fn maybe(time: Option<Timestamp>) -> Result<Option<Self>, Refusal> {
        time.map(Self::try_from).transpose()
    }

    /// As clients read it.
    fn text(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }

    /// Reads a time as a client writes it.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let Value::String(text) = value else { return None };
        Some(Self(chrono::DateTime::parse_from_rfc3339(text).ok()?.into()))
    }
}

impl From<chrono::DateTime<Utc>> for DateTime {
    fn from(time: chrono::DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl TryFrom<Timestamp> for DateTime {
    type Error = Refusal;

    fn try_from(time: Timestamp) -> Result<Self, Refusal> {
        chrono::DateTime::try_from(time).map(Self).map_err(Refusal::internal)
    }
}

/// A point in time in UTC, as RFC 3339 writes it: "2026-11-20T15:22:34.123456Z".
#[Scalar(name = "DateTime", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        Self::read(&value)
            .ok_or_else(|| InputValueError::custom("must be a time such as \"2026-11-20T15:22:34Z\""))
    }

    fn to_value(&self) -> Value {
        Value::String(self.text())
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::Number;
    use proptest::prelude::*;

    use super::*;

    fn read(json: &str) -> Option<String> {
        let value = Value::from_json(serde_json::from_str(json).unwrap()).unwrap();
        Decimal::read(&value).map(|decimal| decimal.0)
    }

    #[test]
    fn strings_are_taken_as_they_are_written() {
        for text in
            ["999.99", "0", "0.10", "007", "92233720368547758.07", "123456789012345678901234567890.12"]
        {
            assert_eq!(read(&format!("\"{text}\"")).as_deref(), Some(text));
        }
    }

    #[test]
    fn numbers_of_up_to_fifteen_digits_are_taken_exactly() {
        for text in ["999.99", "0.1", "10", "0", "1234567890123.45", "999999999999999", "0.30000000000001"] {
            assert_eq!(read(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_would_lose_digits_or_is_no_decimal_is_refused() {
        for json in [
            "1234567890123456",
            "12345678901234.567",
            "1e300",
            "1e-300",
            "18446744073709551616",
            "-1",
            "-0.5",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
        let texts = [
            "", ".", "1.", ".5", "-1", "+1", "NaN", "Infinity", "1e3", "1,000", " 1", "1.2.3", "١", "0x10",
            "1\0",
        ];
        for text in texts {
            assert_eq!(Decimal::read(&Value::String(text.into())), None, "{text:?}");
        }
        for value in [Value::Null, Value::Boolean(true), Value::List(vec![Value::Number(Number::from(1))])] {
            assert_eq!(Decimal::read(&value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_number_that_is_taken_has_every_digit_that_was_written(whole in 0..1_000_000_000_000_i64, cents in 0..1_000_u32) {
            let written = format!("{whole}.{cents:03}");
            let shortest = written.trim_end_matches('0').trim_end_matches('.');
            let taken = read(&written);
            prop_assert!(taken.as_deref() == Some(shortest) || taken.as_deref() == Some(written.as_str()), "{taken:?}");
        }

        #[test]
        fn whatever_is_sent_as_a_decimal_is_one_or_is_refused(text in "\\PC*", number: f64, whole: i64) {
            let float = Number::from_f64(number).map(Value::Number);
            for value in [Some(Value::String(text)), float, Some(Value::Number(whole.into()))].into_iter().flatten() {
                if let Some(Decimal(text)) = Decimal::read(&value) {
                    prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{text}");
                    prop_assert!(text.matches('.').count() <= 1 && !text.starts_with('.') && !text.ends_with('.'));
                }
            }
        }
    }

    #[test]
    fn a_time_is_written_in_utc_and_read_with_any_offset() {
        let read =
            |text: &str| DateTime::read(&Value::String(text.into())).map(|time| time.to_value().to_string());
        assert_eq!(read("2026-11-20T15:22:34.123456Z").unwrap(), "\"2026-11-20T15:22:34.123456Z\"");
        assert_eq!(read("2026-11-20T16:22:34+01:00").unwrap(), "\"2026-11-20T15:22:34Z\"");
        for text in ["", "yesterday", "2026-11-20", "2026-11-20T15:22:34", "1763652154"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
