//! Which requests are taken, and what answers tell browsers. See "Requests" in docs/edge.md.

use std::str::FromStr;

use clap::Args;

/// Settings of requests as HTTP knows them.
#[derive(Args, Clone, Debug)]
pub struct RequestConfig {
    /// How many operations a client may send as one JSON array, at most 10; 0 takes none.
    #[arg(long, env = "GATEWAY_BATCH", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=10))]
    pub batch: u8,
    /// The origins of other sites whose pages may ask from a browser, separated by commas: `https://shop.example.com`
    #[arg(long, env = "GATEWAY_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<Origin>,
    /// How long browsers that came over TLS are to come over nothing else, in seconds; 0 does not say.
    #[arg(long, env = "GATEWAY_HSTS", default_value_t = 365 * 24 * 60 * 60)]
    pub hsts: u32,
}

/// Where a page comes from, as browsers write it in `Origin`: scheme, host, and the port unless it is the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let origin = text.trim().to_ascii_lowercase();
        let Some((scheme, place)) = origin.split_once("://") else {
            return Err("an origin is written as https://shop.example.com; `*` and `null` are none");
        };
        let of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let of_place = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if scheme.is_empty()
            || place.is_empty()
            || !scheme.bytes().all(of_scheme)
            || !place.bytes().all(of_place)
        {
            return Err("an origin has a scheme, a host and perhaps a port, and nothing after them");
        }
        let own_port = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => "",
        };
        Ok(Self(origin.strip_suffix(own_port).unwrap_or(&origin).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_as_browsers_write_it() {
        for (text, origin) in [
            ("https://shop.example.com", "https://shop.example.com"),
            (" HTTPS://Shop.Example.com:443", "https://shop.example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:80", "http://[::1]"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), origin);
        }
    }

    #[test]
    fn what_would_let_everybody_in_or_never_match_is_no_origin() {
        for text in [
            "",
            "*",
            "null",
            "shop.example.com",
            "https://",
            "https://*.example.com",
            "https://a.example/",
            "https://a@b",
            "https://a b",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
