//! An HTTP/2 client (prior knowledge, no TLS) with blocking calls.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::http::{NoResponse, Request, Response};
use crate::wait::deadline;

/// Sends all requests over so many connections, at most `streams` at a time on each, and returns
/// the responses in the order of the requests.
pub fn send_all(
    to: SocketAddr,
    connections: usize,
    streams: usize,
    requests: &[Request],
) -> Vec<Result<Response, NoResponse>> {
    let mut outcomes: Vec<Option<Result<Response, NoResponse>>> = vec![None; requests.len()];
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for first in 0..connections {
            workers.push(scope.spawn(move || {
                let mine: Vec<_> =
                    requests.iter().enumerate().skip(first).step_by(connections).collect();
                with_connection(to, |client| on_one_connection(client, streams, mine))
            }));
        }
        for worker in workers {
            let answered = worker.join().expect("a client thread does not panic");
            for (index, outcome) in answered.expect("Envoy accepts the connection") {
                outcomes[index] = Some(outcome);
            }
        }
    });
    outcomes.into_iter().map(|outcome| outcome.expect("each request was sent")).collect()
}

/// Sends one request on a connection of its own.
pub fn send(to: SocketAddr, request: &Request) -> Result<Response, NoResponse> {
    with_connection(to, |client| exchange(client, request.clone()))?
}

/// Opens a connection and runs `session` on it, for what the other functions cannot do (resetting
/// a stream, trailers).
pub fn with_connection<T, S, F>(to: SocketAddr, session: S) -> Result<T, NoResponse>
where
    S: FnOnce(SendRequest<Bytes>) -> F,
    F: Future<Output = T>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (client, connection) = h2::client::handshake(stream).await?;
        let driver = tokio::spawn(connection);
        let outcome = timeout(deadline() * 4, session(client)).await;
        driver.abort();
        outcome.map_err(|_| NoResponse("the session took too long".to_owned()))
    })
}

async fn on_one_connection(
    client: SendRequest<Bytes>,
    streams: usize,
    requests: Vec<(usize, &Request)>,
) -> Vec<(usize, Result<Response, NoResponse>)> {
    let mut outcomes = Vec::with_capacity(requests.len());
    let mut open = JoinSet::new();
    for (index, request) in requests {
        if open.len() >= streams
            && let Some(done) = open.join_next().await
        {
            outcomes.push(done.expect("an exchange does not panic"));
        }
        let (client, request) = (client.clone(), request.clone());
        open.spawn(async move { (index, exchange(client, request).await) });
    }
    outcomes.extend(open.join_all().await);
    outcomes
}

/// The head of a request, or why HTTP/2 libraries refuse it.
pub fn head(request: &Request) -> Result<http::Request<()>, NoResponse> {
    let refused = |error: http::Error| NoResponse(format!("not sent: {error}"));
    let uri = http::Uri::builder()
        .scheme("http")
        .authority(request.host.as_deref().unwrap_or_default())
        .path_and_query(request.target.as_slice())
        .build()
        .map_err(refused)?;
    let mut head = http::Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.headers {
        head = head.header(name.as_slice(), value.as_slice());
    }
    head.body(()).map_err(refused)
}

/// Sends one request and reads the whole response.
pub async fn exchange(
    client: SendRequest<Bytes>,
    request: Request,
) -> Result<Response, NoResponse> {
    let mut client = client.ready().await?;
    let (response, mut stream) = client.send_request(head(&request)?, request.body.is_empty())?;
    if !request.body.is_empty() {
        stream.send_data(request.body.into(), true)?;
    }
    let (head, mut incoming) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(data) = incoming.data().await {
        let data = data?;
        incoming.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let mut headers: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    if let Some(trailers) = incoming.trailers().await? {
        headers.extend(
            trailers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())),
        );
    }
    Ok(Response { status: head.status.as_u16(), headers, body })
}
