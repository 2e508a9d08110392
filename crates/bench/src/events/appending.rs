//! What appending to the outbox costs createOrder: pgbench's statements of it with the row of the outbox and without.

use std::path::Path;

use anyhow::{Context, Result};
use portico::progress::Progress;
use sqlx::PgPool;

use super::{Plan, said};
use crate::{dataset::Dataset, pgbench::Pgbench, rounds::Rounds, up::Up};

/// The statements of createOrder.
pub(super) const WITH: &str = "with the event";
/// The same, with nothing said.
pub(super) const WITHOUT: &str = "without it";
/// How many clients place orders at once.
pub(super) const CLIENTS: [usize; 2] = [1, 16];

/// Measures both ways for each number of clients, one after the other, every other round backwards. Nobody relays
/// meanwhile.
///
/// # Errors
/// When pgbench fails.
pub(super) async fn measure(
    plan: Plan,
    up: &Up,
    data: &Dataset,
    folder: &Path,
    progress: &Progress,
) -> Result<Vec<(usize, Rounds)>> {
    let url = up.database("order")?;
    let event = said::placed(data, 1).next().context("there is no event")??.data.to_string();
    let with = Pgbench::find(folder, url, event).await?;
    let without = with.without_the_event(folder)?;
    let mut all = Vec::new();
    for clients in CLIENTS {
        let mut rounds = Rounds::of(vec![WITH, WITHOUT]);
        for round in 0..=plan.appending_rounds {
            let (what, seconds) = match round {
                0 => ("warming up".to_owned(), 1),
                n => (format!("round {n} of {}", plan.appending_rounds), plan.seconds),
            };
            let step = progress.step(&format!("The statements of createOrder by {clients} clients, {what}"));
            let mut told = Vec::new();
            for place in rounds.order(round) {
                let one = [&with, &without][place].run(clients, seconds).await?;
                told.push(format!("{} {:.0}/s", [WITH, WITHOUT][place], one.rate));
                if round > 0 {
                    rounds.add(place, one);
                }
            }
            step.done(&told.join(", "));
        }
        all.push((clients, rounds));
    }
    let database = PgPool::connect(url).await?;
    said::empty_outbox(&database).await?;
    database.close().await;
    Ok(all)
}
