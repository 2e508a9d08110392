//! Where a service is: the URLs of a setting, and the addresses to which their names lead.

use std::{io, net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use futures::future::BoxFuture;
use tonic::transport::Endpoint;

use crate::grpc::TlsConfig;

/// Gives the addresses of a host's name, with this port.
pub(super) type Resolve =
    Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// One URL.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    host: String,
    port: u16,
}

impl Target {
    /// Those of a setting: one URL such as `http://order:50052`, or several separated by commas.
    ///
    /// # Errors
    /// When one is none or does not go with `tls`, naming it.
    pub(super) fn all(urls: &str, tls: &TlsConfig) -> anyhow::Result<Vec<Self>> {
        urls.split(',')
            .map(|url| Self::of(url.trim(), tls).map_err(|error| anyhow!("{:?}: {error:#}", url.trim())))
            .collect()
    }

    fn of(url: &str, tls: &TlsConfig) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(url.to_owned())?
            // The connector has its own time for TCP; this one is for TLS too. A call has two seconds in all.
            .connect_timeout(Duration::from_secs(1))
            // What died without a word is found in seven seconds, whether or not anybody calls it meanwhile.
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true);
        let endpoint = tls.secure(endpoint, url)?;
        let host = endpoint.uri().host().context("it names no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let usual = match endpoint.uri().scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => bail!("it begins neither with http:// nor with https://"),
        };
        let port = endpoint.uri().port_u16().unwrap_or(usual);
        Ok(Self { endpoint, host, port })
    }

    /// The address that the URL names itself; `None` when it names a host.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// Its addresses as `resolve` knows them, each once and in order.
    ///
    /// # Errors
    /// When the name leads nowhere.
    pub(super) async fn resolved(&self, resolve: &Resolve) -> io::Result<Vec<SocketAddr>> {
        if let Some(address) = self.address() {
            return Ok(vec![address]);
        }
        let mut found = resolve(self.host.clone(), self.port).await?;
        found.sort();
        found.dedup();
        if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
    }
}

/// As the system resolves names.
pub(super) fn by_the_system() -> Resolve {
    Arc::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_it_is_and_a_name_is_none() {
        let addresses = |urls| {
            Target::all(urls, &TlsConfig::default()).unwrap().iter().map(Target::address).collect::<Vec<_>>()
        };
        let four = "127.0.0.2:50052".parse().unwrap();
        let six = "[::1]:50052".parse().unwrap();
        assert_eq!(addresses("http://127.0.0.2:50052, http://[::1]:50052"), [Some(four), Some(six)]);
        assert_eq!(addresses("http://order:50052"), [None]);
    }

    #[test]
    fn what_is_no_url_is_refused_and_named() {
        for (urls, bad) in [("", "\"\""), ("http://order:1,", "\"\""), ("http://a:1,order", "\"order\"")] {
            let error = Target::all(urls, &TlsConfig::default()).unwrap_err().to_string();
            assert!(error.starts_with(bad), "{error}");
        }
    }
}
