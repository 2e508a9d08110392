//! Which process has a TCP connection, as the kernel tells it (proc_net(5), proc_pid_fd(5)): Postgres knows its clients by
//! their ports alone.

use std::fs;

/// The one of the processes `pids` whose socket on 127.0.0.1 has the local port `port`.
pub(crate) fn owner(port: u16, pids: &[u32]) -> Option<u32> {
    let inode = inode(&fs::read_to_string("/proc/net/tcp").ok()?, port)?;
    pids.iter().copied().find(|pid| has(*pid, &inode))
}

/// The inode of the connection with this local port.
fn inode(table: &str, port: u16) -> Option<String> {
    // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
    let local = format!("0100007F:{port:04X}");
    let connections = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = connections.into_iter().find(|fields| fields.get(1) == Some(&local.as_str()))?;
    found.get(9).map(|inode| (*inode).to_owned())
}

fn has(pid: u32, inode: &str) -> bool {
    let socket = format!("socket:[{inode}]");
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_of_this_process_is_found_to_be_its_own() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = stream.local_addr().unwrap().port();
        assert_eq!(owner(port, &[1, std::process::id()]), Some(std::process::id()));
    }

    #[test]
    fn the_port_is_that_of_the_local_end() {
        let table = "head\n 0: 0100007F:1538 0100007F:D431 01 0:0 00:0 0 0 0 4711 1\n\
                      1: 0100007F:D431 0100007F:1538 01 0:0 00:0 0 0 0 4712 1\n";
        assert_eq!(inode(table, 0xD431).as_deref(), Some("4712"));
        assert_eq!(inode(table, 1), None);
    }
}
