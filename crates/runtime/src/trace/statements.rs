//! The spans of SQL statements, out of what sqlx itself tells of each: its event `sqlx::query`, when a statement is over.
//!
//! Statements are asked for in sampled traces alone. sqlx does not tell whether one failed: the span around it does. Their
//! text is what stands in our code. It holds no values: those are parameters, and are not told.

use std::{
    fmt,
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{Layer, filter::dynamic_filter_fn, layer::Context, registry::LookupSpan};

use super::{
    current::Current,
    export::Tracer,
    span::{self, Span, SpanKind},
};

/// The target of the event.
const TARGET: &str = "sqlx::query";

/// The layer that makes spans of statements.
pub(crate) fn statements<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let interest = |metadata: &'static Metadata<'static>| match metadata.target() {
        TARGET => Interest::sometimes(),
        _ => Interest::never(),
    };
    let wanted = |metadata: &Metadata<'_>, _: &Context<'_, S>| {
        metadata.target() == TARGET
            && Tracer::get().is_some()
            && Current::look(|current| current.context.sampled).unwrap_or(false)
    };
    // Slow ones come as warnings.
    let filter = dynamic_filter_fn(wanted)
        .with_callsite_filter(interest)
        .with_max_level_hint(LevelFilter::from_level(Level::DEBUG));
    Statements.with_filter(filter)
}

struct Statements;

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        let began = Instant::now().checked_sub(told.elapsed).unwrap_or_else(Instant::now);
        let Told { summary, statement, rows, .. } = told;
        let text = if statement.is_empty() { summary } else { statement };
        let outline = outline(&text);
        let operation = outline.split(' ').next().unwrap_or_default().to_owned();
        let mut span = Span::part(SpanKind::Client, outline.clone());
        if let Some(span) = &mut span {
            span.set("db.system.name", "postgresql");
            span.set("db.operation.name", operation);
            span.set("db.query.summary", outline);
            span.set("db.query.text", text);
            span.set("db.response.returned_rows", rows);
        }
        span::tell(span, began);
    }
}

/// What sqlx tells of a statement.
#[derive(Default)]
struct Told {
    /// The first words of a long statement, or all of a short one.
    summary: String,
    /// A long statement.
    statement: String,
    rows: i64,
    elapsed: Duration,
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => self.statement = value.trim().to_owned(),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = i64::try_from(value).unwrap_or(i64::MAX);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.elapsed = Duration::try_from_secs_f64(value).unwrap_or_default();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// How many operations of a statement are named.
const NAMED: usize = 3;

/// What a statement does to which tables (`INSERT outbox INSERT orders`), as `db.query.summary` has it.
fn outline(sql: &str) -> String {
    let mut words = sql
        .split(|c: char| c.is_whitespace() || ",();".contains(c))
        .filter(|word| !word.is_empty())
        .peekable();
    let mut parts: Vec<String> = Vec::new();
    while let Some(word) = words.next() {
        if parts.len() == NAMED {
            break;
        }
        let part = match word {
            "INSERT" | "DELETE" => words.nth(1).map(|table| format!("{word} {table}")),
            "UPDATE" if words.peek().is_some_and(|next| *next != "SET" && *next != "OF") => {
                words.next().map(|table| format!("UPDATE {table}"))
            }
            "FROM" => words.next().filter(|table| *table != "SELECT").map(|table| format!("SELECT {table}")),
            _ => None,
        };
        parts.extend(part.filter(|part| !parts.contains(part)));
    }
    if parts.is_empty() { sql.split_whitespace().next().unwrap_or("SQL").to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_called_by_what_it_does_to_which_tables() {
        let cases = [
            ("BEGIN", "BEGIN"),
            ("", "SQL"),
            ("SELECT id, total\n FROM orders\n WHERE id = $1 FOR UPDATE", "SELECT orders"),
            ("INSERT INTO outbox (id) VALUES ($1)", "INSERT outbox"),
            (
                "WITH event AS (INSERT INTO outbox (id) VALUES ($1)), o AS (INSERT INTO orders (id) VALUES ($2)) SELECT 1",
                "INSERT outbox INSERT orders",
            ),
            ("UPDATE orders SET status = $1 FROM UNNEST($2)", "UPDATE orders SELECT UNNEST"),
            ("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox)", "DELETE outbox SELECT outbox"),
            ("INSERT INTO a (b) VALUES ($1) ON CONFLICT DO UPDATE SET b = 1", "INSERT a"),
            ("SELECT count(*) FROM (SELECT FROM users) AS u", "SELECT users"),
        ];
        for (sql, expected) in cases {
            assert_eq!(outline(sql), expected, "{sql}");
        }
    }
}
