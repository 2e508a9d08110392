//! nginx before the gateway, as `portico up` brings it up.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use tokio::net::TcpSocket;

use crate::graph::Graph;
use crate::run::{Folder, Up, assert_nothing_runs, code, portico, processes};

/// The system without RabbitMQ and with nginx.
fn up(folder: &Folder) -> Up {
    Up::start_arguments(folder, &["up", "--embedded", "--nginx"], &[])
}

/// The ids of nginx and its workers: they work in its folder.
fn processes_of_nginx_in(folder: &Folder) -> Vec<i32> {
    let works_there = |id: &i32| {
        let place = fs::read_link(format!("/proc/{id}/cwd")).unwrap_or_default();
        place.starts_with(folder.path()) && place.ends_with("nginx")
    };
    processes(|_| true).into_iter().filter(works_there).collect()
}

fn master(folder: &Folder) -> Pid {
    let id = fs::read_to_string(folder.path().join("state/nginx/nginx.pid")).unwrap();
    Pid::from_raw(id.trim().parse().unwrap())
}

/// The header `X-Cache-Status` of a public answer.
fn cached(url: &str) -> String {
    let url = format!("{url}graphql?query=%7Bproducts%7Bdata%7Bid%7D%7D%7D");
    let answer = ureq::get(url).call().unwrap();
    answer.headers()["x-cache-status"].to_str().unwrap().to_owned()
}

#[test]
fn everything_is_served_through_nginx_which_does_not_run_as_root_and_ends_with_the_rest() {
    let folder = Folder::new();
    let up = up(&folder);
    let url = up.row("IDE");
    assert_ne!(url.trim_end_matches('/'), up.row("before"), "{}", up.printed);
    let ada = Graph::at(url).log_in("ada@example.com", "demo-customer-4711");
    assert_eq!(ada.ask("{ me { firstName } }")["data"]["me"]["firstName"], "Ada");
    assert_eq!((cached(url), cached(url)), ("MISS".to_owned(), "HIT".to_owned()));
    let page = ureq::get(url).call().unwrap();
    assert_eq!(page.headers()["x-cache-status"], "MISS");

    let running = processes_of_nginx_in(&folder);
    assert!(running.len() > 1, "{running:?}");
    if Uid::effective().is_root() {
        for id in running {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
            assert!(!status.contains("\nUid:\t0\t"), "{status}");
        }
    }
    up.signal(Signal::SIGINT);
    let (status, said) = up.finish();
    assert_eq!(code(status), Ok(0), "{said}");
    assert_nothing_runs(&folder);
    assert_eq!(processes_of_nginx_in(&folder), Vec::<i32>::new());
}

#[test]
fn clear_cache_forgets_what_was_kept() {
    let folder = Folder::new();
    let up = up(&folder);
    let url = up.row("IDE");
    assert_eq!((cached(url), cached(url)), ("MISS".to_owned(), "HIT".to_owned()));
    let cleared = portico(&folder, &["nginx", "clear-cache"]).output().unwrap();
    let said = String::from_utf8(cleared.stderr).unwrap();
    assert_eq!(code(cleared.status), Ok(0), "{said}");
    assert!(said.contains("1 answers forgotten"), "{said}");
    assert_eq!(cached(url), "MISS");
    up.signal(Signal::SIGINT);
    up.finish();
    let nothing = portico(&folder, &["nginx", "clear-cache"]).output().unwrap();
    assert_eq!(code(nothing.status), Ok(1));
}

#[test]
fn a_crash_of_nginx_ends_all_with_the_reason_and_leaves_no_worker() {
    let folder = Folder::new();
    let up = up(&folder);
    kill(master(&folder), Signal::SIGKILL).unwrap();
    let (status, said) = up.finish();
    assert_eq!(code(status), Ok(1), "{said}");
    assert!(said.contains("nginx ended by itself (killed by SIGKILL)"), "{said}");
    assert_nothing_runs(&folder);
    assert_eq!(processes_of_nginx_in(&folder), Vec::<i32>::new());
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_the_variable_that_changes_it() {
    let folder = Folder::new();
    // As another nginx takes it: one that would share it.
    let taken = TcpSocket::new_v4().unwrap();
    taken.set_reuseport(true).unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let taken = taken.listen(1).unwrap();
    let mut command = portico(&folder, &["up", "--embedded", "--nginx"]);
    command.env("NGINX_LISTEN", taken.local_addr().unwrap().to_string());
    let refused = command.output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(code(refused.status), Ok(1), "{said}");
    assert!(said.contains("NGINX_LISTEN"), "{said}");
    assert_nothing_runs(&folder);
}
