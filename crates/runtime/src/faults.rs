//! Fault switches, for development: what a service is to do badly from now on. They are asked where the fault would be:
//! in the guard around the service, at its port, in its readiness, before its consumers, at its connections to the broker.
//!
//! Production has none: there [`Faults::none`] stands in each of these places, and the admin port knows no `/faults`.

mod fault;
mod routes;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt};
use tokio::{sync::watch, time::sleep};

pub use self::fault::{Code, Fault};
pub(crate) use self::routes::router;
use crate::{Kind, Refusal, admin::Check, config::Environment};

/// The switches of one service. Clones are the same switches. With nothing set, asking them costs one atomic load.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Switches>>);

#[derive(Debug)]
struct Switches {
    service: &'static str,
    /// Whether it is called over gRPC; the gateway is not.
    is_called: bool,
    any: AtomicBool,
    fault: watch::Sender<Fault>,
}

impl Faults {
    /// No switches: nothing can be set.
    pub fn none() -> Self {
        Self(None)
    }

    /// Those of `service` ("payment"), with nothing set; in production none.
    pub fn new(service: &'static str, environment: Environment) -> Self {
        Self::of(service, environment, true)
    }

    /// Those of a process that takes no calls over gRPC.
    pub fn without_calls(service: &'static str, environment: Environment) -> Self {
        Self::of(service, environment, false)
    }

    fn of(service: &'static str, environment: Environment, is_called: bool) -> Self {
        let switches =
            || Switches { service, is_called, any: AtomicBool::new(false), fault: watch::Sender::default() };
        Self((environment == Environment::Development).then(|| Arc::new(switches())))
    }

    /// Whether there are no switches.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// What is set now.
    pub fn get(&self) -> Fault {
        self.0.as_ref().map(|switches| *switches.fault.borrow()).unwrap_or_default()
    }

    /// Sets `fault` in place of what was set before. The log says so.
    ///
    /// # Errors
    /// What is wrong with it, in words for who asked.
    pub fn set(&self, fault: Fault) -> Result<(), String> {
        self.judge(&fault)?;
        let Some(switches) = &self.0 else { return Ok(()) };
        switches.any.store(!fault.is_none(), Ordering::Relaxed);
        let before = switches.fault.send_replace(fault);
        match (fault.is_none(), before.is_none()) {
            (false, _) => tracing::warn!(service = switches.service, "a fault is set: {fault}"),
            (true, false) => tracing::warn!(service = switches.service, "the fault is cleared"),
            (true, true) => {}
        }
        Ok(())
    }

    /// Whether `fault` could be set.
    fn judge(&self, fault: &Fault) -> Result<(), String> {
        fault.check()?;
        match self.0.as_deref() {
            None => Err("there are no fault switches in production".into()),
            Some(Switches { service, is_called: false, .. }) if fault.is_of_calls() => Err(format!(
                "the {service} is not called by gRPC: it can be made not ready, and its broker down"
            )),
            Some(_) => Ok(()),
        }
    }

    /// What is set, if anything is.
    fn active(&self) -> Option<(&Switches, Fault)> {
        let switches = self.0.as_deref().filter(|switches| switches.any.load(Ordering::Relaxed))?;
        Some((switches, *switches.fault.borrow()))
    }

    /// What a call suffers before its work: it waits, and then it may be refused.
    ///
    /// # Errors
    /// The refusal, by chance as it is set.
    pub(crate) async fn strike(&self) -> Result<(), Refusal> {
        let Some((switches, fault)) = self.active() else { return Ok(()) };
        if !fault.latency().is_zero() {
            switches.count("latency");
            sleep(fault.latency()).await;
        }
        // From 0 up to 100, which is never reached: 100 % strikes always, 0 % never.
        if rand::random_range(0.0..100.0) < fault.error_percent {
            switches.count("error");
            return Err(match fault.error_code {
                Code::Unavailable => {
                    Refusal::new(Kind::Unavailable, INJECTED, "a fault switch refuses this call")
                }
                Code::Internal => Refusal::new(Kind::Internal, INJECTED, "a fault switch fails this call"),
            });
        }
        Ok(())
    }

