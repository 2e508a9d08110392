//! The letters that wait to be published. They outlive connections: a lane that is dropped puts back what it held.

use std::{
    collections::HashMap,
    sync::{Mutex as Lock, PoisonError},
};

use tokio::sync::{
    Mutex,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use super::letter::Letter;

/// How many letters one batch holds at most.
const BATCH: usize = 250;

/// Why a letter was not taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble<'a> {
    /// It came back: no queue takes its name.
    Returned,
    /// A queue did not take it.
    Nacked,
    /// RabbitMQ closed the channel over it, with this reason.
    Refused(&'a str),
}

pub(super) struct Desk {
    waiting: Pile,
    /// Letters that were in a batch over which RabbitMQ closed the channel. They go one by one, until the one is found
    /// that it does not want.
    suspects: Pile,
    /// What is wrong with the letters of a name, for the log to tell it once.
    troubles: Lock<HashMap<String, String>>,
}

struct Pile {
    sender: UnboundedSender<Letter>,
    letters: Mutex<UnboundedReceiver<Letter>>,
}

impl Pile {
    fn new(sender: UnboundedSender<Letter>, letters: UnboundedReceiver<Letter>) -> Self {
        Self { sender, letters: Mutex::new(letters) }
    }

    fn put(&self, letter: Letter) {
        // The receiver lives as long as this does.
        let _ = self.sender.send(letter);
    }

    /// Takes what is there, as soon as something is: there is no waiting for a batch to fill.
    async fn take(&self, most: usize) -> Vec<Letter> {
        let mut taken = Vec::new();
        let mut letters = self.letters.lock().await;
        while taken.is_empty() {
            letters.recv_many(&mut taken, most).await;
            taken.retain(|letter| !letter.is_forgotten());
        }
        taken
    }
}

impl Desk {
    pub(super) fn new(sender: UnboundedSender<Letter>, letters: UnboundedReceiver<Letter>) -> Self {
        let (suspect, suspects) = unbounded_channel();
        for kind in ["returned", "nacked", "refused"] {
            metrics::counter!("events_not_taken_total", "why" => kind).increment(0);
        }
        Self {
            waiting: Pile::new(sender, letters),
            suspects: Pile::new(suspect, suspects),
            troubles: Lock::default(),
        }
    }

    /// The next letters to publish.
    pub(super) async fn batch(&self) -> Batch<'_> {
        Batch { letters: self.waiting.take(BATCH).await, desk: self }
    }

    /// The next letter to publish alone.
    pub(super) async fn suspect(&self) -> Batch<'_> {
        Batch { letters: self.suspects.take(1).await, desk: self }
    }

    /// The letter is told.
    pub(super) fn told(&self, letter: Letter) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if !troubles.is_empty() && troubles.remove(&letter.name).is_some() {
            tracing::info!(event = letter.name, "RabbitMQ takes these events again");
        }
        drop(troubles);
        letter.told();
    }

    /// The letter is to be published alone. That is no second try: the first was not its own.
    pub(super) fn suspicious(&self, letter: Letter) {
        self.suspects.put(letter);
    }

    /// The letter was not taken: it is tried again later, where it came from.
    pub(super) fn not_taken(&self, letter: Letter, trouble: Trouble<'_>) {
        self.tell(&letter.name, trouble);
        let Some(mut letter) = letter.again() else { return };
        let pile = match trouble {
            Trouble::Refused(_) => &self.suspects,
            Trouble::Returned | Trouble::Nacked => &self.waiting,
        };
        let pile = pile.sender.clone();
        tokio::spawn(async move {
            if letter.rest().await {
                // Without a desk there is nobody left who waits for it.
                let _ = pile.send(letter);
            }
        });
    }

    fn tell(&self, event: &str, trouble: Trouble<'_>) {
        let (kind, reason) = match trouble {
            Trouble::Returned => ("returned", "no queue takes it"),
            Trouble::Nacked => ("nacked", "a queue did not take it"),
            Trouble::Refused(reason) => ("refused", reason),
        };
        metrics::counter!("events_not_taken_total", "why" => kind).increment(1);
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles.get(event).is_none_or(|before| before != reason) {
            troubles.insert(event.to_owned(), reason.to_owned());
            tracing::warn!(event, reason, "RabbitMQ does not take these events yet");
        }
    }
}

/// Letters that are being published. Those that are left when it is dropped are published again.
pub(super) struct Batch<'a> {
    pub(super) letters: Vec<Letter>,
    desk: &'a Desk,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for letter in self.letters.drain(..).filter_map(Letter::again) {
            self.desk.waiting.put(letter);
        }
    }
}
