//! The client's address: the other end of the connection, or what proxies say that we were told to believe.
//!
//! Anybody can send `X-Forwarded-For`. Each proxy appends the address that it was reached from, so the list is read
//! from its end, and only as long as the one who said it is trusted.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, request::Parts};
use ipnet::IpNet;

use crate::server::Connection;

/// The header in which proxies tell whom they were reached from.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies that are believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Believes proxies in these networks.
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The address of the client who sent this request; `None` where it did not come over the network.
    pub(crate) fn client(&self, head: &Parts) -> Option<IpAddr> {
        let peer = head.extensions.get::<Connection>()?.peer.ip();
        Some(self.behind(peer, &head.headers))
    }

    /// The address furthest away from `peer` that somebody believed tells of.
    fn behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            // What a trusted proxy did not write well is not guessed at: it is then as good as the client.
            let Ok(text) = value.to_str() else { return client };
            for hop in text.rsplit(',') {
                if !self.0.iter().any(|network| network.contains(&client)) {
                    return client;
                }
                let Some(address) = address(hop.trim()) else { return client };
                client = address;
            }
        }
        client
    }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// What of an address tells one client from another. A network with IPv6 gives each of its homes a /64 or more, of which
/// every address is theirs to use.
pub(super) fn home(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        Proxies::new(networks.into()).behind(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn what_a_stranger_says_about_addresses_is_not_believed() {
        assert_eq!(client("198.51.100.7", &["192.0.2.1"]), "198.51.100.7");
        assert_eq!(client("::ffff:198.51.100.7", &["192.0.2.1"]), "198.51.100.7");
    }

    #[test]
    fn the_client_is_the_last_one_that_a_trusted_proxy_saw() {
        assert_eq!(client("10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("::ffff:10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.66, 192.0.2.1, 10.0.0.2"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.66", "192.0.2.1", "10.0.0.2 , 10.0.0.3"]), "192.0.2.1");
        assert_eq!(client("fd00::1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["192.0.2.1:4711"]), "192.0.2.1");
    }

    #[test]
    fn a_proxy_that_says_nothing_or_nonsense_is_the_client_itself() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.1, , 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &["192.0.2.1, \u{1f980}"]), "10.0.0.1");
    }

    #[test]
    fn all_addresses_of_a_home_are_one() {
        let home = |text: &str| home(text.parse().unwrap()).to_string();
        assert_eq!(home("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(home("2001:db8:1:3:3:4:5:6"), "2001:db8:1:3::");
        assert_eq!(home("192.0.2.1"), "192.0.2.1");
        assert_eq!(home("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
