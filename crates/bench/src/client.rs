//! A small HTTP client on one kept connection, for the checks and for the load test.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A connection to one place.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    path: String,
}

/// What came back.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The whole body.
    pub(crate) body: Bytes,
}

impl Client {
    /// Connects to the host of `url`; requests go to its path and its arguments.
    ///
    /// # Errors
    /// When `url` is no `http://` one, or nobody answers.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
        if uri.scheme_str() != Some("http") {
            bail!("{url} is no http:// URL");
        }
        let authority = uri.authority().with_context(|| format!("{url} names no host"))?;
        let (host, port) = (authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(80));
        let stream =
            TcpStream::connect((host, port)).await.with_context(|| format!("nobody answers at {url}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what breaks it, the next request tells.
        tokio::spawn(connection);
        let path = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Ok(Self { sender, authority: authority.to_string(), path })
    }

    /// Sends a JSON body, with a token if there is one.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn post(&mut self, token: Option<&str>, body: Bytes) -> Result<Answer> {
        let mut request = Request::post(&self.path).header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.header(header::HOST, &self.authority).body(Full::new(body))?).await
    }

    /// Asks for the path.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn get(&mut self) -> Result<Answer> {
        let request = Request::get(&self.path).header(header::HOST, &self.authority);
        self.send(request.body(Full::default())?).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
    }
}
