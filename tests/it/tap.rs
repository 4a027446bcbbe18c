//! A tap on the line between a client and its endpoint: the client is not its own witness of what it called.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What one connection sent.
type Sent = Arc<Mutex<Vec<u8>>>;

pub struct Tap {
    pub endpoint: String,
    connections: Arc<Mutex<Vec<Sent>>>,
}

impl Tap {
    /// Serves until the end of the test process, whoever connects.
    pub fn on(endpoint: &str) -> Self {
        let upstream = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::<Mutex<Vec<Sent>>>::default();
        let all = Arc::clone(&connections);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&upstream) else { return };
                let sent = Sent::default();
                all.lock().expect("no holder panics").push(Arc::clone(&sent));
                relay(&server, &client, None);
                relay(&client, &server, Some(sent));
            }
        });
        Self { endpoint: format!("http://{address}"), connections }
    }

    /// The operations that were called since the last time: those that only read, and the others.
    pub fn calls(&self) -> (Vec<String>, Vec<String>) {
        let connections = self.connections.lock().expect("no holder panics");
        let operations = connections.iter().flat_map(|sent| {
            let sent = std::mem::take(&mut *sent.lock().expect("no holder panics"));
            operations(&String::from_utf8_lossy(&sent))
        });
        let is_read = |name: &String| ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb));
        operations.partition(is_read)
    }
}

/// Copies one direction, on a thread of its own.
fn relay(from: &TcpStream, to: &TcpStream, sent: Option<Sent>) {
    let (mut from, mut to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if let Some(sent) = &sent {
                sent.lock().expect("no holder panics").extend(&buffer[..count]);
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        // The other side may be gone already.
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// The operations of HTTP requests in a row: Query names them in the body, JSON in a header, CBOR in the path.
fn operations(sent: &str) -> Vec<String> {
    let word = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned();
    let after = |mark: &str| sent.split(mark).skip(1).map(word).collect::<Vec<_>>();
    let found = [after("\r\n\r\nAction="), after("x-amz-target: AmazonSSM."), after("/operation/")].concat();
    assert_eq!(found.len(), sent.matches(" HTTP/1.1\r\n").count(), "every request names its operation: {sent}");
    found
}
