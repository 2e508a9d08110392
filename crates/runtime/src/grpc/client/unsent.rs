//! Which failures say that a call never reached the service's code, so that it may be made again, whatever it does.
//! Those are what gRPC calls transparent retries
//! (<https://github.com/grpc/proposal/blob/master/A6-client-retries.md#transparent-retries>).

use std::error::Error;

use tonic::ConnectError;

/// Why a call was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// There is no connection, and none could be made.
    NoConnection,
    /// The connection ended before the call was sent on it, or the other end said that it will not look at it.
    Ended,
}

impl Unsent {
    /// `None` when the call may have been begun.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut causes = std::iter::successors(Some(error), |cause| (*cause).source());
        causes.find_map(|cause| {
            if cause.is::<ConnectError>() {
                return Some(Self::NoConnection);
            }
            // hyper calls canceled what waited for its turn on a connection that ended.
            let waited = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
            let refused = cause.downcast_ref::<h2::Error>().is_some_and(was_refused);
            (waited || refused).then_some(Self::Ended)
        })
    }
}

/// A GOAWAY without an error ends those calls alone that came after the last one that is looked at (RFC 9113, 6.8).
fn was_refused(error: &h2::Error) -> bool {
    let why = error.reason();
    error.is_remote()
        && (error.is_go_away() && why == Some(h2::Reason::NO_ERROR)
            || error.is_reset() && why == Some(h2::Reason::REFUSED_STREAM))
}
