//! A small HTTP/1.1 client on plain sockets: bytes out as given, responses parsed.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;

use crate::http::{NoResponse, Request, Response};
use crate::tcp;
use crate::wait::deadline;

/// A connection to Envoy (or to anything else that speaks HTTP/1.1).
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    /// Connects; reads and writes give up after [`deadline`](crate::wait::deadline).
    pub fn open(to: SocketAddr) -> Result<Self, NoResponse> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(deadline()))?;
        stream.set_write_timeout(Some(deadline()))?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), NoResponse> {
        self.stream.write_all(bytes).map_err(NoResponse::from)
    }

    /// Sends so many bytes without having them all in memory.
    pub fn send_many(&mut self, count: usize) -> Result<(), NoResponse> {
        tcp::send_many(&mut self.stream, count).map_err(NoResponse::from)
    }

    /// Reads so many bytes and forgets them.
    pub fn discard(&mut self, count: usize) -> Result<(), NoResponse> {
        let known = self.unread.len().min(count);
        self.unread.drain(..known);
        tcp::discard(&mut self.stream, count - known).map_err(NoResponse::from)
    }

    /// Sends a request and reads its response.
    pub fn request(&mut self, request: &Request) -> Result<Response, NoResponse> {
        let sent = self.send(&request.to_http1());
        // A server may answer and close before it has read all of a large request.
        match self.response(request.method == "HEAD") {
            Err(lost) => Err(sent.err().unwrap_or(lost)),
            answered => answered,
        }
    }

    /// Reads one final response; `to_head` says that it has no body whatever its headers say.
    pub fn response(&mut self, to_head: bool) -> Result<Response, NoResponse> {
        loop {
            let head = self.read_until(b"\r\n\r\n")?;
            let mut response = parse_head(&head)?;
            if (100..200).contains(&response.status) && response.status != 101 {
                continue;
            }
            if !to_head && !matches!(response.status, 101 | 204 | 304) {
                response.body = self.read_body(&response)?;
            }
            return Ok(response);
        }
    }

    /// Ends the connection with a TCP reset, as a client does that vanished.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(std::time::Duration::ZERO)).expect("SO_LINGER can be set");
    }

    /// True once the other side has closed the connection; what came before is discarded.
    pub fn wait_closed(mut self) -> bool {
        let mut rest = [0; 4096];
        loop {
            match tcp::read(&mut self.stream, &mut rest) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }

    fn fill(&mut self) -> Result<usize, NoResponse> {
        let mut buffer = [0; 16 * 1024];
        let read = tcp::read(&mut self.stream, &mut buffer)?;
        self.unread.extend_from_slice(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }

    fn read_until(&mut self, end: &[u8]) -> Result<Vec<u8>, NoResponse> {
        let mut searched = 0;
        loop {
            let found = self.unread.get(searched..).unwrap_or_default();
            if let Some(at) = found.windows(end.len()).position(|window| window == end) {
                return Ok(self.unread.drain(..searched + at + end.len()).collect());
            }
            searched = self.unread.len().saturating_sub(end.len() - 1);
            if self.fill()? == 0 {
                return Err(NoResponse(format!(
                    "connection closed; {} bytes of an unfinished part came",
                    self.unread.len()
                )));
            }
        }
    }

    /// Reads so many bytes as they come, after an upgrade.
    pub fn read_exactly(&mut self, length: usize) -> Result<Vec<u8>, NoResponse> {
        while self.unread.len() < length {
            if self.fill()? == 0 {
                return Err(NoResponse(format!(
                    "connection closed; {} of {length} bytes of the body came",
                    self.unread.len()
                )));
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// Reads all that comes until the other side closes the connection.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>, NoResponse> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.unread))
    }

    fn read_body(&mut self, response: &Response) -> Result<Vec<u8>, NoResponse> {
        if response.header("transfer-encoding").is_some() {
            return self.read_chunks();
        }
        if let Some(length) = response.header("content-length") {
            let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
            let length = length.ok_or_else(|| NoResponse("bad content-length".to_owned()))?;
            return self.read_exactly(length);
        }
        self.read_to_end()
    }

    fn read_chunks(&mut self) -> Result<Vec<u8>, NoResponse> {
        let mut body = Vec::new();
        loop {
            let line = self.read_until(b"\r\n")?;
            let digits = String::from_utf8_lossy(&line);
            let digits = digits.trim_end().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16)
                .map_err(|_| NoResponse(format!("bad chunk size {digits:?}")))?;
            if size == 0 {
                while self.read_until(b"\r\n")?.len() > 2 {}
                return Ok(body);
            }
            body.extend(self.read_exactly(size)?);
            self.read_until(b"\r\n")?;
        }
    }
}

fn parse_head(head: &[u8]) -> Result<Response, NoResponse> {
    let mut lines = head.split(|&byte| byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.trim().parse().ok())
        .ok_or_else(|| NoResponse(format!("not a status line: {first:?}")))?;
    let mut headers = Vec::new();
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(colon) = line.iter().position(|&byte| byte == b':') {
            let (name, value) = line.split_at(colon);
            headers.push((
                String::from_utf8_lossy(name).to_ascii_lowercase(),
                value.get(1..).unwrap_or_default().trim_ascii().to_vec(),
            ));
        }
    }
    Ok(Response { status, headers, body: Vec::new() })
}

/// Sends one request on a connection of its own.
pub fn send(to: SocketAddr, request: &Request) -> Result<Response, NoResponse> {
    Connection::open(to)?.request(request)
}

/// Sends bytes on a connection of their own and reads one response.
pub fn send_bytes(to: SocketAddr, bytes: &[u8]) -> Result<Response, NoResponse> {
    let mut connection = Connection::open(to)?;
    connection.send(bytes)?;
    connection.response(false)
}

/// Sends all requests, dealt out in turn to so many keep-alive connections, and returns the
/// responses in the order of the requests. A connection that the server closed is opened anew for
/// the next request; no request is sent twice.
pub fn send_all(
    to: SocketAddr,
    connections: usize,
    requests: &[Request],
) -> Vec<Result<Response, NoResponse>> {
    let mut outcomes: Vec<Option<Result<Response, NoResponse>>> = vec![None; requests.len()];
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for first in 0..connections {
            workers.push(scope.spawn(move || {
                let mine = requests.iter().enumerate().skip(first).step_by(connections);
                send_in_turn(to, mine)
            }));
        }
        for worker in workers {
            for (index, outcome) in worker.join().expect("a client thread does not panic") {
                outcomes[index] = Some(outcome);
            }
        }
    });
    outcomes.into_iter().map(|outcome| outcome.expect("each request was sent")).collect()
}

fn send_in_turn<'a>(
    to: SocketAddr,
    requests: impl Iterator<Item = (usize, &'a Request)>,
) -> Vec<(usize, Result<Response, NoResponse>)> {
    let mut connection: Option<Connection> = None;
    let mut outcomes = Vec::new();
    for (index, request) in requests {
        let outcome =
            connection.take().map_or_else(|| Connection::open(to), Ok).and_then(|mut open| {
                let response = open.request(request)?;
                let closing = response
                    .header("connection")
                    .is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
                if !closing {
                    connection = Some(open);
                }
                Ok(response)
            });
        outcomes.push((index, outcome));
    }
    outcomes
}
