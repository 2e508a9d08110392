//! A customer: one account, and what it asks of the graph. Each request is repeated under the same key until it is
//! answered, and what the answers promise is written down.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    graph::{Answer, Graph, passes},
    products::{self, PRODUCTS},
    story::{Plot, Story},
    told::{Fate, Told},
};

/// How long a request is repeated before it counts as one that is never answered.
const PATIENCE: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a payment is tried with another key after the provider was given up on.
const MOST_ATTEMPTS: usize = 30;
const PASSWORD: &str = "a-door-with-columns-7";

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { token user { id } } }";
const LOGIN: &str = "mutation($input: LoginInput!) { login(input: $input) { token user { id } } }";
const CREATE_ORDER: &str =
    "mutation($input: CreateOrderInput!) { createOrder(input: $input) { id status totalAmount } }";
const CANCEL_ORDER: &str = "mutation($id: ID!) { cancelOrder(id: $id) { id status } }";
const ORDER: &str = "query($id: ID!) { order(id: $id) { id status } }";
const ORDERS: &str =
    "{ orders(limit: 10) { data { id status totalAmount user { id email } payment { id status amount } }
    pageInfo { hasMore } } }";
const CREATE_PAYMENT: &str =
    "mutation($input: CreatePaymentInput!) { createPayment(input: $input) { id status amount } }";
const PROCESS_PAYMENT: &str =
    "mutation($input: ProcessPaymentInput!) { processPayment(input: $input) { id status failureReason } }";

/// One account.
pub(crate) struct Customer {
    graph: Arc<Graph>,
    told: Arc<Told>,
    email: String,
    id: Uuid,
    token: Mutex<String>,
}

/// A refusal, and whether an earlier try may have done what was asked for.
struct Refusal {
    reason: String,
    uncertain: bool,
}

impl Customer {
    /// Makes an account. That has no key: a repeat whose first try went through signs in instead.
    ///
    /// # Errors
    /// When it is refused.
    pub(crate) async fn register(graph: Arc<Graph>, told: Arc<Told>, email: String) -> Result<Self, String> {
        let mut customer = Self { graph, told, email, id: Uuid::nil(), token: Mutex::default() };
        let input = json!({ "input": { "email": customer.email, "password": PASSWORD, "firstName": "Ada",
            "lastName": "Faults" } });
        let session = match customer.insist("register", None, REGISTER, &input).await {
            Err(refusal) if refusal.uncertain && refusal.reason == "EMAIL_TAKEN" => customer.login().await?,
            outcome => outcome.map_err(|refusal| format!("register: {}", refusal.reason))?,
        };
        customer.set_token(&session)?;
        customer.id = uuid(&session["user"]["id"])?;
        customer.told.lock().users.push(customer.id);
        Ok(customer)
    }

    /// Reads the newest orders, of which there is one at least.
    ///
    /// # Errors
    /// When they are refused, or are somebody else's.
    pub(crate) async fn read(&self) -> Result<(), String> {
        let page = self.answer("orders", ORDERS, &json!({})).await?;
        let orders = page["data"].as_array().ok_or_else(|| format!("orders was answered with {page}"))?;
        match orders.iter().find(|order| order["user"]["email"] != self.email) {
            Some(other) => Err(format!("{} was answered with {other}", self.email)),
            None if orders.is_empty() => {
                Err(format!("{} has placed orders, and is told of none", self.email))
            }
            None => Ok(()),
        }
    }

    /// Lives the story of an order that was placed under `key`.
    ///
    /// # Errors
    /// When something is refused or answered that must not be.
    pub(crate) async fn live(&self, order: Uuid, key: &str, story: &Story) -> Result<(), String> {
        match story.plot {
            Plot::Leave => Ok(()),
            Plot::Pay => self.pay(order, key, story).await,
            Plot::Cancel => self.cancel(order).await,
            Plot::PayThenCancel => {
                self.pay(order, key, story).await?;
                self.cancel(order).await
            }
            Plot::PayAndCancel => {
                let (paid, cancelled) = tokio::join!(self.pay(order, key, story), self.cancel(order));
                paid.and(cancelled)
            }
        }
    }

    async fn login(&self) -> Result<Value, String> {
        let input = json!({ "input": { "email": self.email, "password": PASSWORD } });
        let session = self.insist("login", None, LOGIN, &input).await;
        session.map_err(|refusal| format!("login: {}", refusal.reason))
    }

    /// Places an order under `key`, and gives its id.
    ///
    /// # Errors
    /// When it is refused or answered wrongly.
    pub(crate) async fn place(&self, key: &str, story: &Story) -> Result<Uuid, String> {
        let lines = story
            .lines
            .iter()
            .map(|(product, quantity)| json!({ "productId": PRODUCTS[*product].0, "quantity": quantity }));
        let input = json!({ "input": { "shippingAddress": "1 Main Street", "idempotencyKey": key,
            "items": lines.collect::<Vec<_>>() } });
        let order = self.answer("createOrder", CREATE_ORDER, &input).await?;
        let (id, user) = (uuid(&order["id"])?, self.id);
        let total = products::total(&story.lines);
        if order["totalAmount"] != products::decimal(total) {
            return Err(format!(
                "order {id} costs {}, not {}",
                order["totalAmount"],
                products::decimal(total)
            ));
        }
        self.told.placed(id, user, total);
        if story.repeats {
            let again = self.answer("createOrder", CREATE_ORDER, &input).await?;
            if again != order {
                return Err(format!("createOrder said {order}, and to its repeat {again}"));
            }
        }
        Ok(id)
    }

