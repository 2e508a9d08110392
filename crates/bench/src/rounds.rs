//! Rounds: each way is measured once in each of them, one after the other, so that what changes on the machine in
//! time (its heat, its neighbours) meets all of them. Ratios are of the same round; what is told is their median.

use crate::wrk::Measured;

/// What the rounds came to.
pub(crate) struct Rounds {
    /// The names of the ways.
    names: Vec<&'static str>,
    /// Of each way, what each round measured.
    measured: Vec<Vec<Measured>>,
}

impl Rounds {
    /// None yet.
    pub(crate) fn of(names: Vec<&'static str>) -> Self {
        let measured = names.iter().map(|_| Vec::new()).collect();
        Self { names, measured }
    }

    /// The names of the ways, by their place.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().copied()
    }

    /// The places of the ways in the order in which this round measures them: each other round runs backwards, so that
    /// none is always the one behind the same other.
    pub(crate) fn order(&self, round: usize) -> Vec<usize> {
        let forwards = 0..self.names.len();
        if round.is_multiple_of(2) { forwards.collect() } else { forwards.rev().collect() }
    }

    /// Adds what one way measured.
    pub(crate) fn add(&mut self, way: usize, measured: Measured) {
        self.measured[way].push(measured);
    }

    /// The ways with their measurements.
    pub(crate) fn ways(&self) -> impl Iterator<Item = (&'static str, &[Measured])> {
        self.names.iter().copied().zip(self.measured.iter().map(Vec::as_slice))
    }

    /// The requests a second of one way, round by round.
    pub(crate) fn rates(&self, name: &str) -> Vec<f64> {
        let way = self.ways().find(|(way, _)| *way == name);
        way.map(|(_, measured)| measured.iter().map(|one| one.rate).collect()).unwrap_or_default()
    }

    /// The median over the rounds of what `name` did for each request of `beside`.
    pub(crate) fn ratio(&self, name: &str, beside: &str) -> f64 {
        let pairs = self.rates(name).into_iter().zip(self.rates(beside));
        median(pairs.map(|(one, other)| one / other).collect())
    }
}

/// The middle one, or the mean of the two in the middle; not a number for none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len().is_multiple_of(2)) {
        (Some(upper), true) => (values[middle - 1] + upper) / 2.0,
        (Some(one), false) => *one,
        (None, _) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(rate: f64) -> Measured {
        Measured { answers: 0, rate, p50: Duration::ZERO, p99: Duration::ZERO }
    }

    #[test]
    fn ratios_are_of_the_same_round_and_their_median_is_told() {
        let mut rounds = Rounds::of(vec!["a", "b"]);
        // The machine was three times as slow in the second round: the ratio is not.
        for (a, b) in [(90.0, 100.0), (24.0, 30.0), (85.0, 100.0)] {
            rounds.add(0, at(a));
            rounds.add(1, at(b));
        }
        assert!((rounds.ratio("a", "b") - 0.85).abs() < 1e-9);
    }

    #[test]
    fn each_other_round_runs_backwards() {
        let rounds = Rounds::of(vec!["a", "b", "c"]);
        assert_eq!((rounds.order(0), rounds.order(1)), (vec![0, 1, 2], vec![2, 1, 0]));
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert!((median(vec![4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!(median(vec![]).is_nan());
    }
}
