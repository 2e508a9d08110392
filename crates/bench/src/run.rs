//! The plan of a run: what is measured, in which order, and what must hold for it to count.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use portico::{
    environment::Environment,
    progress::{Progress, Step},
};

use crate::{
    checks::{Answers, CREATE_ORDER, CREATED, Rows, create_one},
    dataset::{Dataset, QUERY},
    edge, events,
    fill::fill,
    machine::Machine,
    pgbench::Pgbench,
    pipeline,
    processes::Process,
    refused, report,
    rounds::Rounds,
    safety,
    system::{Backing, EMBEDDED, GATEWAY, System, Way, start_embedded_in_memory},
    tokens::{Tokens, refresh_tokens},
    up::{Kind, Up},
    wrk::{CONNECTIONS, Load, Measured, Wrk},
};

/// The arguments of a run.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Short rounds, and nothing is written: to see that it works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// One part alone; nothing is written
    #[arg(long)]
    only: Option<Part>,
}

/// A part that can be run alone.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// How events travel, what they cost, and to how many they go
    Events,
    /// What a query that is refused takes of the processor
    Refused,
    /// What a public answer from the cache of nginx costs, beside a file
    Edge,
    /// What the edge itself costs a query
    Pipeline,
    /// What traces cost, and what a service that is stuck costs the others
    Safety,
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

const FULL: Plan = Plan { rounds: 5, seconds: 4, warm_up: 2 };
const QUICK: Plan = Plan { rounds: 2, seconds: 2, warm_up: 1 };

impl Plan {
    /// Begins a round, and says how long each way is measured in it. Round 0 warms up and does not count.
    pub(crate) fn round(&self, round: usize, what: &str, progress: &Progress) -> (Step, u64) {
        let (what, seconds) = match round {
            0 => (format!("{what}, warming up"), self.warm_up),
            n => (format!("{what}, round {n} of {}", self.rounds), self.seconds),
        };
        (progress.step(&what), seconds)
    }
}

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
    /// What the edge itself costs.
    pub(crate) pipeline: pipeline::Results,
    /// What is refused.
    pub(crate) refused: refused::Results,
    /// What watching costs, and a service that is stuck.
    pub(crate) safety: safety::Results,
    /// createOrder.
    pub(crate) writes: Rounds,
    /// What each process holds once it is ready and idle, in bytes.
    pub(crate) idle: Vec<(&'static str, u64)>,
    /// The same after the load.
    pub(crate) after: Vec<(&'static str, u64)>,
    /// Events.
    pub(crate) events: events::Results,
    /// The cache before the gateway.
    pub(crate) edge: edge::Results,
}

/// createOrder through the graph.
pub(crate) const CREATE: &str = "createOrder";
/// The same rows by pgbench.
pub(crate) const PGBENCH: &str = "pgbench";

/// How long nothing is asked before memory is read.
const QUIET: Duration = Duration::from_secs(5);

/// What all parts of a run use.
struct Bench {
    plan: Plan,
    /// For logs, data, tokens and answers. It goes with the run, unless that fails.
    folder: PathBuf,
    progress: Progress,
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
        let cache = Environment::of_this_process().cache_folder()?;
        let folder = cache.join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        match self.only {
            None => {
                let results = told(self.measure(&folder).await, &folder)?;
                report::print(&results)?;
                if !self.quick {
                    report::write(&results, Path::new("docs"))?;
                }
            }
            Some(Part::Events) => {
                let results = told(self.measure_events(&folder).await, &folder)?;
                report::print_only_events(&results)?;
            }
            Some(Part::Refused) => {
                let results = told(self.measure_refused(&folder).await, &folder)?;
                report::print_only_refused(&results)?;
            }
            Some(Part::Edge) => {
                let results = told(self.measure_edge(&folder).await, &folder)?;
                report::print_only_edge(&results)?;
            }
            Some(Part::Pipeline) => {
                let results = told(self.measure_pipeline(&folder).await, &folder)?;
                report::print_only_pipeline(&results)?;
            }
            Some(Part::Safety) => {
                let results = told(self.measure_safety(&folder).await, &folder)?;
                report::print_only_safety(&results)?;
            }
        }
        Ok(())
    }

    async fn measure_events(&self, folder: &Path) -> Result<events::Results> {
        let data = Dataset::new();
        events::measure(self.events_plan(), &data, folder, &Progress::on_stderr()).await
    }

    async fn measure_refused(&self, folder: &Path) -> Result<refused::Results> {
        let (_, key) = Tokens::of_new_key(folder)?;
        let system = System::start(&Backing::Memory(key), folder).await?;
        let (processes, graph) = (&system.processes, &system.graph);
        let results = refused::measure(processes, graph, self.quick, &Progress::on_stderr()).await?;
        system.stop().await?;
        Ok(results)
    }

    async fn measure_edge(&self, folder: &Path) -> Result<edge::Results> {
        let (data, wrk) = (Dataset::new(), Wrk::find(folder).await?);
        edge::measure(self.plan(), &data, folder, &wrk, &Progress::on_stderr()).await
    }

    async fn measure_pipeline(&self, folder: &Path) -> Result<pipeline::Results> {
        let wrk = Wrk::find(folder).await?;
        let answers = Answers::of(&Dataset::new(), folder)?;
        pipeline::measure(self.plan(), &answers, folder, &wrk, &Progress::on_stderr()).await
    }

    async fn measure_safety(&self, folder: &Path) -> Result<safety::Results> {
        let wrk = Wrk::find(folder).await?;
        let answers = Answers::of(&Dataset::new(), folder)?;
        safety::measure(self.plan(), &answers, folder, &wrk, &Progress::on_stderr()).await
    }

    fn plan(&self) -> Plan {
        if self.quick { QUICK } else { FULL }
    }

    fn events_plan(&self) -> events::Plan {
        if self.quick { events::QUICK } else { events::FULL }
    }

    async fn measure(&self, folder: &Path) -> Result<Results> {
        let data = Dataset::new();
        let bench = Bench {
            plan: self.plan(),
            folder: folder.to_owned(),
            progress: Progress::on_stderr(),
            answers: Answers::of(&data, folder)?,
            wrk: Wrk::find(folder).await?,
            data,
        };
        let refresh = refresh_tokens();
        let mut tokens = Tokens::of_graph(&refresh, folder);
        let (machine, postgres, idle, after) = bench.queries_on_postgres(&refresh, &mut tokens).await?;
        let writes = bench.writes(&mut tokens).await?;
        let (memory, refused) = bench.queries_in_memory(self.quick).await?;
        let Bench { plan, answers, wrk, progress, .. } = &bench;
        let pipeline = Box::pin(pipeline::measure(*plan, answers, folder, wrk, progress)).await?;
        let safety = Box::pin(safety::measure(*plan, answers, folder, wrk, progress)).await?;
        let plan = self.events_plan();
        let events = Box::pin(events::measure(plan, &bench.data, folder, &bench.progress)).await?;
        let Bench { plan, wrk, progress, data, .. } = &bench;
        let edge = Box::pin(edge::measure(*plan, data, folder, wrk, progress)).await?;
        Ok(Results {
            plan: bench.plan,
            machine,
            postgres,
            memory,
            pipeline,
            refused,
            safety,
            writes,
            idle,
            after,
            events,
            edge,
        })
    }
}

