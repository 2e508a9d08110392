//! The contract with subscribers: what was ever promised of each event, one line for each promise, so that a change is
//! seen in a review. Lines are added, and none is ever changed or taken away.
//!
//! A subscriber breaks when an event or a field goes away or gets another name, becomes something else, is no longer
//! always sent, or loses a word that it could be. Nobody breaks by what is added: an event, a field, a word.

mod promises;

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::str::FromStr;

use anyhow::{Context, Error, Result};

use super::shape::Event;

/// What is promised of all events, by event and by what of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract(BTreeMap<Item, String>);

/// An event (or the envelope), and what of it: `total.minorUnits`, `items[].productId`, `to=ORDER_STATUS_PENDING`, or a
/// word in brackets for what is no field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    event: String,
    what: String,
}

/// What would break a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// The event is gone, or has another name.
    EventGone(String),
    /// A field is gone, or has another name.
    FieldGone(String, String),
    /// A field no longer is one of its words.
    WordGone(String, String),
    /// Something became something else.
    Changed {
        /// The event.
        event: String,
        /// What of it.
        what: String,
        /// What was promised.
        was: String,
        /// What it would be.
        is: String,
    },
}

const EVENT: &str = "(type)";
const ALWAYS: &str = "always";
const HEADER: &str = "\
# What subscribers can rely on, a line for each promise: the event, what of it, and what it is.
# `make events-catalogue` adds lines. It changes none and takes none away: somebody relies on it.
";

impl Contract {
    /// What these events promise.
    pub fn of(events: &[Event]) -> Self {
        Self(promises::of(events).map(|(event, what, promise)| (Item { event, what }, promise)).collect())
    }

    /// What of this contract does not hold in `now`.
    pub fn broken_by(&self, now: &Self) -> Vec<Break> {
        let gone =
            |event: &str| !now.0.contains_key(&Item { event: event.to_owned(), what: EVENT.to_owned() });
        let broken = self.0.iter().filter_map(|(item, was)| {
            let Item { event, what } = item.clone();
            match now.0.get(item) {
                // Once for the whole event.
                None if gone(&event) => (what == EVENT).then_some(Break::EventGone(event)),
                None if what.contains('=') => Some(Break::WordGone(event, what)),
                None => Some(Break::FieldGone(event, what)),
                Some(is) if keeps(was, is) => None,
                Some(is) => Some(Break::Changed { event, what, was: was.clone(), is: is.clone() }),
            }
        });
        broken.collect()
    }
}

/// Whether one who relies on `was` can live with `is`: the same, or the same and always sent, or text of a format.
fn keeps(was: &str, is: &str) -> bool {
    let ((was_kind, was_sent), (kind, sent)) = (split(was), split(is));
    let same_kind = kind == was_kind || (was_kind == "text" && kind.starts_with("text:"));
    same_kind && (sent == was_sent || sent == ALWAYS)
}

/// `text:uuid` and `always`.
fn split(promise: &str) -> (&str, &str) {
    promise.split_once(' ').unwrap_or((promise, ""))
}

/// What to say to whoever made the change.
pub fn advice(breaks: &[Break]) -> String {
    let lines: String = breaks.iter().map(|broken| format!("\n  - {broken}")).collect();
    format!(
        "this breaks those who subscribe to events:{lines}\n\
         Leave what was promised as it is, and add beside it. Where that can't be done, declare a message of its own, with an \
         event of its own such as order.created_v2, and send both until nobody needs the old one (docs/events.md, \"What \
         may change\"). Only while nobody can have subscribed yet: portico events catalogue --allow-breaking"
    )
}

impl Display for Break {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EventGone(event) => write!(f, "{event} is gone or has another name"),
            Self::FieldGone(event, field) => write!(f, "{event}: {field} is gone or has another name"),
            Self::WordGone(event, what) => {
                let (field, word) = what.split_once('=').unwrap_or((what, ""));
                write!(f, "{event}: {field} can no longer be {word}")
            }
            Self::Changed { event, what, was, is } => {
                write!(f, "{event}: {what} was {was}, and would be {is}")
            }
        }
    }
}

impl Display for Contract {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(HEADER)?;
        let mut before = "";
        for (Item { event, what }, promise) in &self.0 {
            if event != before {
                writeln!(f)?;
            }
            before = event;
            let line = format!("{event:20}  {what:30}  {promise}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl FromStr for Contract {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let promise = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            let (event, what) =
                words.next().zip(words.next()).context("a line of the contract is no promise")?;
            Ok((Item { event, what }, words.collect::<Vec<_>>().join(" ")))
        };
        lines.map(promise).collect::<Result<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests;
