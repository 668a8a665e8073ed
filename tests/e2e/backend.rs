//! A service that says exactly what a case wants it to say, and remembers what it was asked.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::http::{self, Message};

/// What the service does with the next requests.
#[derive(Debug, Clone)]
pub enum Script {
    /// Sends these bytes and closes the connection.
    Says(Vec<u8>),
    /// Sends them after a while.
    Slowly(Duration, Vec<u8>),
    /// Closes the connection without a word.
    Hangs,
}

struct State {
    script: Script,
    asked: Vec<Message>,
}

/// The service.
pub struct Backend {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Backend {
    /// Listens on a free port of `ip` for as long as the test process lives.
    pub fn start(ip: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { script: Script::Hangs, asked: Vec::new() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { address, state }
    }

    /// `http://ip:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets what it does from now on and forgets what it was asked.
    pub fn script(&self, script: Script) {
        *self.state.lock().unwrap() = State { script, asked: Vec::new() };
    }

    /// Requests since the last [`Self::script`].
    pub fn asked(&self) -> Vec<Message> {
        self.state.lock().unwrap().asked.clone()
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let Ok(request) = http::read(&mut reader, false) else { return };
    let script = {
        let mut state = state.lock().unwrap();
        state.asked.push(request);
        state.script.clone()
    };
    // Whoever asked may be gone by now, which is its own business.
    let _ = match script {
        Script::Says(bytes) => stream.write_all(&bytes),
        Script::Slowly(delay, bytes) => {
            std::thread::sleep(delay);
            stream.write_all(&bytes)
        }
        Script::Hangs => Ok(()),
    };
}