/// What was measured in `folder`, which goes unless something failed.
fn told<R>(measured: Result<R>, folder: &Path) -> Result<R> {
    let results = measured.with_context(|| format!("the logs are in {}", folder.display()))?;
    fs::remove_dir_all(folder)?;
    Ok(results)
}

/// The name and the resident set of each process.
type Held = Vec<(&'static str, u64)>;

impl Bench {
    async fn queries_on_postgres(
        &self,
        refresh: &[[u8; 32]],
        tokens: &mut Tokens,
    ) -> Result<(Machine, Rounds, Held, Held)> {
        let up = self.up(Kind::Embedded).await?;
        let machine = Machine::look(up.database("order")?).await?;
        let step = self.progress.step("Filling the databases");
        fill(&up, &self.data, refresh).await?;
        step.done("");
        let system = self.start(&Backing::Postgres(up.variables.clone())).await?;
        let idle = self.idle(&system.processes).await?;
        let (handler, beside) = system.start_handler(&self.folder).await?;
        let ways = [
            Way { name: GATEWAY, url: system.graph.clone() },
            beside,
            Way { name: EMBEDDED, url: up.graph.clone() },
        ];
        let rounds = self.queries(&ways, tokens, "with Postgres behind").await?;
        let after = held(&system.processes)?;
        handler.stop().await?;
        self.stop(system, Some(up)).await?;
        Ok((machine, rounds, idle, after))
    }

    async fn queries_in_memory(&self, quick: bool) -> Result<(Rounds, refused::Results)> {
        let (mut tokens, key) = Tokens::of_new_key(&self.folder)?;
        let system = self.start(&Backing::Memory(key.clone())).await?;
        let (handler, beside) = system.start_handler(&self.folder).await?;
        let (embedded, in_one) = start_embedded_in_memory(&key, &self.folder).await?;
        let ways = [Way { name: GATEWAY, url: system.graph.clone() }, beside, in_one];
        let rounds = self.queries(&ways, &mut tokens, "with services that answer from memory").await?;
        embedded.stop().await?;
        handler.stop().await?;
        let refused = refused::measure(&system.processes, &system.graph, quick, &self.progress).await?;
        self.stop(system, None).await?;
        Ok((rounds, refused))
    }

    async fn up(&self, kind: Kind) -> Result<Up> {
        let step = self.progress.step(match kind {
            Kind::Embedded => "Starting Postgres, and the system in one process",
            Kind::Backends => "Starting Postgres and RabbitMQ",
        });
        let up = Up::start(kind, &self.folder).await?;
        step.done("ready");
        Ok(up)
    }

    async fn start(&self, backing: &Backing) -> Result<System> {
        let step = self.progress.step("Starting the services and the gateway, a process each");
        let system = System::start(backing, &self.folder).await?;
        step.done("ready");
        Ok(system)
    }

    async fn stop(&self, system: System, up: Option<Up>) -> Result<()> {
        let step = self.progress.step("Stopping them");
        system.stop().await?;
        if let Some(up) = up {
            up.stop().await?;
        }
        step.done("");
        Ok(())
    }

    async fn idle(&self, processes: &[Process]) -> Result<Held> {
        let step = self.progress.step("Letting them idle, to see how much memory they hold");
        tokio::time::sleep(QUIET).await;
        let idle = held(processes)?;
        step.done("");
        Ok(idle)
    }

    /// Measures the query over all `ways`, and checks every user's answer on each before and after.
    async fn queries(&self, ways: &[Way], tokens: &mut Tokens, behind: &str) -> Result<Rounds> {
        self.check(ways, tokens).await?;
        let mut rounds = Rounds::of(ways.iter().map(|way| way.name).collect());
        for round in 0..=self.plan.rounds {
            let load = Load {
                method: "POST",
                body: QUERY.to_owned(),
                tokens: tokens.young(&ways[0].url).await?.1.to_owned(),
                answers: self.answers.file.clone(),
                ends_only: false,
            };
            let (step, seconds) = self.round(round, &format!("The query {behind}"));
            let mut measured = Vec::new();
            for place in rounds.order(round) {
                measured.push((place, self.wrk.run(&ways[place].url, &load, seconds).await?));
            }
            end_of_round(round, step, measured, &mut rounds);
        }
        self.check(ways, tokens).await?;
        Ok(rounds)
    }

    fn round(&self, round: usize, what: &str) -> (Step, u64) {
        self.plan.round(round, what, &self.progress)
    }

    async fn check(&self, ways: &[Way], tokens: &mut Tokens) -> Result<()> {
        let (tokens, _) = tokens.young(&ways[0].url).await?;
        let step = self.progress.step("Checking every user's answer on each way");
        for way in ways {
            self.answers.check(way, tokens).await?;
        }
        step.done("right");
        Ok(())
    }

    /// Measures createOrder beside pgbench, on the Postgres of before and with nobody else at work on it. In the end
    /// every order must stand there with its lines and its event.
    async fn writes(&self, tokens: &mut Tokens) -> Result<Rounds> {
        let up = self.up(Kind::Backends).await?;
        let database = up.database("order")?.to_owned();
        let system = self.start(&Backing::Postgres(up.variables.clone())).await?;
        let event = create_one(&system.graph, &tokens.young(&system.graph).await?.0[0], &database).await?;
        let pgbench = Pgbench::find(&self.folder, &database, event).await?;
        let before = Rows::of(&database).await?;
        let (rounds, confirmed) = self.write_rounds(&system.graph, tokens, &pgbench).await?;
        create_one(&system.graph, &tokens.young(&system.graph).await?.0[0], &database).await?;
        Rows::of(&database).await?.hold(before, confirmed)?;
        self.stop(system, Some(up)).await?;
        Ok(rounds)
    }

    /// The rounds, and how many orders were confirmed in all.
    async fn write_rounds(&self, url: &str, tokens: &mut Tokens, pgbench: &Pgbench) -> Result<(Rounds, u64)> {
        let answers = self.folder.join("created");
        fs::write(&answers, CREATED.join("\n"))?;
        let (mut rounds, mut confirmed) = (Rounds::of(vec![CREATE, PGBENCH]), 0);
        for round in 0..=self.plan.rounds {
            let load = Load {
                method: "POST",
                body: CREATE_ORDER.to_owned(),
                tokens: tokens.young(url).await?.1.to_owned(),
                answers: answers.clone(),
                ends_only: true,
            };
            let (step, seconds) = self.round(round, "Placing orders");
            let mut measured = Vec::new();
            for place in rounds.order(round) {
                let one = match place {
                    0 => self.wrk.run(url, &load, seconds).await?,
                    _ => pgbench.run(CONNECTIONS, seconds).await?,
                };
                confirmed += one.answers;
                measured.push((place, one));
            }
            end_of_round(round, step, measured, &mut rounds);
        }
        Ok((rounds, confirmed))
    }
}

/// Tells what the round measured and, unless it was the one that warms up, adds it to the others.
pub(crate) fn end_of_round(
    round: usize,
    step: Step,
    mut measured: Vec<(usize, Measured)>,
    rounds: &mut Rounds,
) {
    measured.sort_by_key(|(place, _)| *place);
    let told =
        measured.iter().zip(rounds.names()).map(|((_, one), name)| format!("{name} {:.0}/s", one.rate));
    step.done(&told.collect::<Vec<_>>().join(", "));
    if round > 0 {
        measured.into_iter().for_each(|(place, one)| rounds.add(place, one));
    }
}

fn held(processes: &[Process]) -> Result<Held> {
    processes.iter().map(|process| Ok((process.name, process.memory()?))).collect()
}
