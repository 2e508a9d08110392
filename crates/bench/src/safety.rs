//! The part about what it costs to be watched, and what a service that is stuck costs those who do not need it.
//!
//! All on services that answer from memory, so that what the gateway does weighs most.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use portico::progress::Progress;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::transport::server::TcpIncoming;

use crate::{
    checks::Answers,
    client::Client,
    dataset::QUERY,
    report::{RATES, Target, Wanted, rate_rows, rows},
    rounds::{Rounds, median},
    run::{Plan, end_of_round},
    system::{Backing, System, Way},
    tokens::Tokens,
    wrk::{Load, Wrk},
};

/// Nothing is exported.
const UNTRACED: &str = "no traces";
/// Traces are exported where one is kept, which none is.
const UNSAMPLED: &str = "none kept";
/// Every request is.
const TRACED: &str = "every request traced";
/// What the gateway must reach of itself without traces.
const OF_UNTRACED: [(&str, f64); 2] = [(UNSAMPLED, 0.95), (TRACED, 0.85)];

/// All services answer.
const WELL: &str = "all well";
/// One does not answer at all.
const STUCK: &str = "payments stuck";
/// What 99 of 100 answers of the others may take then, beside what they take else.
const OF_WELL: f64 = 1.2;
/// What asks all but the service that is stuck.
const OTHERS: &str = r#"{"query":"{orders(limit:10){data{id status totalAmount user{id email fullName}}}}"}"#;
/// How its answer begins and ends.
const OTHERS_ARE: [&str; 2] = [r#"{"data":{"orders":{"data":[{"id":""#, "}]}}}"];
/// What asks that one alone.
const PAYMENTS: &str = r#"{"query":"{myPayments{data{id}}}"}"#;
/// How often somebody asks it meanwhile.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a refusal by an open breaker may take, in milliseconds.
const REFUSED_WITHIN: f64 = 1.0;
/// How many refusals are timed, and in a quick run.
const REFUSALS: (usize, usize) = (5_000, 500);

/// What the part came to.
pub(crate) struct Results {
    /// The nested query with and without traces.
    pub(crate) traced: Rounds,
    /// The query of the others with all well, and with one service stuck.
    pub(crate) others: Rounds,
    /// Half and 99 of 100 refusals by the open breaker came within that, in milliseconds.
    refused: [f64; 2],
}

/// Measures it.
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
    let system = System::start_with(&Backing::Memory(key), settings(&[]), folder).await?;
    let traced = Box::pin(measure_traced(plan, &system, answers, &mut tokens, folder, wrk, progress)).await?;
    let nobody = Stuck::listen().await?;
    let (process, stuck) = system.start_gateway(STUCK, nobody.settings(), folder).await?;
    let refused = refusals(&stuck, &mut tokens, plan, progress).await?;
    let ways = [Way { name: WELL, url: system.graph.clone() }, stuck];
    let others = Box::pin(measure_others(plan, &ways, &mut tokens, folder, wrk, progress)).await?;
    process.stop().await?;
    system.stop().await?;
    Ok(Results { traced, others, refused })
}

async fn measure_traced(
    plan: Plan,
    system: &System,
    answers: &Answers,
    tokens: &mut Tokens,
    folder: &Path,
    wrk: &Wrk,
    progress: &Progress,
) -> Result<Rounds> {
    let store = Store::listen().await?;
    let (one, unsampled) = system.start_gateway(UNSAMPLED, store.settings("0"), folder).await?;
    let (other, traced) = system.start_gateway(TRACED, store.settings("1"), folder).await?;
    let ways = [Way { name: UNTRACED, url: system.graph.clone() }, unsampled, traced];
    let mut rounds = Rounds::of(ways.iter().map(|way| way.name).collect());
    check(&ways, answers, tokens).await?;
    for round in 0..=plan.rounds {
        let load = load(QUERY, answers.file.clone(), false, &system.graph, tokens).await?;
        let (step, seconds) = plan.round(round, "The query with and without traces", progress);
        let mut measured = Vec::new();
        for place in rounds.order(round) {
            measured.push((place, wrk.run(&ways[place].url, &load, seconds).await?));
        }
        end_of_round(round, step, measured, &mut rounds);
    }
    check(&ways, answers, tokens).await?;
    one.stop().await?;
    other.stop().await?;
    ensure!(store.took_some(), "no trace was exported, so the run is void");
    Ok(rounds)
}

