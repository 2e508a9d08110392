//! `bench load`: a bounded load on a Portico that runs, wherever the caller says that it does.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use bytes::Bytes;
use clap::Args;
use comfy_table::{Table, presets::NOTHING};
use tokio::task::JoinSet;

use portico::progress::Progress;

use crate::client::Client;

/// The arguments of `load`.
#[derive(Args, Debug)]
pub(crate) struct Load {
    /// Where the graph is; only the host that is named here is sent anything
    #[arg(long, default_value = "http://127.0.0.1:4000/graphql")]
    url: String,
    /// How many connections ask at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    concurrency: u16,
    /// How many requests there are in all
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    requests: u64,
    /// What is asked
    #[arg(long, default_value = "{ products(limit: 10) { data { id name unitPrice } } }")]
    query: String,
    /// An access token, for what only its holder may see
    #[arg(long, env = "PORTICO_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    /// How often each thing went wrong.
    wrong: BTreeMap<String, u64>,
}

impl Load {
    /// Runs it and prints what came of it.
    ///
    /// # Errors
    /// When nobody answers, or any answer is wrong.
    pub(crate) async fn run(self) -> Result<()> {
        let body = Bytes::from(serde_json::json!({ "query": self.query }).to_string());
        let step = Progress::on_stderr().step(&format!(
            "{} requests to {} over {} connections",
            self.requests, self.url, self.concurrency
        ));
        let left = Arc::new(AtomicU64::new(self.requests));
        let mut connections = JoinSet::new();
        for _ in 0..self.concurrency {
            let client = Client::connect(&self.url).await?;
            connections.spawn(ask(client, self.token.clone(), body.clone(), left.clone()));
        }
        let started = Instant::now();
        let mut all = Seen::default();
        while let Some(seen) = connections.join_next().await {
            let seen = seen?;
            all.times.extend(seen.times);
            for (what, count) in seen.wrong {
                *all.wrong.entry(what).or_default() += count;
            }
        }
        let took = started.elapsed();
        step.done("");
        print(all, took)
    }
}

/// Asks until all requests are taken, or the connection breaks.
async fn ask(mut client: Client, token: Option<String>, body: Bytes, left: Arc<AtomicU64>) -> Seen {
    let mut seen = Seen::default();
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let started = Instant::now();
        match client.post(token.as_deref(), body.clone()).await {
            Ok(answer) => {
                seen.times.push(started.elapsed());
                if let Some(what) = fault(answer.status, &answer.body) {
                    *seen.wrong.entry(what).or_default() += 1;
                }
            }
            Err(error) => {
                *seen.wrong.entry(format!("connection: {error:#}")).or_default() += 1;
                return seen;
            }
        }
    }
    seen
}

/// What is wrong with an answer: its status, or the first of its errors.
fn fault(status: http::StatusCode, body: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let first = &answer["errors"][0]["message"];
    match (status.is_success(), first.as_str()) {
        (true, None) if answer["data"].is_object() => None,
        (_, Some(message)) => Some(format!("{status}: {message}")),
        (_, None) => Some(format!("{status} without data")),
    }
}

fn print(mut seen: Seen, took: Duration) -> Result<()> {
    seen.times.sort_unstable();
    let answered = seen.times.len();
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.add_row(["answers".to_owned(), answered.to_string()]);
    table.add_row(["requests per second".to_owned(), format!("{:.0}", answered as f64 / took.as_secs_f64())]);
    for part in [0.5, 0.9, 0.99, 1.0] {
        let time = percentile(&seen.times, part).as_secs_f64() * 1_000.0;
        table.add_row([format!("{:.0} % within", part * 100.0), format!("{time:.2} ms")]);
    }
    for (what, count) in &seen.wrong {
        table.add_row([format!("wrong: {what}"), count.to_string()]);
    }
    writeln!(std::io::stdout(), "{table}")?;
    if !seen.wrong.is_empty() {
        bail!("{} answers were wrong", seen.wrong.values().sum::<u64>());
    }
    Ok(())
}

/// The time within which this part of all came; `sorted` from the shortest.
fn percentile(sorted: &[Duration], part: f64) -> Duration {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the list's length")]
    let nth = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(nth.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_time_within_which_that_part_of_the_answers_came() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&times, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&times, 1.0), Duration::from_millis(100));
        assert_eq!(percentile(&times[..1], 0.5), Duration::from_millis(1));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn an_answer_with_errors_or_without_data_is_wrong() {
        let ok = http::StatusCode::OK;
        assert_eq!(fault(ok, br#"{"data":{"products":{}}}"#), None);
        assert!(fault(ok, br#"{"data":null,"errors":[{"message":"no"}]}"#).unwrap().contains("no"));
        assert!(fault(ok, b"<html>").is_some());
        assert!(fault(http::StatusCode::NOT_FOUND, b"{}").unwrap().contains("404"));
    }
}
