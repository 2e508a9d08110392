//! TLS of gRPC: who a process is, and whom it trusts. The settings are the same for every binary.
//!
//! The files are read and looked at once, while the settings are: one that is no certificate ends the process with a line
//! that names the variable, and a new certificate takes a restart.

use std::{error::Error, fs, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};

/// How long the two sides may take to agree on a connection.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The settings of TLS between the processes of Portico.
#[derive(Args, Clone, Debug, Default)]
pub struct TlsConfig {
    /// The certificate of this process, in a PEM file, those of its issuers behind it. Its gRPC port then speaks TLS and
    /// nothing else; a gateway has none, and shows the certificate only to services that ask for one.
    #[arg(long, env = "GRPC_TLS_CERT", value_name = "FILE", requires = "grpc_tls_key", value_parser = certificates)]
    pub grpc_tls_cert: Option<String>,
    /// The private key of GRPC_TLS_CERT, in a PEM file.
    #[arg(long, env = "GRPC_TLS_KEY", value_name = "FILE", requires = "grpc_tls_cert", value_parser = private_key)]
    pub grpc_tls_key: Option<SecretString>,
    /// Who must have signed the certificate of a service at an https:// URL, in a PEM file; by default whomever the system
    /// trusts.
    #[arg(long, env = "GRPC_TLS_CA", value_name = "FILE", value_parser = certificates)]
    pub grpc_tls_ca: Option<String>,
    /// Takes gRPC calls only from clients whose certificate one of these has signed, in a PEM file.
    #[arg(long, env = "GRPC_TLS_CLIENT_CA", value_name = "FILE", requires = "grpc_tls_cert", value_parser = certificates)]
    pub grpc_tls_client_ca: Option<String>,
}

impl TlsConfig {
    /// `endpoint`, at `url`, with what its scheme asks for. The name in the URL has to be one of the server's certificate.
    ///
    /// # Errors
    /// When the URL would send in the clear what should not be, or the files don't do.
    pub(super) fn secure(&self, endpoint: Endpoint, url: &str) -> anyhow::Result<Endpoint> {
        if !url.starts_with("https://") {
            if self.grpc_tls_ca.is_some() {
                bail!("GRPC_TLS_CA is set, so it must begin with https://");
            }
            return Ok(endpoint);
        }
        let trusting = match &self.grpc_tls_ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let config = match self.identity() {
            Some(identity) => trusting.identity(identity),
            None => trusting,
        };
        endpoint.tls_config(config.timeout(HANDSHAKE)).map_err(|error| anyhow::anyhow!("{}", cause(&error)))
    }

    /// `server` with this certificate, if there is one.
    ///
    /// # Errors
    /// When the certificate and the key don't belong together.
    pub(super) fn serve(&self, server: Server) -> anyhow::Result<Server> {
        let Some(identity) = self.identity() else { return Ok(server) };
        let mut config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE);
        if let Some(ca) = &self.grpc_tls_client_ca {
            config = config.client_ca_root(Certificate::from_pem(ca));
        }
        let served = server.tls_config(config).map_err(|error| anyhow::anyhow!("{}", cause(&error)));
        served.context("GRPC_TLS_CERT and GRPC_TLS_KEY don't do")
    }

    fn identity(&self) -> Option<Identity> {
        let (certificate, key) = (self.grpc_tls_cert.as_ref()?, self.grpc_tls_key.as_ref()?);
        Some(Identity::from_pem(certificate, key.expose_secret()))
    }
}

/// The last of its causes, which tells most.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| (*cause).source())
        .last()
        .unwrap_or(error)
}

/// Reads a file with at least one certificate.
///
/// # Errors
/// Why it is none, without its content.
pub fn certificates(file: &str) -> Result<String, String> {
    let pem = read(file)?;
    match certificates_in(&pem) {
        Some(_) => Ok(pem),
        None => Err(format!("{file} holds no certificate in PEM form")),
    }
}

/// All certificates of `pem`, for who needs them in another form; `None` when there is none, or one can't be read.
pub fn certificates_in(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.ok().filter(|found| !found.is_empty())
}

fn private_key(file: &str) -> Result<SecretString, String> {
    let pem = SecretString::from(read(file)?);
    match PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()) {
        Ok(_) => Ok(pem),
        Err(_) => Err(format!("{file} holds no private key in PEM form")),
    }
}

fn read(file: &str) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("can't read {file}: {error}"))
}
