//! A gateway of the tests' own making: it answers what a test says, and remembers what it was sent.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A request as it came from nginx.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// From the path on.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Sent {
    /// The values of a header, one for each time that it came.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(called, _)| called == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// An answer, but for its length.
pub(crate) struct Said {
    /// The status and the headers, a line each.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What anyone may see for a minute, or for as long as `max_age` says, in seconds.
pub(crate) fn public(body: impl Into<String>, max_age: u32) -> Said {
    let head =
        format!("200 OK\r\nContent-Type: application/json\r\nCache-Control: public, max-age={max_age}");
    Said { head, body: body.into() }
}

/// What is for the one who asked.
pub(crate) fn private(body: impl Into<String>) -> Said {
    Said { head: "200 OK\r\nCache-Control: no-store".to_owned(), body: body.into() }
}

/// It answers until it is dropped or stopped.
pub(crate) struct Gateway {
    pub(crate) address: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    gone: Arc<AtomicBool>,
}

type Answers = dyn Fn(&Sent) -> Said + Send + Sync;

impl Gateway {
    pub(crate) fn that_answers(answers: impl Fn(&Sent) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sent, gone) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (answers, log, stop): (Arc<Answers>, _, _) = (Arc::new(answers), sent.clone(), gone.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (answers, log, stop) = (answers.clone(), log.clone(), stop.clone());
                std::thread::spawn(move || serve(&stream.unwrap(), &*answers, &log, &stop));
            }
        });
        Self { address, sent, gone }
    }

    /// What came so far.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// From now on nobody is there any more.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.leave();
    }
}

fn serve(stream: &TcpStream, answers: &Answers, log: &Mutex<Vec<Sent>>, gone: &AtomicBool) {
    let mut reader = BufReader::new(stream);
    while let Some(sent) = read(&mut reader) {
        if gone.load(Ordering::SeqCst) {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
        log.lock().unwrap().push(sent.clone());
        let Said { head, body } = answers(&sent);
        let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if (&mut &*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request on a connection, with the length of its body told beforehand, as nginx does it.
fn read(reader: &mut impl BufRead) -> Option<Sent> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let target = line()?.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    while let Some((name, value)) = line()?.split_once(": ") {
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Sent { target, headers, body: String::from_utf8(body).unwrap() })
}
