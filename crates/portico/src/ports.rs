//! Ports for what we start, on 127.0.0.1.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, ensure};

/// Below the ports that systems give to outgoing connections (from 32768 on Linux, from 49152 elsewhere): one that a
/// backend gives up while it is restarted is taken by nobody meanwhile.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

const TRIES: u32 = 1_000;

/// `N` different ports that nobody listens on at this moment.
///
/// # Errors
/// When hardly any is free.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut found = BTreeSet::new();
    for _ in 0..TRIES {
        if found.len() == N {
            break;
        }
        found.extend(Some(rand::random_range(RANGE)).filter(|port| is_free(*port)));
    }
    ensure!(found.len() == N, "no port is free on 127.0.0.1");
    let mut found = found.into_iter();
    Ok(std::array::from_fn(|_| found.next().unwrap_or_default()))
}

/// Whether nobody listens on `port` at this moment.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_and_one_that_is_taken_is_not_free() {
        let ports = free::<5>().unwrap();
        assert_eq!(BTreeSet::from(ports).len(), 5);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, ports[0])).unwrap();
        assert!(!is_free(ports[0]));
    }
}
