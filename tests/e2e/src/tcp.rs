//! A TCP server that runs a closure for each connection, for what [`Upstream`](crate::Upstream)
//! cannot be ordered to do: upgrades, tunnels, streams that stay open, halves of connections.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A connection to the server.
pub struct Session {
    stream: TcpStream,
}

impl Session {
    /// Reads up to and including the empty line after a request's headers; an error where the
    /// connection ends before.
    pub fn head(&mut self) -> io::Result<String> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends so many bytes without having them all in memory.
    pub fn send_many(&mut self, count: usize) -> io::Result<()> {
        send_many(&mut self.stream, count)
    }

    /// Reads so many bytes and forgets them.
    pub fn discard(&mut self, count: usize) -> io::Result<()> {
        discard(&mut self.stream, count)
    }

    /// Sends back all that comes, until the other side closes its half of the connection.
    pub fn echo(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let read = read(&mut self.stream, &mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            self.stream.write_all(buffer.get(..read).unwrap_or_default())?;
        }
    }

    /// Waits until the other side closes the connection; what comes before is forgotten.
    pub fn wait_closed(&mut self) {
        let mut buffer = [0; 4096];
        while read(&mut self.stream, &mut buffer).is_ok_and(|read| read > 0) {}
    }

    /// Closes this side's half: nothing more is sent, but the other side still can.
    pub fn close_half(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}

/// Writes so many bytes without having them all in memory.
pub fn send_many(to: &mut impl Write, count: usize) -> io::Result<()> {
    let block = [b'x'; 64 * 1024];
    let mut left = count;
    while left > 0 {
        let now = left.min(block.len());
        to.write_all(block.get(..now).unwrap_or_default())?;
        left -= now;
    }
    Ok(())
}

/// [`Read::read`], once more where a signal came between.
pub fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Reads so many bytes and forgets them.
pub fn discard(from: &mut impl Read, count: usize) -> io::Result<()> {
    let mut block = [0; 64 * 1024];
    let mut left = count;
    while left > 0 {
        let now = left.min(block.len());
        let read = read(from, block.get_mut(..now).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= read;
    }
    Ok(())
}

struct Shared {
    stopping: AtomicBool,
    accepted: AtomicUsize,
    connections: Mutex<HashMap<usize, TcpStream>>,
}

/// The server; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1 that runs `serve` for each connection. Where it
    /// gives an error, the other side has gone.
    pub fn start(serve: impl Fn(&mut Session) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            connections: Mutex::default(),
        });
        let (ours, serve) = (Arc::clone(&shared), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ours.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let Ok(handle) = stream.try_clone() else { continue };
                let id = ours.accepted.fetch_add(1, Ordering::SeqCst);
                lock(&ours.connections).insert(id, handle);
                let (shared, serve) = (Arc::clone(&ours), Arc::clone(&serve));
                thread::spawn(move || {
                    drop(stream.set_nodelay(true));
                    drop(serve(&mut Session { stream }));
                    lock(&shared.connections).remove(&id);
                });
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections have come.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
        for connection in lock(&self.shared.connections).values() {
            drop(connection.shutdown(Shutdown::Both));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
