//! The streams that are open: whose they are, and how long they may be.
//!
//! A request is over before its token could end; a stream is not. So each stream of a viewer is listed here, and ended
//! when its token ends or its session is revoked: at once where `session.revoked` is heard, else at the next look.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use identity::{UserId, Viewer};
use runtime::{Kind, Refusal, Sessions, Stop};

/// How often it is looked who has to leave.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// The open streams.
pub(super) struct Live {
    sessions: Sessions,
    per_user: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    here: HashMap<u64, (Viewer, Stop)>,
    users: HashMap<UserId, usize>,
    next_key: u64,
}

impl Live {
    /// Lets each user have so many streams.
    pub(super) fn new(sessions: Sessions, per_user: usize) -> Self {
        Self { sessions, per_user, state: Mutex::default() }
    }

    /// Lists a stream; one of nobody in particular is not bounded and never has to leave.
    ///
    /// # Errors
    /// TOO_MANY_STREAMS when the user has as many as they may.
    pub(super) fn enter(self: &Arc<Self>, viewer: Option<Viewer>) -> Result<Presence, Refusal> {
        let (end, state) = (Stop::new(), &mut *self.lock());
        let key = state.next_key;
        if let Some(viewer) = viewer {
            let open = state.users.get(&viewer.user_id).copied().unwrap_or(0);
            if open >= self.per_user {
                let message = "you have too many streams open; close one first";
                return Err(Refusal::new(Kind::RateLimited, "TOO_MANY_STREAMS", message));
            }
            state.users.insert(viewer.user_id, open + 1);
            state.here.insert(key, (viewer, end.clone()));
            state.next_key += 1;
        }
        metrics::gauge!("graphql_streams").increment(1);
        Ok(Presence { live: self.clone(), key, viewer, end })
    }

    /// Asks those to leave whose token has ended or whose session was revoked.
    pub(super) fn look(&self) {
        for (viewer, end) in self.lock().here.values() {
            if self.sessions.still(viewer).is_err() {
                end.cancel();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// One open stream. Dropping it takes it off the list.
pub(super) struct Presence {
    live: Arc<Live>,
    key: u64,
    viewer: Option<Viewer>,
    end: Stop,
}

impl Presence {
    /// Whether the stream may still be.
    ///
    /// # Errors
    /// Why not: TOKEN_EXPIRED or SESSION_REVOKED.
    pub(super) fn still(&self) -> Result<(), Refusal> {
        self.viewer.map_or(Ok(()), |viewer| self.live.sessions.still(&viewer))
    }

    /// Waits until the stream has to end, and says why.
    pub(super) async fn ended(&self) -> Refusal {
        self.end.cancelled().await;
        // What was expired or revoked stays so.
        self.still().err().unwrap_or_else(Refusal::unauthenticated)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        metrics::gauge!("graphql_streams").decrement(1);
        let Some(viewer) = self.viewer else { return };
        let mut state = self.live.lock();
        state.here.remove(&self.key);
        if let Some(open) = state.users.get_mut(&viewer.user_id) {
            *open -= 1;
            if *open == 0 {
                state.users.remove(&viewer.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::Clock;
    use testkit::Tokens;

    use super::*;

    #[test]
    fn a_user_may_have_so_many_streams_and_another_when_one_is_closed() {
        let tokens = Tokens::new();
        let live = Arc::new(Live::new(tokens.sessions(&Clock::system()), 2));
        let (ada, bob) = (tokens.customer().viewer, tokens.customer().viewer);
        let first = live.enter(Some(ada)).unwrap();
        let _second = live.enter(Some(ada)).unwrap();
        assert_eq!(live.enter(Some(ada)).err().unwrap().reason, "TOO_MANY_STREAMS");
        assert!(live.enter(Some(bob)).is_ok() && live.enter(None).is_ok());
        drop(first);
        assert!(live.enter(Some(ada)).is_ok());
    }

    #[tokio::test]
    async fn who_may_not_stay_is_asked_to_leave_and_told_why() {
        let (tokens, clock) = (Tokens::new(), Clock::system());
        let sessions = tokens.sessions(&clock);
        let live = Arc::new(Live::new(sessions.clone(), 2));
        let (ada, bob) = (tokens.customer().viewer, tokens.customer().viewer);
        let (adas, bobs) = (live.enter(Some(ada)).unwrap(), live.enter(Some(bob)).unwrap());
        sessions.revoke(ada.session_id, clock.now());
        live.look();
        assert_eq!(adas.ended().await.reason, "SESSION_REVOKED");
        assert!(bobs.still().is_ok() && !bobs.end.is_cancelled());
        clock.advance(identity::TOKEN_LIFETIME + Duration::from_secs(1));
        live.look();
        assert_eq!(bobs.ended().await.reason, "TOKEN_EXPIRED");
    }

    #[test]
    fn who_left_is_forgotten() {
        let tokens = Tokens::new();
        let live = Arc::new(Live::new(tokens.sessions(&Clock::system()), 2));
        drop(live.enter(Some(tokens.customer().viewer)).unwrap());
        let state = live.lock();
        assert!(state.here.is_empty() && state.users.is_empty());
    }
}
