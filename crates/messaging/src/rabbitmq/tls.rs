//! TLS on the way to RabbitMQ. lapin's own would trust the system's authorities beside the one that is set.

use std::io;

use futures::{AsyncRead, AsyncWrite};
use lapin::{
    AsyncTcpStream,
    tcp::{RustlsConnector, RustlsConnectorConfig},
    uri::{AMQPScheme, AMQPUri},
};
use runtime::grpc::certificates_in;

/// How a connection becomes one by TLS; nothing for `amqp://`.
#[derive(Clone, Debug)]
pub(super) struct Tls(Option<RustlsConnector>);

impl Tls {
    /// For a URL of this scheme, and the authority to trust, in PEM form.
    ///
    /// # Errors
    /// When an authority is given for a way in the clear, or the system has none.
    pub(super) fn new(scheme: &AMQPScheme, authority: Option<&str>) -> anyhow::Result<Self> {
        let trusted = match (scheme, authority) {
            (AMQPScheme::AMQP, None) => return Ok(Self(None)),
            (AMQPScheme::AMQP, Some(_)) => {
                anyhow::bail!("AMQP_TLS_CA is set, so AMQP_URL must begin with amqps://")
            }
            (AMQPScheme::AMQPS, None) => RustlsConnectorConfig::new_with_native_certs()?,
            (AMQPScheme::AMQPS, Some(pem)) => RustlsConnectorConfig::default()
                .with_parsable_certificates(certificates_in(pem).unwrap_or_default()),
        };
        Ok(Self(Some(trusted.connector_with_no_client_auth()?)))
    }

    /// `stream`, by TLS with the server at `uri`: its certificate must be for the name in the URL.
    ///
    /// # Errors
    /// When it is not, or nobody trusted has signed it.
    pub(super) async fn secure<S>(
        &self,
        stream: AsyncTcpStream<S>,
        uri: &AMQPUri,
    ) -> io::Result<AsyncTcpStream<S>>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        match &self.0 {
            Some(connector) => stream.into_rustls(connector, &uri.authority.host).await,
            None => Ok(stream),
        }
    }
}

/// The same place without TLS: what is below it is connected first, so that we can end it.
pub(super) fn plain(uri: &AMQPUri) -> AMQPUri {
    AMQPUri { scheme: AMQPScheme::AMQP, ..uri.clone() }
}
