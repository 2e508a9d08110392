//! Looking over the text of a document before it is parsed, in one pass and without memory: the parser takes about a
//! hundred times as long as this for each token, and its stack grows with each bracket.
//!
//! It need not be right about a text that is no GraphQL: the parser refuses that.

use super::definitions::Definitions;

/// What was found. Where the pass ended early, it is as much as was found until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scanned {
    pub(super) tokens: u32,
    /// The most brackets of any kind that are open at once.
    pub(super) nesting: u32,
    /// The longest way down through fields as they are written, fragments not spread.
    pub(super) depth: u32,
    /// The fields that its operations ask for, each fragment's each time that it is spread.
    pub(super) fields: u32,
    /// The aliases as they are written.
    pub(super) aliases: u32,
}

/// Looks over `text`, until it has more tokens or deeper brackets than this. `most_nesting` is less than 64.
pub(super) fn scan(text: &[u8], most_tokens: u32, most_nesting: u32) -> Scanned {
    let mut pass = Pass { rest: text, ..Pass::default() };
    while pass.step() {
        if pass.found.tokens > most_tokens || pass.found.nesting > most_nesting.min(63) {
            return pass.found;
        }
    }
    pass.found.fields = pass.definitions.fields();
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
    /// What the next name is, where that is no field.
    next: Next,
    definitions: Definitions<'a>,
    /// Whether a definition has begun whose braces are still to come.
    begun: bool,
}

/// What a name is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Field,
    /// That of the fragment that is defined.
    Fragment,
    /// That of a type or of a directive.
    Other,
}

impl<'a> Pass<'a> {
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
        if self.values == 0 {
            self.take_name(&self.rest[..length]);
        }
        length
    }

    fn take_name(&mut self, name: &'a [u8]) {
        let next = std::mem::take(&mut self.next);
        match (&self.lead, name) {
            (Lead::Dots, b"on") => (self.lead, self.next) = (Lead::Inline, Next::Other),
            (Lead::Dots, _) => {
                self.lead = Lead::Field;
                self.definitions.add_spread(name);
            }
            _ if next == Next::Fragment => self.begin(Some(name)),
            _ if self.open == 0 => self.take_keyword(name),
            _ if next == Next::Field => self.definitions.add_field(),
            _ => {}
        }
    }

    fn begin(&mut self, fragment: Option<&'a [u8]>) {
        self.begun = true;
        self.definitions.begin(fragment);
    }

    /// A name outside of all brackets. Others are those of operations and types.
    fn take_keyword(&mut self, name: &[u8]) {
        match name {
            _ if self.begun => {}
            b"fragment" => self.next = Next::Fragment,
            b"query" | b"mutation" | b"subscription" => self.begin(None),
            _ => {}
        }
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
                if self.open == 0 && !std::mem::take(&mut self.begun) {
                    self.definitions.begin(None);
                }
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
            b'@' if self.values == 0 => {
                self.next = Next::Other;
                if self.lead == Lead::Dots {
                    self.lead = Lead::Inline;
                }
            }
            b':' if self.values == 0 => {
                self.found.aliases += 1;
                self.definitions.take_field();
            }
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
        let Scanned { tokens, nesting, depth, .. } = scan(text.as_bytes(), u32::MAX, 63);
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
    fn fields_count_as_often_as_their_fragments_are_spread_and_aliases_as_they_are_written() {
        let of = |text: &str| {
            let found = scan(text.as_bytes(), u32::MAX, 63);
            (found.fields, found.aliases)
        };
        assert_eq!(of("{ a b: c(d: {e: 1, f: $g}) @skip(if: $h) { i } }"), (3, 1));
        assert_eq!(of("query query($a: Int = 1) @d { a ... on B @d { c } ... { d } ... @d { e } }"), (4, 0));
        assert_eq!(
            of("{ ...f ...f @d a } fragment f on fragment @d { b ...g } fragment g on T { c x: d }"),
            (7, 1)
        );
        assert_eq!(of("query A { a ...f } mutation B { ...f } fragment f on T { on fragment }"), (5, 0));
        assert_eq!(of("{ ...f } fragment f on T { ...g } fragment g on T { ...f a }"), (1, 0));
        assert_eq!(of("{ ...missing } fragment unused on T { a }"), (0, 0));
        let bomb = (0..40).map(|n| format!("fragment f{n} on T{{...f{m} ...f{m}}}", m = n + 1));
        assert_eq!(
            of(&format!("{{...f0}}fragment f40 on T{{a}}{}", bomb.collect::<String>())),
            (u32::MAX, 0)
        );
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
