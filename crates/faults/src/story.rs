//! What a client wants with an order, drawn before it is placed: so the same seed tells the same stories, whatever the
//! faults do to them.

use rand::{Rng, RngExt};

/// What becomes of an order, as far as its client has a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plot {
    /// It is placed and left alone.
    Leave,
    /// It is paid.
    Pay,
    /// It is cancelled before it is paid.
    Cancel,
    /// It is paid, and then cancelled.
    PayThenCancel,
    /// It is paid and cancelled at the same time.
    PayAndCancel,
}

/// One order's story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    /// Product (by number) and quantity of each line.
    pub(crate) lines: Vec<(usize, i64)>,
    /// How it goes on.
    pub(crate) plot: Plot,
    /// The sandbox provider's tokens, one for each attempt at paying; the last one succeeds.
    pub(crate) tokens: Vec<&'static str>,
    /// Whether requests that were answered are sent once more, to see that the answer is the same.
    pub(crate) repeats: bool,
}

/// The plots, and how many in a hundred orders have each.
const PLOTS: [(Plot, u32); 5] = [
    (Plot::Pay, 62),
    (Plot::Cancel, 12),
    (Plot::PayThenCancel, 12),
    (Plot::PayAndCancel, 8),
    (Plot::Leave, 6),
];

impl Story {
    /// Draws one. `products` is how many there are.
    pub(crate) fn draw(rng: &mut impl Rng, products: usize) -> Self {
        let lines = (0..rng.random_range(1..=3))
            .map(|_| (rng.random_range(0..products), rng.random_range(1..=5)))
            .collect();
        let mut tokens = Vec::new();
        if rng.random_bool(0.15) {
            tokens.push("tok_declined");
        }
        // It takes the money and does not say so: the recoverer has to find out.
        tokens.push(if rng.random_bool(0.03) { "tok_timeout" } else { "tok_visa" });
        Self { lines, plot: plot(rng), tokens, repeats: rng.random_bool(0.1) }
    }

    /// The same with a provider that takes no money without saying so.
    pub(crate) fn provider_answers(&mut self) {
        for token in &mut self.tokens {
            if *token == "tok_timeout" {
                *token = "tok_visa";
            }
        }
    }
}

fn plot(rng: &mut impl Rng) -> Plot {
    let mut drawn: u32 = rng.random_range(0..100);
    for (plot, share) in PLOTS {
        match drawn.checked_sub(share) {
            None => return plot,
            Some(rest) => drawn = rest,
        }
    }
    Plot::Pay
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_stories() {
        let stories = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (0..50).map(|_| Story::draw(&mut rng, 3)).collect::<Vec<_>>()
        };
        assert_eq!(stories(7), stories(7));
        assert_ne!(stories(7), stories(8));
    }

    #[test]
    fn every_plot_is_told() {
        assert_eq!(PLOTS.iter().map(|(_, share)| share).sum::<u32>(), 100);
        let mut rng = StdRng::seed_from_u64(1);
        let stories: Vec<_> = (0..500).map(|_| Story::draw(&mut rng, 3)).collect();
        for (plot, _) in PLOTS {
            assert!(stories.iter().any(|story| story.plot == plot), "{plot:?}");
        }
    }
}
