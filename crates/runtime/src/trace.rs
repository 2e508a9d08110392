//! Traces: what was done on behalf of a request, in all processes, in one picture.
//!
//! - The context travels whether anybody collects spans or not: from the client's `traceparent` through each call, into the
//!   row of the outbox, the message, and what its consumer does. Log lines carry its id.
//! - Spans are exported by OTLP where there is an endpoint, of a share of the requests; those that failed by a fault of
//!   ours always are. The process that meets the client chooses, by chance: a stranger's flag neither forces nor forbids.
//! - Nothing waits for the collector. One that is away costs a metric, and a log line now and then.

mod context;
mod current;
mod export;
pub(crate) mod rpc;
mod span;
mod statements;

use std::{str::FromStr, time::Duration};

use clap::Args;
use tonic::transport::{ClientTlsConfig, Endpoint};

use self::export::Tracer;

pub use context::{TRACEPARENT, TRACESTATE, TraceContext};
pub(crate) use current::{Place, place};
pub use current::{carried, current, is_request_id, within};
pub use span::{Span, SpanKind, unsampled};
pub(crate) use statements::statements;

/// How long the end of a process waits until the last spans are exported.
const LAST: Duration = Duration::from_secs(2);

/// The settings of traces.
#[derive(Args, Clone, Debug, Default)]
pub struct TraceConfig {
    /// Where spans are exported to by OTLP over gRPC, such as `http://localhost:4317`; none are where it is empty.
    #[arg(
        long = "otlp-endpoint",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        default_value = ""
    )]
    pub collector: Collector,
    /// The share of the requests whose spans are exported, from 0 to 1. Spans with errors always are.
    #[arg(long = "traces-sampler-arg", env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO", default_value = "1", value_parser = ratio)]
    pub ratio: f64,
}

/// Where spans are exported to, if anywhere.
#[derive(Clone, Debug, Default)]
pub struct Collector(Option<Endpoint>);

impl FromStr for Collector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let endpoint = Endpoint::from_shared(text.to_owned()).map_err(|_| "is no URL".to_owned())?;
        let endpoint = match endpoint.uri().scheme_str() {
            Some("http") => endpoint,
            Some("https") => {
                let tls = ClientTlsConfig::new().with_enabled_roots();
                endpoint.tls_config(tls).map_err(|error| format!("can't be reached by TLS: {error}"))?
            }
            _ => return Err("must begin with http:// or https://".to_owned()),
        };
        Ok(Self(Some(endpoint)))
    }
}

impl TraceConfig {
    /// Whether spans are exported.
    pub fn exports(&self) -> bool {
        self.collector.0.is_some()
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

/// Starts to collect and to export spans, where there is an endpoint. To be called in the runtime that does it; a second
/// call changes nothing.
pub fn start(config: &TraceConfig) {
    export::count_from_nothing();
    if let Some(endpoint) = &config.collector.0 {
        Tracer::start(endpoint, config.ratio);
    }
}

/// Exports what was collected until now, within two seconds. To be called when everything else has ended.
pub async fn flush() {
    if let Some(tracer) = Tracer::get() {
        // What does not get there in time is lost, as it is while the collector is away.
        let _ = tokio::time::timeout(LAST, tokio::task::spawn_blocking(|| tracer.flush())).await;
    }
}
