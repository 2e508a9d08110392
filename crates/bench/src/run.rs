//! The plan of a run: what is measured, in which order, and what must hold for it to count.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use uuid::Uuid;

use crate::{
    checks::{Answers, CREATE_ORDER, CREATED, Rows, create_one},
    dataset::{Dataset, QUERY},
    fill::Databases,
    machine::Machine,
    pgbench::Pgbench,
    processes::Process,
    progress, report,
    rounds::Rounds,
    system::{Backing, System, Way},
    tokens::{Tokens, refresh_tokens},
    wrk::{Load, Wrk},
};

/// The arguments of a run. The databases are those that the environment names; they must be migrated and empty.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Short rounds, and nothing is written: to see that it works, not how fast it is
    #[arg(long)]
    quick: bool,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many rounds count.
    pub(crate) rounds: usize,
    /// How long each way is measured in a round.
    pub(crate) seconds: u64,
    /// How long each way is used before, without being measured.
    pub(crate) warm_up: u64,
}

const FULL: Plan = Plan { rounds: 7, seconds: 8, warm_up: 4 };
const QUICK: Plan = Plan { rounds: 2, seconds: 2, warm_up: 1 };

/// What a run came to.
pub(crate) struct Results {
    /// How much was measured.
    pub(crate) plan: Plan,
    /// On what.
    pub(crate) machine: Machine,
    /// The query, with Postgres behind.
    pub(crate) postgres: Rounds,
    /// The query, with services that answer from memory.
    pub(crate) memory: Rounds,
    /// createOrder.
    pub(crate) writes: Rounds,
    /// What each process holds once it is ready and idle, in bytes.
    pub(crate) idle: Vec<(&'static str, u64)>,
    /// The same after the load.
    pub(crate) after: Vec<(&'static str, u64)>,
}

/// createOrder through the graph.
pub(crate) const CREATE: &str = "createOrder";
/// The same rows by pgbench.
pub(crate) const PGBENCH: &str = "pgbench";

/// How long nothing is asked before memory is read.
const QUIET: std::time::Duration = std::time::Duration::from_secs(5);

/// A folder for logs, tokens and answers of this run. It goes with it, unless the run fails.
struct Folder(PathBuf);

/// What all parts of a run use.
struct Bench {
    plan: Plan,
    folder: PathBuf,
    data: Dataset,
    answers: Answers,
    wrk: Wrk,
}

impl Run {
    /// Measures, prints, and writes the page unless it was a quick run.
    ///
    /// # Errors
    /// When something does not start, or an answer is wrong: the run is void then, and nothing is written.
    pub(crate) async fn run(self) -> Result<()> {
        let folder = Folder::new()?;
        let measured = self.measure(&folder.0).await;
        let results = measured.with_context(|| format!("the logs are in {}", folder.0.display()))?;
        std::fs::remove_dir_all(&folder.0)?;
        report::print(&results)?;
        if !self.quick {
            report::write(&results, Path::new("docs"))?;
        }
        Ok(())
    }

    async fn measure(&self, folder: &Path) -> Result<Results> {
        let databases = Databases::of_environment()?;
        let data = Dataset::new();
        let bench = Bench {
            plan: if self.quick { QUICK } else { FULL },
            folder: folder.to_owned(),
            answers: Answers::of(&data, folder)?,
            wrk: Wrk::find(folder)?,
            data,
        };
        let machine = Machine::look(&databases.order).await?;
        let on_postgres = bench.on_postgres(&databases).await?;
        let memory = bench.in_memory().await?;
        let OnPostgres { queries, writes, idle, after } = on_postgres;
        Ok(Results { plan: bench.plan, machine, postgres: queries, memory, writes, idle, after })
    }
}

struct OnPostgres {
    queries: Rounds,
    writes: Rounds,
    idle: Vec<(&'static str, u64)>,
    after: Vec<(&'static str, u64)>,
}

impl Bench {
    async fn on_postgres(&self, databases: &Databases) -> Result<OnPostgres> {
        let refresh = refresh_tokens();
        let step = progress::step("Migrating and filling the databases");
        migrate().await?;
        databases.fill(&self.data, &refresh).await?;
        step.done("");
        let mut secret = Uuid::now_v7().as_bytes().to_vec();
        secret.extend(Uuid::now_v7().as_bytes());
        let mut system = self.start(Backing::Postgres { secret: STANDARD.encode(secret) }).await?;
        let idle = self.idle(&system.separate).await?;
        let mut tokens = Tokens::of_graph(system.gateway.clone(), &refresh, &self.folder);
        let queries = self.queries(&mut system, &mut tokens, "with Postgres behind").await?;
        let writes = self.writes(&system.gateway, &mut tokens, databases).await?;
        let after = memory_of(&system.separate)?;
        system.stop().await?;
        Ok(OnPostgres { queries, writes, idle, after })
    }

    async fn in_memory(&self) -> Result<Rounds> {
        let (mut tokens, key) = Tokens::of_new_key(&self.folder)?;
        let mut system = self.start(Backing::Memory(key)).await?;
        let queries = self.queries(&mut system, &mut tokens, "with services that answer from memory").await?;
        system.stop().await?;
        Ok(queries)
    }

    async fn start(&self, backing: Backing) -> Result<System> {
        let step = progress::step("Starting the services and the gateway");
        let system = System::start(backing, &self.folder).await?;
        step.done("ready");
        Ok(system)
    }

    async fn idle(&self, processes: &[Process]) -> Result<Vec<(&'static str, u64)>> {
        let step = progress::step("Letting them idle, to see how much memory they hold");
        tokio::time::sleep(QUIET).await;
        let idle = memory_of(processes)?;
        step.done("");
        Ok(idle)
    }

    /// Measures the query over all three ways, and checks every user's answer on each before and after.
    async fn queries(&self, system: &mut System, tokens: &mut Tokens, behind: &str) -> Result<Rounds> {
        let step = progress::step("Starting the handler and the embedded system");
        let ways = system.start_beside(&self.folder).await?;
        step.done("ready");
        self.check(&ways, tokens).await?;
        let load = |tokens: &Path| Load {
            body: QUERY.to_owned(),
            tokens: tokens.to_owned(),
            answers: self.answers.file.clone(),
            ends_only: false,
        };
        let mut rounds = Rounds::of(ways.iter().map(|way| way.name).collect());
        for round in 0..=self.plan.rounds {
            let load = load(tokens.young().await?.1);
            let (step, seconds) = self.round(round, &format!("The query {behind}"));
            for place in rounds.order(round) {
                let measured = self.wrk.run(&ways[place].url, &load, seconds).await?;
                step.add(&format!("{} {:.0}/s", ways[place].name, measured.rate));
                if round > 0 {
                    rounds.add(place, measured);
                }
            }
            step.done("");
        }
        self.check(&ways, tokens).await?;
        system.stop_beside().await?;
        Ok(rounds)
    }

    /// Round 0 warms up and does not count.
    fn round(&self, round: usize, what: &str) -> (progress::Step, u64) {
        match round {
            0 => (progress::step(&format!("{what}, warming up:")), self.plan.warm_up),
            n => (progress::step(&format!("{what}, round {n} of {}:", self.plan.rounds)), self.plan.seconds),
        }
    }

    async fn check(&self, ways: &[Way], tokens: &mut Tokens) -> Result<()> {
        let (tokens, _) = tokens.young().await?;
        let step = progress::step("Checking every user's answer on each way");
        for way in ways {
            self.answers.check(way, tokens).await?;
        }
        step.done("right");
        Ok(())
    }

    /// Measures createOrder beside pgbench; in the end every order must stand there with its lines and its event.
    async fn writes(&self, url: &str, tokens: &mut Tokens, databases: &Databases) -> Result<Rounds> {
        let database = &databases.order;
        let event = create_one(url, &tokens.young().await?.0[0], database).await?;
        let pgbench = Pgbench::find(&self.folder, database, event)?;
        let answers = self.folder.join("created");
        std::fs::write(&answers, CREATED.join("\n"))?;
        let mut rounds = Rounds::of(vec![CREATE, PGBENCH]);
        let (before, mut confirmed) = (Rows::of(database).await?, 0);
        for round in 0..=self.plan.rounds {
            let load = Load {
                body: CREATE_ORDER.to_owned(),
                tokens: tokens.young().await?.1.to_owned(),
                answers: answers.clone(),
                ends_only: true,
            };
            let (step, seconds) = self.round(round, "Placing orders");
            for place in rounds.order(round) {
                let measured = match place {
                    0 => self.wrk.run(url, &load, seconds).await?,
                    _ => pgbench.run(seconds).await?,
                };
                confirmed += measured.answers;
                step.add(&format!("{} {:.0}/s", [CREATE, PGBENCH][place], measured.rate));
                if round > 0 {
                    rounds.add(place, measured);
                }
            }
            step.done("");
        }
        create_one(url, &tokens.young().await?.0[0], database).await?;
        Rows::of(database).await?.hold(before, confirmed)?;
        Ok(rounds)
    }
}

impl Folder {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("portico-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

fn memory_of(processes: &[Process]) -> Result<Vec<(&'static str, u64)>> {
    processes.iter().map(|process| Ok((process.name, process.memory()?))).collect()
}

/// By the command that everybody uses for it.
async fn migrate() -> Result<()> {
    let program = std::env::current_exe()?.with_file_name("portico");
    let output = tokio::process::Command::new(&program).args(["migrate", "up"]).output().await;
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    anyhow::ensure!(
        output.status.success(),
        "the migrations fail:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
