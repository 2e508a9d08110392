//! Commands that come and go: the databases that they find.

use nix::sys::signal::Signal;
use portico::backend::visit::Visit;
use portico::environment::Environment;
use portico::progress::Progress;
use sqlx::{Connection, PgConnection};

use crate::run::{Folder, Up, assert_nothing_runs};

fn environment(folder: &Folder) -> Environment {
    let state = folder.path().join("state");
    let cache = folder.path().join("cache");
    let variables = [
        ("PORTICO_STATE_DIR", state.to_str().unwrap()),
        ("XDG_CACHE_HOME", cache.to_str().unwrap()),
        ("PATH", "/usr/bin:/bin"),
    ];
    Environment::made_of(variables, nix::unistd::geteuid().is_root())
}

async fn enter(visit: &Visit) {
    PgConnection::connect(&visit.urls().user).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_visit_beside_an_up_uses_its_databases_and_leaves_them_running() {
    let folder = Folder::new();
    let up = Up::start(&folder);
    let visit = Visit::begin(&environment(&folder), &Progress::on_stderr()).await.unwrap();
    assert!(visit.urls().user.contains(up.row("at")));
    enter(&visit).await;
    visit.end(&Progress::on_stderr()).await.unwrap();
    enter(&Visit::begin(&environment(&folder), &Progress::on_stderr()).await.unwrap()).await;
    up.signal(Signal::SIGINT);
    up.finish();
}

#[tokio::test]
async fn a_visit_without_an_up_starts_the_same_databases_and_stops_them() {
    let folder = Folder::new();
    for _ in 0..2 {
        let visit = Visit::begin(&environment(&folder), &Progress::on_stderr()).await.unwrap();
        enter(&visit).await;
        visit.end(&Progress::on_stderr()).await.unwrap();
        assert_nothing_runs(&folder);
    }
}
