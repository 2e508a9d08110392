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
    *part = keep(part, |full_at| full_at > median);
}

/// The clients of a part for whom this holds, in a table of their own: one that others were only taken out of would grow
/// beyond what it holds.
fn keep(part: &mut Part, holds: impl Fn(Nanos) -> bool) -> Part {
    let kept: Vec<_> = part.drain().filter(|(_, full_at)| holds(*full_at)).collect();
    kept.into_iter().collect()
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
            if part.values().any(|full_at| *full_at < before) {
                *part = keep(&mut part, |full_at| full_at >= before);
            }
        }
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|part| lock(part).len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use identity::UserId;
    use uuid::Uuid;

    use super::*;

    fn take(kept: &Kept, who: Who, until: u64) -> Option<u64> {
        let before = std::cell::Cell::new(None);
        let taken = kept.measure_and_replace(&who, |full_at| {
            before.set(full_at.map(Nanos::as_u64));
            Ok::<_, ()>(((), Nanos::new(until)))
        });
        taken.unwrap();
        before.get()
    }

    fn address(n: u32) -> Who {
        Who::Address(Some(IpAddr::V4(n.into())))
    }

    #[test]
    fn a_million_addresses_take_no_more_room_than_was_given() {
        let kept = Kept::new(100_000);
        for n in 0..1_000_000 {
            take(&kept, address(n), n.into());
        }
        assert!((50_000 - PARTS..=100_000 + PARTS).contains(&kept.len()), "{}", kept.len());
        // A place is a client, its number and a byte of the table; an eighth of the places is never taken.
        let places: usize = kept.parts.iter().map(|part| lock(part).capacity() * 8 / 7).sum();
        let bytes = places * (size_of::<(Who, Nanos)>() + 1);
        assert!(bytes < 4_400_000, "{bytes}");
        // Who asked last is known, and who asked first is not.
        assert_eq!(take(&kept, address(999_999), 0), Some(999_999));
        assert_eq!(take(&kept, address(0), 0), None);
    }

    #[test]
    fn a_flood_does_not_make_a_store_forget_who_asked_most() {
        let kept = Kept::new(1_000);
        let busy = Who::User(UserId(Uuid::now_v7()));
        take(&kept, busy, 1_000_000);
        for n in 0..100_000 {
            take(&kept, address(n), 1);
        }
        assert_eq!(take(&kept, busy, 0), Some(1_000_000));
    }

    #[test]
    fn who_is_full_again_is_forgotten_and_the_room_given_back() {
        let kept = Kept::new(100_000);
        for n in 0..50_000 {
            take(&kept, address(n), n.into());
        }
        kept.retain_recent(Nanos::new(49_990));
        assert_eq!(kept.len(), 10);
        let room: usize = kept.parts.iter().map(|part| lock(part).capacity()).sum();
        assert!(room < 1_000, "{room}");
        kept.retain_recent(Nanos::new(u64::MAX));
        assert!(kept.is_empty());
    }
}
