//! What appending to the outbox costs createOrder. createOrder is called on the order service, and beside it pgbench sends
//! the statement with which that service places an order, with the event and without it: the difference is the append.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use portico::progress::Progress;
use proto::order::v1::{CreateOrderRequest, NewOrderItem, order_service_client::OrderServiceClient};
use runtime::grpc::{CallContext, TlsConfig, Transport, connect};
use secrecy::SecretString;
use sqlx::PgPool;
use tokio::time::Instant;

use super::{Plan, page::part, said};
use crate::{
    dataset::Dataset,
    fill::insert_products,
    pgbench::Pgbench,
    rounds::{Rounds, median},
    system::start_order_service,
    tokens::Tokens,
    up::Up,
    wrk::Measured,
};

/// createOrder, called on the order service.
pub(super) const CREATE: &str = "createOrder";
/// The statement of it that writes.
pub(super) const WITH: &str = "statement with the event";
/// The same, with nothing said.
pub(super) const WITHOUT: &str = "without it";
/// How many clients place orders at once.
pub(super) const CLIENTS: [usize; 2] = [1, 16];

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Measures all three for each number of clients, one after the other, every other round backwards. Nobody relays
/// meanwhile.
///
/// # Errors
/// When something does not start, an order is refused, or pgbench fails.
pub(super) async fn measure(
    plan: Plan,
    up: &Up,
    data: &Dataset,
    folder: &Path,
    progress: &Progress,
) -> Result<Vec<(usize, Rounds)>> {
    let url = up.database("order")?;
    let database = PgPool::connect(url).await?;
    insert_products(&mut *database.acquire().await?, data).await?;
    let (mut tokens, key) = Tokens::of_new_key(folder)?;
    let (processes, service) = start_order_service(&up.variables, &key, folder).await?;
    let buyers = Buyers {
        orders: OrderServiceClient::new(connect(&service, &TlsConfig::default())?),
        tokens: tokens.own().await?.to_vec(),
    };
    let event = said::placed(data, 1).next().context("there is no event")??.data.to_string();
    let [with, without] = Pgbench::find(folder, url, event).await?.statements(folder)?;
    let mut all = Vec::new();
    for clients in CLIENTS {
        let mut rounds = Rounds::of(vec![CREATE, WITH, WITHOUT]);
        for round in 0..=plan.appending_rounds {
            let (what, seconds) = match round {
                0 => ("warming up".to_owned(), 1),
                n => (format!("round {n} of {}", plan.appending_rounds), plan.seconds),
            };
            let step = progress.step(&format!("createOrder and its statement by {clients} clients, {what}"));
            let mut told = Vec::new();
            for place in rounds.order(round) {
                let one = match place {
                    0 => buyers.place_orders(clients, Duration::from_secs(seconds)).await?,
                    1 => with.run(clients, seconds).await?,
                    _ => without.run(clients, seconds).await?,
                };
                told.push(format!("{} {:.0}/s", [CREATE, WITH, WITHOUT][place], one.rate));
                if round > 0 {
                    rounds.add(place, one);
                }
            }
            step.done(&told.join(", "));
        }
        all.push((clients, rounds));
    }
    for process in processes {
        process.stop().await?;
    }
    said::empty_outbox(&database).await?;
    database.close().await;
    Ok(all)
}

/// What the append takes, in percent of the rest of createOrder: the median over the rounds.
pub(super) fn cost(rounds: &Rounds) -> f64 {
    let (create, with, without) = (rounds.rates(CREATE), rounds.rates(WITH), rounds.rates(WITHOUT));
    let costs = create.into_iter().zip(with.into_iter().zip(without)).map(|(create, (with, without))| {
        // The time that each takes of all of the machine.
        let append = with.recip() - without.recip();
        100.0 * append / (create.recip() - append)
    });
    median(costs.collect())
}

/// Those who place orders.
struct Buyers {
    orders: OrderServiceClient<Transport>,
    tokens: Vec<String>,
}

impl Buyers {
    /// So many of them place one order after the other for some time.
    async fn place_orders(&self, clients: usize, time: Duration) -> Result<Measured> {
        let begun = Instant::now();
        let tokens = self.tokens.iter().take(clients);
        let times = try_join_all(tokens.map(|token| self.keep_placing(token, begun + time))).await?;
        let took = begun.elapsed();
        let mut times = times.concat();
        times.sort_unstable();
        let [p50, p99] = [50, 99].map(|of| part(&times, of).unwrap_or_default());
        let rate = times.len() as f64 / took.as_secs_f64();
        Ok(Measured { answers: times.len() as u64, rate, p50, p99 })
    }

    /// Answers how long each order took.
    async fn keep_placing(&self, token: &str, until: Instant) -> Result<Vec<Duration>> {
        let token = SecretString::from(token);
        let mut times = Vec::new();
        while Instant::now() < until {
            let begun = Instant::now();
            let context = CallContext::new(begun + DEADLINE).with_token(&token);
            self.orders.clone().create_order(context.request(order(), DEADLINE)).await?;
            times.push(begun.elapsed());
        }
        Ok(times)
    }
}

/// The order that pgbench places too.
fn order() -> CreateOrderRequest {
    let line =
        |n: i32| NewOrderItem { product_id: format!("bench-{}", n - 1), quantity: n, unit_price: None };
    CreateOrderRequest {
        shipping_address: "1 Long Street, Springfield".to_owned(),
        notes: "Please ring twice".to_owned(),
        items: vec![line(1), line(2)],
        ..CreateOrderRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_what_the_statement_takes_longer_beside_the_rest_of_create_order() {
        let mut rounds = Rounds::of(vec![CREATE, WITH, WITHOUT]);
        let at = |rate| Measured { answers: 0, rate, p50: Duration::ZERO, p99: Duration::ZERO };
        // 550, 250 and 200 microseconds.
        for (place, rate) in [1e6 / 550.0, 1e6 / 250.0, 1e6 / 200.0].into_iter().enumerate() {
            rounds.add(place, at(rate));
        }
        assert!((cost(&rounds) - 10.0).abs() < 1e-9);
    }
}
