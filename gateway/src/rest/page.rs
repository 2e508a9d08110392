//! Pages of lists: how one is asked for, and where it stands.

use async_graphql::InputObject;
use proto::common::v1;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::graphql::DEFAULT_LIMIT;

/// Which page is wanted.
#[derive(InputObject, IntoParams, Default)]
#[graphql(name = "PageParameters")]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many, 20 when it is left out.
    #[param(minimum = 1, maximum = 100, default = 20, nullable = false)]
    limit: Option<i32>,
    /// The `nextCursor` of the page before.
    #[param(nullable = false)]
    after: Option<String>,
    /// Whether to count all rows.
    #[param(nullable = false)]
    total: Option<bool>,
}

impl From<Wanted> for v1::PageRequest {
    fn from(wanted: Wanted) -> Self {
        Self {
            limit: wanted.limit.unwrap_or(DEFAULT_LIMIT),
            after: wanted.after.unwrap_or_default(),
            include_total: wanted.total.unwrap_or_default(),
        }
    }
}

/// Where a page stands in its list.
#[derive(Serialize, ToSchema)]
#[schema(as = PageMeta)]
#[serde(rename_all = "camelCase")]
pub(super) struct Standing {
    /// How many rows the whole list has; null when they were not counted.
    #[schema(required)]
    total: Option<i64>,
    /// Whether rows follow.
    has_more: bool,
    /// What to give as `after` to get the next page; null on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl From<v1::PageInfo> for Standing {
    fn from(page: v1::PageInfo) -> Self {
        let next_cursor = Some(page.end_cursor).filter(|_| page.has_more);
        Self { total: page.total, has_more: page.has_more, next_cursor }
    }
}
