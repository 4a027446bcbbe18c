//! A tap on the line between a client and its endpoint: the client is not its own witness of what it called, and may meet
//! its end at any call.
//!
//! A [`Trap`] springs at the k-th write call, right before the request is passed on or right after the endpoint has
//! answered. Then the line is held until the test has done to the client what it wants.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// Which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The endpoint has not heard of the call.
    Before,
    /// The endpoint has acted, the client has not heard of it.
    After,
}

/// Springs once.
pub struct Trap {
    /// Tells the operation at which it sprang.
    pub sprung: Receiver<String>,
    /// Whether what is held is passed on; dropped, it is not.
    pub release: Sender<bool>,
}

/// The tap's end of a [`Trap`].
struct Armed {
    /// Write calls that pass before.
    after: usize,
    side: Side,
    sprung: Sender<String>,
    released: Receiver<bool>,
}

#[derive(Default)]
struct Line {
    calls: Vec<String>,
    trap: Option<Armed>,
    /// Services, by their names in signatures, that the endpoint is made not to have.
    lacking: &'static [&'static str],
}

pub struct Tap {
    pub endpoint: String,
    line: Arc<Mutex<Line>>,
}

impl Tap {
    /// Serves until the end of the test process, whoever connects.
    pub fn on(endpoint: &str) -> Self {
        Self::without(endpoint, &[])
    }

    /// The same, where calls of some services are answered as LocalStack answers those that its free runtime does not have.
    pub fn without(endpoint: &str, lacking: &'static [&'static str]) -> Self {
        let upstream = endpoint.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let line = Arc::new(Mutex::new(Line { lacking, ..Line::default() }));
        let shared = Arc::clone(&line);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (upstream, line) = (upstream.clone(), Arc::clone(&shared));
                // A client that is killed leaves its line behind.
                std::thread::spawn(move || relay(&client, &upstream, &line));
            }
        });
        Self { endpoint: format!("http://{address}"), line }
    }

    /// The operations that were called since the last time: those that only read, and the others.
    pub fn calls(&self) -> (Vec<String>, Vec<String>) {
        let calls = std::mem::take(&mut self.line.lock().expect("no holder panics").calls);
        calls.into_iter().partition(|name| is_read(name))
    }

    /// Sets a trap at the write call after `after` others from now on.
    pub fn trap(&self, after: usize, side: Side) -> Trap {
        let (sprung, released) = (channel(), channel());
        let armed = Armed { after, side, sprung: sprung.0, released: released.1 };
        self.line.lock().expect("no holder panics").trap = Some(armed);
        Trap { sprung: sprung.1, release: released.0 }
    }
}

pub fn is_read(operation: &str) -> bool {
    ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb))
}

/// Passes on one request after the other, each with its answer.
fn relay(client: &TcpStream, upstream: &str, line: &Mutex<Line>) -> io::Result<()> {
    let mut requests = BufReader::new(client.try_clone()?);
    let mut client = client.try_clone()?;
    let mut server = None;
    while let Some(request) = message(&mut requests)? {
        let text = String::from_utf8_lossy(&request);
        let operation = operation(&text);
        let lacking = line.lock().expect("no holder panics").lacking;
        if let Some(service) = lacking.iter().find(|service| text.contains(&format!("/{service}/aws4_request"))) {
            client.write_all(not_emulated(service).as_bytes())?;
            continue;
        }
        let trap = noted(line, &operation);
        if let Some(Armed { side: Side::Before, .. }) = &trap
            && !trap.as_ref().is_some_and(|trap| held(trap, &operation))
        {
            return Ok(());
        }
        let server = match &mut server {
            Some(server) => server,
            none => none.insert(BufReader::new(TcpStream::connect(upstream)?)),
        };
        server.get_mut().write_all(&request)?;
        let answer = message(server)?.unwrap_or_default();
        if let Some(trap @ Armed { side: Side::After, .. }) = &trap
            && !held(trap, &operation)
        {
            return Ok(());
        }
        client.write_all(&answer)?;
        if header(&String::from_utf8_lossy(&answer), "connection") == Some("close") {
            return Ok(());
        }
    }
    Ok(())
}

/// What LocalStack 4.9 answers to a call of a service that it has not (seen by awscli against `localstack-core[runtime]`).
fn not_emulated(service: &str) -> String {
    let body = format!(
        "<ErrorResponse><Error><Code>InternalFailure</Code><Message>The API for service '{service}' is either not included in \
         your current license plan or has not yet been emulated by LocalStack. Please refer to \
         https://docs.localstack.cloud/references/coverage for more details.</Message></Error>\
         <RequestId>test</RequestId></ErrorResponse>"
    );
    let head = "HTTP/1.1 501 Not Implemented\r\ncontent-type: text/xml";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Writes a call down; answers with the trap that it springs.
fn noted(line: &Mutex<Line>, operation: &str) -> Option<Armed> {
    let mut line = line.lock().expect("no holder panics");
    line.calls.push(operation.to_owned());
    if is_read(operation) {
        return None;
    }
    let trap = line.trap.as_mut()?;
    if trap.after == 0 {
        return line.trap.take();
    }
    trap.after -= 1;
    None
}

/// Holds the line until the test lets go; whether what is held shall pass.
fn held(trap: &Armed, operation: &str) -> bool {
    trap.sprung.send(operation.to_owned()).is_ok() && trap.released.recv().unwrap_or_default()
}

/// One HTTP/1.1 message, head and body; `None` where the other side has closed.
fn message(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if from.read_until(b'\n', &mut bytes)? == 0 {
            return if bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    assert_eq!(header(&head, "transfer-encoding"), None, "clients and endpoints of AWS know the length: {head}");
    let length = header(&head, "content-length").map_or(0, |length| length.parse().expect("a length"));
    from.take(length).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// A header's value, by its name in lower case.
fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let head = message.lines().take_while(|line| !line.is_empty());
    let mut fields = head.filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The operation of a request: Query names it in the body, JSON in a header, CBOR in the path.
fn operation(request: &str) -> String {
    let marks = ["\r\n\r\nAction=", "x-amz-target: AmazonSSM.", "/operation/"];
    let found = marks.iter().find_map(|mark| request.split_once(mark).map(|(_, rest)| rest));
    let found = found.unwrap_or_else(|| panic!("every request names its operation: {request}"));
    found.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
}
