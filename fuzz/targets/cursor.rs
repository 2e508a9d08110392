//! The cursor of a list is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proto::common::v1::PageRequest;
use runtime::page::{MAX_PAGE, Page};

fuzz_target!(|input: (i32, String)| {
    let (limit, after) = input;
    if let Ok(page) = Page::<String>::parse(Some(PageRequest { limit, after, include_total: false })) {
        assert!((1..=MAX_PAGE).contains(&page.limit));
    }
});
