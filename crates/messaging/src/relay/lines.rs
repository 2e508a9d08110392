//! What the leader has in hand: a line of rows for each aggregate, the first of which is being told.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::store::Row;

/// How many rows are in hand at most. An aggregate whose event can't be handled yet keeps a place, so this is how
/// many such there may be before others wait with them.
const MOST: usize = 2_000;

/// The lines. An aggregate has one, be it empty, for as long as an event of it is being told.
#[derive(Default)]
pub(super) struct Lines {
    lines: HashMap<Uuid, VecDeque<Row>>,
    rows: usize,
}

impl Lines {
    /// How many more rows there is room for.
    pub(super) fn room(&self) -> usize {
        MOST.saturating_sub(self.rows)
    }

    /// The aggregates of which rows are in hand. Rows of theirs are not taken, or one aggregate could fill the room.
    pub(super) fn busy(&self) -> Vec<Uuid> {
        self.lines.keys().copied().collect()
    }

    /// Puts rows in line, in their order; answers those that are first in theirs, to be told now.
    pub(super) fn add(&mut self, rows: Vec<Row>) -> Vec<Row> {
        self.rows += rows.len();
        let mut first = Vec::new();
        for row in rows {
            match self.lines.get_mut(&row.subject) {
                Some(line) => line.push_back(row),
                None => {
                    self.lines.insert(row.subject, VecDeque::new());
                    first.push(row);
                }
            }
        }
        first
    }

    /// An event of `subject` was told: answers the one to be told next. Without one the aggregate is busy no more.
    pub(super) fn next(&mut self, subject: Uuid) -> Option<Row> {
        self.rows = self.rows.saturating_sub(1);
        let next = self.lines.get_mut(&subject)?.pop_front();
        if next.is_none() {
            self.lines.remove(&subject);
        }
        next
    }
}
