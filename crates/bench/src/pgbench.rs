//! pgbench, which inserts the rows of createOrder and does nothing else: what Postgres can do, beside which the way
//! through the graph is measured.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{programs::Tool, wrk::Measured};

/// One transaction that writes the rows of an order, a statement for each table that has them.
const SCRIPT: &str = include_str!("../pgbench/create_order.sql");
/// The one statement with which the order service writes them.
const STATEMENT: &str = include_str!("../pgbench/place_order.sql");
/// Where the part of it that writes the event begins and ends.
const EVENT: [&str; 2] = ["event AS (", "), "];

/// pgbench, ready to run.
#[derive(Clone)]
pub(crate) struct Pgbench {
    tool: Tool,
    script: PathBuf,
    url: String,
    /// The payload of an event as the order service writes it, for rows of the same size.
    event: String,
}

impl Pgbench {
    /// Finds it. Its script is written to `folder`; `url` is that of the order service's database.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn find(folder: &Path, url: &str, event: String) -> Result<Self> {
        let script = folder.join("create_order.sql");
        std::fs::write(&script, SCRIPT)?;
        Ok(Self { tool: Tool::pgbench().await?, script, url: url.to_owned(), event })
    }

    /// The order service's own statement, with the event and without. Their scripts are written to `folder`.
    ///
    /// # Errors
    /// When those can't be written.
    pub(crate) fn statements(&self, folder: &Path) -> Result<[Self; 2]> {
        let without = without_the_event(STATEMENT).context("the statement writes no event")?;
        let [with, alone] = [folder.join("place_order.sql"), folder.join("place_order_alone.sql")];
        std::fs::write(&with, STATEMENT)?;
        std::fs::write(&alone, without)?;
        Ok([with, alone].map(|script| Self { script, ..self.clone() }))
    }

    /// Inserts for some seconds, by so many clients.
    ///
    /// # Errors
    /// When it does not run, or any transaction fails.
    pub(crate) async fn run(&self, clients: usize, seconds: u64) -> Result<Measured> {
        let output = self
            .tool
            .command()
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=1", &format!("--client={clients}")])
            .arg(format!("--time={seconds}"))
            .arg(format!("--define=event={}", self.event))
            .arg("--file")
            .arg(&self.script)
            .arg(&self.url)
            .output()
            .await
            .context("pgbench does not start")?;
        let told = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("pgbench failed:\n{told}{}", String::from_utf8_lossy(&output.stderr));
        }
        read(&told)
    }
}

fn without_the_event(statement: &str) -> Option<String> {
    let [begin, end] = EVENT;
    let (before, rest) = statement.split_once(begin)?;
    let (_, after) = rest.split_once(&format!("\n{end}"))?;
    Some(format!("{before}{after}"))
}

fn read(told: &str) -> Result<Measured> {
    let after =
        |name| told.lines().find_map(|line| Some(line.strip_prefix(name)?.split(' ').next()?.to_owned()));
    let number = |name| after(name).with_context(|| format!("pgbench does not tell `{name}`:\n{told}"));
    let failed = number("number of failed transactions: ")?;
    if failed != "0" {
        bail!("the run is void: {failed} transactions of pgbench failed");
    }
    let rate = number("tps = ")?.parse()?;
    let answers = number("number of transactions actually processed: ")?.parse()?;
    let mean = Duration::try_from_secs_f64(number("latency average = ")?.parse::<f64>()? / 1_000.0)?;
    // It tells the mean alone unless it keeps each time, which costs it time.
    Ok(Measured { answers, rate, p50: mean, p99: mean })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "transaction type: create_order.sql\nnumber of transactions actually processed: 40005\n\
                        number of failed transactions: 0 (0.000%)\n\
                        latency average = 8.000 ms\ntps = 4000.5 (without initial connection time)\n";

    #[test]
    fn the_transactions_a_second_are_read() {
        let measured = read(TOLD).unwrap();
        assert!((measured.rate - 4000.5).abs() < 1e-9);
        assert_eq!(measured.p50, Duration::from_millis(8));
    }

    #[test]
    fn without_the_event_all_else_is_written() {
        let statement = without_the_event(STATEMENT).unwrap();
        assert!(
            statement.contains("), placed AS (") && statement.contains("INTO order_items"),
            "{statement}"
        );
        assert!(!statement.contains(":event") && !statement.contains("outbox"), "{statement}");
        assert_eq!(without_the_event("COMMIT;"), None);
    }

    #[test]
    fn a_failed_transaction_voids_the_run() {
        let told = TOLD.replace("transactions: 0 (0", "transactions: 3 (0");
        assert!(read(&told).unwrap_err().to_string().contains("void"));
    }
}
