//! The part about the edge: what a public query reaches that nginx answers from its cache, of a file that nginx serves.
//!
//! Both are the same nginx with the same settings, asked over as many connections, for the same bytes.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portico::{
    backend::nginx::{Found, Nginx, Values},
    environment::Environment,
    progress::Progress,
    state::{Acquired, State},
};
use tokio::{
    net::TcpStream,
    process::Child,
    time::{Instant, sleep},
};

use crate::{
    client::{Answer, Client},
    dataset::Dataset,
    fill::fill,
    processes::free_port,
    report::{RATES, Target, Wanted, rate_rows, rows},
    rounds::Rounds,
    run::{Plan, end_of_round},
    tokens::refresh_tokens,
    up::{Kind, Up},
    wrk::{CONNECTIONS, Load, Wrk},
};

/// The file.
const FILE: &str = "file";
/// The query by GET.
const BY_GET: &str = "GET";
/// The query by POST, whose body njs hashes.
const BY_POST: &str = "POST";
/// What the query must reach of the file by GET, and by POST.
const GET_OF_FILE: f64 = 0.8;
const POST_OF_FILE: f64 = 0.5;

/// What is asked, as JSON and as an argument.
const QUERY: &str = r#"{"query":"{ products(limit: 10) { data { id name unitPrice } } }"}"#;
const ARGUMENT: &str = "query=%7Bproducts(limit:10)%7Bdata%7Bid%20name%20unitPrice%7D%7D%7D";
/// How long the nginx with the file may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// How nginx serves the file.
const FILE_CONF: &str = include_str!("../nginx/file.conf");

/// What the part came to.
pub(crate) struct Results {
    plan: Plan,
    /// How many bytes each answer has.
    bytes: usize,
    /// The file and the query.
    pub(crate) rounds: Rounds,
}

/// Measures it, with state and logs in `folder`.
///
/// # Errors
/// When something does not start, or an answer is not what it must be: the run is void then.
pub(crate) async fn measure(
    plan: Plan,
    data: &Dataset,
    folder: &Path,
    wrk: &Wrk,
    progress: &Progress,
) -> Result<Results> {
    // A Postgres of its own: the other parts leave their rows behind.
    let folder = &folder.join("edge");
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let step = progress.step("Starting Postgres, the system in one process, and nginx");
    let up = Up::start(Kind::Embedded, folder).await?;
    fill(&up, data, &refresh_tokens()).await?;
    let edge = Edge::start(&up.graph, folder, progress).await?;
    step.done("ready");
    let rounds = edge.rounds(plan, wrk, folder, progress).await?;
    let bytes = edge.answer.len();
    let step = progress.step("Stopping them");
    edge.stop(progress).await?;
    up.stop().await?;
    step.done("");
    Ok(Results { plan, bytes, rounds })
}

/// Both kinds of nginx, and the answer that both give.
struct Edge {
    nginx: Nginx,
    state: State,
    file: FileServer,
    file_url: String,
    answer: Bytes,
}

/// An nginx of which we are the parent. Dropped, it is told to end: killed, it would leave its workers behind.
struct FileServer(Child);

impl Drop for FileServer {
    fn drop(&mut self) {
        if let Some(id) = self.0.id() {
            let _ = kill(Pid::from_raw(id.cast_signed()), Signal::SIGTERM);
        }
    }
}

impl Edge {
    async fn start(graph: &str, folder: &Path, progress: &Progress) -> Result<Self> {
        let environment = Environment::of_this_process();
        let Acquired::Ours(state) = State::acquire(&folder.join("edge"))? else {
            bail!("another run is here")
        };
        let found = Found::find(&environment, progress).await.context("there is no nginx")?;
        let gateway = graph.trim_start_matches("http://").trim_end_matches("/graphql");
        let values = Values::of(&environment)
            .with("NGINX_LISTEN", "127.0.0.1:0")
            .with("NGINX_GATEWAY", gateway)
            .with("NGINX_REQUESTS_PER_SECOND", "1000000")
            .with("NGINX_CONNECTIONS_PER_ADDRESS", "1000");
        let nginx = found.start(values, &state, &environment).await?;
        ensure!(nginx.hashes(), "njs is not there, so there is no hash to be measured");
        let answer = Client::connect(graph).await?.post(None, QUERY.into()).await?.body;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let file = serve_file(&found, &state, &environment, &listen, &answer)?;
        until_it_answers(&listen).await?;
        Ok(Self { nginx, state, file, file_url: format!("http://{listen}/answer.json"), answer })
    }

