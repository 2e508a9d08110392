//! What it was measured on.

use std::fs;

use anyhow::Result;
use sqlx::{Connection, PgConnection};

/// The machine and its Postgres.
pub(crate) struct Machine {
    /// What it is, as rows of a table: what, which.
    pub(crate) rows: Vec<(&'static str, String)>,
}

impl Machine {
    /// Looks (proc(5)), and asks the Postgres that the database is in.
    ///
    /// # Errors
    /// When that does not answer.
    pub(crate) async fn look(database: &str) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut rows = vec![
            ("Processor", field(&read("/proc/cpuinfo"), "model name")),
            ("Cores", cores.to_string()),
            ("Memory", gibibytes(&field(&read("/proc/meminfo"), "MemTotal"))),
            ("Kernel", format!("Linux {}", read("/proc/sys/kernel/osrelease").trim())),
        ];
        let mut connection = PgConnection::connect(database).await?;
        for (name, setting) in [
            ("Postgres", "server_version"),
            ("fsync", "fsync"),
            ("synchronous_commit", "synchronous_commit"),
            ("shared_buffers", "shared_buffers"),
        ] {
            let value = sqlx::query_scalar("SELECT current_setting($1)").bind(setting);
            rows.push((name, value.fetch_one(&mut connection).await?));
        }
        connection.close().await?;
        Ok(Self { rows })
    }
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    line.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn gibibytes(told: &str) -> String {
    let kilobytes = told.trim_end_matches("kB").trim().parse::<u64>();
    kilobytes
        .map_or_else(|_| told.to_owned(), |kilobytes| format!("{:.1} GiB", kilobytes as f64 / 1_048_576.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_unknown_ones_are_called_so() {
        assert_eq!(field("processor\t: 0\nmodel name\t: Fast One\n", "model name"), "Fast One");
        assert_eq!(field("", "model name"), "unknown");
        assert_eq!(gibibytes("8388608 kB"), "8.0 GiB");
    }
}
