//! Pages of lists.

use async_graphql::{Context, SimpleObject};
use proto::common::v1;

use super::{
    entity::{Row, Rows},
    order::Order,
    payment::Payment,
    product::Product,
    public::Public,
    user::User,
};

/// A page of something private is private by the field that leads to it.
pub(super) const PUBLIC: Public = &[("PageInfo", &["total", "hasMore", "endCursor"])];

/// How many rows a list has when the client does not say.
pub(crate) const DEFAULT_LIMIT: i32 = 20;

/// Where a page stands in its list.
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// How many rows the whole list has. It is counted only when it is asked for.
    total: Option<i32>,
    /// Whether rows follow.
    has_more: bool,
    /// What to give as `after` to get the next page; null on an empty page.
    end_cursor: Option<String>,
}

impl From<v1::PageInfo> for PageInfo {
    fn from(page: v1::PageInfo) -> Self {
        Self {
            // The graph's Int has 32 bits.
            total: page.total.map(|total| i32::try_from(total).unwrap_or(i32::MAX)),
            has_more: page.has_more,
            end_cursor: Some(page.end_cursor).filter(|cursor| !cursor.is_empty()),
        }
    }
}

/// A part of a list, the newest first.
#[derive(SimpleObject)]
#[graphql(
    concrete(name = "UserPage", params(User)),
    concrete(name = "ProductPage", params(Product)),
    concrete(name = "OrderPage", params(Order)),
    concrete(name = "PaymentPage", params(Payment))
)]
pub(super) struct Page<T: Row> {
    /// The rows.
    data: Rows<T>,
    /// Where the page stands in its list.
    page_info: PageInfo,
}

impl<T: Row> Page<T> {
    /// The page that a service answered.
    pub(super) fn new<R: Into<T>>(rows: Vec<R>, page: Option<v1::PageInfo>) -> Self {
        Self { data: rows.into_iter().map(Into::into).collect(), page_info: page.unwrap_or_default().into() }
    }
}

/// The page that a field asks for. A variable that was left out counts as no limit given, which the GraphQL crate would
/// not fill in. Rows are counted only when the field's selection has the total.
pub(super) fn request(context: &Context<'_>, limit: Option<i32>, after: Option<String>) -> v1::PageRequest {
    let include_total = context.look_ahead().field("pageInfo").field("total").exists();
    v1::PageRequest { limit: limit.unwrap_or(DEFAULT_LIMIT), after: after.unwrap_or_default(), include_total }
}
