//! Spans: what was done, for how long, on whose behalf, and whether it failed.
//!
//! A span of ours is not one of `tracing`, and is no span of the SDK's before it ends: until then nobody knows whether
//! it is worth anything. One that is not sampled and does not fail costs two looks at the clock and a list of numbers and
//! static texts, and goes nowhere. Names and attributes are OpenTelemetry's
//! (<https://opentelemetry.io/docs/specs/semconv/>).

use std::{
    borrow::Cow,
    future::Future,
    time::{Instant, SystemTime},
};

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{Link, SpanContext, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanLinks};
use uuid::Uuid;

use super::{
    TraceContext,
    context::state,
    current::{Current, is_request_id},
    export::Tracer,
};
use crate::grpc::REQUEST_ID;

pub use opentelemetry::trace::SpanKind;

/// Something that is being done. It ends when it is dropped; one that was not [ended](Self::end) then was cancelled.
#[derive(Debug)]
pub struct Span {
    current: Current,
    recorded: Option<Recorded>,
}

/// What is told of a span. There is none where nobody collects spans.
#[derive(Debug)]
struct Recorded {
    tracer: &'static Tracer,
    parent: u64,
    parent_is_remote: bool,
    kind: SpanKind,
    began: Instant,
    attributes: Vec<KeyValue>,
    links: Vec<Link>,
    fault: Option<Cow<'static, str>>,
    ended: bool,
}

/// How many attributes have room before more is taken.
const ATTRIBUTES: usize = 8;

impl Span {
    /// What `service` does for a stranger who sent these headers: in their trace, if they name one, and at our own choice
    /// of what is kept. Else the request's id is that of the trace, where it can be.
    pub fn of_stranger(service: &'static str, headers: &HeaderMap, request_id: HeaderValue) -> Self {
        let parent = TraceContext::of(headers);
        let trace_id = parent
            .map(|parent| parent.trace_id)
            .or_else(|| trace_id_of(&request_id))
            .unwrap_or_else(random_trace_id);
        let state = parent.and_then(|_| state(headers));
        let place = Place { service, name: Cow::Borrowed("HTTP"), state, request_id: Some(request_id) };
        let parent = parent.map_or(0, |parent| parent.span_id);
        Self::begin(place, SpanKind::Server, Beginning { trace_id, parent, sampled: choose(), remote: true })
    }

    /// What `service` does for another process of ours that sent these headers.
    pub fn of_ours(service: &'static str, headers: &HeaderMap, name: impl Into<Cow<'static, str>>) -> Self {
        let request_id = headers.get(REQUEST_ID).filter(|id| is_request_id(id)).cloned();
        let place = Place { service, name: name.into(), state: state(headers), request_id };
        Self::begin(place, SpanKind::Server, Beginning::after(TraceContext::of(headers)))
    }

    /// What `service` does because of something that was done before, and that left this context behind.
    pub fn following(
        service: &'static str,
        kind: SpanKind,
        name: impl Into<Cow<'static, str>>,
        parent: Option<TraceContext>,
    ) -> Self {
        let place = Place { service, name: name.into(), state: None, request_id: None };
        Self::begin(place, kind, Beginning::after(parent))
    }

    /// A part of what the caller does. `None` outside any trace.
    pub fn part(kind: SpanKind, name: impl Into<Cow<'static, str>>) -> Option<Self> {
        let Current { service, context, state, request_id, .. } = Current::here()?;
        let place = Place { service, name: name.into(), state, request_id };
        Some(Self::begin(place, kind, Beginning { remote: false, ..Beginning::after(Some(context)) }))
    }

    fn begin(place: Place, kind: SpanKind, beginning: Beginning) -> Self {
        let Place { service, name, state, request_id } = place;
        let Beginning { trace_id, parent, sampled, remote } = beginning;
        let recorded = Tracer::get().map(|tracer| Recorded {
            tracer,
            parent,
            parent_is_remote: remote && parent != 0,
            kind,
            began: Instant::now(),
            attributes: Vec::with_capacity(ATTRIBUTES),
            links: Vec::new(),
            fault: None,
            ended: false,
        });
        // Where nobody collects spans, what comes after is told the span that came before.
        let span_id = if recorded.is_some() || parent == 0 { random_span_id() } else { parent };
        let context = TraceContext { trace_id, span_id, sampled };
        Self { current: Current { service, name, context, state, request_id }, recorded }
    }