    /// Name, URL, method and body of each way.
    fn ways(&self) -> [(&'static str, String, &'static str, &'static str); 3] {
        let graph = format!("{}/graphql", self.nginx.url());
        [
            (FILE, self.file_url.clone(), "GET", ""),
            (BY_GET, format!("{graph}?{ARGUMENT}"), "GET", ""),
            (BY_POST, graph, "POST", QUERY),
        ]
    }

    async fn rounds(&self, plan: Plan, wrk: &Wrk, folder: &Path, progress: &Progress) -> Result<Rounds> {
        let (tokens, answers) = (folder.join("nobody"), folder.join("public"));
        fs::write(&tokens, "\n")?;
        fs::write(&answers, &self.answer)?;
        let ways = self.ways();
        let mut rounds = Rounds::of(ways.iter().map(|(name, ..)| *name).collect());
        self.check().await?;
        for round in 0..=plan.rounds {
            let (step, seconds) = plan.round(round, "A public query through nginx, and a file", progress);
            let mut measured = Vec::new();
            for place in rounds.order(round) {
                let (_, url, method, body) = &ways[place];
                let (tokens, answers) = (tokens.clone(), answers.clone());
                let load = Load { method, body: (*body).to_owned(), tokens, answers, ends_only: false };
                measured.push((place, wrk.run(url, &load, seconds).await?));
            }
            end_of_round(round, step, measured, &mut rounds);
        }
        self.check().await?;
        Ok(rounds)
    }

    /// Whether each way gives the answer, and the query's come from the cache.
    async fn check(&self) -> Result<()> {
        for (name, url, method, body) in self.ways() {
            let mut client = Client::connect(&url).await?;
            let mut ask = async || match method {
                "POST" => client.post(None, body.into()).await,
                _ => client.get().await,
            };
            let (first, second) = (ask().await?, ask().await?);
            for Answer { status, body, .. } in [&first, &second] {
                ensure!(status.is_success() && *body == self.answer, "{name} answers {status}: {body:?}");
            }
            let from = second.headers.get("x-cache-status").map(|value| value.as_bytes());
            ensure!(name == FILE || from == Some(b"HIT"), "{name} is not answered from the cache: {from:?}");
        }
        Ok(())
    }

    async fn stop(self, progress: &Progress) -> Result<()> {
        drop(self.file);
        self.nginx.stop(&self.state).await?;
        self.state.discard(progress).await
    }
}

/// Starts the nginx that serves the answer as a file.
fn serve_file(
    found: &Found,
    state: &State,
    environment: &Environment,
    listen: &str,
    answer: &[u8],
) -> Result<FileServer> {
    let owner = environment.owner_of_backends();
    let folder = state.private_folder("file", owner)?;
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let file = folder.join(name);
        fs::write(&file, bytes)?;
        if let Some(owner) = owner {
            chown(&file, Some(owner.uid), Some(owner.gid))?;
        }
        Ok(file)
    };
    write("answer.json", answer)?;
    let conf = FILE_CONF
        .replace("@FOLDER@", &folder.display().to_string())
        .replace("@TREE@", &state.folder().join("nginx").display().to_string())
        .replace("@LISTEN@", listen);
    let conf = write("nginx.conf", conf.as_bytes())?;
    let log = fs::File::create(state.folder().join("file.log"))?;
    let mut command = found.command(environment);
    command.arg("-e").arg("stderr").arg("-c").arg(conf).args(["-g", "daemon off;"]);
    let child = command.stdin(Stdio::null()).stderr(log).current_dir(&folder).spawn();
    Ok(FileServer(child.context("nginx does not start")?))
}

async fn until_it_answers(address: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).await.is_err() {
        ensure!(Instant::now() < deadline, "the nginx with the file does not answer at {address}");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

impl Results {
    /// What must be reached.
    pub(crate) fn targets(&self) -> Vec<Target> {
        [(BY_GET, GET_OF_FILE), (BY_POST, POST_OF_FILE)]
            .map(|(way, least)| Target {
                what: format!("cached query by {way} / file, through nginx"),
                wanted: Wanted::AtLeast(least),
                measured: self.rounds.ratio(way, FILE),
            })
            .into()
    }

    /// Writes the part of the page.
    ///
    /// # Errors
    /// Never: a text takes all that is written.
    pub(crate) fn write(&self, page: &mut String) -> Result<()> {
        writeln!(
            page,
            "\n## The edge\n\n\
             A public query for ten products that nginx answers from its cache, by GET and by POST, whose body njs hashes,\n\
             beside the same nginx with the same settings and the same log that serves a file with the same {} bytes, over\n\
             {CONNECTIONS} connections each. {} rounds of {} s for each way, as above; wrk compares every answer.\n\n\
             ![requests per second](performance/edge.svg)\n",
            self.bytes, self.plan.rounds, self.plan.seconds
        )?;
        rows(page, RATES, rate_rows(&self.rounds).into_iter())
    }
}
