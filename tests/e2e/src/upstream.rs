//! An HTTP/1.1 server that does what each request orders, for everything an upstream can do to a
//! proxy, good or bad.
//!
//! The order stands in the request header [`ANSWER_HEADER`], which [`Answer`] writes. A request
//! without one is answered `200` with no body.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// The request header with the order; [`Answer`] writes its value.
pub const ANSWER_HEADER: &str = "x-answer";

/// How many of the last requests the upstream remembers.
const REMEMBERED: usize = 1000;

/// What the upstream shall do with a request.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    words: Vec<Vec<u8>>,
}

impl Answer {
    /// `200` with no body, at once.
    pub fn new() -> Self {
        Self::default()
    }

    fn word(mut self, word: impl Into<Vec<u8>>) -> Self {
        self.words.push(word.into());
        self
    }

    /// The value of [`ANSWER_HEADER`].
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.join(&b'|')
    }

    /// This response code.
    #[must_use]
    pub fn status(self, code: u16) -> Self {
        self.word(format!("status={code}"))
    }

    /// A body of so many bytes.
    #[must_use]
    pub fn size(self, bytes: usize) -> Self {
        self.word(format!("size={bytes}"))
    }

    /// The body in chunks of at most 1000 bytes, without `content-length`.
    #[must_use]
    pub fn chunked(self) -> Self {
        self.word("chunked")
    }

    /// The request's body as the response's.
    #[must_use]
    pub fn echo(self) -> Self {
        self.word("echo")
    }

    /// One more response header; the value must not contain `|`.
    #[must_use]
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.word([format!("header={name}:").as_bytes(), value.as_ref()].concat())
    }

    /// A trailer after a chunked body; the value must not contain `|`.
    #[must_use]
    pub fn trailer(self, name: &str, value: &str) -> Self {
        self.word(format!("trailer={name}:{value}"))
    }

    /// Waits before it answers.
    #[must_use]
    pub fn delay(self, time: Duration) -> Self {
        self.word(format!("delay={}", time.as_millis()))
    }

    /// Waits until [`Upstream::release`], then answers.
    #[must_use]
    pub fn hold(self) -> Self {
        self.word("hold")
    }

    /// Never answers; the connection stays open.
    #[must_use]
    pub fn never(self) -> Self {
        self.word("never")
    }

    /// Closes the connection without an answer.
    #[must_use]
    pub fn close(self) -> Self {
        self.word("close")
    }

    /// Resets the connection without an answer.
    #[must_use]
    pub fn reset(self) -> Self {
        self.word("reset")
    }

    /// Sends half of the body (which needs a size), and resets the connection once
    /// [`Upstream::release`] says so: a reset discards what the other side has not read yet.
    #[must_use]
    pub fn cut(self) -> Self {
        self.word("cut")
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

/// A request as the upstream saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The length of the body.
    pub body_bytes: usize,
}

#[derive(Default)]
struct Gate {
    held: usize,
    released: u64,
}

struct Shared {
    stopping: AtomicBool,
    requests: AtomicU64,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<HashMap<u64, TcpStream>>,
    gate: Mutex<Gate>,
    opened: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server; it stops when dropped.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Upstream {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            seen: Mutex::default(),
            connections: Mutex::default(),
            gate: Mutex::default(),
            opened: Condvar::new(),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &server));
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests have come, bodies included.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// The last thousand requests, in order.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// How many requests wait for [`Upstream::release`].
    pub fn held(&self) -> usize {
        lock(&self.shared.gate).held
    }

    /// Answers all requests that are held.
    pub fn release(&self) {
        lock(&self.shared.gate).released += 1;
        self.shared.opened.notify_all();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.release();
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
        for connection in lock(&self.shared.connections).values() {
            drop(connection.shutdown(Shutdown::Both));
        }
    }
}

/// An address on which nobody listens: connections to it are refused.
///
/// It stays bound, without listening, until the process ends, so that the kernel gives it to nobody who
/// asks for any free port. A program that is told to listen there can do so all the same, because it
/// and this socket have both set `SO_REUSEADDR`, as servers do; so this also chooses ports for programs that
/// cannot do so themselves.
pub fn refusing_address() -> SocketAddr {
    static BOUND: Mutex<Vec<Socket>> = Mutex::new(Vec::new());
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("a new socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port on loopback");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket());
    lock(&BOUND).push(socket);
    address.expect("a bound socket has an address")
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (id, stream) in (0..).zip(listener.incoming()) {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Ok(handle) = stream.try_clone() else { continue };
        lock(&shared.connections).insert(id, handle);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // An error means that Envoy has gone; the connection ends like after a last request.
            drop(serve(&stream, &shared));
            lock(&shared.connections).remove(&id);
        });
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream.try_clone()?);
    while let Some((request, body)) = read_request(&mut input)? {
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let order = request.headers.iter().find(|(name, _)| name == ANSWER_HEADER);
        let order = order.map(|(_, value)| value.clone()).unwrap_or_default();
        let head_only = request.method == "HEAD";
        let mut seen = lock(&shared.seen);
        if seen.len() >= REMEMBERED {
            seen.remove(0);
        }
        seen.push(request);
        drop(seen);
        if !obey(stream, shared, &order, head_only, body)? {
            break;
        }
    }
    Ok(())
}

