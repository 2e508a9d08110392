//! Pages of a list by keyset: a cursor names the last row seen, so rows that come or go meanwhile shift nothing.

use std::{fmt::Display, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::common::v1::{PageInfo, PageRequest};

use crate::Refusal;

/// The largest page.
pub const MAX_PAGE: i64 = 100;
/// The most keys of one batch request.
pub const MAX_BATCH: usize = 1_000;

/// Which rows are wanted. `K` is the key by which the list is ordered.
#[derive(Clone, Debug)]
pub struct Page<K> {
    /// How many rows, 1 to [`MAX_PAGE`].
    pub limit: i64,
    /// The key of the last row of the page before.
    pub after: Option<K>,
    /// Whether the total is asked for.
    pub include_total: bool,
}

impl<K: FromStr> Page<K> {
    /// Reads what the client asked for.
    ///
    /// # Errors
    /// `PAGE_SIZE_OUT_OF_RANGE` and `CURSOR_INVALID`.
    pub fn parse(request: Option<PageRequest>) -> Result<Self, Refusal> {
        let request = request.unwrap_or_default();
        let limit = i64::from(request.limit);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(Refusal::bad_input("PAGE_SIZE_OUT_OF_RANGE", "limit", "must be from 1 to 100"));
        }
        let after = if request.after.is_empty() { None } else { Some(read_cursor(&request.after)?) };
        Ok(Self { limit, after, include_total: request.include_total })
    }
}

impl<K> Page<K> {
    /// How many rows to ask the database for: one more than the page has, to see whether more follow.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// Cuts the extra row off, and says where the page stands. `key` gives a row's key.
    pub fn finish<T, D: Display>(
        &self,
        rows: &mut Vec<T>,
        total: Option<i64>,
        key: impl Fn(&T) -> D,
    ) -> PageInfo {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let end_cursor =
            rows.last().map(|row| URL_SAFE_NO_PAD.encode(key(row).to_string())).unwrap_or_default();
        PageInfo { has_more, end_cursor, total }
    }
}

fn read_cursor<K: FromStr>(text: &str) -> Result<K, Refusal> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|key| key.parse().ok())
        .ok_or_else(|| Refusal::bad_input("CURSOR_INVALID", "after", "must be the endCursor of a page"))
}

/// Reads the keys of a batch request; those that are malformed can't exist and are left out.
///
/// # Errors
/// `TOO_MANY_KEYS` beyond [`MAX_BATCH`].
pub fn batch<K: FromStr>(keys: &[String]) -> Result<Vec<K>, Refusal> {
    if keys.len() > MAX_BATCH {
        return Err(Refusal::bad_input("TOO_MANY_KEYS", "ids", "must be at most 1000"));
    }
    Ok(keys.iter().filter_map(|key| key.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn request(limit: i32, after: &str) -> Option<PageRequest> {
        Some(PageRequest { limit, after: after.into(), include_total: false })
    }

    #[test]
    fn the_cursor_of_a_page_leads_to_the_next() {
        let page = Page::<Uuid>::parse(request(2, "")).unwrap();
        let mut rows: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        let last = rows[1];
        let info = page.finish(&mut rows, None, |id| *id);
        assert_eq!((rows.len(), info.has_more), (2, true));
        assert_eq!(Page::<Uuid>::parse(request(2, &info.end_cursor)).unwrap().after, Some(last));
    }

    #[test]
    fn page_sizes_and_cursors_that_make_no_sense_are_refused() {
        for limit in [0, -1, 101, 1_000_000] {
            assert_eq!(Page::<Uuid>::parse(request(limit, "")).unwrap_err().reason, "PAGE_SIZE_OUT_OF_RANGE");
        }
        for cursor in ["x", "AAAA", "\0", "=", "🙈", "bm90IGEgdXVpZA"] {
            assert_eq!(Page::<Uuid>::parse(request(1, cursor)).unwrap_err().reason, "CURSOR_INVALID");
        }
    }

    proptest! {
        #[test]
        fn every_key_comes_back_out_of_its_cursor(keys in prop::collection::vec(".+", 1..5)) {
            let page = Page::<String>::parse(request(100, "")).unwrap();
            let info = page.finish(&mut keys.clone(), None, String::clone);
            let next = Page::<String>::parse(request(100, &info.end_cursor)).unwrap();
            prop_assert_eq!(next.after.as_ref(), keys.last());
        }

        #[test]
        fn whatever_is_sent_as_a_cursor_is_read_or_refused(limit: i32, cursor in ".*") {
            match Page::<Uuid>::parse(request(limit, &cursor)) {
                Ok(page) => prop_assert!((1..=MAX_PAGE).contains(&page.limit)),
                Err(refusal) => {
                    let reason = refusal.reason.as_ref();
                    prop_assert!(["PAGE_SIZE_OUT_OF_RANGE", "CURSOR_INVALID"].contains(&reason), "{reason}");
                }
            }
        }
    }
}
