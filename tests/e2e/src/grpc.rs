//! A gRPC server over HTTP/2 (prior knowledge, no TLS) that answers each call as ordered, and the
//! requests that order it.
//!
//! Messages are frames of nothing but a length and zeros: what is tested is how calls end, not what
//! they say. Source: the gRPC documentation, "gRPC over HTTP2".

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::http::Request;

/// The request header with the order.
const ORDER: &str = "x-grpc-answer";

/// How a call is answered.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// So many messages, then trailers with this status.
    Messages(usize, u32),
    /// No message, and the status with the headers (trailers-only).
    TrailersOnly(u32),
    /// One message, and then nothing more until the client goes.
    Stay,
    /// So many messages, then a reset of the stream.
    Reset(usize),
}

/// A call of `path` (`/package.Service/Method`) with so many messages.
pub fn call(path: &str, messages: usize, reply: Reply) -> Request {
    let order = match reply {
        Reply::Messages(count, status) => format!("messages {count} {status}"),
        Reply::TrailersOnly(status) => format!("only 0 {status}"),
        Reply::Stay => "stay 1 0".to_owned(),
        Reply::Reset(count) => format!("reset {count} 0"),
    };
    Request::new("POST", path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header(ORDER, order)
        .body(message(3).repeat(messages))
}

/// A message of so many zero bytes, with its prefix of five bytes.
pub fn message(bytes: u8) -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, bytes];
    message.extend(std::iter::repeat_n(0, bytes.into()));
    message
}

/// Where calls go: the path, and the body with its message prefixes.
pub type Calls = std::sync::mpsc::Sender<(String, Vec<u8>)>;

/// The server; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    stop: Arc<Notify>,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::keeping(None)
    }

    /// The same; it hands over the path and the bytes of each call, and answers one without an order
    /// by an empty message.
    pub fn keeping(calls: Option<Calls>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::from_std(listener).expect("the socket is a listener");
                tokio::select! {
                    () = accept(listener, calls) => {}
                    () = stopped.notified() => {}
                }
            });
        });
        Self { address, stop }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

async fn accept(listener: TcpListener, calls: Option<Calls>) {
    while let Ok((stream, _)) = listener.accept().await {
        let calls = calls.clone();
        tokio::spawn(async move {
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                // An error means that the client has gone.
                let calls = calls.clone();
                tokio::spawn(async move { drop(answer(request, respond, calls).await) });
            }
        });
    }
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    calls: Option<Calls>,
) -> Result<(), h2::Error> {
    let path = request.uri().path().to_owned();
    let order = request.headers().get(ORDER).and_then(|order| order.to_str().ok());
    let order: Vec<String> = order.unwrap_or_default().split(' ').map(str::to_owned).collect();
    let number = |at: usize| order.get(at).and_then(|word| word.parse().ok()).unwrap_or(0_u32);
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        if calls.is_some() {
            bytes.extend_from_slice(&data);
        }
    }
    let kept = calls.map(|calls| calls.send((path, bytes)));
    let mut head = Response::new(());
    let status = HeaderValue::from(number(2));
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let kind = order.first().map(String::as_str).unwrap_or_default();
    if kind == "only" {
        head.headers_mut().insert("grpc-status", status);
        respond.send_response(head, true)?;
        return Ok(());
    }
    let mut stream = respond.send_response(head, false)?;
    if kept.is_some() && kind.is_empty() {
        stream.send_data(message(0).into(), false)?;
    }
    for _ in 0..number(1) {
        stream.send_data(message(5).into(), false)?;
        // So that messages are frames of their own.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    match kind {
        "stay" => {
            std::future::poll_fn(|context| stream.poll_reset(context)).await?;
        }
        "reset" => stream.send_reset(h2::Reason::INTERNAL_ERROR),
        _ => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status);
            stream.send_trailers(trailers)?;
        }
    }
    Ok(())
}
