//! Counting the calls that go to a service.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use http::Request;
use runtime::grpc::Transport;
use tonic::body::Body;
use tower::{ServiceExt, util::BoxCloneSyncService};

/// How often each RPC was called, by its name ("BatchGetUsers"). Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<BTreeMap<String, usize>>>);

impl Calls {
    /// The same way to a service, counting what goes over it.
    pub fn count(&self, transport: Transport) -> Transport {
        let calls = self.clone();
        BoxCloneSyncService::new(transport.map_request(move |request: Request<Body>| {
            let rpc = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            *calls.0.lock().unwrap().entry(rpc).or_default() += 1;
            request
        }))
    }

    /// What was counted since the last call of this.
    pub fn take(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
