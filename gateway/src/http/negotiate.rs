//! The form in which a client takes its answer, as its `Accept` header says it (RFC 9110, section 12.5.1).

use std::cmp::Ordering;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use runtime::{Kind, Refusal};

use super::respond::Refused;

/// The media types of GraphQL over HTTP. They differ in the status of a request that was refused: the older one cannot
/// be told apart from any other JSON, so its answers are 200 wherever GraphQL itself was spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    Json,
    GraphqlResponse,
}

impl MediaType {
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        })
    }
}

/// Whether the client takes the answer as a stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streams {
    Never,
    /// It takes JSON at least as well: what is one answer is sent as one.
    IfNeeded,
    Always,
}

/// What the client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) media_type: MediaType,
    pub(super) streams: Streams,
}

/// What a client gets that does not say what it takes.
const UNASKED: Accepted = Accepted { media_type: MediaType::Json, streams: Streams::Never };

impl Accepted {
    /// What these headers say. `*/*` stands for the older media type, which is what was meant when it was written, and
    /// for no stream.
    ///
    /// # Errors
    /// NOT_ACCEPTABLE when we have nothing of what the client takes.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refused> {
        match Wishes::of(headers) {
            Some(wishes) => wishes.settle().ok_or_else(not_acceptable),
            None => Ok(UNASKED),
        }
    }
}

/// Whether the client takes plain JSON, all that REST has. One who does not say takes anything.
pub(crate) fn takes_json(headers: &HeaderMap) -> bool {
    match Wishes::of(headers) {
        Some(wishes) => wishes.json.is_wanted(),
        None => !headers.contains_key(header::ACCEPT),
    }
}

/// How much a media type is wanted: the most specific range that names it decides.
#[derive(Clone, Copy, Default)]
struct Wish {
    /// 0 where no range names it, 1 for `*/*`, 2 for `application/*`, 3 for its own name.
    named: u8,
    /// From 0, which is "not at all", to 1.
    quality: f32,
}

impl Wish {
    fn hear(&mut self, named: u8, quality: f32) {
        if named > self.named || (named == self.named && quality > self.quality) {
            *self = Self { named, quality };
        }
    }

    fn is_wanted(self) -> bool {
        self.quality > 0.0
    }

    fn compare(self, other: Self) -> Ordering {
        self.quality.total_cmp(&other.quality)
    }
}

/// The wishes for each of what we have.
#[derive(Default)]
struct Wishes {
    json: Wish,
    graphql_response: Wish,
    events: Wish,
}

impl Wishes {
    /// What these headers say; `None` where they name nothing.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let values =
            headers.get_all(header::ACCEPT).iter().map(|value| value.to_str().unwrap_or("unreadable"));
        let mut ranges =
            values.flat_map(|value| value.split(',')).filter(|range| !range.trim().is_empty()).peekable();
        ranges.peek()?;
        let mut wishes = Self::default();
        ranges.for_each(|range| wishes.hear(range));
        Some(wishes)
    }

    fn hear(&mut self, range: &str) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let mut quality = 1.0;
        for parameter in parts {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let (key, value) = (key.trim_end(), value.trim_start());
            if key.eq_ignore_ascii_case("q") {
                quality = value.parse().ok().filter(|quality| (0.0..=1.0).contains(quality)).unwrap_or(1.0);
            } else if key.eq_ignore_ascii_case("charset") && !is_utf8(value) {
                return;
            }
        }
        let all = [&mut self.json, &mut self.graphql_response, &mut self.events];
        let names = ["application/json", "application/graphql-response+json", "text/event-stream"];
        match name.to_ascii_lowercase().as_str() {
            "*" | "*/*" => all.into_iter().for_each(|wish| wish.hear(1, quality)),
            "application/*" => all.into_iter().take(2).for_each(|wish| wish.hear(2, quality)),
            name => {
                let named = all.into_iter().zip(names).filter(|(_, ours)| *ours == name);
                named.for_each(|(wish, _)| wish.hear(3, quality));
            }
        }
    }

    fn settle(self) -> Option<Accepted> {
        let Self { json, graphql_response, events } = self;
        let newer = match graphql_response.compare(json) {
            Ordering::Greater => true,
            Ordering::Equal => graphql_response.named == 3,
            Ordering::Less => false,
        };
        let (media_type, wish) =
            if newer { (MediaType::GraphqlResponse, graphql_response) } else { (MediaType::Json, json) };
        // Who names no stream can't read one, whatever else it takes.
        let takes_events = events.named == 3 && events.is_wanted();
        let streams = match (takes_events, wish.is_wanted()) {
            (false, false) => return None,
            (false, true) => Streams::Never,
            (true, true) if events.compare(wish) != Ordering::Greater => Streams::IfNeeded,
            (true, _) => Streams::Always,
        };
        // What can't be answered as a stream, such as a bad token, has to be answered as something.
        let media_type = if wish.is_wanted() { media_type } else { MediaType::Json };
        Some(Accepted { media_type, streams })
    }
}

