//! What a limit remembers of its clients: one number each, and of a bounded number of clients.
//!
//! governor's own stores grow with every address that asks, and an attacker with IPv6 has more of them than there is
//! memory. Here a full store forgets the half of its clients who asked least. Each gains what they had taken, which is
//! little; those who asked most stay known.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard},
};

use governor::{
    nanos::Nanos,
    state::{StateStore, keyed::ShrinkableKeyedStateStore},
};

use super::Who;

/// In how many parts the clients are kept, so that one request seldom waits for another.
const PARTS: usize = 16;

type Part = HashMap<Who, Nanos>;

/// When each client's bucket is full again, in nanoseconds since the limit was made.
pub(super) struct Kept {
    parts: [Mutex<Part>; PARTS],
    hasher: RandomState,
    /// The most clients of a part.
    most: usize,
}

impl Kept {
    /// Remembers about `clients`, and never more than that and [`PARTS`].
    pub(super) fn new(clients: usize) -> Self {
        let most = clients.div_ceil(PARTS).max(1);
        Self { parts: Default::default(), hasher: RandomState::new(), most }
    }

    fn part(&self, who: &Who) -> MutexGuard<'_, Part> {
        let part = self.hasher.hash_one(who) % PARTS as u64;
        lock(&self.parts[usize::try_from(part).unwrap_or_default()])
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Makes room in a part that is full: a pass over it frees half of it, so a client costs two or three steps in the long
/// run, however many there are.
fn forget_half(part: &mut Part) {
    let mut full_at: Vec<Nanos> = part.values().copied().collect();
    let middle = full_at.len() / 2;
    let (_, median, _) = full_at.select_nth_unstable(middle);
    let median = *median;
    part.retain(|_, full_at| *full_at > median);
}

impl StateStore for Kept {
    type Key = Who;

    fn measure_and_replace<T, F, E>(&self, who: &Who, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut part = self.part(who);
        if let Some(full_at) = part.get_mut(who) {
            let (decided, then) = decide(Some(*full_at))?;
            *full_at = then;
            return Ok(decided);
        }
        let (decided, then) = decide(None)?;
        if part.len() >= self.most {
            forget_half(&mut part);
        }
        part.insert(*who, then);
        Ok(decided)
    }
}

impl ShrinkableKeyedStateStore<Who> for Kept {
    fn retain_recent(&self, before: Nanos) {
        for part in &self.parts {
            let mut part = lock(part);
            part.retain(|_, full_at| *full_at >= before);
            // After a flood, its memory goes too.
            let enough = part.len() * 2;
            part.shrink_to(enough);
        }
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|part| lock(part).len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