fn read_request(input: &mut impl BufRead) -> io::Result<Option<(Seen, Vec<u8>)>> {
    let Some(first) = read_line(input)? else { return Ok(None) };
    let first = String::from_utf8_lossy(&first).into_owned();
    let mut parts = first.split(' ');
    let method = parts.next().unwrap_or_default().to_owned();
    let target = parts.next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    while let Some(line) = read_line(input)?
        && !line.is_empty()
    {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        headers.push((
            String::from_utf8_lossy(name).to_ascii_lowercase(),
            value.get(1..).unwrap_or_default().trim_ascii().to_vec(),
        ));
    }
    let find = |wanted: &str| headers.iter().find(|(name, _)| name == wanted);
    let mut body = Vec::new();
    if find("transfer-encoding").is_some() {
        loop {
            let size = read_line(input)?.unwrap_or_default();
            let size = String::from_utf8_lossy(&size).into_owned();
            let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            input.take(size).read_to_end(&mut body)?;
            while read_line(input)?.is_some_and(|line| size == 0 && !line.is_empty()) {}
            if size == 0 {
                break;
            }
        }
    } else if let Some((_, length)) = find("content-length") {
        let length = String::from_utf8_lossy(length).parse().map_err(io::Error::other)?;
        input.take(length).read_to_end(&mut body)?;
    }
    Ok(Some((Seen { method, target, headers, body_bytes: body.len() }, body)))
}

/// One line without its end; `None` at the end of the connection.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(line))
}

/// Answers as ordered; false ends the connection.
fn obey(
    mut stream: &TcpStream,
    shared: &Shared,
    order: &[u8],
    head_only: bool,
    request_body: Vec<u8>,
) -> io::Result<bool> {
    let mut status = 200;
    let mut body = Vec::new();
    let (mut headers, mut trailers) = (Vec::new(), Vec::new());
    let (mut chunked, mut cut) = (false, false);
    for word in order.split(|&byte| byte == b'|').filter(|word| !word.is_empty()) {
        let equals = word.iter().position(|&byte| byte == b'=').unwrap_or(word.len());
        let (key, value) = word.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        let number = || String::from_utf8_lossy(value).parse::<u64>().map_err(io::Error::other);
        match key {
            b"status" => status = number()?,
            b"size" => body = vec![b'x'; usize::try_from(number()?).map_err(io::Error::other)?],
            b"chunked" => chunked = true,
            b"echo" => body.clone_from(&request_body),
            b"header" => headers.push(value),
            b"trailer" => trailers.push(value),
            b"delay" => thread::sleep(Duration::from_millis(number()?)),
            b"hold" => hold(shared),
            b"never" => {
                // Returns when Envoy closes the connection.
                io::copy(&mut stream, &mut io::sink())?;
                return Ok(false);
            }
            b"close" => return Ok(false),
            b"reset" => return reset(stream),
            b"cut" => cut = true,
            _ => return Err(io::Error::other("unknown word in x-answer")),
        }
    }
    let mut out = format!("HTTP/1.1 {status} Ordered\r\n").into_bytes();
    for header in headers {
        out.extend_from_slice(header);
        out.extend_from_slice(b"\r\n");
    }
    let chunked = chunked || !trailers.is_empty();
    if chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    } else if status != 204 && status != 304 {
        out.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    if cut {
        out.extend_from_slice(body.get(..body.len() / 2).unwrap_or_default());
        stream.write_all(&out)?;
        hold(shared);
        return reset(stream);
    }
    if !head_only {
        if chunked {
            for chunk in body.chunks(1000) {
                out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                out.extend_from_slice(chunk);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0\r\n");
            for trailer in trailers {
                out.extend_from_slice(trailer);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"\r\n");
        } else {
            out.extend_from_slice(&body);
        }
    }
    stream.write_all(&out)?;
    Ok(true)
}

fn reset(stream: &TcpStream) -> io::Result<bool> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
    Ok(false)
}

fn hold(shared: &Shared) {
    let mut gate = lock(&shared.gate);
    let came_at = gate.released;
    gate.held += 1;
    while gate.released == came_at && !shared.stopping.load(Ordering::SeqCst) {
        gate = shared.opened.wait(gate).unwrap_or_else(PoisonError::into_inner);
    }
    gate.held -= 1;
}
