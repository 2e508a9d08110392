//! Edges of the graph, which are loaded for all rows of a level at once, and the loaders behind them.

use std::{
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use metrics::Histogram;

/// The edges: fields that lead to what another call fetches.
pub(super) const EDGES: [&str; 6] =
    ["User.orders", "Order.user", "Order.payment", "OrderItem.product", "Payment.order", "Payment.user"];
/// How the loading of a level ends.
pub(super) const OUTCOMES: [&str; 2] = ["ok", "errors"];
/// The loaders: what they fetch, and by what.
pub(super) const LOADERS: [&str; 6] = [
    "users_by_id",
    "orders_by_id",
    "orders_by_user",
    "payments_by_id",
    "payments_by_order",
    "products_by_id",
];

static HANDLES: [[OnceLock<Histogram>; OUTCOMES.len()]; EDGES.len()] =
    [const { [const { OnceLock::new() }; OUTCOMES.len()] }; EDGES.len()];
static SIZES: LazyLock<[Histogram; LOADERS.len()]> = LazyLock::new(|| {
    LOADERS.map(|loader| metrics::histogram!("graphql_loader_batch_size", "loader" => loader))
});

/// Counts and times the loading of the field of this type for all rows of a level.
pub(crate) fn edge(of: &str, field: &str, took: Duration, failed: bool) {
    let is_meant = |edge: &str| edge.split_once('.') == Some((of, field));
    let Some(place) = EDGES.iter().position(|edge| is_meant(edge)) else { return };
    let outcome = usize::from(failed);
    let handle = HANDLES[place][outcome].get_or_init(|| {
        metrics::histogram!("graphql_edge_duration_seconds", "edge" => EDGES[place], "outcome" => OUTCOMES[outcome])
    });
    handle.record(took.as_secs_f64());
}

/// Counts a call of this loader for so many keys.
pub(crate) fn batch(loader: &str, keys: usize) {
    let Some(place) = LOADERS.iter().position(|name| *name == loader) else { return };
    #[expect(clippy::cast_precision_loss, reason = "a histogram is told floats, and a batch is small")]
    SIZES[place].record(keys as f64);
}