/// Whether this is a name of the one charset that is spoken.
pub(super) fn is_utf8(charset: &str) -> bool {
    let charset = charset.trim_matches('"');
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

fn not_acceptable() -> Refused {
    let message =
        "answers are application/graphql-response+json, application/json or text/event-stream, in UTF-8";
    Refused::by_http(StatusCode::NOT_ACCEPTABLE, Refusal::new(Kind::BadInput, "NOT_ACCEPTABLE", message))
}

#[cfg(test)]
mod tests {
    use MediaType::{GraphqlResponse, Json};
    use Streams::{Always, IfNeeded, Never};

    use super::*;

    fn accepted(values: &[&str]) -> Option<(MediaType, Streams)> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        Accepted::of(&headers).ok().map(|accepted| (accepted.media_type, accepted.streams))
    }

    #[test]
    fn the_media_type_that_is_wanted_most_is_answered() {
        for (accept, media_type) in [
            ("application/json", Json),
            ("application/graphql-response+json", GraphqlResponse),
            ("Application/GraphQL-Response+JSON ; Charset=\"UTF-8\"", GraphqlResponse),
            ("application/graphql-response+json, application/json", GraphqlResponse),
            ("application/json, application/graphql-response+json", GraphqlResponse),
            ("application/json;q=0.9, application/graphql-response+json", GraphqlResponse),
            ("application/json, application/graphql-response+json;q=0.9", Json),
            ("application/graphql-response+json;q=0.1, */*;q=0.01", GraphqlResponse),
            ("application/graphql-response+json, */*", GraphqlResponse),
            ("application/json, */*", Json),
            ("application/json;q=0, */*", GraphqlResponse),
            ("application/json;q=0.5, */*", GraphqlResponse),
            ("*/*", Json),
            ("*", Json),
            ("application/*", Json),
            ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", Json),
            ("*/*;q=0, application/json;q=0.001", Json),
            ("application/json;q=nonsense", Json),
        ] {
            assert_eq!(accepted(&[accept]), Some((media_type, Never)), "{accept}");
        }
    }

    #[test]
    fn who_does_not_say_gets_json() {
        for values in [&[][..], &[""], &[" , "]] {
            assert_eq!(accepted(values), Some((Json, Never)), "{values:?}");
        }
        assert_eq!(accepted(&["text/html", "application/json"]), Some((Json, Never)));
    }

    #[test]
    fn where_nothing_fits_nothing_is_answered() {
        for accept in [
            "text/html",
            "text/*",
            "application/xml, image/*;q=0.5",
            "application/json;q=0",
            "*/*;q=0",
            "application/*;q=0.0",
            "application/json; charset=iso-8859-1",
            "multipart/mixed",
            "nonsense",
            "*/*;q=0, application/json;q=0",
        ] {
            assert_eq!(accepted(&[accept]), None, "{accept}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(Accepted::of(&headers).is_err());
    }

    #[test]
    fn a_stream_is_for_who_names_it() {
        for (accept, expected) in [
            ("text/event-stream", (Json, Always)),
            ("text/event-stream, application/json;q=0.5", (Json, Always)),
            ("text/event-stream, application/json", (Json, IfNeeded)),
            ("text/event-stream;q=0.5, application/graphql-response+json", (GraphqlResponse, IfNeeded)),
            ("application/json, text/event-stream;q=0", (Json, Never)),
            ("text/*, application/json", (Json, Never)),
        ] {
            assert_eq!(accepted(&[accept]), Some(expected), "{accept}");
        }
    }

    #[test]
    fn who_takes_no_json_is_told_so_and_who_does_not_say_takes_it() {
        let takes = |values: &[&str]| {
            takes_json(&values.iter().map(|value| (header::ACCEPT, value.parse().unwrap())).collect())
        };
        for values in [
            vec![],
            vec!["*/*"],
            vec!["text/html, application/json;q=0.1"],
            vec!["text/html", "Application/JSON; charset=utf-8"],
            vec!["application/*"],
        ] {
            assert!(takes(&values), "{values:?}");
        }
        for values in [vec!["text/html"], vec!["application/json;q=0"], vec![""], vec!["application/jsonp"]] {
            assert!(!takes(&values), "{values:?}");
        }
    }
}
