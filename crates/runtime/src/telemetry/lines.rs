//! Log lines that say of which request and of which trace they are.

use std::fmt::Result;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Json, Writer},
    },
    registry::LookupSpan,
};

use crate::trace::{self, place};

/// Lines for people, with the ids at their end.
pub(super) struct Human(Format<Full>);

impl Human {
    pub(super) fn new(coloured: bool) -> Self {
        Self(Format::default().with_ansi(coloured))
    }
}

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let Some(place) = place() else { return writer.write_str(&line) };
        write!(writer, "{} span={}", line.trim_end(), place.name)?;
        write!(writer, " trace_id={:032x}", place.context.trace_id)?;
        if let Some(id) = place.request_id() {
            write!(writer, " request_id={id}")?;
        }
        writeln!(writer)
    }
}

/// Lines for programs: an object of JSON each.
pub(super) struct Objects(Format<Json>);

impl Objects {
    pub(super) fn new() -> Self {
        Self(Format::default().json().flatten_event(true).with_current_span(false).with_span_list(false))
    }
}

impl<S, N> FormatEvent<S, N> for Objects
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let object = line.trim_end().strip_suffix('}');
        let (Some(place), Some(object)) = (place(), object) else { return writer.write_str(&line) };
        // A name is that of a method or a route, a request's id is of letters and digits: neither needs an escape.
        write!(writer, r#"{object},"span":"{}","trace_id":"{:032x}""#, place.name, place.context.trace_id)?;
        if let Some(id) = place.request_id() {
            write!(writer, r#","request_id":"{id}""#)?;
        }
        writeln!(writer, "}}")
    }
}

impl trace::Place {
    fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref()?.to_str().ok()
    }
}
