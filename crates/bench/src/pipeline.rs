//! The part about the edge's own work: the nested query through a gateway that has all of the edge switched on, each limit
//! as strict as the query lets it be, beside the same gateway with all of it switched off that has a switch.
//!
//! What can't be switched off (reading the request, counting the document once) is in both.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Result;
use portico::progress::Progress;
use serde_json::json;

use crate::{
    checks::Answers,
    dataset::QUERY,
    report::{RATES, Target, Wanted, rate_rows, rows},
    rounds::Rounds,
    run::{Plan, end_of_round},
    system::{Backing, System, Way},
    tokens::Tokens,
    wrk::{Load, Wrk},
};

/// With all of it.
const ON: &str = "edge on";
/// Without.
const OFF: &str = "edge off";
/// What the gateway must reach of itself.
const OF_ITSELF: f64 = 0.9;

/// What the part came to.
pub(crate) struct Results {
    /// The gateway with and without.
    pub(crate) rounds: Rounds,
}

/// Measures it on services that answer from memory.
///
/// # Errors
/// When something does not start, or an answer is wrong: the run is void then.
pub(crate) async fn measure(
    plan: Plan,
    answers: &Answers,
    folder: &Path,
    wrk: &Wrk,
    progress: &Progress,
) -> Result<Results> {
    let (mut tokens, key) = Tokens::of_new_key(folder)?;
    let system = System::start_with(&Backing::Memory(key), off(), folder).await?;
    let (strict, beside) = system.start_gateway(ON, on(folder)?, folder).await?;
    let ways = [beside, Way { name: OFF, url: system.graph.clone() }];
    let mut rounds = Rounds::of(ways.iter().map(|way| way.name).collect());
    check(&ways, answers, &mut tokens).await?;
    for round in 0..=plan.rounds {
        let load = Load {
            method: "POST",
            body: query(),
            tokens: tokens.young(&system.graph).await?.1.to_owned(),
            answers: answers.file.clone(),
            ends_only: false,
        };
        let (step, seconds) = plan.round(round, "The query with and without the edge", progress);
        let mut measured = Vec::new();
        for place in rounds.order(round) {
            measured.push((place, wrk.run(&ways[place].url, &load, seconds).await?));
        }
        end_of_round(round, step, measured, &mut rounds);
    }
    check(&ways, answers, &mut tokens).await?;
    strict.stop().await?;
    system.stop().await?;
    Ok(Results { rounds })
}

async fn check(ways: &[Way], answers: &Answers, tokens: &mut Tokens) -> Result<()> {
    let (tokens, _) = tokens.young(&ways[1].url).await?;
    for way in ways {
        answers.check_with(way, tokens, &query()).await?;
    }
    Ok(())
}

/// The measured query under a name, which a trusted document needs.
fn query() -> String {
    QUERY.replacen("{orders", "query Orders{orders", 1)
}

/// All that can be switched off.
fn off() -> Vec<(String, String)> {
    variables(&[
        ("RATE_LIMITS", "off"),
        ("GATEWAY_LIMITS", "measure"),
        ("GATEWAY_PERSISTED_QUERIES", "off"),
        ("GATEWAY_PUBLIC_MAX_AGE", "0"),
    ])
}

/// All of it, as strict as the query and the load allow.
fn on(folder: &Path) -> Result<Vec<(String, String)>> {
    let body: serde_json::Value = serde_json::from_str(&query())?;
    let manifest = json!({
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": [{ "id": "orders", "name": "Orders", "type": "query", "body": body["query"] }],
    });
    let file = folder.join("manifest.json");
    fs::write(&file, manifest.to_string())?;
    let mut variables = variables(&[
        ("RATE_LIMITS", "on"),
        ("RATE_LIMIT_PER_SECOND", "1000000"),
        ("COST_LIMIT_PER_SECOND", "100000000"),
        ("GATEWAY_LIMITS", "enforce"),
        ("GATEWAY_LIMIT_DEPTH", "4"),
        ("GATEWAY_LIMIT_ROOT_FIELDS", "1"),
        ("GATEWAY_LIMIT_ALIASES", "0"),
        ("GATEWAY_LIMIT_DIRECTIVES", "0"),
        ("GATEWAY_BATCH", "10"),
        ("GATEWAY_CORS_ORIGINS", "https://shop.example.com"),
        ("GATEWAY_TRUSTED_DOCUMENTS_MODE", "enforce"),
    ]);
    variables.push(("GATEWAY_TRUSTED_DOCUMENTS".to_owned(), file.display().to_string()));
    Ok(variables)
}

fn variables(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Results {
    /// What must be reached.
    pub(crate) fn target(&self) -> Target {
        Target {
            what: format!("nested query, {ON} / {OFF}"),
            wanted: Wanted::AtLeast(OF_ITSELF),
            measured: self.rounds.ratio(ON, OFF),
        }
    }

    /// Writes the part of the page.
    ///
    /// # Errors
    /// Never: a text takes all that is written.
    pub(crate) fn write(&self, page: &mut String) -> Result<()> {
        writeln!(
            page,
            "\n## What the edge costs\n\n\
             The same query through a gateway with rate limits, all [limits](edge.md#limits) as strict as the query lets them be,\n\
             trusted documents enforced and CORS, beside one with all of that switched off, on services that answer from memory.\n\
             What has no switch is in both; [decisions](decisions.md) tell what that costs.\n\n\
             ![requests per second](performance/pipeline.svg)\n"
        )?;
        rows(page, RATES, rate_rows(&self.rounds).into_iter())
    }
}
