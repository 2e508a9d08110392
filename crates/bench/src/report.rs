//! What a run came to, held against the targets: as a table for whoever waits, and as docs/performance.md.

use std::{
    fmt::Write as _,
    fs,
    io::{Write, stdout},
    path::Path,
};

use anyhow::{Context, Result};
use comfy_table::{Table, presets::NOTHING};

use crate::{
    dataset::{ORDERS_EACH, USERS},
    edge, events, pipeline, plot, refused,
    rounds::{Rounds, median},
    run::{CREATE, PGBENCH, Results},
    safety,
    system::{EMBEDDED, GATEWAY, HANDLER},
    wrk::CONNECTIONS,
};

/// What the gateway must reach of the handler.
const OF_HANDLER: f64 = 0.8;
/// What one process must reach of separate ones.
const OF_SEPARATE: f64 = 1.2;
/// What createOrder must reach of pgbench.
const OF_PGBENCH: f64 = 0.4;
/// What the rates through nginx are called.
const EDGE: &str = "public query through nginx";
/// What the rates with and without the edge's settings are called.
const PIPELINE: &str = "nested query";
/// What the rates of a query are called that does not need the service that is stuck.
const OTHERS: &str = "query without payments";
/// What the idle gateway may hold, in MB.
const GATEWAY_HOLDS: f64 = 30.0;
/// What each idle service may hold, in MB.
const SERVICE_HOLDS: f64 = 25.0;

/// Something that must be reached.
pub(crate) struct Target {
    /// What is measured.
    pub(crate) what: String,
    /// What is wanted of it.
    pub(crate) wanted: Wanted,
    /// What it came to, in the same unit.
    pub(crate) measured: f64,
}

/// What is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    /// A ratio that must be reached.
    AtLeast(f64),
    /// A number of units that must not be exceeded.
    AtMost(f64, &'static str),
}

impl Target {
    fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(least) => self.measured >= least,
            Wanted::AtMost(most, _) => self.measured <= most,
        }
    }

    /// What, wanted, measured, and whether it is met.
    fn row(&self) -> [String; 4] {
        let (wanted, measured) = match self.wanted {
            Wanted::AtLeast(least) => (format!("{least} or more"), format!("{:.2}", self.measured)),
            Wanted::AtMost(most, unit) => {
                (format!("{most} {unit} or less"), format!("{:.1} {unit}", self.measured))
            }
        };
        let verdict = if self.is_met() { "met" } else { "MISSED" };
        [self.what.clone(), wanted, measured, verdict.to_owned()]
    }
}

fn targets(results: &Results) -> Vec<Target> {
    let ratio = |what: &str, wanted, measured| Target {
        what: what.to_owned(),
        wanted: Wanted::AtLeast(wanted),
        measured,
    };
    let (postgres, memory, writes) = (&results.postgres, &results.memory, &results.writes);
    let mut targets = vec![
        ratio("gateway / handler, Postgres behind", OF_HANDLER, postgres.ratio(GATEWAY, HANDLER)),
        ratio("gateway / handler, from memory", OF_HANDLER, memory.ratio(GATEWAY, HANDLER)),
        ratio("one process / separate ones, Postgres behind", OF_SEPARATE, postgres.ratio(EMBEDDED, GATEWAY)),
        ratio("one process / separate ones, from memory", OF_SEPARATE, memory.ratio(EMBEDDED, GATEWAY)),
        ratio("createOrder / pgbench", OF_PGBENCH, writes.ratio(CREATE, PGBENCH)),
    ];
    targets.extend(results.idle.iter().map(|&(name, bytes)| Target {
        what: format!("memory of the idle {name}"),
        wanted: Wanted::AtMost(if name == GATEWAY { GATEWAY_HOLDS } else { SERVICE_HOLDS }, "MB"),
        measured: megabytes(bytes),
    }));
    targets.push(results.pipeline.target());
    targets.push(results.refused.target());
    targets.extend(results.safety.targets());
    targets.extend(results.events.targets());
    targets.extend(results.edge.targets());
    targets
}

