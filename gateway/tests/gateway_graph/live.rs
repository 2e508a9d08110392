//! A gateway behind a real socket, events that are said to it, and a client of graphql-transport-ws to hear them.

use std::{net::SocketAddr, time::Duration};

use chrono::Utc;
use futures::{SinkExt, StreamExt};
use messaging::{Broker, Event, Outbox};
use runtime::Stop;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testkit::{Caller, Database};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::client::generate_key, protocol::Role},
};
use uuid::Uuid;

use crate::world::World;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A gateway that listens, in front of services in memory.
pub(crate) struct Live {
    pub(crate) world: World,
    pub(crate) address: SocketAddr,
    pub(crate) stop: Stop,
    pub(crate) ended: JoinHandle<anyhow::Result<()>>,
    /// The broker that events are told to.
    told: Broker,
    outbox: Outbox,
    database: Database,
}

impl Live {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings beside those of development.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        let world = World::with(arguments);
        let broker = world.broker.clone();
        Self::of(world, broker).await
    }

    /// The gateway of this world, and events that are told to this broker.
    pub(crate) async fn of(world: World, told: Broker) -> Self {
        let database = Database::new("order").await;
        let outbox = Outbox::new(database.pool().clone(), "order");
        let (bound, stop) = (world.app.bind().await.unwrap(), Stop::new());
        let address = bound.address().unwrap();
        let ended = tokio::spawn(bound.serve(stop.clone()));
        Self { world, address, stop, ended, told, outbox, database }
    }

    /// Says that this happened. Gives the event's id.
    pub(crate) async fn say(&self, name: &'static str, data: Value) -> Uuid {
        self.say_all(vec![(name, data)]).await[0]
    }

    /// Says several things, in this order.
    pub(crate) async fn say_all(&self, said: Vec<(&'static str, Value)>) -> Vec<Uuid> {
        let events: Vec<Event> = said
            .into_iter()
            .map(|(name, data)| Event {
                id: Uuid::now_v7(),
                name,
                subject: Uuid::now_v7(),
                sequence: 1,
                time: Utc::now(),
                data,
            })
            .collect();
        let mut tx = self.database.pool().begin().await.unwrap();
        Outbox::append_in_tx(&mut tx, &events).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(self.outbox.relay_once(&self.told).await.unwrap(), events.len());
        events.iter().map(|event| event.id).collect()
    }

    /// Says that an order of this customer was paid. Gives the event's id.
    pub(crate) async fn confirm(&self, owner: &Caller, order: &str) -> Uuid {
        self.say("order.status_changed", confirmed(owner, order)).await
    }

    /// A socket that has shaken hands and said nothing yet.
    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// A socket that was let in as `caller`.
    pub(crate) async fn client(&self, caller: &Caller) -> Client {
        let mut client = self.connect().await;
        client.init(caller).await;
        client
    }
}

/// The payload of `order.status_changed` for an order that was paid.
pub(crate) fn confirmed(owner: &Caller, order: &str) -> Value {
    json!({ "orderId": order, "userId": owner.viewer.user_id,
        "from": "ORDER_STATUS_PENDING", "to": "ORDER_STATUS_CONFIRMED" })
}

/// A client of graphql-transport-ws.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) head: String,
}

