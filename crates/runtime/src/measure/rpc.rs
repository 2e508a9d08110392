//! How long RPCs take, on both of their sides.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use metrics::Histogram;
use tonic::Code;

/// What a path is counted as that names no RPC of ours, so that strangers can't add values.
const OTHER: &str = "_OTHER";

/// gRPC's codes in their order, as the conventions write them.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The RPCs that this process answers.
pub static SERVER: LazyLock<Calls> = LazyLock::new(|| Calls::new("rpc_server_call_duration_seconds"));
/// The RPCs that this process asks for.
pub static CLIENT: LazyLock<Calls> = LazyLock::new(|| Calls::new("rpc_client_call_duration_seconds"));

/// The values of the label `rpc_method`.
pub(super) fn methods() -> Vec<String> {
    proto::RPCS.iter().map(|path| name(path)).chain([OTHER]).map(str::to_owned).collect()
}

/// The values of the label `rpc_response_status_code`.
pub(super) fn codes() -> Vec<String> {
    CODES.map(str::to_owned).to_vec()
}

/// A code as the conventions write it.
pub fn code_name(code: Code) -> &'static str {
    CODES[code as usize]
}

/// The RPC at `path` as the conventions write it; one that is none of ours has no name of its own.
pub fn method_name(path: &str) -> &'static str {
    SERVER.rpcs.get_key_value(path).map_or(OTHER, |(path, _)| name(path))
}

fn name(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// The handles of one side: each is made when it is first used, and found without a lock.
pub struct Calls {
    metric: &'static str,
    rpcs: HashMap<&'static str, [OnceLock<Histogram>; CODES.len()]>,
    other: [OnceLock<Histogram>; CODES.len()],
}

impl Calls {
    fn new(metric: &'static str) -> Self {
        let rpcs = proto::RPCS.iter().map(|path| (*path, Default::default())).collect();
        Self { metric, rpcs, other: Default::default() }
    }

    /// Counts and times a call to `path` (`/user.v1.UserService/GetUser`) that came to `code`.
    pub fn record(&self, path: &str, code: Code, took: Duration) {
        let (name, handles) = match self.rpcs.get_key_value(path) {
            Some((path, handles)) => (name(path), handles),
            None => (OTHER, &self.other),
        };
        let handle = handles[code as usize].get_or_init(|| {
            let code = code_name(code);
            metrics::histogram!(self.metric, "rpc_method" => name, "rpc_response_status_code" => code)
        });
        handle.record(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_named_as_grpc_names_them() {
        for (number, name) in CODES.iter().enumerate() {
            let code = Code::from_i32(i32::try_from(number).unwrap());
            assert_eq!(code as usize, number);
            assert_eq!(name.replace('_', ""), format!("{code:?}").to_uppercase().replace('_', ""));
        }
    }

    #[test]
    fn a_path_that_is_no_rpc_adds_no_series() {
        let told = || {
            let text = crate::telemetry::metrics().unwrap().render();
            text.lines().filter(|line| line.starts_with("rpc_server_call_duration_seconds_count")).count()
        };
        SERVER.record("/user.v1.UserService/GetUser", Code::Ok, Duration::ZERO);
        SERVER.record("/user.v1.UserService/DropTables", Code::Ok, Duration::ZERO);
        let before = told();
        for n in 0..100 {
            SERVER.record(&format!("/evil.v1.Service{n}/Do"), Code::Ok, Duration::ZERO);
        }
        assert_eq!(told(), before);
    }
}
