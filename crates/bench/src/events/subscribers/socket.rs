//! A client of graphql-transport-ws
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>) with one subscription.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc::UnboundedSender, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::{HeaderValue, Uri, header},
        protocol::WebSocketConfig,
    },
};

/// How long the gateway may take to answer, with many at its door.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a socket reads into. There are thousands of them in this process.
const READ_BUFFER: usize = 4096;
/// What is subscribed to. It asks the services nothing when an event comes.
const QUERY: &str = "subscription { orderStatusChanged { eventId orderId from to } }";

/// A socket that has subscribed.
pub(super) struct Socket(WebSocketStream<TcpStream>);

/// An event that came.
pub(super) struct Came {
    /// Its id.
    pub(super) event: String,
    /// When.
    pub(super) at: Instant,
}

/// A `next` of the subscription.
#[derive(Deserialize)]
struct Next {
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    order_status_changed: Changed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    event_id: String,
}

impl Socket {
    /// Opens one, is let in, and subscribes.
    ///
    /// # Errors
    /// When any of it is refused or takes too long.
    pub(super) async fn open(graph: &str, token: &str) -> Result<Self> {
        timeout(PATIENCE, Self::open_in_time(graph, token)).await.context("the gateway does not answer")?
    }

    async fn open_in_time(graph: &str, token: &str) -> Result<Self> {
        let url: Uri = graph.replacen("http://", "ws://", 1).parse()?;
        let place = url.authority().context("the URL names no host")?.to_string();
        let mut request = url.into_client_request()?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        let stream = TcpStream::connect(place).await.context("a socket can't be opened")?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
        let mut socket = Self(socket);
        let init =
            json!({ "type": "connection_init", "payload": { "Authorization": format!("Bearer {token}") } });
        socket.send(&init).await?;
        socket.hear("connection_ack").await?;
        socket.send(&json!({ "type": "subscribe", "id": "1", "payload": { "query": QUERY } })).await?;
        // Operations start in their order: once this one is over, the subscription has begun.
        socket
            .send(&json!({ "type": "subscribe", "id": "2", "payload": { "query": "{ __typename }" } }))
            .await?;
        socket.hear("next").await?;
        socket.hear("complete").await?;
        Ok(socket)
    }

    /// Reads what comes, until nobody wants it any more.
    ///
    /// # Errors
    /// When the gateway closes it, or says anything but an event.
    pub(super) async fn read(mut self, came: UnboundedSender<Came>) -> Result<()> {
        loop {
            let text = self.text().await?;
            let at = Instant::now();
            let next: Next =
                serde_json::from_str(&text).with_context(|| format!("this is no event: {text}"))?;
            let event = next.payload.data.order_status_changed.event_id;
            if came.send(Came { event, at }).is_err() {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, message: &Value) -> Result<()> {
        Ok(self.0.send(Message::text(message.to_string())).await?)
    }

    /// The next message, which must be of this type.
    async fn hear(&mut self, kind: &str) -> Result<()> {
        let text = self.text().await?;
        let message: Value = serde_json::from_str(&text)?;
        if message["type"] != kind {
            bail!("the gateway says {text} in place of {kind}");
        }
        Ok(())
    }

    async fn text(&mut self) -> Result<String> {
        loop {
            match self.0.next().await.context("the gateway hung up")?? {
                Message::Text(text) => return Ok(text.to_string()),
                // Reading answers a ping.
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("the gateway says {other}"),
            }
        }
    }
}