/// Prints the targets and what was measured.
///
/// # Errors
/// When the standard output is closed.
pub(crate) fn print(results: &Results) -> Result<()> {
    print_rates(&parts(results))?;
    print_refused(&results.refused)?;
    print_events(&results.events)?;
    print_targets(targets(results))
}

/// Prints the part about events alone.
///
/// # Errors
/// When the standard output is closed.
pub(crate) fn print_only_events(results: &events::Results) -> Result<()> {
    print_events(results)?;
    print_targets(results.targets())
}

/// Prints the part about what is refused alone.
///
/// # Errors
/// When the standard output is closed.
pub(crate) fn print_only_refused(results: &refused::Results) -> Result<()> {
    print_refused(results)?;
    print_targets(vec![results.target()])
}

/// Prints the part about the cache of nginx alone.
///
/// # Errors
/// When the standard output is closed.
pub(crate) fn print_only_edge(results: &edge::Results) -> Result<()> {
    print_rates(&[(EDGE, &results.rounds)])?;
    print_targets(results.targets())
}

/// Prints the part about what the edge itself costs alone.
///
/// # Errors
/// When the standard output is closed.
pub(crate) fn print_only_pipeline(results: &pipeline::Results) -> Result<()> {
    print_rates(&[(PIPELINE, &results.rounds)])?;
    print_targets(vec![results.target()])
}

/// Prints the part about being watched, and a service that is stuck, alone.
///
/// # Errors
/// When the standard output is closed.
pub(crate) fn print_only_safety(results: &safety::Results) -> Result<()> {
    print_rates(&[(PIPELINE, &results.traced), (OTHERS, &results.others)])?;
    print_targets(results.targets())
}

fn print_rates(parts: &[(&str, &Rounds)]) -> Result<()> {
    let mut rates = table(["", "requests/s (median)", "from", "to", "half within", "99 % within"]);
    for (what, rounds) in parts {
        for row in rate_rows(rounds) {
            let [way, rest @ ..] = row;
            rates.add_row([format!("{what}: {way}")].into_iter().chain(rest));
        }
    }
    writeln!(stdout(), "\n{rates}")?;
    Ok(())
}

fn print_events(results: &events::Results) -> Result<()> {
    let mut measured = table(["", "measured"]);
    for row in results.rows() {
        measured.add_row(row);
    }
    writeln!(stdout(), "\n{measured}")?;
    Ok(())
}

fn print_refused(results: &refused::Results) -> Result<()> {
    let mut measured = table(["query", "refused as", "processor's time"]);
    for row in results.rows() {
        measured.add_row(row);
    }
    writeln!(stdout(), "\n{measured}")?;
    Ok(())
}

fn print_targets(targets: Vec<Target>) -> Result<()> {
    let mut reached = table(["", "wanted", "measured", ""]);
    for target in targets {
        reached.add_row(target.row());
    }
    writeln!(stdout(), "\n{reached}")?;
    Ok(())
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    table
}

