//! The three databases, and the roles that own them.
//!
//! Making them again changes nothing but the roles' passwords, which are set to what the state folder keeps.

use std::str::FromStr;

use anyhow::{Context, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::backend::Urls;
use crate::state::State;

/// The three databases under the names that one run gives them. A role has its database's name.
#[derive(Debug)]
pub(super) struct Databases {
    user: String,
    order: String,
    payment: String,
}

/// What the role that makes the databases may do.
#[derive(Clone, Copy, sqlx::FromRow)]
struct Powers {
    superuser: bool,
    makes_roles: bool,
}

impl Databases {
    /// `portico_user`, `portico_order` and `portico_payment`, each followed by `suffix`.
    pub(super) fn named(suffix: &str) -> Self {
        let name = |service| format!("portico_{service}{suffix}");
        Self { user: name("user"), order: name("order"), payment: name("payment") }
    }

    /// Makes what is missing on the server at `url` and gives the URLs. A role there that may not make roles
    /// owns the databases itself.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn make(&self, url: &str, state: &State) -> Result<Urls> {
        let mut server = PgConnection::connect(url).await?;
        let powers = powers(&mut server).await?;
        let urls = Urls {
            user: make_one(&mut server, url, &self.user, powers, state).await?,
            order: make_one(&mut server, url, &self.order, powers, state).await?,
            payment: make_one(&mut server, url, &self.payment, powers, state).await?,
            maintenance: Some(url.to_owned()),
        };
        server.close().await?;
        Ok(urls)
    }

    /// Drops the databases and their roles, whoever is still in them.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn drop(&self, url: &str) -> Result<()> {
        let mut server = PgConnection::connect(url).await?;
        for name in [&self.user, &self.order, &self.payment] {
            run(&mut server, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name))).await?;
            if exists(&mut server, "pg_roles", "rolname", name).await? {
                run(&mut server, format!("DROP ROLE {}", quoted(name))).await?;
            }
        }
        Ok(server.close().await?)
    }
}

/// Takes from everybody the right to enter the databases that every cluster begins with.
///
/// # Errors
/// When the server refuses.
pub(super) async fn close_to_strangers(url: &str) -> Result<()> {
    let mut server = PgConnection::connect(url).await?;
    for name in ["postgres", "template1"] {
        revoke_from_everybody(&mut server, name).await?;
    }
    Ok(server.close().await?)
}

/// What a throw-away run's databases have behind their names.
pub(super) fn random_suffix() -> String {
    format!("_{:08x}", rand::random::<u32>())
}

async fn powers(server: &mut PgConnection) -> Result<Powers> {
    let asked = sqlx::query_as(
        "SELECT rolsuper AS superuser, rolcreaterole OR rolsuper AS makes_roles
         FROM pg_roles
         WHERE rolname = current_user",
    );
    asked.fetch_one(server).await.context("cannot tell what the role in DATABASE_URL may do")
}

/// One database with its owner; gives its URL.
async fn make_one(
    server: &mut PgConnection,
    url: &str,
    name: &str,
    powers: Powers,
    state: &State,
) -> Result<String> {
    let options = PgConnectOptions::from_str(url)?.database(name);
    let missing = !exists(server, "pg_database", "datname", name).await?;
    if !powers.makes_roles {
        if missing {
            run(server, format!("CREATE DATABASE {}", quoted(name))).await?;
        }
        return Ok(url_of(&options));
    }
    let password = state.secret(name).await?;
    make_role(server, name, &password, powers).await?;
    if missing {
        run(server, format!("CREATE DATABASE {0} OWNER {0}", quoted(name))).await?;
    }
    revoke_from_everybody(server, name).await?;
    Ok(url_of(&options.username(name).password(&password)))
}

/// As URL that others than sqlx understand too: libpq refuses parameters that it does not know.
fn url_of(options: &PgConnectOptions) -> String {
    let mut url = options.to_url_lossy();
    let known = url.query_pairs().into_owned().filter(|(name, _)| name != "statement-cache-capacity");
    let known: Vec<_> = known.collect();
    url.query_pairs_mut().clear().extend_pairs(known);
    url.to_string()
}

async fn make_role(server: &mut PgConnection, name: &str, password: &str, powers: Powers) -> Result<()> {
    if !exists(server, "pg_roles", "rolname", name).await? {
        run(server, format!("CREATE ROLE {} LOGIN", quoted(name))).await?;
    }
    // The password is hexadecimal, so it needs no quoting of its own.
    run(server, format!("ALTER ROLE {} LOGIN PASSWORD '{password}'", quoted(name))).await?;
    if !powers.superuser {
        // Only a member of a role may give it a database.
        run(server, format!("GRANT {} TO CURRENT_USER", quoted(name))).await?;
    }
    Ok(())
}

async fn revoke_from_everybody(server: &mut PgConnection, database: &str) -> Result<()> {
    run(server, format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", quoted(database))).await
}

/// Whether `catalog` has a row whose `column` is `name`. The first two are words of ours.
async fn exists(server: &mut PgConnection, catalog: &str, column: &str, name: &str) -> Result<bool> {
    let question = format!("SELECT EXISTS (SELECT FROM {catalog} WHERE {column} = $1)");
    Ok(sqlx::query_scalar(AssertSqlSafe(question)).bind(name).fetch_one(server).await?)
}

/// Statements about roles and databases take no parameters, so names are quoted into them.
async fn run(server: &mut PgConnection, statement: String) -> Result<()> {
    let failed =
        || format!("the server refuses `{}`", statement.split(" PASSWORD ").next().unwrap_or_default());
    sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(server).await.with_context(failed)?;
    Ok(())
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_inside_a_name_stays_inside_the_name() {
        assert_eq!(quoted(r#"a"; DROP DATABASE b; --"#), r#""a""; DROP DATABASE b; --""#);
    }

    #[test]
    fn a_url_keeps_the_parameters_that_every_client_knows_and_no_other() {
        let options = PgConnectOptions::from_str("postgres://ada:secret@db:5433/x?sslmode=require").unwrap();
        let url = url_of(&options.database("portico_user"));
        assert_eq!(url, "postgres://ada:secret@db:5433/portico_user?sslmode=require");
    }

    #[test]
    fn two_throw_away_runs_use_different_names() {
        assert_ne!(random_suffix(), random_suffix());
    }
}
