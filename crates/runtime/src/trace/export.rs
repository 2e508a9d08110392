//! Spans on their way to a collector: through the SDK's batches, by OTLP over gRPC.
//!
//! Each service has a batch of its own, since what spans are of stands above a batch: so in a process with several services
//! it can be told whose a span is. Who ends a span never waits: one for which there is no room is lost, and counted.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor},
};
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

/// How many spans of one service wait at most, in its batch and on their way.
const WAITING: usize = 4096;
/// How long the first of a batch waits for others.
const GATHERED: Duration = Duration::from_secs(1);
/// How long the collector may take for a batch.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// How often it is told that spans can't be exported.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Lets the counters be there before anything is counted.
pub(super) fn count_from_nothing() {
    metrics::counter!("trace_spans_exported_total").increment(0);
    for why in ["queue_full", "not_taken"] {
        metrics::counter!("trace_spans_lost_total", "why" => why).increment(0);
    }
}

static TRACER: OnceLock<Tracer> = OnceLock::new();

/// Takes spans. There is one in a process, as there is one recorder of metrics.
#[derive(Debug)]
pub(super) struct Tracer {
    /// The share of the traces that is kept.
    pub(super) ratio: f64,
    channel: Channel,
    instance: Uuid,
    /// When it was last told that spans can't be exported, unless they can again.
    told: Arc<Mutex<Option<Instant>>>,
    services: RwLock<Vec<Arc<Spans>>>,
}

/// The spans of one service.
#[derive(Debug)]
struct Spans {
    service: &'static str,
    waiting: Arc<AtomicUsize>,
    batch: BatchSpanProcessor,
}

impl Tracer {
    /// The one of this process; `None` where nobody collects spans.
    pub(super) fn get() -> Option<&'static Self> {
        TRACER.get()
    }

    /// Starts the one of this process, unless there is one.
    pub(super) fn start(endpoint: &Endpoint, ratio: f64) {
        TRACER.get_or_init(|| Self {
            ratio,
            channel: endpoint.clone().timeout(TAKEN_WITHIN).connect_lazy(),
            instance: Uuid::now_v7(),
            told: Arc::default(),
            services: RwLock::default(),
        });
    }

    pub(super) fn export(&self, service: &'static str, span: SpanData) {
        let Some(spans) = self.of(service) else { return };
        if spans.waiting.fetch_add(1, Ordering::Relaxed) < WAITING {
            spans.batch.on_end(span);
        } else {
            spans.waiting.fetch_sub(1, Ordering::Relaxed);
            metrics::counter!("trace_spans_lost_total", "why" => "queue_full").increment(1);
        }
    }

    /// Exports all that was ended before, or tries to. It blocks.
    pub(super) fn flush(&self) {
        let all = self.services.read().unwrap_or_else(PoisonError::into_inner).clone();
        for spans in all {
            // Whatever it is, the exporter has told of it.
            let _ = spans.batch.force_flush();
        }
    }

    fn of(&self, service: &'static str) -> Option<Arc<Spans>> {
        let find = |all: &[Arc<Spans>]| all.iter().find(|spans| spans.service == service).cloned();
        let found = find(&self.services.read().unwrap_or_else(PoisonError::into_inner));
        found.or_else(|| {
            let mut all = self.services.write().unwrap_or_else(PoisonError::into_inner);
            find(&all).or_else(|| {
                all.push(Arc::new(self.spans(service)?));
                all.last().cloned()
            })
        })
    }

    fn spans(&self, service: &'static str) -> Option<Spans> {
        let otlp = OtlpExporter::builder().with_tonic().with_channel(self.channel.clone()).build();
        let otlp = otlp.inspect_err(|error| tracing::error!(%error, "spans can't be exported")).ok()?;
        let waiting = Arc::<AtomicUsize>::default();
        let exporter = Told { otlp, waiting: waiting.clone(), told: self.told.clone() };
        let config =
            BatchConfigBuilder::default().with_max_queue_size(WAITING).with_scheduled_delay(GATHERED).build();
        let mut batch = BatchSpanProcessor::new(exporter, config);
        batch.set_resource(&resource(service, self.instance));
        Some(Spans { service, waiting, batch })
    }
}

/// What spans are of: a service of this process, beside the attributes that `OTEL_RESOURCE_ATTRIBUTES` names.
fn resource(service: &'static str, instance: Uuid) -> Resource {
    Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.namespace", "portico"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance.to_string()))
        .build()
}

/// An exporter that counts, and that tells the log of a collector that takes nothing now and then.
#[derive(Debug)]
struct Told {
    otlp: OtlpExporter,
    waiting: Arc<AtomicUsize>,
    told: Arc<Mutex<Option<Instant>>>,
}

impl SpanExporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let outcome = self.otlp.export(batch).await;
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &outcome {
            Ok(()) => {
                metrics::counter!("trace_spans_exported_total").increment(count as u64);
                if told.take().is_some() {
                    tracing::info!("spans are exported again");
                }
            }
            Err(error) => {
                metrics::counter!("trace_spans_lost_total", "why" => "not_taken").increment(count as u64);
                if told.is_none_or(|told| told.elapsed() > TOLD_EVERY) {
                    *told = Some(Instant::now());
                    tracing::warn!(%error, "spans can't be exported, and are lost until they can");
                }
            }
        }
        outcome
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