    /// Pays by one token after the other. A payment that its order's cancel ended is no failure of a client that
    /// cancels too.
    async fn pay(&self, order: Uuid, key: &str, story: &Story) -> Result<(), String> {
        let input = json!({ "input": { "orderId": order } });
        let payment = uuid(&self.answer("createPayment", CREATE_PAYMENT, &input).await?["id"])?;
        let cancels = story.plot == Plot::PayAndCancel;
        for attempt in 0..MOST_ATTEMPTS {
            let token = story.tokens.get(attempt).or(story.tokens.last()).unwrap_or(&"tok_visa");
            let input = json!({ "input": { "paymentId": payment, "token": token,
                "idempotencyKey": format!("{key}-{attempt}") } });
            let paid = match self.insist_signed_in("processPayment", PROCESS_PAYMENT, &input).await {
                Err(refusal) if cancels && refusal.reason == "PAYMENT_CANCELLED" => return Ok(()),
                outcome => outcome.map_err(|refusal| format!("payment {payment}: {}", refusal.reason))?,
            };
            match paid["status"].as_str() {
                Some("SUCCEEDED") => {
                    self.told.became(order, Fate::Paid);
                    return self.pay_again(&paid, &input, story).await;
                }
                Some("CANCELLED") if cancels => return Ok(()),
                Some("PENDING") if paid["failureReason"].is_string() => {}
                _ => return Err(format!("payment {payment} was answered with {paid}")),
            }
        }
        Err(format!("payment {payment} was declined {MOST_ATTEMPTS} times"))
    }

    async fn pay_again(&self, paid: &Value, input: &Value, story: &Story) -> Result<(), String> {
        if !story.repeats {
            return Ok(());
        }
        let again = self.answer("processPayment", PROCESS_PAYMENT, input).await?;
        if again == *paid {
            return Ok(());
        }
        Err(format!("processPayment said {paid}, and to its repeat {again}"))
    }

    /// Cancels. It has no key: a repeat whose first try went through is refused, and finds the order cancelled.
    async fn cancel(&self, order: Uuid) -> Result<(), String> {
        let id = json!({ "id": order });
        match self.insist_signed_in("cancelOrder", CANCEL_ORDER, &id).await {
            Ok(cancelled) if cancelled["status"] == "CANCELLED" => {}
            Err(refusal) if refusal.uncertain && refusal.reason == "ORDER_NOT_CANCELLABLE" => {
                let found = self.answer("order", ORDER, &id).await?;
                if found["status"] != "CANCELLED" {
                    return Err(format!("order {order} can't be cancelled, and is {}", found["status"]));
                }
            }
            Ok(other) => return Err(format!("cancelOrder was answered with {other}")),
            Err(refusal) => return Err(format!("cancel of {order}: {}", refusal.reason)),
        }
        self.told.became(order, Fate::Cancelled);
        Ok(())
    }

    async fn answer(&self, what: &'static str, document: &str, input: &Value) -> Result<Value, String> {
        let answer = self.insist_signed_in(what, document, input).await;
        answer.map_err(|refusal| format!("{what} with {input}: {}", refusal.reason))
    }

    /// Insists, and signs in again when the token has ended.
    async fn insist_signed_in(
        &self,
        what: &'static str,
        document: &str,
        input: &Value,
    ) -> Result<Value, Refusal> {
        let token = self.token();
        match self.insist(what, Some(&token), document, input).await {
            Err(Refusal { reason, uncertain }) if reason == "TOKEN_EXPIRED" => {
                let session = self.login().await;
                let renewed = session.and_then(|session| self.set_token(&session));
                renewed.map_err(|reason| Refusal { reason, uncertain })?;
                let again = self.insist(what, Some(&self.token()), document, input).await;
                again.map_err(|refusal| Refusal { uncertain: uncertain || refusal.uncertain, ..refusal })
            }
            outcome => outcome,
        }
    }

    /// Sends a request until it is answered or refused.
    async fn insist(
        &self,
        what: &'static str,
        token: Option<&str>,
        document: &str,
        input: &Value,
    ) -> Result<Value, Refusal> {
        let (begun, mut pause, mut uncertain) = (Instant::now(), FIRST_PAUSE, false);
        loop {
            let reason = match self.graph.ask(token, document, input).await {
                Answer::Given(value) => {
                    self.told.answered(what, begun.elapsed());
                    return Ok(value);
                }
                Answer::Refused(reason) if !passes(&reason) => {
                    self.told.answered(what, begun.elapsed());
                    return Err(Refusal { reason, uncertain });
                }
                Answer::Refused(reason) => reason,
                Answer::Again(reason) => {
                    uncertain = true;
                    reason
                }
            };
            if begun.elapsed() > PATIENCE {
                let reason = format!("not answered within {} s, at last {reason}", PATIENCE.as_secs());
                return Err(Refusal { reason, uncertain });
            }
            self.told.repeated(reason);
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    fn token(&self) -> String {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_token(&self, session: &Value) -> Result<(), String> {
        let token = session["token"].as_str().ok_or("a session without a token")?;
        token.clone_into(&mut self.token.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

fn uuid(value: &Value) -> Result<Uuid, String> {
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| format!("{value} is no id"))
}
