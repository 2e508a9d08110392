//! The part about what is refused: how much of the processor a query takes of the gateway that is beyond its limits.
//!
//! What refuses must cost the one who asks more than the one who is asked.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use portico::progress::Progress;
use serde_json::{Value, json};

use crate::{
    client::Client,
    processes::Process,
    report::{Target, Wanted, rows},
};

/// The most of the processor that a refused query may take, in microseconds.
const MOST: f64 = 200.0;
/// How often each is asked when it counts. The system tells the time in hundredths of a second.
const TIMES: u32 = 10_000;
/// The same in a quick run.
const TIMES_QUICKLY: u32 = 1_000;

/// What the part came to: what was asked, why it was refused, and how long it took, in microseconds of the processor.
pub(crate) struct Results {
    cases: Vec<(&'static str, &'static str, f64)>,
}

/// What is asked, and why it is refused.
fn cases() -> Vec<(&'static str, &'static str, String)> {
    let bomb = (0..30).map(|n| format!("fragment f{n} on User{{...f{m} ...f{m}}}", m = n + 1));
    let bomb = format!("{{me{{...f0}}}}fragment f30 on User{{id}}{}", bomb.collect::<String>());
    let nested = |inner: &str, levels: usize| {
        format!("{{me{{{}id{}}}}}", inner.repeat(levels), "}".repeat(levels * inner.matches('{').count()))
    };
    let aliases = (0..200).map(|n| format!("a{n}:__typename "));
    vec![
        ("nested fragments, about 1 kB", "QUERY_TOO_LARGE", bomb),
        ("fields nested 30 deep", "QUERY_TOO_DEEP", nested("orders{user{", 14)),
        ("60,000 brackets", "BRACKETS_TOO_DEEP", format!("{{me(a:{}", "[".repeat(60_000))),
        ("a document of 70 kB", "DOCUMENT_TOO_LARGE", format!("{{me{{id}}}}{}", " ".repeat(70_000))),
        ("a document of 20,000 tokens", "TOO_MANY_TOKENS", format!("{{{}}}", "id ".repeat(20_000))),
        ("200 aliases", "TOO_MANY_ALIASES", format!("{{{}}}", aliases.collect::<String>())),
        (
            "pages in pages",
            "QUERY_TOO_COSTLY",
            "{orders(limit:100){data{user{orders(limit:100){id}}}}}".to_owned(),
        ),
    ]
}

/// Measures what the first of these processes takes for each, the gateway that answers at `url`.
///
/// # Errors
/// When an answer is not the refusal that it must be: the run is void then.
pub(crate) async fn measure(
    processes: &[Process],
    url: &str,
    quick: bool,
    progress: &Progress,
) -> Result<Results> {
    let gateway = processes.first().context("there is no gateway")?;
    let step = progress.step("Asking what is refused");
    let times = if quick { TIMES_QUICKLY } else { TIMES };
    let (mut cases_measured, mut client) = (Vec::new(), Client::connect(url).await?);
    for (what, reason, query) in cases() {
        let body = Bytes::from(json!({ "query": query }).to_string());
        let mut before = gateway.processor_time()?;
        // What the first tenth takes is warming up.
        for time in 0..times + times / 10 {
            if time == times / 10 {
                before = gateway.processor_time()?;
            }
            let answer = client.post(None, body.clone()).await?;
            let told: Value = serde_json::from_slice(&answer.body)?;
            let given = &told["errors"][0]["extensions"]["reason"];
            ensure!(given == reason, "{what} is answered by {told}, and not by {reason}");
        }
        let taken = gateway.processor_time()?.saturating_sub(before);
        cases_measured.push((what, reason, taken.as_secs_f64() * 1e6 / f64::from(times)));
    }
    step.done("refused");
    Ok(Results { cases: cases_measured })
}

impl Results {
    /// What must be reached: by the one that takes longest.
    pub(crate) fn target(&self) -> Target {
        let longest = self.cases.iter().map(|(.., taken)| *taken).fold(0.0, f64::max);
        Target {
            what: "processor's time of a query that is refused".to_owned(),
            wanted: Wanted::AtMost(MOST, "µs"),
            measured: longest,
        }
    }

    /// What was asked, why it was refused, and what it took.
    pub(crate) fn rows(&self) -> impl Iterator<Item = [String; 3]> {
        let row = |(what, reason, taken): &(&str, &str, f64)| {
            [(*what).to_owned(), format!("`{reason}`"), format!("{taken:.0} µs")]
        };
        self.cases.iter().map(row)
    }

    /// Writes the part of the page.
    ///
    /// # Errors
    /// Never: a text takes all that is written.
    pub(crate) fn write(&self, page: &mut String) -> Result<()> {
        writeln!(
            page,
            "\n## What is refused\n\n\
             The processor's time that the gateway takes for a query beyond its [limits](edge.md#limits), all of it: reading the\n\
             request, looking at the document, and writing the refusal (user and system time from `/proc/PID/stat`, the mean of\n\
             {TIMES} requests over one connection).\n"
        )?;
        rows(page, ["query", "refused as", "processor's time"], self.rows())
    }
}