    /// Whether who calls is to find nobody, as if the process were dead.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.active().is_some_and(|(switches, fault)| {
            if fault.unreachable {
                switches.count("unreachable");
            }
            fault.unreachable
        })
    }

    /// Waits until nobody is to be found any more. There is no such moment in production.
    pub(crate) fn cut(&self) -> Option<BoxFuture<'static, ()>> {
        self.0.as_ref()?;
        let faults = self.clone();
        Some(async move { faults.until(|fault| fault.unreachable).await }.boxed())
    }

    /// Whether the broker is to be away.
    pub fn is_broker_down(&self) -> bool {
        self.active().is_some_and(|(switches, fault)| {
            if fault.broker_down {
                switches.count("broker_down");
            }
            fault.broker_down
        })
    }

    /// What a consumer suffers before it handles an event.
    pub async fn slow_down(&self) {
        let Some((switches, fault)) = self.active() else { return };
        if !fault.slow_consumer().is_zero() {
            switches.count("slow_consumer");
            sleep(fault.slow_consumer()).await;
        }
    }

    /// Waits until what is set fulfils `wanted`; for ever where nothing can be set and nothing set does not fulfil it.
    pub async fn until(&self, mut wanted: impl FnMut(&Fault) -> bool) {
        let Some(switches) = &self.0 else {
            if wanted(&Fault::default()) {
                return;
            }
            return std::future::pending().await;
        };
        // The sender lives as long as this does.
        let _ = switches.fault.subscribe().wait_for(|fault| wanted(fault)).await;
    }

    /// Holds unless the service is to say that it is not ready. There is none in production.
    pub fn check(&self) -> Option<Check> {
        check([self.clone()])
    }
}

/// Holds unless one of these services is to say that it is not ready. There is none in production.
pub fn check(services: impl IntoIterator<Item = Faults>) -> Option<Check> {
    let services: Vec<_> = services.into_iter().filter(|faults| !faults.is_none()).collect();
    (!services.is_empty()).then(|| {
        Check::new("fault", move || {
            let mut active = services.iter().filter_map(Faults::active);
            let outcome = match active.find(|(_, fault)| fault.not_ready) {
                Some((Switches { service, .. }, _)) => {
                    Err(format!("a fault switch says that {service} is not ready"))
                }
                None => Ok(()),
            };
            async { outcome }
        })
    })
}

/// The faults that are counted when they strike.
pub const KINDS: &[&str] = &["latency", "error", "unreachable", "broker_down", "slow_consumer"];

/// The reason of what a switch refuses.
const INJECTED: &str = "FAULT_INJECTED";

impl Switches {
    fn count(&self, fault: &'static str) {
        self.counter(fault).increment(1);
    }

    fn counter(&self, fault: &'static str) -> metrics::Counter {
        metrics::counter!("fault_injected_total", "service" => self.service, "fault" => fault)
    }
}

impl Fault {
    fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms)
    }

    fn slow_consumer(&self) -> Duration {
        Duration::from_millis(self.slow_consumer_ms)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn set(fault: Fault) -> Faults {
        let faults = Faults::new("payment", Environment::Development);
        faults.set(fault).unwrap();
        faults
    }

    #[tokio::test]
    async fn production_has_no_switches() {
        let faults = Faults::new("payment", Environment::Production);
        assert!(faults.set(Fault { not_ready: true, ..Fault::default() }).is_err());
        assert!(faults.check().is_none() && faults.get().is_none());
    }

    #[tokio::test]
    async fn an_error_strikes_always_at_100_percent_and_never_once_it_is_cleared() {
        let faults = set(Fault { error_percent: 100.0, error_code: Code::Internal, ..Fault::default() });
        for _ in 0..100 {
            let refusal = faults.strike().await.unwrap_err();
            assert_eq!((refusal.kind, &*refusal.reason), (Kind::Internal, "FAULT_INJECTED"));
        }
        faults.set(Fault { error_percent: 100.0, ..Fault::default() }).unwrap();
        assert_eq!(faults.strike().await.unwrap_err().kind, Kind::Unavailable);
        faults.set(Fault::default()).unwrap();
        for _ in 0..100 {
            faults.strike().await.unwrap();
        }
    }

    #[tokio::test]
    async fn some_of_the_calls_fail_where_some_are_to() {
        let faults = set(Fault { error_percent: 30.0, ..Fault::default() });
        let mut failed = 0;
        for _ in 0..10_000 {
            failed += u32::from(faults.strike().await.is_err());
        }
        // By chance it is off by that much less than once in 10^20 runs.
        assert!((2_500..3_500).contains(&failed), "{failed}");
    }

    #[tokio::test]
    async fn latency_comes_before_the_work() {
        let faults = set(Fault { latency_ms: 30, ..Fault::default() });
        let since = Instant::now();
        faults.strike().await.unwrap();
        assert!(since.elapsed() >= Duration::from_millis(30));
    }

    #[tokio::test]
    async fn who_is_not_called_takes_no_faults_of_calls() {
        let faults = Faults::without_calls("gateway", Environment::Development);
        let refused = faults.set(Fault { latency_ms: 1, ..Fault::default() }).unwrap_err();
        assert!(refused.contains("gateway"), "{refused}");
        faults.set(Fault { broker_down: true, ..Fault::default() }).unwrap();
        faults.until(|fault| fault.broker_down).await;
        assert!(faults.is_broker_down());
    }
}