async fn measure_others(
    plan: Plan,
    ways: &[Way],
    tokens: &mut Tokens,
    folder: &Path,
    wrk: &Wrk,
    progress: &Progress,
) -> Result<Rounds> {
    let ends = folder.join("others");
    fs::write(&ends, OTHERS_ARE.join("\n"))?;
    let mut rounds = Rounds::of(ways.iter().map(|way| way.name).collect());
    for round in 0..=plan.rounds {
        let load = load(OTHERS, ends.clone(), true, &ways[0].url, tokens).await?;
        let token = tokens.young(&ways[0].url).await?.0[0].clone();
        let (step, seconds) = plan.round(round, "Another query with a service stuck", progress);
        let mut measured = Vec::new();
        for place in rounds.order(round) {
            let mut asking = JoinSet::new();
            asking.spawn(ask_for_payments(ways[place].url.clone(), token.clone()));
            let way = wrk.run(&ways[place].url, &load, seconds).await?;
            ensure!(asking.try_join_next().is_none(), "nobody asked for payments meanwhile: the run is void");
            measured.push((place, way));
        }
        end_of_round(round, step, measured, &mut rounds);
    }
    Ok(rounds)
}

/// Asks for payments again and again, whatever comes of it.
async fn ask_for_payments(url: String, token: String) -> Result<()> {
    let mut client = Client::connect(&url).await?;
    loop {
        client.post(Some(&token), Bytes::from_static(PAYMENTS.as_bytes())).await?;
        sleep(PAUSE).await;
    }
}

/// Lets the breaker open, and times what it refuses.
async fn refusals(way: &Way, tokens: &mut Tokens, plan: Plan, progress: &Progress) -> Result<[f64; 2]> {
    let step = progress.step("Waiting until the breaker of a service that is stuck opens");
    let token = tokens.young(&way.url).await?.0[0].clone();
    let mut first = JoinSet::new();
    for _ in 0..40 {
        let (url, token) = (way.url.clone(), token.clone());
        first.spawn(async move { ask(&mut Client::connect(&url).await?, &token).await });
    }
    while let Some(asked) = first.join_next().await {
        asked??;
    }
    let mut client = Client::connect(&way.url).await?;
    let reason = ask(&mut client, &token).await?;
    ensure!(reason == "CIRCUIT_OPEN", "the breaker is not open: {reason}");
    let times = if plan.rounds < 5 { REFUSALS.1 } else { REFUSALS.0 };
    let mut taken = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        let reason = ask(&mut client, &token).await?;
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure!(reason == "CIRCUIT_OPEN", "the breaker closed: {reason}");
    }
    step.done("refused");
    taken.sort_by(f64::total_cmp);
    Ok([taken[times / 2], taken[times * 99 / 100]])
}

/// Asks for payments; gives the reason why there are none.
async fn ask(client: &mut Client, token: &str) -> Result<String> {
    let answer = client.post(Some(token), Bytes::from_static(PAYMENTS.as_bytes())).await?;
    let told: Value = serde_json::from_slice(&answer.body)?;
    let reason = told["errors"][0]["extensions"]["reason"].as_str();
    Ok(reason.with_context(|| format!("{told} is no refusal"))?.to_owned())
}

async fn check(ways: &[Way], answers: &Answers, tokens: &mut Tokens) -> Result<()> {
    let (tokens, _) = tokens.young(&ways[0].url).await?;
    for way in ways {
        answers.check(way, tokens).await?;
    }
    Ok(())
}

async fn load(body: &str, answers: PathBuf, ends_only: bool, url: &str, tokens: &mut Tokens) -> Result<Load> {
    let tokens = tokens.young(url).await?.1.to_owned();
    Ok(Load { method: "POST", body: body.to_owned(), tokens, answers, ends_only })
}