impl Client {
    /// One that has shaken hands and said nothing yet.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::open(address, &[("sec-websocket-protocol", "graphql-transport-ws")]).await.unwrap()
    }

    /// Shakes hands with these headers; the status of one that was refused.
    pub(crate) async fn open(address: SocketAddr, headers: &[(&str, &str)]) -> Result<Self, u16> {
        // By hand: the crate hangs up on a server that does not take the protocol which was offered.
        let mut stream = TcpStream::connect(address).await.unwrap();
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "GET /graphql HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n{headers}\r\n",
            generate_key()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(stream.read_u8().await.unwrap()));
        }
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status != 101 {
            return Err(status);
        }
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        Ok(Self { socket, head: head.to_lowercase() })
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next thing that the gateway says, pings left out.
    pub(crate) async fn receive(&mut self) -> Value {
        match self.message().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            message => panic!("{message:?}"),
        }
    }

    /// The code by which the gateway closes the socket, whatever it says before.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.message().await {
                Message::Close(Some(frame)) => return frame.code.into(),
                Message::Text(_) => {}
                message => panic!("{message:?}"),
            }
        }
    }

    async fn message(&mut self) -> Message {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("nothing was said in time");
            match message.expect("the connection was cut").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    pub(crate) async fn init(&mut self, caller: &Caller) {
        self.init_with(caller.token.expose_secret()).await;
    }

    /// Is let in with this token.
    pub(crate) async fn init_with(&mut self, token: &str) {
        let authorization = format!("Bearer {token}");
        self.send(json!({ "type": "connection_init", "payload": { "Authorization": authorization } })).await;
        assert_eq!(self.receive().await, json!({ "type": "connection_ack" }));
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
    }

    /// Waits until all that was sent before has been taken: then a subscription among it has started.
    pub(crate) async fn settle(&mut self) {
        self.subscribe("settle", "{ __typename }").await;
        assert_eq!(self.receive().await["type"], "next");
        assert_eq!(self.receive().await, json!({ "type": "complete", "id": "settle" }));
    }

    /// The field of the event that comes next for this operation.
    pub(crate) async fn next(&mut self, id: &str, field: &str) -> Value {
        let message = self.receive().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)), "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"][field].clone()
    }

    /// Code and reason with which this operation ends.
    pub(crate) async fn refused(&mut self, id: &str) -> (String, String) {
        let message = self.receive().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!(id)), "{message}");
        let extensions = &message["payload"][0]["extensions"];
        assert!(extensions["requestId"].is_string(), "{message}");
        let text = |name: &str| extensions[name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("reason"))
    }
}

/// A stream of server-sent events.
pub(crate) struct Events {
    stream: TcpStream,
    pub(crate) head: String,
    rest: String,
}

impl Events {
    /// Asks for one by POST, with these lines in the head.
    pub(crate) async fn post(address: SocketAddr, caller: Option<&Caller>, query: &str) -> Self {
        let body = json!({ "query": query }).to_string();
        let length = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        Self::ask(address, "POST /graphql", caller, &length, &body).await
    }

    /// Asks for one by GET.
    pub(crate) async fn get(address: SocketAddr, caller: Option<&Caller>, query: &str) -> Self {
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        Self::ask(address, &format!("GET /query?query={query}"), caller, "", "").await
    }

    async fn ask(
        address: SocketAddr,
        line: &str,
        caller: Option<&Caller>,
        headers: &str,
        body: &str,
    ) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let token =
            caller.map(|caller| format!("Authorization: Bearer {}\r\n", caller.token.expose_secret()));
        let token = token.unwrap_or_default();
        let head =
            format!("{line} HTTP/1.1\r\nHost: gateway\r\nAccept: text/event-stream\r\n{token}{headers}\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut events = Self { stream, head: String::new(), rest: String::new() };
        while !events.rest.contains("\r\n\r\n") {
            assert!(events.read().await, "{}", events.rest);
        }
        let (head, rest) = events.rest.split_once("\r\n\r\n").unwrap();
        (events.head, events.rest) = (head.to_lowercase(), rest.to_owned());
        events
    }

    /// Reads some more; `false` at the end.
    async fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("nothing was said in time");
        let read = read.unwrap_or(0);
        self.rest.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        read > 0
    }

    /// Name and data of the next event, comments left out; `None` when the stream ends first.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            // Each event is a chunk of its own: its length stands on a line before it.
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|value| value.trim().to_owned())
                };
                let told = field("event:").map(|name| (name, field("data:")));
                self.rest = rest.to_owned();
                if let Some((name, data)) = told {
                    let data = data.expect("browsers leave out an event without data");
                    return Some((name, serde_json::from_str(&data).unwrap_or_default()));
                }
            } else if self.rest.ends_with("0\r\n\r\n") || !self.read().await {
                return None;
            }
        }
    }

    /// Waits for a comment, by which the stream shows that it lives.
    pub(crate) async fn comment(&mut self) {
        while !self.rest.lines().any(|line| line.starts_with(':')) {
            assert!(self.read().await);
        }
    }
}
