//! An amount of money is read exactly or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use money::{Currency, Money};

fuzz_target!(|text: &str| {
    for currency in [Currency::USD, Currency::JPY, Currency::KWD] {
        if let Ok(money) = Money::parse(text, currency) {
            assert_eq!(Money::parse(&money.to_string(), currency), Ok(money));
        }
    }
});
