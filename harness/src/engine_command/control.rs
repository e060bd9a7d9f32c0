//! The ports on which the JobManagers of a run listen: one for each, the same in all its lives.
//!
//! TaskManagers are told all addresses at their start, but a port is open only while its JobManager leads. In between,
//! nothing else may get the port, above all not a TaskManager's own attempt to connect, as its local end. So the
//! launcher holds a socket on each port that is bound and never listens. Then connections are refused, the system gives
//! the port to nobody, and the JobManager, which reuses addresses like every listener of tokio, can still open it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use flowquake_engine::env::Address;
use tokio::net::TcpSocket;

/// The ports of a run, by JobManager.
pub(crate) struct ControlPorts(BTreeMap<String, (SocketAddr, TcpSocket)>);

impl ControlPorts {
    /// Reserves ports for `jm-1` to `jm-N`, for as long as this value lives.
    pub(crate) fn reserve(job_managers: u16) -> io::Result<Self> {
        let reserve = |number| {
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            Ok((format!("jm-{number}"), (socket.local_addr()?, socket)))
        };
        (1..=job_managers).map(reserve).collect::<io::Result<_>>().map(Self)
    }

    /// Names of the JobManagers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// The address on which this JobManager listens; `None`: there is no such JobManager.
    pub(crate) fn of(&self, name: &str) -> Option<SocketAddr> {
        self.0.get(name).map(|(address, _)| *address)
    }

    /// The addresses on which a JobManager may listen.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        self.0.values().map(|(address, _)| Address(address.to_string())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// The port is refused at first, open while the JobManager listens, and refused again; and it is reserved all the
    /// time.
    #[tokio::test]
    async fn a_port_is_closed_until_its_job_manager_opens_it() {
        let ports = ControlPorts::reserve(3).unwrap();
        let distinct: BTreeSet<_> = ports.names().map(|name| ports.of(name)).collect();
        assert_eq!((distinct.len(), ports.addresses().len(), ports.of("tm-1")), (3, 3, None));
        let address = ports.of("jm-2").unwrap();
        for _ in 0..2 {
            let refused = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            let listener = TcpListener::bind(address).await.unwrap();
            let (connected, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
            assert!(connected.is_ok() && accepted.is_ok());
        }
    }
}
