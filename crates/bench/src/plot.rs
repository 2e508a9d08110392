//! The plots of docs/performance.md, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::rounds::{Rounds, median};

const SIZE: (u32, u32) = (720, 320);
const FONT: (&str, u32) = ("sans-serif", 15);
const BAR: RGBColor = RGBColor(0x4c, 0x78, 0xa8);
const OTHER_BAR: RGBColor = RGBColor(0xb8, 0xcc, 0xe0);
const DOT: RGBColor = RGBColor(0x1b, 0x2a, 0x41);
const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// How many of `what` ("requests") a second of each way: a bar to the median, a dot for each round.
///
/// # Errors
/// When the file can't be written.
pub(crate) fn rates(file: &Path, title: &str, what: &str, rounds: &Rounds) -> Result<()> {
    let groups: Vec<_> = rounds.ways().map(|(name, _)| (name, rounds.rates(name))).collect();
    let bars = groups.iter().map(|(name, rates)| Group {
        name,
        bars: vec![median(rates.clone())],
        dots: rates.clone(),
    });
    draw(file, &format!("{title}: {what} per second"), &bars.collect::<Vec<_>>())
}

/// What each process holds: idle, and in a lighter colour after the load.
///
/// # Errors
/// When the file can't be written.
pub(crate) fn memory(file: &Path, idle: &[(&'static str, u64)], after: &[(&'static str, u64)]) -> Result<()> {
    let bars = idle.iter().zip(after).map(|((name, idle), (_, after))| Group {
        name,
        bars: vec![*idle as f64 / 1e6, *after as f64 / 1e6],
        dots: vec![],
    });
    draw(file, "memory in MB: idle, and after the load (light)", &bars.collect::<Vec<_>>())
}

/// What stands side by side under one name.
struct Group<'a> {
    name: &'a str,
    bars: Vec<f64>,
    dots: Vec<f64>,
}

fn draw(file: &Path, title: &str, groups: &[Group<'_>]) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| anyhow!("cannot draw {}: {error}", file.display());
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| failed(&error))?;
    let highest =
        groups.iter().flat_map(|group| group.bars.iter().chain(&group.dots)).copied().fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .caption(title, FONT)
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..groups.len() as f64, 0.0..highest * 1.1)
        .map_err(|error| failed(&error))?;
    let name = |x: &f64| {
        groups
            .iter()
            .zip(0..)
            .find(|(_, n)| (f64::from(*n) + 0.5 - x).abs() < 1e-6)
            .map(|(group, _)| group.name)
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(groups.len() * 2 + 1)
        .x_label_formatter(&|x| name(x).unwrap_or_default().to_owned())
        .y_label_formatter(&|y| format!("{y:.0}"))
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .label_style(FONT)
        .draw()
        .map_err(|error| failed(&error))?;
    for (group, left) in groups.iter().zip(0..) {
        chart.draw_series(bars(group, f64::from(left))).map_err(|error| failed(&error))?;
        let dots = group.dots.iter().map(|rate| Circle::new((f64::from(left) + 0.5, *rate), 3, DOT.filled()));
        chart.draw_series(dots).map_err(|error| failed(&error))?;
    }
    area.present().map_err(|error| failed(&error))
}

fn bars<'a>(group: &'a Group<'_>, left: f64) -> impl Iterator<Item = Rectangle<(f64, f64)>> + 'a {
    let width = 0.6 / group.bars.len() as f64;
    group.bars.iter().zip([BAR, OTHER_BAR]).zip(0..).map(move |((height, colour), n)| {
        let from = left + 0.2 + width * f64::from(n);
        Rectangle::new([(from, 0.0), (from + width, *height)], colour.filled())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wrk::Measured;

    #[test]
    fn a_plot_names_every_way_and_has_a_dot_for_each_round() {
        let mut rounds = Rounds::of(vec!["gateway", "handler"]);
        for rate in [900.0, 1_000.0, 950.0] {
            for way in 0..2 {
                rounds.add(way, Measured { answers: 0, rate, p50: Duration::ZERO, p99: Duration::ZERO });
            }
        }
        let file = std::env::temp_dir().join(format!("bench-plot-{}.svg", std::process::id()));
        rates(&file, "query", "requests", &rounds).unwrap();
        let drawn = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(drawn.contains("gateway") && drawn.contains("handler"));
        assert_eq!(drawn.matches("<circle").count(), 6);
    }
}
