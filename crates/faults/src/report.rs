//! What a run came to, for people: the figures, and whether each promise held.

use std::{
    fs,
    io::{Write, stdout},
    path::Path,
};

use anyhow::Result;
use comfy_table::{Table, presets::NOTHING};

use crate::{
    checks::{Facts, Verdict},
    faults::Done,
};

/// How many of the things that break one promise are printed; the file has all.
const SHOWN: usize = 10;

/// Prints the figures and the verdicts.
///
/// # Errors
/// When the standard output is closed.
pub(crate) fn print(facts: &Facts<'_>, verdicts: &[Verdict], seconds: u64) -> Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    for (what, how_much) in figures(facts, seconds) {
        table.add_row([what, how_much]);
    }
    let mut out = stdout().lock();
    writeln!(out, "\n{}\n", table.trim_fmt())?;
    for verdict in verdicts {
        let sign = if verdict.broken.is_empty() { "holds " } else { "BROKEN" };
        writeln!(out, " {sign}  {}", verdict.promise)?;
        for what in verdict.broken.iter().take(SHOWN) {
            writeln!(out, "           {what}")?;
        }
        if verdict.broken.len() > SHOWN {
            writeln!(out, "           and {} more", verdict.broken.len() - SHOWN)?;
        }
    }
    Ok(writeln!(out)?)
}

fn figures(facts: &Facts<'_>, seconds: u64) -> Vec<(String, String)> {
    let Facts { ledger, told, arrivals, done, .. } = facts;
    let payments = |status: &str| ledger.payments.iter().filter(|one| one.status == status).count();
    let cancels = ledger.orders.values().filter(|order| order.status == "CANCELLED").count();
    let (longest, what) = told.longest_wait;
    let repeats: u64 = told.repeats.values().sum();
    let mut rows = vec![
        ("Lasted".to_owned(), format!("{seconds} s")),
        ("Orders placed".to_owned(), ledger.orders.len().to_string()),
        ("  paid".to_owned(), (payments("SUCCEEDED") + payments("REFUNDED")).to_string()),
        ("  cancelled".to_owned(), cancels.to_string()),
        ("  of these refunded".to_owned(), payments("REFUNDED").to_string()),
        ("Accounts".to_owned(), ledger.users.len().to_string()),
        ("Requests answered".to_owned(), told.answers.to_string()),
        ("Requests sent again".to_owned(), repeats.to_string()),
    ];
    rows.extend(told.repeats.iter().map(|(why, times)| (format!("  {why}"), times.to_string())));
    rows.extend([
        ("Longest wait for an answer".to_owned(), format!("{:.1} s ({what})", longest.as_secs_f64())),
        ("Longest time without any".to_owned(), format!("{:.1} s", told.longest_silence.as_secs_f64())),
        ("Events committed".to_owned(), ledger.events.len().to_string()),
        ("  heard by the subscriber".to_owned(), arrivals.first().len().to_string()),
        ("  heard again".to_owned(), arrivals.repeats().to_string()),
        ("  told again after their relay died".to_owned(), done.unmarked.len().to_string()),
        ("Processes replaced".to_owned(), done.replaced.len().to_string()),
        ("Faults".to_owned(), done.times.values().sum::<u32>().to_string()),
    ]);
    rows.extend(done.times.iter().map(|(kind, times)| (format!("  {kind}"), times.to_string())));
    rows
}

/// Writes down, beside the logs of a run that failed, what was done when, what broke, and in which order events were
/// heard.
///
/// # Errors
/// When a file can't be written.
pub(crate) fn write(facts: &Facts<'_>, verdicts: &[Verdict], folder: &Path) -> Result<()> {
    timeline(facts.done, folder)?;
    let broken = verdicts.iter().filter(|verdict| !verdict.broken.is_empty());
    let broken = broken.map(|verdict| format!("{}:\n  {}\n", verdict.promise, verdict.broken.join("\n  ")));
    fs::write(folder.join("broken.txt"), broken.collect::<String>())?;
    let heard = facts.arrivals.first().iter().map(|one| {
        let times = facts.arrivals.times(one.id);
        format!("{} {} {} {} {times}\n", one.name, one.id, one.subject, one.sequence)
    });
    fs::write(folder.join("heard.txt"), heard.collect::<String>())?;
    let events = facts.ledger.events.iter().map(|event| format!("{event:?}\n")).collect::<String>();
    Ok(fs::write(folder.join("outboxes.txt"), events)?)
}

fn timeline(done: &Done, folder: &Path) -> Result<()> {
    Ok(fs::write(folder.join("faults.txt"), done.timeline.join("\n") + "\n")?)
}
