//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): the header `traceparent`, read strictly and written.

use std::fmt;

use http::{HeaderMap, HeaderValue};

/// The header that says to which span of which trace a request belongs.
pub const TRACEPARENT: &str = "traceparent";
/// The header in which other systems keep what is theirs of a trace. It is passed on as it came.
pub const TRACESTATE: &str = "tracestate";
/// How long a `tracestate` may be to be passed on: as much as the specification asks everyone to take.
const LONGEST_STATE: usize = 512;
/// How long a `traceparent` of version 00 is.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;

/// A span of a trace, wherever it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span; never 0.
    pub span_id: u64,
    /// Whether the trace's spans are kept.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`. `None` for one that the specification calls invalid. One of a later version is read as far as
    /// this one goes.
    pub fn parse(text: &str) -> Option<Self> {
        let (known, rest) = text.as_bytes().split_at_checked(LENGTH)?;
        if !text.is_ascii() || [known[2], known[35], known[52]] != *b"---" {
            return None;
        }
        let version = hexadecimal(&known[..2])?;
        let ends = if version == 0 { rest.is_empty() } else { rest.is_empty() || rest[0] == b'-' };
        if version == 0xff || !ends {
            return None;
        }
        let trace_id = hexadecimal(&known[3..35])?;
        let span_id = u64::try_from(hexadecimal(&known[36..52])?).ok()?;
        let flags = u8::try_from(hexadecimal(&known[53..])?).ok()?;
        (trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id, sampled: flags & SAMPLED != 0 })
    }

    /// The context of a request with these headers. More than one `traceparent` is none.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.to_str().ok()?),
            _ => None,
        }
    }

    /// As the value of a header.
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_bytes(&self.bytes()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    fn bytes(self) -> [u8; LENGTH] {
        let mut bytes = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write(&mut bytes[3..35], &self.trace_id.to_be_bytes());
        write(&mut bytes[36..52], &self.span_id.to_be_bytes());
        write(&mut bytes[53..], &[u8::from(self.sampled)]);
        bytes
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.bytes()).unwrap_or_default())
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TraceContext({self})")
    }
}

/// The `tracestate` that is passed on with the trace: one header, and not longer than everyone takes.
pub(super) fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(TRACESTATE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) if value.len() <= LONGEST_STATE && value.to_str().is_ok() => Some(value.clone()),
        _ => None,
    }
}

/// The number that up to 32 lower-case digits write.
fn hexadecimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

fn write(digits: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_read_and_written_as_the_specification_says() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.span_id, context.sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(context.to_string(), GOOD);
        assert!(!TraceContext::parse(&GOOD.replace("-01", "-00")).unwrap().sampled);
        // Flags that are not known yet are no fault, and are not passed on.
        assert_eq!(TraceContext::parse(&GOOD.replace("-01", "-ff")), Some(context));
        let later = [format!("cc{}", &GOOD[2..]), format!("cc{}-what-the-future-holds", &GOOD[2..])];
        assert!(later.iter().all(|later| TraceContext::parse(later) == Some(context)));
    }

    #[test]
    fn a_context_that_is_malformed_is_none() {
        let zeros =
            |from: usize, to: usize| format!("{}{}{}", &GOOD[..from], "0".repeat(to - from), &GOOD[to..]);
        let cases = [
            String::new(),
            "00".into(),
            "00-".into(),
            GOOD.to_uppercase(),
            GOOD.replace("4bf9", "4BF9"),
            GOOD.replace("-01", "-0G"),
            GOOD.replace("4bf9", "4bg9"),
            GOOD.replace("4bf9", "+bf9"),
            GOOD.replace("4bf9", "4b 9"),
            GOOD.replace("4bf9", "4b\u{e9}"),
            GOOD.replace('-', "_"),
            GOOD[..54].into(),
            format!("{GOOD}-"),
            format!("{GOOD}0"),
            format!(" {GOOD}"),
            format!("{GOOD} "),
            format!("ff{}", &GOOD[2..]),
            format!("cc{}.future", &GOOD[2..]),
            format!("0x{}", &GOOD[2..]),
            zeros(3, 35),
            zeros(36, 52),
        ];
        for case in cases {
            assert_eq!(TraceContext::parse(&case), None, "{case}");
        }
    }

    #[test]
    fn two_contexts_are_none_and_neither_are_two_states_or_one_that_is_too_long() {
        let mut headers = HeaderMap::new();
        assert_eq!(TraceContext::of(&headers), None);
        headers.append(TRACEPARENT, GOOD.parse().unwrap());
        headers.append(TRACESTATE, "a=1".parse().unwrap());
        assert!(TraceContext::of(&headers).is_some() && state(&headers).is_some());
        headers.append(TRACEPARENT, GOOD.parse().unwrap());
        headers.append(TRACESTATE, "b=2".parse().unwrap());
        assert!(TraceContext::of(&headers).is_none() && state(&headers).is_none());
        headers.insert(TRACESTATE, "a".repeat(513).parse().unwrap());
        assert!(state(&headers).is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(trace_id in 1..u128::MAX, span_id in 1..u64::MAX, sampled: bool) {
            let context = TraceContext { trace_id, span_id, sampled };
            prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
            prop_assert_eq!(TraceContext::parse(context.header().to_str().unwrap()), Some(context));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,70}") {
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert!(context.trace_id != 0 && context.span_id != 0);
            }
        }
    }
}
