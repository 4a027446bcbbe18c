//! Whose a connection on this machine is: the kernel knows the user of the socket at its other end.
//!
//! It is asked for the exact four numbers of that end (sock_diag(7): 13 µs); where that is refused, its table is read
//! (`/proc/net/tcp`: 19 ms). A socket that no process holds any more is nobody's: the kernel gives such ones out as
//! root's, whoever had them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};

/// Asks the kernel for owners.
#[derive(Debug)]
pub struct SocketOwners {
    source: Source,
    own_user: u32,
}

#[derive(Debug)]
enum Source {
    #[cfg(target_os = "linux")]
    Netlink(netlink::Socket),
    Table,
}

impl SocketOwners {
    /// Tries out on a connection of our own what the kernel reports.
    ///
    /// # Errors
    /// Why owners cannot be known here.
    pub fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (client, server) = (client.local_addr()?, client.peer_addr()?);
        let mut failure = None;
        for source in sources() {
            match source.and_then(|source| Ok((source.owner(client, server)?, source))) {
                Ok((Some(own_user), source)) => {
                    return if is_ambiguous(own_user) {
                        Err(io::Error::other("in this user namespace other users look like the own one"))
                    } else {
                        Ok(Self { source, own_user })
                    };
                }
                Ok((None, _)) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| io::Error::other("the kernel does not say whose a socket is")))
    }

    /// Whom our own sockets belong to.
    pub fn own_user(&self) -> u32 {
        self.own_user
    }

    /// The user of the process that holds the socket at `client`, connected to `server`; `None` where none holds it.
    ///
    /// # Errors
    /// Where the kernel does not answer.
    pub fn owner(&self, client: SocketAddr, server: SocketAddr) -> io::Result<Option<u32>> {
        self.source.owner(client, server)
    }
}

impl Source {
    fn owner(&self, client: SocketAddr, server: SocketAddr) -> io::Result<Option<u32>> {
        match self {
            #[cfg(target_os = "linux")]
            Source::Netlink(socket) => socket.owner(client, server),
            Source::Table => {
                // A table that changes while it is read may leave a row out.
                let found = read_tables(client, server)?;
                if found.is_some() { Ok(found) } else { read_tables(client, server) }
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn sources() -> impl Iterator<Item = io::Result<Source>> {
    [netlink::Socket::open().map(Source::Netlink), Ok(Source::Table)].into_iter()
}

#[cfg(not(target_os = "linux"))]
fn sources() -> impl Iterator<Item = io::Result<Source>> {
    [Ok(Source::Table)].into_iter()
}

/// Whether users that a namespace does not know are shown as this one (user_namespaces(7), overflowuid).
fn is_ambiguous(user: u32) -> bool {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let overflow = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok().and_then(|text| number(&text));
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let knows_all = map.split_whitespace().eq(["0", "0", "4294967295"]);
    overflow == Some(user) && !knows_all
}

fn read_tables(client: SocketAddr, server: SocketAddr) -> io::Result<Option<u32>> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    if let [Err(_), Err(error)] = tables {
        return Err(error);
    }
    Ok(tables.iter().flatten().find_map(|table| listed(table, client, server)))
}

/// The owner in a table of proc_pid_net(5), which names addresses in the kernel's order of bytes.
fn listed(table: &str, client: SocketAddr, server: SocketAddr) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, _, _, _, _, user, _, inode, ..] = fields.as_slice() else { return None };
        let is_it = listed_address(local)? == client && listed_address(remote)? == server;
        (is_it && *inode != "0").then(|| user.parse().ok())?
    })
}