fn parts(results: &Results) -> [(&'static str, &Rounds); 7] {
    [
        ("query, Postgres behind", &results.postgres),
        ("query, from memory", &results.memory),
        ("orders placed", &results.writes),
        (EDGE, &results.edge.rounds),
        (PIPELINE, &results.pipeline.rounds),
        (PIPELINE, &results.safety.traced),
        (OTHERS, &results.safety.others),
    ]
}

/// Way, median, least and most requests a second, and the medians of the times.
pub(crate) fn rate_rows(rounds: &Rounds) -> Vec<[String; 6]> {
    let row = |(name, measured): (&str, &[crate::wrk::Measured])| {
        let rates: Vec<f64> = measured.iter().map(|one| one.rate).collect();
        let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let most = rates.iter().copied().fold(0.0, f64::max);
        let time = |pick: fn(&crate::wrk::Measured) -> std::time::Duration| {
            format!("{:.1} ms", median(measured.iter().map(|one| pick(one).as_secs_f64() * 1e3).collect()))
        };
        let p99 = if name == PGBENCH { "-".to_owned() } else { time(|one| one.p99) };
        [name.to_owned(), whole(median(rates)), whole(least), whole(most), time(|one| one.p50), p99]
    };
    rounds.ways().map(row).collect()
}

/// A rate, as tables tell it.
pub(crate) fn whole(rate: f64) -> String {
    format!("{rate:.0}")
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Writes `performance.md` and its plots into `docs`.
///
/// # Errors
/// When that folder can't be written.
pub(crate) fn write(results: &Results, docs: &Path) -> Result<()> {
    let plots = docs.join("performance");
    fs::create_dir_all(&plots).with_context(|| format!("cannot make {}", plots.display()))?;
    for ((title, rounds), file) in parts(results).into_iter().zip([
        "postgres.svg",
        "memory.svg",
        "writes.svg",
        "edge.svg",
        "pipeline.svg",
        "traced.svg",
        "others.svg",
    ]) {
        plot::rates(&plots.join(file), title, "requests", rounds)?;
    }
    results.events.draw(&plots)?;
    plot::memory(&plots.join("held.svg"), &results.idle, &results.after)?;
    let page = docs.join("performance.md");
    fs::write(&page, text(results)?).with_context(|| format!("cannot write {}", page.display()))?;
    writeln!(stdout(), "\n{} and the plots beside it are written.", page.display())?;
    Ok(())
}

fn text(results: &Results) -> Result<String> {
    let mut page = String::from("# How fast it is\n\n");
    writeln!(
        page,
        "Measured on {} by `make bench`, which writes this page.\n",
        chrono::Utc::now().format("%e %B %Y")
    )?;
    rows(&mut page, ["target", "wanted", "measured", ""], targets(results).iter().map(Target::row))?;
    let missed: Vec<_> =
        targets(results).into_iter().filter(|target| !target.is_met()).map(|target| target.what).collect();
    match missed.as_slice() {
        [] => writeln!(page, "\nAll targets are met.")?,
        missed => writeln!(page, "\n**Missed:** {}.", missed.join("; "))?,
    }
    writeln!(page, "\n## The machine\n")?;
    let machine = results.machine.rows.iter().map(|(what, which)| [(*what).to_owned(), which.clone()]);
    rows(&mut page, ["", ""], machine)?;
    writeln!(page, "\nThe load and all that is measured share it.")?;
    queries(&mut page, results)?;
    results.pipeline.write(&mut page)?;
    results.refused.write(&mut page)?;
    results.safety.write(&mut page)?;
    writes(&mut page, results)?;
    held(&mut page, results)?;
    results.events.write(&mut page)?;
    results.edge.write(&mut page)?;
    page.push_str(AGAIN);
    Ok(page)
}

fn queries(page: &mut String, results: &Results) -> Result<()> {
    let plan = results.plan;
    writeln!(
        page,
        "\n## The nested query\n\n\
         ```graphql\n{{ orders(limit: 10) {{ data {{ id status totalAmount user {{ id email fullName }} payment {{ id status amount }} }} }} }}\n```\n\n\
         asked with the tokens of {USERS} users, each of whom has {ORDERS_EACH} orders, over {CONNECTIONS} connections, in\n\
         three ways that answer the same bytes:\n\n\
         - **gateway**: the gateway and the three services, a process each;\n\
         - **handler**: an axum handler written by hand (`crates/bench/src/handler.rs`) before the same services. It checks\n\
         \x20 the same token and makes the same three RPCs, the last two at the same time;\n\
         - **embedded**: the gateway and the services in one process: `portico up --embedded` on Postgres, and\n\
         \x20 `crates/bench/src/embedded.rs` with the services from memory.\n\n\
         {} rounds; each measures every way for {} s, one after the other, every other round backwards, after {} s of\n\
         warming up. A ratio is taken inside each round, and the median of the ratios is what counts. Every user's whole\n\
         answer is compared byte by byte on each way before and after, and wrk compares every answer in between with\n\
         those that are right; one that is not voids the run. No limit on rates stands in the way.",
        plan.rounds, plan.seconds, plan.warm_up
    )?;
    for (title, file, rounds) in [
        ("With Postgres behind", "postgres.svg", &results.postgres),
        ("With services that answer from memory", "memory.svg", &results.memory),
    ] {
        writeln!(page, "\n### {title}\n\n![requests per second](performance/{file})\n")?;
        rows(page, RATES, rate_rows(rounds).into_iter())?;
    }
    Ok(())
}

/// The heads of the columns of [`rate_rows`].
pub(crate) const RATES: [&str; 6] = ["", "requests/s (median)", "from", "to", "half within", "99 % within"];

fn writes(page: &mut String, results: &Results) -> Result<()> {
    writeln!(
        page,
        "\n## createOrder\n\n\
         An order of two lines, by the same {USERS} users over {CONNECTIONS} connections, beside pgbench with as many clients\n\
         on the same Postgres, which inserts the same rows (order, lines, event in the outbox) in one transaction of\n\
         prepared statements (`crates/bench/pgbench/create_order.sql`). After the rounds the rows are counted: each confirmed\n\
         order must be there, with its lines and its event. pgbench tells the mean of its times only.\n\n\
         ![orders per second](performance/writes.svg)\n"
    )?;
    rows(page, RATES, rate_rows(&results.writes).into_iter())
}

fn held(page: &mut String, results: &Results) -> Result<()> {
    writeln!(
        page,
        "\n## Memory\n\n\
         The resident set of each process (VmRSS, in MB of 10^6 bytes), once it is ready and idle, and after all of the above.\n\n\
         ![memory](performance/held.svg)\n"
    )?;
    let row = |(&(name, idle), &(_, after)): (&(&str, u64), &(&str, u64))| {
        [name.to_owned(), format!("{:.1}", megabytes(idle)), format!("{:.1}", megabytes(after))]
    };
    rows(page, ["", "idle", "after the load"], results.idle.iter().zip(&results.after).map(row))
}

const AGAIN: &str = "
## Again

```sh
make bench         # this page, in about a quarter of an hour
make bench-quick   # short rounds, to see that it works; writes nothing
scripts/bench --only events   # the part about events; writes nothing
scripts/bench --only refused  # the part about what is refused; writes nothing
scripts/bench --only edge     # the part about nginx; writes nothing
scripts/bench --only pipeline # the part about what the edge costs; writes nothing
scripts/bench --only safety   # the part about traces and a service that is stuck; writes nothing
make load-test URL=http://127.0.0.1:4000/graphql CONCURRENCY=16 REQUESTS=10000   # a bounded load on what runs
```
";

/// A table of Markdown.
///
/// # Errors
/// Never: a text takes all that is written.
pub(crate) fn rows<const N: usize>(
    page: &mut String,
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<()> {
    writeln!(page, "| {} |\n|{}", header.join(" | "), "---|".repeat(N))?;
    for row in rows {
        writeln!(page, "| {} |", row.join(" | "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_missed_says_so() {
        let ratio = |measured| Target { what: "a".into(), wanted: Wanted::AtLeast(0.8), measured };
        assert_eq!(ratio(0.8).row(), ["a", "0.8 or more", "0.80", "met"]);
        assert_eq!(ratio(0.79).row()[3], "MISSED");
        assert_eq!(ratio(f64::NAN).row()[3], "MISSED");
        let held = |measured| Target { what: "a".into(), wanted: Wanted::AtMost(25.0, "MB"), measured };
        assert_eq!(held(24.96).row(), ["a", "25 MB or less", "25.0 MB", "met"]);
        assert_eq!(held(25.04).row()[3], "MISSED");
    }
}
