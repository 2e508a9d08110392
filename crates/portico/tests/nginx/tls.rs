//! nginx with a certificate.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::{Ask, Client};
use crate::edge::{Edge, Form};
use crate::gateway::{Gateway, public};

/// A certificate for `localhost` in files, which go with it.
struct Certificate {
    folder: PathBuf,
    roots: RootCertStore,
}

impl Certificate {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portico-tls-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("certificate"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key"), made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        Self { folder, roots }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Opens a connection that would speak these protocols; gives the one that was chosen, and what it answers to a GET.
    async fn ask(&self, url: &str, protocols: &[&str]) -> (Option<Vec<u8>>, String) {
        let mut config =
            ClientConfig::builder().with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(url.trim_start_matches("https://")).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        if chosen.as_deref() == Some(b"h2") {
            return (chosen, String::new());
        }
        let request = b"GET /graphql?query=a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        (chosen, String::from_utf8(answer).unwrap())
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn with_a_certificate_it_speaks_tls_and_http_2_and_the_gateway_hears_of_it() {
    let gateway = Gateway::that_answers(|_| public("by TLS", 60));
    let certificate = Certificate::new("on");
    let (file, key) = (certificate.file("certificate"), certificate.file("key"));
    let values = [("NGINX_TLS", "on"), ("NGINX_TLS_CERTIFICATE", file.as_str()), ("NGINX_TLS_KEY", &key)];
    let edge = Edge::with(&gateway.address, Form::Hash, &values).await;
    let url = edge.nginx.url();
    assert!(url.starts_with("https://"), "{url}");
    let (_, answer) = certificate.ask(&url, &["http/1.1"]).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("by TLS"), "{answer}");
    assert_eq!(gateway.sent()[0].all("x-forwarded-proto"), ["https"]);
    let (chosen, _) = certificate.ask(&url, &["h2", "http/1.1"]).await;
    assert_eq!(chosen.as_deref(), Some(b"h2".as_slice()));
    edge.end().await;
}

#[tokio::test]
async fn who_comes_without_tls_is_sent_to_it_where_that_is_wanted() {
    let gateway = Gateway::that_answers(|_| public("", 60));
    let certificate = Certificate::new("redirect");
    let (file, key) = (certificate.file("certificate"), certificate.file("key"));
    let [port] = portico::ports::free().unwrap();
    let listen = format!("127.0.0.1:{port}");
    let values = [
        ("NGINX_TLS", "redirect"),
        ("NGINX_TLS_CERTIFICATE", file.as_str()),
        ("NGINX_TLS_KEY", &key),
        ("NGINX_LISTEN", &listen),
    ];
    let edge = Edge::with(&gateway.address, Form::Hash, &values).await;
    let plain = Client::of(&format!("http://{listen}"));
    let answer = plain.ask(&Ask::get("/graphql?query=a").header("Host", "portico.example"));
    assert_eq!((answer.status, answer.header("location")), (308, "https://portico.example/graphql?query=a"));
    assert_eq!(gateway.sent().len(), 0);
    let (_, answer) = certificate.ask(&edge.nginx.url(), &[]).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    edge.end().await;
}