fn listed_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words = address.as_bytes().chunks(8).map(|digits| {
        let word = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        Some(word.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::from(bytes),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?),
    };
    Some(SocketAddr::new(address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(target_os = "linux")]
mod netlink {
    //! One question and one answer of sock_diag(7).

    use std::io;
    use std::net::{IpAddr, SocketAddr};
    use std::os::fd::OwnedFd;
    use std::sync::{Mutex, PoisonError};

    use rustix::io::Errno;
    use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

    /// `nlmsghdr`, then `inet_diag_req_v2`; in the answer `inet_diag_msg`.
    const HEADER_BYTES: usize = 16;
    const QUESTION_BYTES: usize = HEADER_BYTES + 56;
    const ANSWER_BYTES: usize = HEADER_BYTES + 72;
    /// `SOCK_DIAG_BY_FAMILY`, `NLM_F_REQUEST`, `NLMSG_ERROR`
    const BY_FAMILY: u16 = 20;
    const REQUEST: u16 = 1;
    const ERROR: u16 = 2;
    const TCP: u8 = 6;
    /// Answers to earlier questions that were given up; each question has one answer.
    const STALE_MAX: usize = 64;

    #[derive(Debug)]
    pub struct Socket {
        /// With the number of the last question.
        asked: Mutex<(OwnedFd, u32)>,
    }

    impl Socket {
        pub fn open() -> io::Result<Self> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG))?;
            // To the kernel; from then on nobody else is heard.
            rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
            Ok(Self { asked: Mutex::new((socket, 0)) })
        }

        pub fn owner(&self, client: SocketAddr, server: SocketAddr) -> io::Result<Option<u32>> {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.1 = asked.1.wrapping_add(1);
            let (socket, number) = &*asked;
            rustix::net::send(socket, &question(client, server, *number), SendFlags::empty())?;
            // The kernel answers before `send` returns, so nothing is waited for.
            for _ in 0..STALE_MAX {
                let mut answer = [0_u8; 512];
                let (_, length) = rustix::net::recv(socket, &mut answer, RecvFlags::empty())?;
                let answer = &answer[..length.min(answer.len())];
                if word(answer, 8) == Some(*number) {
                    return read(answer, client, server);
                }
            }
            Err(io::Error::other("the kernel answers other questions only"))
        }
    }

    fn question(client: SocketAddr, server: SocketAddr, number: u32) -> [u8; QUESTION_BYTES] {
        let mut question = [0; QUESTION_BYTES];
        let mut put = |at: usize, bytes: &[u8]| question[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &(QUESTION_BYTES as u32).to_ne_bytes());
        put(4, &BY_FAMILY.to_ne_bytes());
        put(6, &REQUEST.to_ne_bytes());
        put(8, &number.to_ne_bytes());
        let family = if client.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        put(HEADER_BYTES, &[family.as_raw().to_ne_bytes()[0], TCP]);
        // In every state.
        put(HEADER_BYTES + 4, &u32::MAX.to_ne_bytes());
        let id = HEADER_BYTES + 8;
        put(id, &client.port().to_be_bytes());
        put(id + 2, &server.port().to_be_bytes());
        for (at, address) in [(id + 4, client.ip()), (id + 20, server.ip())] {
            match address {
                IpAddr::V4(address) => put(at, &address.octets()),
                IpAddr::V6(address) => put(at, &address.octets()),
            }
        }
        // No interface, and whatever cookie.
        put(id + 40, &[0xff; 8]);
        question
    }

    fn read(answer: &[u8], client: SocketAddr, server: SocketAddr) -> io::Result<Option<u32>> {
        let short = || io::Error::other("the kernel's answer is too short");
        if half_word(answer, 4) == Some(ERROR) {
            let code = word(answer, HEADER_BYTES).ok_or_else(short)?.cast_signed();
            let errno = Errno::from_raw_os_error(code.saturating_neg());
            return if errno == Errno::NOENT { Ok(None) } else { Err(errno.into()) };
        }
        if answer.len() < ANSWER_BYTES {
            return Err(short());
        }
        // The kernel falls back to a socket that listens there, or to one at any address.
        let is_v4 = u16::from(answer[HEADER_BYTES]) == AddressFamily::INET.as_raw();
        let end = |port: usize, at: usize| {
            let port = u16::from_be_bytes([answer[port], answer[port + 1]]);
            let bytes: [u8; 16] = std::array::from_fn(|index| answer[at + index]);
            let v4 = IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]);
            SocketAddr::new(if is_v4 { v4 } else { IpAddr::from(bytes).to_canonical() }, port)
        };
        let id = HEADER_BYTES + 4;
        let is_it = end(id, id + 4) == client && end(id + 2, id + 20) == server;
        let (user, inode) = (word(answer, HEADER_BYTES + 64), word(answer, HEADER_BYTES + 68));
        Ok(user.filter(|_| is_it && inode.is_some_and(|inode| inode != 0)))
    }

    fn word(bytes: &[u8], at: usize) -> Option<u32> {
        bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
    }

    fn half_word(bytes: &[u8], at: usize) -> Option<u16> {
        bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn connected(to: IpAddr) -> (TcpListener, TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect((to, listener.local_addr().unwrap().port())).unwrap();
        let (server, _) = listener.accept().unwrap();
        (listener, client, server)
    }

    /// What a server would ask about the other end of its connection.
    fn owner_of(source: &Source, server: &TcpStream) -> Option<u32> {
        source.owner(server.peer_addr().unwrap(), server.local_addr().unwrap()).unwrap()
    }

    fn both() -> [Source; 2] {
        [Source::Netlink(netlink::Socket::open().unwrap()), Source::Table]
    }

    #[test]
    fn the_other_end_of_a_connection_is_the_users_who_opened_it() {
        let own = rustix::process::geteuid().as_raw();
        for source in both() {
            // Java's and Go's clients open sockets of IPv6 and connect them to addresses of IPv4.
            for to in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv4Addr::LOCALHOST.to_ipv6_mapped())] {
                let (_listener, _client, server) = connected(to);
                assert_eq!(owner_of(&source, &server), Some(own), "{source:?}, {to}");
            }
        }
        assert_eq!(SocketOwners::open().unwrap().own_user(), own);
    }

    #[test]
    fn a_closed_socket_is_nobodys_and_the_listener_on_its_port_is_not_taken_for_it() {
        for source in both() {
            let (listener, client, server) = connected(Ipv4Addr::LOCALHOST.into());
            let own_end = client.local_addr().unwrap();
            drop(client);
            assert_eq!(owner_of(&source, &server), None, "{source:?}");
            let at_listener = source.owner(listener.local_addr().unwrap(), own_end).unwrap();
            assert_eq!(at_listener, Some(rustix::process::geteuid().as_raw()), "the server's own end");
            let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
            assert_eq!(source.owner(listener.local_addr().unwrap(), nowhere).unwrap(), None, "{source:?}");
        }
    }

    #[test]
    fn many_connections_are_told_apart() {
        let source = SocketOwners::open().unwrap();
        let connections: Vec<_> = (0..100).map(|_| connected(Ipv4Addr::LOCALHOST.into())).collect();
        for (_, client, server) in &connections {
            assert_eq!(owner_of(&source.source, server), Some(source.own_user()));
            let other = SocketAddr::from(([127, 0, 0, 2], client.local_addr().unwrap().port()));
            assert_eq!(source.owner(other, server.local_addr().unwrap()).unwrap(), None);
        }
    }
}
