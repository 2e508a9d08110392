//! wrk, which makes the load, and what it saw. An answer that is wrong voids the whole run.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::programs::Tool;

/// The script that wrk runs.
const SCRIPT: &str = include_str!("../wrk/requests.lua");
/// How many connections ask at the same time.
pub(crate) const CONNECTIONS: usize = 32;

/// wrk, ready to run.
pub(crate) struct Wrk {
    tool: Tool,
    script: PathBuf,
}

/// What is asked, and what may be answered.
pub(crate) struct Load {
    /// The method of every request.
    pub(crate) method: &'static str,
    /// The body of every request; empty for none.
    pub(crate) body: String,
    /// A file with a token a line; each request takes the next.
    pub(crate) tokens: PathBuf,
    /// A file with the right answers.
    pub(crate) answers: PathBuf,
    /// Whether they are the answers themselves, or the start and the end that each must have.
    pub(crate) ends_only: bool,
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// How many answers came, all of them right.
    pub(crate) answers: u64,
    /// Answers a second.
    pub(crate) rate: f64,
    /// The time in which half of the answers came.
    pub(crate) p50: Duration,
    /// The time in which 99 of 100 came.
    pub(crate) p99: Duration,
}

/// The line that the script prints.
#[derive(Deserialize)]
struct Counts {
    requests: u32,
    microseconds: f64,
    p50: u64,
    p99: u64,
    socket_errors: u64,
    refusals: u64,
    wrong: u64,
}

impl Wrk {
    /// Finds it. Its script is written to `folder`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn find(folder: &Path) -> Result<Self> {
        let script = folder.join("requests.lua");
        std::fs::write(&script, SCRIPT)?;
        Ok(Self { tool: Tool::wrk().await?, script })
    }

    /// Puts `load` on `url` for some seconds.
    ///
    /// # Errors
    /// When wrk does not run, or when any answer was wrong, refused or lost.
    pub(crate) async fn run(&self, url: &str, load: &Load, seconds: u64) -> Result<Measured> {
        let output = self
            .tool
            .command()
            .args(["--threads", "1", "--connections", &CONNECTIONS.to_string()])
            .args(["--timeout", "10s", "--duration", &format!("{seconds}s"), "--script"])
            .arg(&self.script)
            .arg(url)
            .env("BENCH_METHOD", load.method)
            .env("BENCH_BODY", &load.body)
            .env("BENCH_TOKENS", &load.tokens)
            .env("BENCH_ANSWERS", &load.answers)
            .env("BENCH_ANSWERS_ARE", if load.ends_only { "ends" } else { "whole" })
            .output()
            .await
            .context("wrk does not start")?;
        let told = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("wrk failed:\n{told}{}", String::from_utf8_lossy(&output.stderr));
        }
        read(&told)
    }
}

fn read(told: &str) -> Result<Measured> {
    let line = |name| told.lines().find_map(|line| line.strip_prefix(name));
    let counts = line("RESULT ").with_context(|| format!("wrk told no result:\n{told}"))?;
    let counts: Counts = serde_json::from_str(counts)?;
    if counts.socket_errors + counts.refusals + counts.wrong > 0 {
        bail!(
            "the run is void: of {} answers {} were wrong and {} refused, and {} connections broke; one of them: {}",
            counts.requests,
            counts.wrong,
            counts.refusals,
            counts.socket_errors,
            line("SEEN ").unwrap_or_default()
        );
    }
    if counts.requests == 0 {
        bail!("the run is void: there was no answer");
    }
    Ok(Measured {
        answers: u64::from(counts.requests),
        rate: f64::from(counts.requests) * 1e6 / counts.microseconds,
        p50: Duration::from_micros(counts.p50),
        p99: Duration::from_micros(counts.p99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(wrong: u32, refusals: u32, socket_errors: u32) -> String {
        format!(
            "Running 2s test\nRESULT {{\"requests\":500,\"microseconds\":2000000,\"p50\":900,\"p99\":4000,\
             \"socket_errors\":{socket_errors},\"refusals\":{refusals},\"wrong\":{wrong}}}\nSEEN 200 no\n"
        )
    }

    #[test]
    fn a_run_without_a_wrong_answer_gives_its_rate_and_times() {
        let measured = read(&told(0, 0, 0)).unwrap();
        assert!((measured.rate - 250.0).abs() < 1e-9);
        assert_eq!((measured.p50, measured.p99), (Duration::from_micros(900), Duration::from_micros(4000)));
    }

    #[test]
    fn one_wrong_answer_one_refusal_or_one_broken_connection_voids_the_run() {
        for told in [told(1, 0, 0), told(0, 1, 0), told(0, 0, 1)] {
            let error = read(&told).unwrap_err().to_string();
            assert!(error.contains("void") && error.contains("200 no"), "{error}");
        }
        assert!(read("Running 2s test\n").is_err());
    }
}
