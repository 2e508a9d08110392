//! The recoverer: brings attempts that stayed STARTED to an end. A charge that the provider does not know is given up,
//! since the buyer has gone; a refund is made, since it was promised.

use futures::{StreamExt, stream};

use super::{Attempt, Attempts};
use crate::{error::Error, store};

/// The most attempts that are taken at once: so few that a provider that does not answer is through with them, by the
/// defaults, before they are due again.
const AT_ONCE: i64 = 20;
/// The most of them that are worked on at a time.
const SIDE_BY_SIDE: usize = 4;

impl Attempts {
    /// Brings attempts to an end that stayed STARTED and are due. Gives how many were decided; those that the provider
    /// still gives no result for are tried again later. Several replicas may do this at the same time.
    ///
    /// # Errors
    /// When the database fails. What is left then is found the next time.
    pub async fn recover_once(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        let again_at = now + self.timing.recover_after;
        let mut db = self.database.writes.acquire().await?;
        let due = store::attempts::take_due(&mut db, now, again_at, AT_ONCE).await?;
        drop(db);
        let decided = stream::iter(due).map(|attempt| self.recover(attempt)).buffer_unordered(SIDE_BY_SIDE);
        Ok(decided.filter(|decided| std::future::ready(*decided)).count().await)
    }

    /// Brings one attempt to an end; says whether it could.
    async fn recover(&self, attempt: Attempt) -> bool {
        let outcome = match self.conclude(&attempt).await {
            Ok(outcome) => outcome,
            Err(undecided) => {
                tracing::warn!(attempt = %attempt.id.0, %undecided, "an attempt stays undecided; asking again later");
                return false;
            }
        };
        match self.decide(&attempt, &outcome).await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(attempt = %attempt.id.0, %error, "an attempt can't be decided; trying again later");
                false
            }
        }
    }
}
