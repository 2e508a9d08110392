//! What the part about events came to, as docs/performance.md and the terminal tell it.

use std::{fmt::Write as _, path::Path, time::Duration};

use anyhow::Result;

use super::{
    Results,
    appending::{CREATE, WITH, WITHOUT, cost},
    backlog::{IN_FLIGHT, LAPIN, RELAY},
};
use crate::{
    plot,
    report::{Target, Wanted, rows, whole},
    rounds::median,
};

/// What the relay must reach of the publisher.
const OF_LAPIN: f64 = 0.6;
/// How soon half of the events must be heard, and 99 of 100, in milliseconds.
const HALF_WITHIN: f64 = 20.0;
const NEARLY_ALL_WITHIN: f64 = 100.0;
/// What the append may take, in percent of the rest of createOrder.
const APPENDING_TAKES: f64 = 10.0;
/// What an idle subscription may hold, in KiB.
const SUBSCRIPTION_HOLDS: f64 = 16.0;
/// How soon an event must have reached the last of its subscribers, in milliseconds.
const REACHED_WITHIN: f64 = 250.0;

impl Results {
    /// What must be reached.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let target = |what: &str, wanted, measured| Target { what: what.to_owned(), wanted, measured };
        let within = |most| Wanted::AtMost(most, "ms");
        let mut targets = vec![
            target("relay / lapin", Wanted::AtLeast(OF_LAPIN), self.backlog.ratio(RELAY, LAPIN)),
            target("commit to delivery, half", within(HALF_WITHIN), self.delivered_within(50)),
            target("commit to delivery, 99 %", within(NEARLY_ALL_WITHIN), self.delivered_within(99)),
        ];
        targets.extend(self.appending.iter().map(|(clients, rounds)| {
            let what = format!("what appending the event costs createOrder, {clients} at once");
            target(&what, Wanted::AtMost(APPENDING_TAKES, "%"), cost(rounds))
        }));
        let held = Wanted::AtMost(SUBSCRIPTION_HOLDS, "KiB");
        targets.push(target("memory of an idle subscription", held, self.subscription_holds()));
        let what = format!("one event to {} subscribers, the slowest time", self.plan.reached);
        targets.push(target(&what, within(REACHED_WITHIN), self.reached_within(100)));
        targets
    }

    /// All that was measured: what, how much.
    pub(crate) fn rows(&self) -> Vec<[String; 2]> {
        let backlog = self.backlog_rows();
        let moved = backlog.map(|[way, rate, ..]| [format!("backlog moved by {way}, events/s"), rate]);
        let delivered =
            self.delivered_rows().map(|[what, took]| [format!("commit to delivery, {what}"), took]);
        let appending = self.appending_rows().map(|[clients, create, with, without, cost]| {
            [
                format!("orders a second, {clients} at once"),
                format!(
                    "{create} by createOrder; its statement {with} with the event, {without} without: {cost}"
                ),
            ]
        });
        let reached = self
            .reached_rows()
            .map(|[what, took]| [format!("one event to {} subscribers, {what}", self.plan.reached), took]);
        let held = [
            format!("memory of each of {} subscriptions", self.plan.sockets),
            format!("{:.1} KiB", self.subscription_holds()),
        ];
        moved.chain(delivered).chain(appending).chain([held]).chain(reached).collect()
    }

    /// How many clients, the median rates of createOrder and of its statement with the event and without, and the cost.
    fn appending_rows(&self) -> impl Iterator<Item = [String; 5]> {
        self.appending.iter().map(|(clients, rounds)| {
            let rate = |way| whole(median(rounds.rates(way)));
            let cost = format!("{:.1} %", cost(rounds));
            [clients.to_string(), rate(CREATE), rate(WITH), rate(WITHOUT), cost]
        })
    }

    /// In KiB.
    fn subscription_holds(&self) -> f64 {
        let more = self.subscribers.with as f64 - self.subscribers.before as f64;
        more / 1_024.0 / self.plan.sockets as f64
    }

    fn reached_rows(&self) -> impl Iterator<Item = [String; 2]> {
        let parts = [("half of the times within", 50), ("all within", 100)];
        parts.into_iter().map(|(what, of)| [what.to_owned(), format!("{:.1} ms", self.reached_within(of))])
    }

    fn reached_within(&self, of: usize) -> f64 {
        milliseconds(part(&self.subscribers.reached, of))
    }

    /// Way, and its median, least and most events a second.
    fn backlog_rows(&self) -> impl Iterator<Item = [String; 4]> {
        self.backlog.ways().map(|(way, measured)| {
            let rates: Vec<f64> = measured.iter().map(|one| one.rate).collect();
            let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
            let most = rates.iter().copied().fold(0.0, f64::max);
            [way.to_owned(), whole(median(rates)), whole(least), whole(most)]
        })
    }

    fn delivered_rows(&self) -> impl Iterator<Item = [String; 2]> {
        let parts = [("half within", 50), ("99 % within", 99), ("all within", 100)];
        parts.into_iter().map(|(what, of)| [what.to_owned(), format!("{:.1} ms", self.delivered_within(of))])
    }

    fn delivered_within(&self, of: usize) -> f64 {
        milliseconds(part(&self.delivered, of))
    }

    /// Draws the plots into `folder`.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn draw(&self, folder: &Path) -> Result<()> {
        plot::rates(&folder.join("backlog.svg"), "a backlog", "events", &self.backlog)
    }

    /// Writes the part of the page.
    ///
    /// # Errors
    /// Never: a text takes all that is written.
    pub(crate) fn write(&self, page: &mut String) -> Result<()> {
        writeln!(page, "\n## Events\n\nRabbitMQ runs on the same machine, as `portico up` brings it up.")?;
        self.write_backlog(page)?;
        self.write_delivered(page)?;
        self.write_appending(page)?;
        self.write_subscribers(page)
    }

    fn write_backlog(&self, page: &mut String) -> Result<()> {
        writeln!(
            page,
            "\n### A backlog\n\n\
             {} events of placed orders wait in the outbox of the order service. The relay moves them to the quorum queue of\n\
             the payment service, from its start, with connecting, until no row waits any more; so it reads and marks each\n\
             row too. Beside it a publisher that has nothing but lapin sends as many messages of the same size to the same\n\
             queue over one channel, with confirms and as many on their way, {IN_FLIGHT}. Of the queue nobody takes any; after\n\
             each run it must hold every event once, and then it is emptied. {} rounds, every other one backwards, after a\n\
             short one to warm up.\n\n\
             ![events per second](performance/backlog.svg)\n",
            self.plan.backlog, self.plan.rounds
        )?;
        rows(page, ["", "events/s (median)", "from", "to"], self.backlog_rows())
    }

    fn write_delivered(&self, page: &mut String) -> Result<()> {
        writeln!(
            page,
            "\n### From the commit to a listener\n\n\
             {} events, one at a time on a system that does nothing else: a transaction appends one to the outbox and commits,\n\
             the relay is woken as the services wake it, and the clock runs from then until a listener such as a gateway has\n\
             it from RabbitMQ.\n",
            self.plan.followed
        )?;
        rows(page, ["", "time"], self.delivered_rows())
    }

    fn write_appending(&self, page: &mut String) -> Result<()> {
        writeln!(
            page,
            "\n### What the event costs createOrder\n\n\
             The clients call createOrder on the order service, over gRPC and one order after the other. Beside it as many\n\
             clients of pgbench send the one statement with which that service writes an order, with the event in it and\n\
             without: what it takes longer with the event is what the append takes, and the cost is that beside the rest of\n\
             createOrder. {} rounds of {} s each way, every other one backwards; the cost is taken inside each round, and\n\
             its median is told. Nobody relays meanwhile.\n",
            self.plan.appending_rounds, self.plan.seconds
        )?;
        rows(
            page,
            ["clients", "createOrder/s", "its statement/s with the event", "without it", "the append costs"],
            self.appending_rows(),
        )
    }

    fn write_subscribers(&self, page: &mut String) -> Result<()> {
        let (before, with) = (self.subscribers.before as f64 / 1e6, self.subscribers.with as f64 / 1e6);
        writeln!(
            page,
            "\n### Subscriptions\n\n\
             {} sockets of graphql-transport-ws on one gateway, each with one subscription to `orderStatusChanged`. The\n\
             gateway held {before:.1} MB before them and {with:.1} MB with them, so {:.1} KiB for each. {} of them belong to one\n\
             user, whose orders then change {} times: the clock runs from publishing the event to RabbitMQ until the last of\n\
             these has its `next`. The clients share the machine with the gateway.\n",
            self.plan.sockets,
            self.subscription_holds(),
            self.plan.reached,
            self.plan.told
        )?;
        rows(page, ["", "time"], self.reached_rows())
    }
}

/// The time in which so many of 100 came, of times with the shortest first.
pub(super) fn part(times: &[Duration], of_hundred: usize) -> Option<Duration> {
    let place = (times.len() * of_hundred).div_ceil(100);
    times.get(place.max(1) - 1).copied()
}

/// Not a number for none, so that no target is met by it.
pub(super) fn milliseconds(time: Option<Duration>) -> f64 {
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_times_are_within_the_one_in_the_middle_and_all_within_the_longest() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        let within = |of| milliseconds(part(&times, of));
        assert_eq!((within(50), within(99), within(100)), (50.0, 99.0, 100.0));
        assert!(milliseconds(part(&[], 50)).is_nan());
    }
}
