//! Servers that do what no library would: every connection has a thread, and what it does is the story's.

use std::io::BufRead;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Serves every connection until the process ends; `http://127.0.0.1:PORT`.
pub fn start(serve: impl Fn(TcpStream) -> Option<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    format!("http://{address}")
}

/// The head of a request; `None` where the client has gone.
pub fn head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}
