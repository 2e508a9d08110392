//! The in-process bus: hands events to the consumers of this process.
use std::sync::Arc;

use crate::Consumer;

/// The in-process bus.
#[derive(Clone, Default)]
pub struct Bus {
    #[expect(dead_code, reason = "being written")]
    consumers: Arc<[Arc<dyn Consumer>]>,
}

impl Bus {
    /// A bus to these consumers.
    pub fn new(consumers: Vec<Arc<dyn Consumer>>) -> Self {
        Self { consumers: consumers.into() }
    }
}
