//! What a histogram grew by, told apart by a key.

use std::collections::BTreeMap;

use super::{History, Sample};

/// How many there were, how many of them failed, how long all of them took in seconds, and how many took at most how long.
#[derive(Default)]
pub(super) struct Times {
    pub(super) count: f64,
    pub(super) failed: f64,
    pub(super) sum: f64,
    /// By their upper ends, the last of which is infinite.
    buckets: Vec<(f64, f64)>,
}

/// The growth of the histogram `name` by `key`, which also says whether a series is of failures.
pub(super) fn times<K: Ord>(
    history: &History,
    name: &str,
    key: impl Fn(&Sample) -> (K, bool),
) -> BTreeMap<K, Times> {
    let mut found = BTreeMap::<K, Times>::new();
    for (series, by) in history.grown().1 {
        let Some(part) = series.name.strip_prefix(name) else { continue };
        let (key, failed) = key(series);
        let times = found.entry(key).or_default();
        match part {
            "_count" => {
                times.count += by;
                times.failed += if failed { by } else { 0.0 };
            }
            "_sum" => times.sum += by,
            "_bucket" => times.add(series.label("le").parse().unwrap_or(f64::INFINITY), by),
            _ => {}
        }
    }
    found
}

impl Times {
    fn add(&mut self, end: f64, by: f64) {
        match self.buckets.binary_search_by(|(other, _)| other.total_cmp(&end)) {
            Ok(place) => self.buckets[place].1 += by,
            Err(place) => self.buckets.insert(place, (end, by)),
        }
    }

    /// How long at most the given part of them took, in seconds, as Prometheus estimates it: evenly spread within a
    /// bucket, and never beyond the last finite end.
    pub(super) fn quantile(&self, part: f64) -> f64 {
        let Some((_, all)) = self.buckets.last() else { return 0.0 };
        let wanted = part * all;
        let (mut from, mut before) = (0.0, 0.0);
        for (end, up_to) in &self.buckets {
            if *up_to >= wanted && *up_to > before {
                return if end.is_finite() {
                    from + (end - from) * (wanted - before) / (up_to - before)
                } else {
                    from
                };
            }
            if end.is_finite() {
                (from, before) = (*end, *up_to);
            }
        }
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_what_prometheus_estimates() {
        let mut times = Times::default();
        for (end, up_to) in [(f64::INFINITY, 100.0), (0.1, 50.0), (1.0, 98.0)] {
            times.add(end, up_to);
        }
        assert!((times.quantile(0.5) - 0.1).abs() < 1e-9);
        assert!((times.quantile(0.74) - 0.55).abs() < 1e-9);
        assert!((times.quantile(0.99) - 1.0).abs() < 1e-9, "beyond the last finite end nothing is known");
        assert!((Times::default().quantile(0.99)).abs() < 1e-9);
    }
}
