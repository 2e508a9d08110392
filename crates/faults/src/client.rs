//! A client: places orders without pause. While one waits for something, it goes on with others.

use std::{sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::StdRng};
use runtime::Stop;
use tokio::{task::JoinSet, time::sleep};

use crate::{customer::Customer, graph::Graph, products::PRODUCTS, story::Story, told::Told};

/// How many orders an account places before the client makes another one.
const ORDERS_EACH: u32 = 25;
/// How many orders a client has at the same time that have not come to their end.
const OPEN: usize = 15;
/// A client that is refused at once must not turn into a load.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// What all clients share.
#[derive(Clone)]
pub(crate) struct Shop {
    /// Where the gateway is: host and port.
    pub(crate) address: String,
    /// What they are told.
    pub(crate) told: Arc<Told>,
    /// When to place no more orders; what was begun is finished.
    pub(crate) closing: Stop,
    /// Whether the provider always says what it did: only then does a client have nothing to send again.
    pub(crate) provider_answers: bool,
    /// From which all that is random comes.
    pub(crate) seed: u64,
}

/// One client.
pub(crate) struct Client {
    number: u64,
    shop: Shop,
    graph: Arc<Graph>,
}

impl Client {
    /// The client of this number.
    pub(crate) fn new(number: u64, shop: Shop) -> Self {
        Self { number, graph: Arc::new(Graph::at(shop.address.clone())), shop }
    }

    /// Begins one order's story after the other until the shop closes, and lives all to their ends.
    pub(crate) async fn run(self) {
        let mut rng = StdRng::seed_from_u64(self.shop.seed.wrapping_add(self.number + 1));
        let (mut customer, mut open) = (None, JoinSet::new());
        for turn in 0_u32.. {
            if self.shop.closing.is_cancelled() {
                break;
            }
            if turn.is_multiple_of(ORDERS_EACH) {
                customer = None;
            }
            let mut story = Story::draw(&mut rng, PRODUCTS.len());
            if self.shop.provider_answers {
                story.provider_answers();
            }
            if let Err(why) = self.begin(&mut customer, turn, story, &mut open).await {
                self.shop.told.wrong(format!("client {}, turn {turn}: {why}", self.number));
                sleep(AFTER_REFUSAL).await;
            }
            while open.len() >= OPEN {
                open.join_next().await;
            }
        }
        while open.join_next().await.is_some() {}
    }

    /// Places an order, with a new account if there is none, and lets its story go on beside what follows.
    async fn begin(
        &self,
        customer: &mut Option<Arc<Customer>>,
        turn: u32,
        story: Story,
        open: &mut JoinSet<()>,
    ) -> Result<(), String> {
        let customer = match customer {
            Some(customer) => customer.clone(),
            None => {
                let email = format!("client{}-{turn}@faults.example", self.number);
                let made = Customer::register(self.graph.clone(), self.shop.told.clone(), email).await?;
                customer.insert(Arc::new(made)).clone()
            }
        };
        let key = format!("{:x}-{}-{turn}", self.shop.seed, self.number);
        let order = customer.place(&key, &story).await?;
        let told = self.shop.told.clone();
        open.spawn(async move {
            let lived = match customer.read().await {
                Ok(()) => customer.live(order, &key, &story).await,
                refused => refused,
            };
            match lived {
                Ok(()) => told.finished(order),
                Err(why) => told.wrong(format!("order {order} ({:?}): {why}", story.plot)),
            }
        });
        Ok(())
    }
}
