//! A virtual host of RabbitMQ for each test, made through the management API.

use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use uuid::Uuid;

/// What an account may do in its virtual host: RabbitMQ's own patterns.
#[derive(Clone, Copy, Debug)]
pub struct Permissions<'a> {
    /// What it may make and delete.
    pub configure: &'a str,
    /// Where it may publish, and what it may bind.
    pub write: &'a str,
    /// What it may consume, and from which exchanges it may bind.
    pub read: &'a str,
    /// At a topic exchange, with which routing keys it may publish; the default is any.
    pub topic: Option<(&'a str, &'a str)>,
}

/// A virtual host of its own, with nothing in it. It is deleted with this value, and so are its accounts.
pub struct Broker {
    vhost: String,
    /// `amqp://.../`, to which the name of the virtual host is added.
    amqp: Uri,
    management: Management,
    accounts: std::sync::Mutex<Vec<String>>,
}

impl Broker {
    /// A fresh virtual host, on the RabbitMQ that AMQP_URL and RABBITMQ_MANAGEMENT_URL name.
    ///
    /// # Panics
    /// When there is no RabbitMQ: a test that can't run has failed.
    pub async fn new() -> Self {
        let variable = |name| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!("{name} names the RabbitMQ of the tests; run them under `cargo run -p portico -- with -- COMMAND`")
            })
        };
        let amqp: Uri = variable("AMQP_URL").parse().unwrap();
        let management = Management { url: variable("RABBITMQ_MANAGEMENT_URL").parse().unwrap() };
        let vhost = format!("test-{}", Uuid::now_v7().simple());
        management.put(&format!("vhosts/{vhost}"), &json!({})).await;
        let broker = Self { vhost, amqp, management, accounts: std::sync::Mutex::default() };
        let everything = Permissions { configure: ".*", write: ".*", read: ".*", topic: None };
        broker.permit(broker.management.user(), everything).await;
        broker
    }

    /// Its URL, with all rights.
    pub fn url(&self) -> String {
        self.url_with(self.amqp.authority().unwrap().as_str())
    }

    /// Its URL through another address, such as that of a proxy.
    pub fn url_at(&self, address: std::net::SocketAddr) -> String {
        let authority = self.amqp.authority().unwrap().as_str();
        let user = authority.rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
        self.url_with(&format!("{user}{address}"))
    }

    /// Where it listens, `host:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.amqp.host().unwrap(), self.amqp.port_u16().unwrap_or(5672))
    }

    /// Makes an account that may do this here and nothing elsewhere; gives its URL.
    pub async fn account(&self, permissions: Permissions<'_>) -> String {
        let name = format!("{}-{}", self.vhost, Uuid::now_v7().simple());
        self.management.put(&format!("users/{name}"), &json!({ "password": name, "tags": "" })).await;
        self.accounts.lock().unwrap().push(name.clone());
        self.permit(&name, permissions).await;
        self.url_with(&format!("{name}:{name}@{}", self.address()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.vhost
    }

    /// Brings exchanges, queues and bindings from definitions, as RabbitMQ does at its start.
    pub async fn load(&self, definitions: &Value) {
        let path = format!("definitions/{}", self.vhost);
        let (status, answer) = self.management.call(Method::POST, &path, definitions).await;
        assert!(status.is_success(), "POST {path}: {status} {answer}");
    }

    /// The queues and how many messages each holds, as RabbitMQ counted them within the last 5 seconds.
    pub async fn queues(&self) -> Vec<(String, u64)> {
        // Without these two it answers what it measured when it last had time.
        let path = format!("queues/{}?disable_stats=true&enable_queue_totals=true", self.vhost);
        let queues = self.management.get(&path).await;
        let queue = |queue: &Value| {
            (queue["name"].as_str().unwrap().to_owned(), queue["messages"].as_u64().unwrap_or(0))
        };
        queues.as_array().unwrap().iter().map(queue).collect()
    }

    /// Closes all connections from outside, as an operator does; answers how many.
    pub async fn close_connections(&self) -> usize {
        let connections = self.management.get(&format!("vhosts/{}/connections", self.vhost)).await;
        let connections = connections.as_array().unwrap();
        for connection in connections {
            let name = connection["name"].as_str().unwrap().replace(' ', "%20").replace('>', "%3E");
            self.management.call(Method::DELETE, &format!("connections/{name}"), &Value::Null).await;
        }
        connections.len()
    }

    async fn permit(&self, user: &str, permissions: Permissions<'_>) {
        let Permissions { configure, write, read, topic } = permissions;
        let place = format!("{}/{user}", self.vhost);
        let body = json!({ "configure": configure, "write": write, "read": read });
        self.management.put(&format!("permissions/{place}"), &body).await;
        if let Some((exchange, keys)) = topic {
            let body = json!({ "exchange": exchange, "write": keys, "read": ".*" });
            self.management.put(&format!("topic-permissions/{place}"), &body).await;
        }
    }

    fn url_with(&self, authority: &str) -> String {
        format!("{}://{authority}/{}", self.amqp.scheme_str().unwrap_or("amqp"), self.vhost)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let management = self.management.clone();
        let accounts = std::mem::take(&mut *self.accounts.lock().unwrap());
        let mut paths: Vec<_> = accounts.iter().map(|account| format!("users/{account}")).collect();
        paths.push(format!("vhosts/{}", self.vhost));
        // A runtime of its own: the test's can't be waited for from inside it.
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for path in paths {
                    management.call(Method::DELETE, &path, &Value::Null).await;
                }
            });
        });
        // A virtual host that stays is an untidiness and not a failure of the test.
        if deleted.join().is_err() {
            eprintln!("the virtual host {} could not be deleted", self.vhost);
        }
    }
}

/// RabbitMQ's management API.
#[derive(Clone)]
struct Management {
    /// `http://user:password@host:port`.
    url: Uri,
}

impl Management {
    fn user(&self) -> &str {
        self.credentials().split_once(':').unwrap().0
    }

    fn credentials(&self) -> &str {
        let authority = self.url.authority().unwrap().as_str();
        authority.rsplit_once('@').expect("RABBITMQ_MANAGEMENT_URL has user:password").0
    }

    async fn put(&self, path: &str, body: &Value) {
        let (status, answer) = self.call(Method::PUT, path, body).await;
        assert!(status.is_success(), "PUT {path}: {status} {answer}");
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, &Value::Null).await;
        assert!(status.is_success(), "GET {path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> (StatusCode, String) {
        let address = (self.url.host().unwrap(), self.url.port_u16().unwrap_or(15672));
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/{path}"))
            .header("host", format!("{}:{}", address.0, address.1))
            .header("authorization", format!("Basic {}", BASE64.encode(self.credentials())))
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(body))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&answer).into_owned())
    }
}
