//! The request to stop, in its two steps.

use std::future::Future;

use tokio_util::sync::{
    CancellationToken, DropGuard, WaitForCancellationFuture, WaitForCancellationFutureOwned,
};

/// The request to stop. Clones are the same request; everything that runs on waits for it beside its work.
///
/// It may be announced a while before it is made: who sends requests here has that long to notice, and nothing else
/// changes meanwhile.
#[derive(Clone, Debug)]
pub struct Stop {
    made: CancellationToken,
    /// A child of the other: a request that is made is announced too.
    announced: CancellationToken,
}

impl Default for Stop {
    fn default() -> Self {
        let made = CancellationToken::new();
        Self { announced: made.child_token(), made }
    }
}

impl Stop {
    /// One that is not made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that it will be made soon.
    pub fn announce(&self) {
        self.announced.cancel();
    }

    /// Whether it was announced, or made.
    pub fn is_announced(&self) -> bool {
        self.announced.is_cancelled()
    }

    /// Waits until it is announced, or made.
    pub fn announced(&self) -> WaitForCancellationFuture<'_> {
        self.announced.cancelled()
    }

    /// Makes it.
    pub fn cancel(&self) {
        self.made.cancel();
    }

    /// Whether it was made.
    pub fn is_cancelled(&self) -> bool {
        self.made.is_cancelled()
    }

    /// Waits until it is made.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.made.cancelled()
    }

    /// As [`Stop::cancelled`], for who takes it along.
    pub fn cancelled_owned(self) -> WaitForCancellationFutureOwned {
        self.made.cancelled_owned()
    }

    /// Does `work` until that is done, or until the request is made: then `None`.
    pub fn run_until_cancelled<F: Future>(&self, work: F) -> impl Future<Output = Option<F::Output>> {
        self.made.run_until_cancelled(work)
    }

    /// Makes the request when the guard is dropped.
    pub fn drop_guard(self) -> DropGuard {
        self.made.drop_guard()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_announced_is_not_made_and_one_that_is_made_is_announced() {
        let stop = Stop::new();
        stop.announce();
        assert_eq!((stop.is_announced(), stop.clone().is_cancelled()), (true, false));
        let other = Stop::new();
        other.cancel();
        assert!(other.is_announced());
    }
}
