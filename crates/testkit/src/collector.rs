//! A collector of spans, as a store of traces has it: what real processes export to it by OTLP, a test looks at.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, async_trait, transport::server::TcpIncoming};

use crate::until;

/// A span that was exported.
#[derive(Clone, Debug)]
pub struct Collected {
    /// `service.name` of what it is of.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its kind: `Server`.
    pub kind: String,
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Its own id, in hexadecimal.
    pub id: String,
    /// That of the span to which it belongs, in hexadecimal; empty for the first of a trace.
    pub parent: String,
    /// What it says of itself; numbers and the like as text.
    pub attributes: BTreeMap<String, String>,
    /// The spans that it names beside its parent.
    pub links: Vec<String>,
    /// Whether it is one of a failure.
    pub failed: bool,
    /// When it began and ended, in nanoseconds since 1970.
    pub times: (u64, u64),
}

/// The collector. Clones are the same.
#[derive(Clone, Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Collected>>>,
}

impl Collector {
    /// Starts one on a free port, which runs until the process ends.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self { address: listener.local_addr().unwrap(), spans: Arc::default() };
        let server =
            tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        collector
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that came until now.
    pub fn spans(&self) -> Vec<Collected> {
        self.spans.lock().unwrap().clone()
    }

    /// Those of one trace.
    pub fn trace(&self, id: &str) -> Vec<Collected> {
        self.spans().into_iter().filter(|span| span.trace == id).collect()
    }

    /// Waits until the trace has a span like this.
    pub async fn until(&self, trace: &str, what: &str, like: impl Fn(&Collected) -> bool) -> Collected {
        until(what, async || self.trace(trace).iter().any(&like)).await;
        self.trace(trace).into_iter().find(like).unwrap()
    }
}

#[async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.spans.lock().unwrap();
        for of in request.into_inner().resource_spans {
            let resource = attributes(of.resource.unwrap_or_default().attributes);
            let service = resource.get("service.name").cloned().unwrap_or_default();
            let all = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(all.map(|span| collected(service.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn collected(service: String, span: Span) -> Collected {
    let failed = span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error);
    let kind = match span.kind() {
        SpanKind::Server => "Server",
        SpanKind::Client => "Client",
        SpanKind::Producer => "Producer",
        SpanKind::Consumer => "Consumer",
        SpanKind::Internal => "Internal",
        SpanKind::Unspecified => "Unspecified",
    };
    Collected {
        service,
        kind: kind.to_owned(),
        trace: hexadecimal(&span.trace_id),
        id: hexadecimal(&span.span_id),
        parent: hexadecimal(&span.parent_span_id),
        links: span.links.iter().map(|link| hexadecimal(&link.span_id)).collect(),
        failed,
        times: (span.start_time_unix_nano, span.end_time_unix_nano),
        attributes: attributes(span.attributes),
        name: span.name,
    }
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: KeyValue| {
        let value = match attribute.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            Some(Value::BoolValue(is)) => is.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key, value)
    };
    all.into_iter().map(text).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
