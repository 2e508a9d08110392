//! Chance that can be repeated.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// The variable that names the seed of a run that is to be repeated.
const SEED: &str = "SAGA_SEED";

/// Dice that are thrown the same way again under the same seed.
pub(crate) struct Chance {
    pub(crate) seed: u64,
    dice: StdRng,
}

impl Chance {
    /// Dice under the seed of the environment, or under a new one. The seed is printed, which a failed test shows.
    pub(crate) fn new() -> Self {
        let given = std::env::var(SEED).ok();
        let seed = given.map_or_else(rand::random, |seed| seed.parse().expect("SAGA_SEED is a whole number"));
        eprintln!("{SEED}={seed}");
        Self { seed, dice: StdRng::seed_from_u64(seed) }
    }

    /// A number from 0 on, below this one.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.dice.random_range(0..bound)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, those: &[T]) -> T {
        those[self.below(those.len())]
    }

    /// At most 30 milliseconds.
    pub(crate) fn moment(&mut self) -> Duration {
        Duration::from_micros(self.dice.random_range(0..30_000))
    }

    pub(crate) fn shuffle<T>(&mut self, those: &mut [T]) {
        those.shuffle(&mut self.dice);
    }
}