    /// The same on behalf of the request with this id, for the log.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        self.current.request_id = HeaderValue::from_str(id).ok().filter(is_request_id);
        self
    }

    /// What others are told who do a part of this.
    pub fn context(&self) -> TraceContext {
        self.current.context
    }

    /// The `tracestate` that goes with it.
    pub fn state(&self) -> Option<&HeaderValue> {
        self.current.state.as_ref()
    }

    /// Gives it another name, once it is known what is being done.
    pub fn rename(&mut self, name: impl Into<Cow<'static, str>>) {
        self.current.name = name.into();
    }

    /// Whether it is worth finding out what only [`set`](Self::set) would take.
    pub fn is_recorded(&self) -> bool {
        self.recorded.is_some()
    }

    /// Says something about it. Nothing secret, and nothing personal.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(recorded) = &mut self.recorded {
            recorded.attributes.push(KeyValue::new(name, value));
        }
    }

    /// Says that another span is of interest, of this trace or of another.
    pub fn link(&mut self, other: TraceContext) {
        if let Some(recorded) = &mut self.recorded {
            recorded.links.push(Link::with_context(exported(other)));
        }
    }

    /// Says that it failed, by a fault of this system; a refusal is an answer. It is exported then, whatever was chosen.
    /// `error` is of a bounded set of names.
    pub fn fail(&mut self, error: impl Into<Cow<'static, str>>) {
        if let Some(recorded) = &mut self.recorded {
            recorded.fault = Some(error.into());
        }
    }

    /// Ends it.
    pub fn end(mut self) {
        if let Some(recorded) = &mut self.recorded {
            recorded.ended = true;
        }
    }

    /// Does `work` inside it: what it logs, calls and says belongs to this span.
    pub fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        self.current.clone().scope(work)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(recorded) = self.recorded.take() else { return };
        if self.current.context.sampled || recorded.fault.is_some() {
            let tracer = recorded.tracer;
            tracer.export(self.current.service, recorded.told(&self.current));
        }
    }
}

impl Recorded {
    fn told(mut self, current: &Current) -> SpanData {
        let end_time = SystemTime::now();
        if let Some(fault) = &self.fault {
            self.attributes.push(KeyValue::new("error.type", fault.clone()));
        }
        if !self.ended {
            self.attributes.push(KeyValue::new("portico.cancelled", true));
        }
        let mut links = SpanLinks::default();
        links.links = self.links;
        SpanData {
            span_context: exported(current.context),
            parent_span_id: SpanId::from(self.parent),
            parent_span_is_remote: self.parent_is_remote,
            span_kind: self.kind,
            name: current.name.clone(),
            start_time: end_time.checked_sub(self.began.elapsed()).unwrap_or(end_time),
            end_time,
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: Default::default(),
            links,
            status: if self.fault.is_some() { Status::error("") } else { Status::Unset },
            instrumentation_scope: InstrumentationScope::builder("portico").build(),
        }
    }
}

/// Who does what.
struct Place {
    service: &'static str,
    name: Cow<'static, str>,
    state: Option<HeaderValue>,
    request_id: Option<HeaderValue>,
}

/// After what.
struct Beginning {
    trace_id: u128,
    /// 0 where it is the first of its trace.
    parent: u64,
    sampled: bool,
    remote: bool,
}

impl Beginning {
    /// Another process of ours has chosen whether the trace is kept; where there is none, we do.
    fn after(parent: Option<TraceContext>) -> Self {
        match parent {
            Some(TraceContext { trace_id, span_id, sampled }) => {
                Self { trace_id, parent: span_id, sampled, remote: true }
            }
            None => Self { trace_id: random_trace_id(), parent: 0, sampled: choose(), remote: false },
        }
    }
}

/// A new trace that is not kept, for what is done over and over on nobody's behalf. What fails in it is.
pub fn unsampled() -> TraceContext {
    TraceContext { trace_id: random_trace_id(), span_id: random_span_id(), sampled: false }
}

/// A span that is over as soon as it is known, because somebody else has taken its time.
pub(super) fn tell(span: Option<Span>, began: Instant) {
    if let Some(mut span) = span {
        if let Some(recorded) = &mut span.recorded {
            recorded.began = began;
        }
        span.end();
    }
}

/// Chance, and nothing that the trace's id says: whoever sends it could force us else.
fn choose() -> bool {
    Tracer::get().is_some_and(|tracer| tracer.ratio >= 1.0 || rand::random::<f64>() < tracer.ratio)
}

/// The trace of a request whose id is one of nginx's or a UUID: so whoever has the id of a request finds its trace.
fn trace_id_of(request_id: &HeaderValue) -> Option<u128> {
    let id = Uuid::try_parse_ascii(request_id.as_bytes()).ok()?;
    (!id.is_nil()).then(|| id.as_u128())
}

fn random_trace_id() -> u128 {
    rand::random_range(1..=u128::MAX)
}

fn random_span_id() -> u64 {
    rand::random_range(1..=u64::MAX)
}

/// An exported span says that it was sampled, or no store would take it.
fn exported(TraceContext { trace_id, span_id, .. }: TraceContext) -> SpanContext {
    let (trace_id, span_id) = (TraceId::from(trace_id), SpanId::from(span_id));
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::default())
}
