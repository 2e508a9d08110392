//! Amounts of money: whole minor units of a currency, and their decimal text. Never a float.

use std::fmt;

pub use iso_currency::Currency;

/// An exact amount, such as 99999 cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// In the smallest unit of the currency.
    pub minor_units: i64,
    /// Which currency (ISO 4217).
    pub currency: Currency,
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not digits with at most one point between them; NaN, signs, exponents and blanks included.
    #[error("must be a decimal number such as 999.99, without sign, exponent or blanks")]
    Malformed,
    /// More decimals than the currency has.
    #[error("has more decimals than its currency")]
    TooPrecise,
    /// More than 9,223,372,036,854,775,807 minor units.
    #[error("is too large")]
    TooLarge,
}

impl Money {
    /// This many minor units of that currency.
    pub fn new(minor_units: i64, currency: Currency) -> Self {
        Self { minor_units, currency }
    }

    /// Reads decimal text such as `999.99`, exactly; decimals may be left out, but none may be too many.
    ///
    /// # Errors
    /// Says what is wrong with the text. A negative amount is malformed: nothing here is owed.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, ParseError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(ParseError::Malformed);
        }
        let decimals = decimals(currency);
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > decimals {
            return Err(ParseError::TooPrecise);
        }
        let whole = whole.trim_start_matches('0');
        let joined = format!("{whole}{fraction:0<decimals$}");
        let minor_units = match joined.trim_start_matches('0') {
            "" => 0,
            digits => digits.parse().map_err(|_| ParseError::TooLarge)?,
        };
        Ok(Self { minor_units, currency })
    }
}

/// As decimal text with all decimals of the currency, without its name: `999.99`, and `500` for yen.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = decimals(self.currency);
        let scale = 10_u64.pow(u32::try_from(decimals).unwrap_or(0));
        let amount = self.minor_units.unsigned_abs();
        let sign = if self.minor_units < 0 { "-" } else { "" };
        write!(f, "{sign}{}", amount / scale)?;
        if decimals > 0 {
            write!(f, ".{:0decimals$}", amount % scale)?;
        }
        Ok(())
    }
}

/// How many decimals the currency has: 2 for USD, 0 for JPY, 3 for KWD. Units without any (gold) count as 0.
fn decimals(currency: Currency) -> usize {
    currency.exponent().map_or(0, usize::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_becomes_minor_units_exactly() {
        for (text, currency, minor_units) in [
            ("999.99", Currency::USD, 99_999),
            ("10", Currency::USD, 1_000),
            ("0.1", Currency::USD, 10),
            ("007.50", Currency::USD, 750),
            ("1.000", Currency::USD, 100),
            ("500", Currency::JPY, 500),
            ("1.234", Currency::KWD, 1_234),
            ("0", Currency::USD, 0),
            ("92233720368547758.07", Currency::USD, i64::MAX),
        ] {
            assert_eq!(Money::parse(text, currency), Ok(Money::new(minor_units, currency)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in
            ["", ".", "1.", ".5", "-1", "+1", "NaN", "inf", "1e3", "1,000", " 1", "1.2.3", "١", "0x10"]
        {
            assert_eq!(Money::parse(text, Currency::USD), Err(ParseError::Malformed), "{text}");
        }
        assert_eq!(Money::parse("0.001", Currency::USD), Err(ParseError::TooPrecise));
        assert_eq!(Money::parse("0.1", Currency::JPY), Err(ParseError::TooPrecise));
        assert_eq!(Money::parse("92233720368547758.08", Currency::USD), Err(ParseError::TooLarge));
        assert_eq!(Money::parse(&"9".repeat(100_000), Currency::USD), Err(ParseError::TooLarge));
    }

    proptest! {
        #[test]
        fn every_amount_reads_back_as_itself(minor_units in 0..=i64::MAX, yen: bool) {
            let money = Money::new(minor_units, if yen { Currency::JPY } else { Currency::USD });
            prop_assert_eq!(Money::parse(&money.to_string(), money.currency), Ok(money));
        }

        #[test]
        fn what_is_written_by_hand_is_read_to_the_last_cent(whole in 0..i64::MAX / 100, cents in 0..100_i64) {
            let read = Money::parse(&format!("{whole}.{cents:02}"), Currency::USD);
            prop_assert_eq!(read, Ok(Money::new(whole * 100 + cents, Currency::USD)));
        }

        #[test]
        fn what_is_read_is_written_so_that_it_reads_the_same(text in "0{0,3}[0-9]{1,20}(\\.[0-9]{1,4})?") {
            for currency in [Currency::USD, Currency::JPY, Currency::KWD] {
                if let Ok(money) = Money::parse(&text, currency) {
                    prop_assert_eq!(Money::parse(&money.to_string(), currency), Ok(money));
                }
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Money::parse(&text, Currency::USD);
        }
    }
}
