//! Asking a process for its readiness, for probes that run a command where there is no `curl`.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

/// How long the answer may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much of an answer is read: it has a line for each check.
const LONGEST_ANSWER: u64 = 16 * 1024;

/// Asks the process with its admin port at `listen` (host:port, as it was told itself) for `/ready`.
///
/// # Errors
/// A line that says what it lacks, or why it did not answer within two seconds.
pub fn ask(listen: &str) -> Result<String, String> {
    let deadline = Instant::now() + PATIENCE;
    let addresses = listen.to_socket_addrs().map_err(|error| format!("{listen} is no address: {error}"))?;
    let mut failure = format!("{listen} is no address");
    for address in addresses.map(reachable) {
        match ready(address, deadline) {
            Ok(answer) => return judged(&answer),
            Err(error) => failure = format!("no answer from {address}: {error}"),
        }
    }
    Err(failure)
}

/// A process that listens everywhere is asked on the loopback.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

fn ready(address: SocketAddr, deadline: Instant) -> std::io::Result<String> {
    // Zero is no time-out but a bad argument.
    let left = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&address, left())?;
    stream.set_write_timeout(Some(left()))?;
    // HTTP/1.0: the answer comes in one piece, and its end is the end of the connection.
    write!(stream, "GET /ready HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while (answer.len() as u64) < LONGEST_ANSWER {
        stream.set_read_timeout(Some(left()))?;
        match stream.read(&mut piece)? {
            0 => break,
            count => answer.extend_from_slice(&piece[..count]),
        }
        if Instant::now() >= deadline {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What an answer of HTTP says; of checks, those that do not hold.
fn judged(answer: &str) -> Result<String, String> {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let lacking: Vec<&str> = body.lines().filter(|line| !line.ends_with(": ok")).collect();
    match status {
        "200" => Ok("ready".to_owned()),
        "503" => Err(format!("not ready: {}", lacking.join("; "))),
        _ => Err("what answers there is no process of Portico".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_process_that_listens_everywhere_is_asked_on_the_loopback() {
        let asked = |listens: &str| reachable(listens.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9402"), "127.0.0.1:9402");
        assert_eq!(asked("[::]:9402"), "[::1]:9402");
        assert_eq!(asked("10.1.2.3:9402"), "10.1.2.3:9402");
    }

    #[test]
    fn a_process_that_is_not_ready_is_told_with_what_it_lacks() {
        let answer = "HTTP/1.0 503 Service Unavailable\r\n\r\ndatabase: not reachable\ntokens: ok\n";
        assert_eq!(judged(answer), Err("not ready: database: not reachable".to_owned()));
        assert_eq!(judged("HTTP/1.0 200 OK\r\n\r\ntokens: ok\n"), Ok("ready".to_owned()));
        assert!(judged("SSH-2.0-OpenSSH").is_err());
    }

    #[test]
    fn a_process_that_says_nothing_is_waited_for_no_longer_than_two_seconds() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let since = Instant::now();
        let told = ask(&silent.local_addr().unwrap().to_string()).unwrap_err();
        assert!(told.starts_with("no answer from 127.0.0.1:"), "{told}");
        assert!(since.elapsed() >= PATIENCE && since.elapsed() < PATIENCE * 5);
    }
}
