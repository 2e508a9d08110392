//! What it was measured on.

use std::{fs, time::Duration};

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
            ("Others' use of it at the start", format!("{:.0} %", 100.0 * used_now().await)),
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

/// The part of all cores that is at work in this moment. Whoever else is at work takes more from many processes than
/// from few, and what is told is of use only where this is next to nothing.
async fn used_now() -> f64 {
    let times = || processor_times(&fs::read_to_string("/proc/stat").unwrap_or_default());
    let (idle, all) = times();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (idle_then, all_then) = times();
    1.0 - (idle_then - idle) / (all_then - all).max(1.0)
}

/// The idle time of all cores, and their whole time, in clock ticks: of the line `cpu USER NICE SYSTEM IDLE IOWAIT ...`.
fn processor_times(stat: &str) -> (f64, f64) {
    let line = stat.lines().next().unwrap_or_default();
    let times: Vec<f64> = line.split_whitespace().skip(1).filter_map(|time| time.parse().ok()).collect();
    (times.iter().skip(3).take(2).sum(), times.iter().sum())
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
    fn waiting_for_a_disk_counts_as_idle() {
        assert_eq!(processor_times("cpu  10 0 20 60 10 0 0 0\ncpu0 1 1 1 1\n"), (70.0, 100.0));
        assert_eq!(processor_times(""), (0.0, 0.0));
    }

    #[test]
    fn fields_are_read_and_unknown_ones_are_called_so() {
        assert_eq!(field("processor\t: 0\nmodel name\t: Fast One\n", "model name"), "Fast One");
        assert_eq!(field("", "model name"), "unknown");
        assert_eq!(gibibytes("8388608 kB"), "8.0 GiB");
    }
}