/// A gateway's, with these.
fn settings(more: &[(&str, String)]) -> Vec<(String, String)> {
    let mut all = vec![("RATE_LIMITS".to_owned(), "off".to_owned())];
    all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    all
}

/// Takes spans, and forgets them.
struct Store {
    address: SocketAddr,
    took: Arc<AtomicBool>,
}

struct Forgetful(Arc<AtomicBool>);

#[tonic::async_trait]
impl TraceService for Forgetful {
    async fn export(
        &self,
        _: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.store(true, Ordering::Relaxed);
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Store {
    async fn listen() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let store = Self { address: listener.local_addr()?, took: Arc::default() };
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(Forgetful(store.took.clone())));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        Ok(store)
    }

    fn settings(&self, ratio: &str) -> Vec<(String, String)> {
        settings(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address)),
            ("OTEL_TRACES_SAMPLER_ARG", ratio.to_owned()),
        ])
    }

    fn took_some(&self) -> bool {
        self.took.load(Ordering::Relaxed)
    }
}

/// Where a service should be: connections are taken, and nothing is ever answered.
struct Stuck(SocketAddr);

impl Stuck {
    async fn listen() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                taken.push(connection);
            }
        });
        Ok(Self(address))
    }

    /// Of a gateway that looks for payments there, and whose breaker stays open for the whole run.
    fn settings(&self) -> Vec<(String, String)> {
        settings(&[
            ("PAYMENT_GRPC_URL", format!("http://{}", self.0)),
            ("CIRCUIT_BREAKER_TIMEOUT", "3600".to_owned()),
        ])
    }
}

impl Results {
    /// What must be reached.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let mut targets: Vec<_> = OF_UNTRACED
            .iter()
            .map(|&(way, wanted)| Target {
                what: format!("nested query, {way} / {UNTRACED}"),
                wanted: Wanted::AtLeast(wanted),
                measured: self.traced.ratio(way, UNTRACED),
            })
            .collect();
        targets.push(Target {
            what: "what an open breaker refuses, 99 % within".to_owned(),
            wanted: Wanted::AtMost(REFUSED_WITHIN, "ms"),
            measured: self.refused[1],
        });
        targets.push(Target {
            what: format!("99 % of another query, {STUCK} / {WELL}"),
            wanted: Wanted::AtMost(OF_WELL, "times"),
            measured: self.slower(),
        });
        targets
    }

    /// The median over the rounds of what the others' answers take with one service stuck, for what they take else.
    fn slower(&self) -> f64 {
        let ways: Vec<_> = self.others.ways().map(|(_, measured)| measured).collect();
        let pairs = ways[1].iter().zip(ways[0]);
        median(pairs.map(|(stuck, well)| stuck.p99.as_secs_f64() / well.p99.as_secs_f64()).collect())
    }

    /// Writes the part of the page.
    ///
    /// # Errors
    /// Never: a text takes all that is written.
    pub(crate) fn write(&self, page: &mut String) -> Result<()> {
        writeln!(
            page,
            "\n## What watching costs, and what a service that is stuck costs the others\n\n\
             The nested query through a gateway that exports no traces, one that exports to a store on this machine but keeps none\n\
             (`OTEL_TRACES_SAMPLER_ARG=0`), and one that exports every request; on services that answer from memory.\n\n\
             ![requests per second](performance/traced.svg)\n"
        )?;
        rows(page, RATES, rate_rows(&self.traced).into_iter())?;
        let [half, most] = self.refused;
        writeln!(
            page,
            "\nThen one of two gateways finds a payment service that takes connections and never answers. Its breaker opens after\n\
             20 calls; what is asked of it from then on is refused, half within {half:.2} ms and 99 % within {most:.2} ms, as a client sees\n\
             it. Meanwhile a query that needs no payments, while somebody asks for payments 100 times a second:\n\n\
             ![requests per second](performance/others.svg)\n"
        )?;
        rows(page, RATES, rate_rows(&self.others).into_iter())
    }
}
