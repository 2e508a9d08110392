//! What can be ordered: the entity and its rules, without I/O.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use money::{Currency, Money};

/// The longest id of a product, in characters.
const LONGEST_ID: usize = 64;

/// The id of a product, chosen by who made it, such as `prod-1`: letters, digits, `.`, `_` and `-` (ASCII), the first
/// a letter or digit, at most 64.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProductId(String);

/// The text is no id of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoProductId;

impl ProductId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// One that was read from the database, whose own constraint holds its shape.
    pub(crate) fn stored(id: String) -> Self {
        Self(id)
    }
}

impl TryFrom<String> for ProductId {
    type Error = NoProductId;

    fn try_from(id: String) -> Result<Self, NoProductId> {
        let starts_well = id.starts_with(|first: char| first.is_ascii_alphanumeric());
        let goes_on_well = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if starts_well && goes_on_well && id.len() <= LONGEST_ID { Ok(Self(id)) } else { Err(NoProductId) }
    }
}

impl FromStr for ProductId {
    type Err = NoProductId;

    fn from_str(id: &str) -> Result<Self, NoProductId> {
        id.to_owned().try_into()
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that can be ordered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Product {
    pub(crate) id: ProductId,
    pub(crate) name: String,
    pub(crate) unit_price: Money,
    /// Whether it is in the catalogue and can be ordered.
    pub(crate) active: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A product as an admin wants it to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ProductDraft {
    pub(crate) id: ProductId,
    pub(crate) name: String,
    pub(crate) unit_price: Money,
    /// `None` leaves it as it is; a new product is active.
    pub(crate) active: Option<bool>,
}

/// The currency of this ISO 4217 code, such as `USD`. `None` for what is no code, and for codes in which nothing can
/// be priced, since ISO gives them no minor unit (gold, test codes).
pub(crate) fn currency(code: &str) -> Option<Currency> {
    Currency::from_code(code).filter(|currency| currency.exponent().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_plain_text() {
        for id in ["prod-1", "A", "0", "a.b_c-d", &"x".repeat(64)] {
            assert!(id.parse::<ProductId>().is_ok(), "{id}");
        }
        for id in ["", "-a", ".a", "a b", "a/b", "ä", "a\0", "a\n", "１", &"x".repeat(65)] {
            assert_eq!(id.parse::<ProductId>(), Err(NoProductId), "{id}");
        }
    }

    #[test]
    fn currencies_are_those_in_which_things_are_priced() {
        for code in ["USD", "EUR", "JPY", "KWD"] {
            assert!(currency(code).is_some(), "{code}");
        }
        for code in ["", "usd", "US", "USDT", "ABC", "XAU", "XXX", "U\0D"] {
            assert_eq!(currency(code), None, "{code}");
        }
    }
}
