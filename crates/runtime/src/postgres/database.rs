//! The database of a service: connections for what it changes apart from those for what it reads, so that neither waits
//! for the other.

use secrecy::SecretString;
use sqlx::migrate::Migrator;

use super::{Pool, migrated};
use crate::admin::Check;

/// Where a database is, and how many connections it gets. The variables are each service's own.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The primary.
    pub url: &'a SecretString,
    /// The most connections for changes.
    pub connections: u32,
    /// A replica for what may be a moment old.
    pub replica: Option<&'a SecretString>,
    /// The most connections for reads: on the primary, and as many again on the replica.
    pub read_connections: u32,
}

/// What the pools of a service are called: its changes, its reads, its replica's.
pub type Names = [&'static str; 3];

/// The database of a service. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Database {
    /// For what is changed, and for what is read in order to change something.
    pub writes: Pool,
    /// For what is read; nobody misses what they wrote.
    pub reads: Pool,
    /// For what everybody reads and for the lists of admins, which may be a moment old: a replica where there is one.
    pub lists: Pool,
}

impl Database {
    /// That at `place`. It connects when it is first used.
    ///
    /// # Errors
    /// When a URL is none, or one of the files for TLS that it names doesn't do.
    pub fn at(place: Place<'_>, [writes, reads, lists]: Names) -> Result<Self, sqlx::Error> {
        let writes = Pool::open(place.url, place.connections, writes)?;
        let reads = Pool::open(place.url, place.read_connections, reads)?;
        let lists = match place.replica {
            Some(url) => Pool::replica(url, place.read_connections, lists, &reads)?,
            None => reads.clone(),
        };
        Ok(Self { writes, reads, lists })
    }

    /// Whether it answers and has every migration that this binary knows. Tells the metrics about its connections, too:
    /// whoever asks for these asks here first.
    pub fn check(&self, migrator: &'static Migrator) -> Check {
        let database = self.clone();
        Check::new("database", move || {
            let database = database.clone();
            async move {
                for pool in [&database.writes, &database.reads, &database.lists] {
                    pool.tell();
                }
                migrated(database.writes.raw(), migrator).await
            }
        })
    }
}
