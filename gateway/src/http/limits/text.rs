//! Looking over the text of a document before it is parsed, in one pass and without memory: the parser takes about a
//! hundred times as long as this for each token, and its stack grows with each bracket.
//!
//! It need not be right about a text that is no GraphQL: the parser refuses that.

/// What was found. Where the pass ended early, it is as much as was found until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    pub(super) tokens: u32,
    /// The most brackets of any kind that are open at once.
    pub(super) nesting: u32,
    /// The longest way down through fields as they are written, fragments not spread.
    pub(super) depth: u32,
}

/// Looks over `text`, until it has more tokens or deeper brackets than this. `most_nesting` is less than 64.
pub(super) fn scan(text: &[u8], most_tokens: u32, most_nesting: u32) -> Scanned {
    let mut pass = Pass { rest: text, ..Pass::default() };
    while pass.step() {
        if pass.found.tokens > most_tokens || pass.found.nesting > most_nesting.min(63) {
            break;
        }
    }
    pass.found
}

/// How the selection set that comes next is led in.
#[derive(Default, PartialEq, Eq)]
enum Lead {
    /// By a field, or a definition: it is a level of fields.
    #[default]
    Field,
    /// By three dots, of which it is not known yet whether they spread a fragment or begin one.
    Dots,
    /// By an inline fragment: its fields stand beside those around it.
    Inline,
}

#[derive(Default)]
struct Pass<'a> {
    rest: &'a [u8],
    found: Scanned,
    /// How many brackets are open.
    open: u32,
    /// Of each open bracket, whether it is a level of fields; the innermost is the lowest bit.
    levels: u64,
    /// How many parentheses and square brackets are open: a brace inside is an object, and no selection set.
    values: u32,
    lead: Lead,
}

impl Pass<'_> {
    /// Goes over one token, or what stands between them. Whether there is more.
    fn step(&mut self) -> bool {
        let Some(&first) = self.rest.first() else { return false };
        match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => return self.skip(1),
            b'#' => return self.skip(position(self.rest, |byte| byte == b'\n' || byte == b'\r')),
            _ => self.found.tokens += 1,
        }
        let length = match first {
            b'"' => string(self.rest),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => self.name(),
            b'-' | b'0'..=b'9' => {
                position(self.rest, |byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)))
            }
            b'.' => self.dots(),
            _ => {
                self.punctuation(first);
                1
            }
        };
        self.skip(length)
    }

    fn skip(&mut self, length: usize) -> bool {
        self.rest = self.rest.get(length.max(1)..).unwrap_or_default();
        true
    }

    fn name(&mut self) -> usize {
        let length = position(self.rest, |byte| !(byte.is_ascii_alphanumeric() || byte == b'_'));
        if self.lead == Lead::Dots && self.values == 0 {
            self.lead = if self.rest.starts_with(b"on") && length == 2 { Lead::Inline } else { Lead::Field };
        }
        length
    }

    fn dots(&mut self) -> usize {
        if self.values == 0 {
            self.lead = Lead::Dots;
        }
        position(self.rest, |byte| byte != b'.').min(3)
    }

    fn punctuation(&mut self, mark: u8) {
        match mark {
            b'{' if self.values == 0 => {
                self.open(self.lead == Lead::Field);
                self.lead = Lead::Field;
            }
            b'{' => self.open(false),
            b'(' | b'[' => {
                self.values += 1;
                self.open(false);
            }
            b'}' => self.close(),
            b')' | b']' => {
                self.values = self.values.saturating_sub(1);
                self.close();
            }
            b'@' if self.lead == Lead::Dots => self.lead = Lead::Inline,
            _ => {}
        }
    }

    fn open(&mut self, is_level: bool) {
        self.open += 1;
        self.levels = self.levels << 1 | u64::from(is_level);
        self.found.nesting = self.found.nesting.max(self.open);
        self.found.depth = self.found.depth.max(self.levels.count_ones());
    }

    fn close(&mut self) {
        self.open = self.open.saturating_sub(1);
        self.levels >>= 1;
    }
}

/// Where the first such byte stands, after the first of all; the end where there is none.
fn position(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    text.iter().skip(1).position(|byte| is(*byte)).map_or(text.len(), |position| position + 1)
}

/// The length of the string at the beginning, with its quotes.
fn string(text: &[u8]) -> usize {
    let is_block = text.starts_with(b"\"\"\"");
    let mut at = if is_block { 3 } else { 1 };
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        at += match rest {
            [b'\\', b'"', b'"', b'"', ..] if is_block => 4,
            [b'"', b'"', b'"', ..] if is_block => return at + 3,
            [b'\\', _, ..] if !is_block => 2,
            [b'"' | b'\n' | b'\r', ..] if !is_block => return at + 1,
            _ => 1,
        };
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> (u32, u32, u32) {
        let Scanned { tokens, nesting, depth } = scan(text.as_bytes(), u32::MAX, 63);
        (tokens, nesting, depth)
    }

    #[test]
    fn tokens_brackets_and_levels_of_fields_are_counted() {
        assert_eq!(of(""), (0, 0, 0));
        assert_eq!(of("{ me { id } }"), (6, 2, 2));
        assert_eq!(of("query Q($a: [[ID!]!]) { a(b: {c: [{d: 1}]}) { e } }"), (35, 5, 2));
        assert_eq!(of("{ a # { { {\n, b }"), (4, 1, 1));
    }

    #[test]
    fn brackets_in_strings_and_comments_are_none() {
        assert_eq!(of(r#"{ a(b: "{[(\"{{{") }"#), (8, 2, 1));
        assert_eq!(of("{ a(b: \"\"\"{[( \" \\\"\"\" {{ \"\"\") { c } }"), (11, 2, 2));
        assert_eq!(of("{ a(b: \"never closed"), (6, 2, 1));
    }

    #[test]
    fn an_inline_fragment_is_no_level_and_what_follows_a_spread_is_one() {
        assert_eq!(of("{ a { ... on B { c { d } } } }").2, 3);
        assert_eq!(of("{ a { ... { c { d } } } }").2, 3);
        assert_eq!(of("{ a { ... @include(if: true) { c { d } } } }").2, 3);
        assert_eq!(of("{ a { ... on B @skip(if: {a: [1]}) { c } } }").2, 2);
        assert_eq!(of("{ a { ...F b { c } } }").2, 3);
        assert_eq!(of("{ a { ...F @skip(if: $s) b { c } } }").2, 3);
        assert_eq!(of("{ a { ...one { c } } }").2, 3);
    }

    #[test]
    fn the_pass_ends_where_there_is_too_much() {
        let deep = format!("{{ a(b: {}", "[".repeat(1_000_000));
        assert_eq!(scan(deep.as_bytes(), u32::MAX, 40).nesting, 41);
        assert_eq!(scan("a ".repeat(1_000_000).as_bytes(), 100, 40).tokens, 101);
    }

    proptest! {
        #[test]
        fn whatever_the_text_is_it_is_gone_over_to_its_end(text in "[{}()\\[\\]a\"\\\\#.@ \n0$é]{0,200}") {
            let found = scan(text.as_bytes(), u32::MAX, 63);
            prop_assert!(found.depth <= found.nesting);
            prop_assert!(found.tokens as usize <= text.len());
        }
    }
}
