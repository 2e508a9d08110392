//! How many fields the operations in a text ask for, as far as it shows without being parsed.

use std::collections::HashMap;

/// An operation or a fragment.
#[derive(Default)]
struct Definition<'a> {
    /// The name of a fragment.
    fragment: Option<&'a [u8]>,
    fields: u32,
    spreads: Vec<&'a [u8]>,
}

/// The definitions of a text, in their order.
#[derive(Default)]
pub(super) struct Definitions<'a>(Vec<Definition<'a>>);

impl<'a> Definitions<'a> {
    /// Begins one: a fragment of this name, or an operation.
    pub(super) fn begin(&mut self, fragment: Option<&'a [u8]>) {
        self.0.push(Definition { fragment, ..Definition::default() });
    }

    /// Adds a field to the last.
    pub(super) fn add_field(&mut self) {
        if let Some(last) = self.0.last_mut() {
            last.fields = last.fields.saturating_add(1);
        }
    }

    /// Takes the field back that was added last: it was the alias of another.
    pub(super) fn take_field(&mut self) {
        if let Some(last) = self.0.last_mut() {
            last.fields = last.fields.saturating_sub(1);
        }
    }

    /// Adds the spread of a fragment to the last.
    pub(super) fn add_spread(&mut self, name: &'a [u8]) {
        if let Some(last) = self.0.last_mut() {
            last.spreads.push(name);
        }
    }

    /// The fields of all operations, those of a fragment each time that it is spread. Each fragment is counted once.
    pub(super) fn fields(&self) -> u32 {
        let named = |(at, definition): (usize, &Definition<'a>)| Some((definition.fragment?, at));
        let names: HashMap<_, _> = self.0.iter().enumerate().filter_map(named).collect();
        let mut counted = vec![None; self.0.len()];
        let operations = (0..self.0.len()).filter(|at| self.0[*at].fragment.is_none());
        operations.fold(0, |sum: u32, at| sum.saturating_add(self.count(at, &names, &mut counted)))
    }

    fn count(&self, at: usize, names: &HashMap<&'a [u8], usize>, counted: &mut [Option<u32>]) -> u32 {
        if let Some(fields) = counted[at] {
            return fields;
        }
        // Who comes back here has gone in a circle, of which the parsed document tells.
        counted[at] = Some(0);
        let spread = |sum: u32, name: &&[u8]| match names.get(name) {
            Some(fragment) => sum.saturating_add(self.count(*fragment, names, counted)),
            None => sum,
        };
        let fields = self.0[at].spreads.iter().fold(self.0[at].fields, spread);
        counted[at] = Some(fields);
        fields
    }
}
