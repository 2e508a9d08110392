//! The gateway and the services as processes of their own.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::graph::Graph;
use crate::run::{Folder, Up, eventually, portico};

/// A binary of the workspace that runs on free ports, until it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Where clients are answered.
    pub(crate) address: String,
    /// Where health and metrics are.
    pub(crate) admin: String,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts `name` with these settings and waits until it says where it listens.
    pub(crate) fn start(name: &str, settings: &[(String, String)]) -> Self {
        Self::start_at("127.0.0.1:0", name, settings)
    }

    /// The same, with clients answered at `address`.
    pub(crate) fn start_at(address: &str, name: &str, settings: &[(String, String)]) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_portico")).with_file_name(name);
        assert!(program.exists(), "{name} is not built: `cargo build --workspace --bins`");
        let prefix = name.to_uppercase();
        let mut command = Command::new(program);
        command.env("LOG_FORMAT", "json").env("RUST_LOG", "info");
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        command.env(format!("{prefix}_LISTEN"), address);
        command.env(format!("{prefix}_ADMIN_LISTEN"), "127.0.0.1:0");
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let kept = log.clone();
        let mut lines = lines.map(move |line| {
            let line = line.unwrap();
            kept.lock().unwrap().push_str(&format!("{line}\n"));
            line
        });
        let (address, admin) =
            lines.find_map(|line| addresses(&line)).unwrap_or_else(|| panic!("{name} ended"));
        // Read on, or its log would fill the pipe and stop it.
        std::thread::spawn(move || lines.for_each(drop));
        // It has its port before it takes anyone there: it does once it is ready.
        eventually("it takes clients", || TcpStream::connect(&address).is_ok());
        Self { child, address, admin, log }
    }

    /// All that it has logged.
    pub(crate) fn logged(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Kills it.
    pub(crate) fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits until it has; gives whether it ended in good order.
    pub(crate) fn stop(mut self) -> bool {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The public address and the one of health and metrics, in a line of the log that tells them.
fn addresses(line: &str) -> Option<(String, String)> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let told = line.get("grpc").or_else(|| line.get("graph"))?;
    Some((told.as_str()?.to_owned(), line.get("admin")?.as_str()?.to_owned()))
}

/// The variables that `portico env` prints for `service`.
pub(crate) fn settings_of(service: &str, folder: &Folder) -> Vec<(String, String)> {
    let exports = portico(folder, &["env", service]).output().unwrap();
    let exports = String::from_utf8(exports.stdout).unwrap();
    let exports = exports.lines().map(|line| line.strip_prefix("export ").unwrap().split_once('=').unwrap());
    exports.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
}

/// The backends of one system, and its processes.
struct Apart {
    settings: Vec<(String, String)>,
    gateway: Process,
    order: Process,
    user: Option<Process>,
    // Last, and in this order: what was started first ends last.
    _backends: Up,
    _folder: Folder,
}

impl Apart {
    fn start() -> Self {
        let folder = Folder::new();
        let backends = Up::start_arguments(&folder, &["up", "--backends"], &[]);
        let user = Process::start("user", &settings_of("user", &folder));
        let user_url = ("USER_GRPC_URL".to_owned(), format!("http://{}", user.address));
        let mut settings = settings_of("order", &folder);
        settings.push(user_url.clone());
        let order = Process::start("order", &settings);
        let mut settings = settings_of("gateway", &folder);
        settings.push(user_url);
        settings.push(("ORDER_GRPC_URL".to_owned(), format!("http://{}", order.address)));
        // Nothing listens there: a service that is down costs its own fields.
        settings.push(("PAYMENT_GRPC_URL".to_owned(), "http://127.0.0.1:9".to_owned()));
        let gateway = Process::start("gateway", &settings);
        Self { _folder: folder, _backends: backends, settings, user: Some(user), order, gateway }
    }

    fn graph(&self) -> Graph {
        Graph::at(&format!("http://{}", self.gateway.address))
    }

    /// A customer who has just registered.
    fn customer(&self, email: &str) -> Graph {
        let graph = self.graph();
        let register = format!(
            r#"mutation {{ register(input: {{email: "{email}", password: "columns-and-arches-88",
                firstName: "Lin", lastName: "Wei"}}) {{ token }} }}"#
        );
        eventually("the gateway takes requests", || {
            graph.ask(&register)["data"].is_object()
                || graph.refusal(&register).as_deref() == Some("EMAIL_TAKEN")
        });
        let customer = graph.log_in(email, "columns-and-arches-88");
        eventually("the order service can judge tokens", || {
            customer.ask("{ myOrders { data { id } } }")["data"]["myOrders"].is_object()
        });
        customer
    }
}

#[test]
fn a_logout_is_known_to_every_process_within_two_polls_and_after_their_restart() {
    let mut apart = Apart::start();
    let customer = apart.customer("lin@example.com");
    assert_eq!(customer.ask("{ myOrders { data { id } } }")["errors"], serde_json::Value::Null);
    assert_eq!(customer.ask("mutation { logout }")["data"]["logout"], true);
    eventually("the gateway refuses the token", || {
        customer.refusal("{ products { data { id } } }").as_deref() == Some("SESSION_REVOKED")
    });
    // Anew, with nothing remembered: they load the revocations before they let anyone in.
    let gateway = Process::start("gateway", &apart.settings);
    assert!(std::mem::replace(&mut apart.gateway, gateway).stop());
    let customer_again = apart.graph().with_token(customer.token());
    eventually("the new gateway refuses it too", || {
        customer_again.refusal("{ products { data { id } } }").as_deref() == Some("SESSION_REVOKED")
    });
}

#[test]
fn tokens_outlive_a_restart_of_the_user_service_and_its_absence() {
    let mut apart = Apart::start();
    let customer = apart.customer("lin@example.com");
    assert!(apart.user.take().unwrap().stop());
    // Verified by the keys that each process has; what the user service alone knows is null.
    assert_eq!(
        customer.ask("{ myOrders { data { id } } }")["data"]["myOrders"]["data"],
        serde_json::json!([])
    );
    let me = customer.ask("{ me { id } myOrders { data { id } } }");
    assert!(me["data"]["me"].is_null() && me["data"]["myOrders"].is_object(), "{me}");
    assert_eq!(me["errors"][0]["extensions"]["code"], "SERVICE_UNAVAILABLE");
    assert_eq!(me["errors"][0]["path"], serde_json::json!(["me"]));
}

#[test]
fn a_service_that_is_down_costs_its_fields_and_processes_stop_in_good_order() {
    let apart = Apart::start();
    let customer = apart.customer("lin@example.com");
    let page = customer.ask("{ payments { data { id } } products { data { id } } }");
    assert!(page["data"]["payments"].is_null(), "{page}");
    assert!(page["data"]["products"]["data"].is_array(), "{page}");
    let Apart { user, order, gateway, .. } = apart;
    assert!(gateway.stop());
    assert!(order.stop());
    assert!(user.unwrap().stop());
}
