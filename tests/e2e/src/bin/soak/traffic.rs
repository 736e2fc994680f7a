//! The clients.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use route_metrics_e2e::http1::Connection;
use route_metrics_e2e::{Answer, NoResponse, Request, Response, http2};

use crate::paths::{Numbers, hostile};

/// The path to which events are posted.
pub const EVENTS: &str = "/_events";
/// Requests between two looks at the clock.
const ROUND: usize = 128;

/// What was sent so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// All requests.
    pub requests: u64,
    /// Those among them that are not recorded.
    pub excluded: u64,
    /// Requests without an answer that should have had one.
    pub unanswered: u64,
    /// Events that were well.
    pub events: u64,
    /// Events that were not.
    pub bad_events: u64,
}

impl Sent {
    fn add(&mut self, more: Self) {
        let Self { requests, excluded, unanswered, events, bad_events } = more;
        self.requests += requests;
        self.excluded += excluded;
        self.unanswered += unanswered;
        self.events += events;
        self.bad_events += bad_events;
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, excluded, events, bad_events, .. } = self;
        write!(
            f,
            "Sent: {requests} requests, {excluded} of them not to be recorded; {events} events \
             and {bad_events} that are none."
        )
    }
}

/// What all clients have sent.
#[derive(Default)]
pub struct Totals(Mutex<Sent>);

impl Totals {
    /// The sum over all clients.
    pub fn all(&self) -> Sent {
        *self.0.lock().expect("no client panics")
    }

    fn add(&self, more: Sent) {
        self.0.lock().expect("no client panics").add(more);
    }
}

enum Kind {
    /// The same few endpoints.
    Normal,
    /// Hostile paths, methods and header values.
    Hostile,
    /// Both, over HTTP/2.
    Http2,
    /// Posted events, and events in responses of the upstream.
    Events,
    /// An upstream that fails in all ways.
    Failing,
}

/// One client with connections of its own.
pub struct Client {
    kind: Kind,
    to: SocketAddr,
    numbers: Numbers,
    connection: Option<Connection>,
}

/// The clients of a run: enough for each worker to get some of every kind.
pub fn clients(to: SocketAddr, seed: u64) -> Vec<Client> {
    let kinds = [
        Kind::Normal,
        Kind::Normal,
        Kind::Normal,
        Kind::Normal,
        Kind::Hostile,
        Kind::Hostile,
        Kind::Hostile,
        Kind::Http2,
        Kind::Http2,
        Kind::Events,
        Kind::Events,
        Kind::Failing,
    ];
    let client = |(place, kind)| Client {
        kind,
        to,
        numbers: Numbers(seed.wrapping_mul(1000) + place),
        connection: None,
    };
    (0..).zip(kinds).map(client).collect()
}

impl Client {
    /// Sends until it is told to stop.
    pub fn run(mut self, totals: &Totals, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let sent = match self.kind {
                Kind::Normal => self.in_turn(ROUND, Self::normal),
                Kind::Hostile => self.in_turn(ROUND, Self::hostile),
                Kind::Http2 => self.http2(),
                Kind::Events => self.in_turn(ROUND / 4, Self::event),
                Kind::Failing => self.in_turn(ROUND / 4, Self::failing),
            };
            totals.add(sent);
            // A new connection may go to another worker.
            if self.numbers.below(20) == 0 {
                self.connection = None;
            }
        }
    }

    fn normal(&mut self) -> (Request, Sent) {
        let id = self.numbers.below(1_000_000);
        let kind = self.numbers.below(20);
        let request = match kind {
            0 => Request::get("/healthz"),
            1..=3 => Request::get(format!("/api/v1/users/{id}/orders?page={id}")),
            4 => Request::new("POST", "/api/v1/orders").header("content-length", "0"),
            5..=7 => Request::get(format!("/shop/products/{id}")),
            8 => Request::get(format!("/cms/pages/{id}")),
            9 => Request::new("HEAD", format!("/api/v1/users/{id}")),
            _ => {
                let tenant = format!("tenant-{}", id % 30);
                Request::get(format!("/api/v1/users/{id}")).header("x-tenant", tenant)
            }
        };
        (request, Sent { excluded: u64::from(kind == 0), ..Sent::default() })
    }

    fn hostile(&mut self) -> (Request, Sent) {
        let methods = ["GET", "GET", "GET", "POST", "PROPFIND", "M-SEARCH", "BREW", "DELETE"];
        let method = self.numbers.one_of(&methods);
        let path = hostile(&mut self.numbers);
        let tenant = hostile(&mut self.numbers);
        (Request::new(method, path).header("x-tenant", tenant), Sent::default())
    }

    fn event(&mut self) -> (Request, Sent) {
        let number = self.numbers.below(1000);
        let mut expected = Sent::default();
        let header = |field: &str| {
            let answer = Answer::new().header("x-metric-events", field);
            Request::get(format!("/upstream/{number}")).answer(&answer)
        };
        let post = |body: String| {
            let request = Request::new("POST", EVENTS).body(body);
            request.header("content-type", "application/json")
        };
        let request = match self.numbers.below(5) {
            0 | 1 => {
                expected.events = 1;
                header(&format!("app_operations_total;operation=o{number}"))
            }
            2 => {
                expected.bad_events = 1;
                header("app_operations_total;operation=a, ,")
            }
            3 => {
                expected.excluded = 1;
                expected.events = 2;
                post(format!(
                    r#"[{{"metric": "app_operations_total", "labels": {{"operation": "p{number};.;"}}}},
                        {{"metric": "app_operations_total"}}]"#
                ))
            }
            _ => {
                expected.excluded = 1;
                expected.bad_events = 1;
                post(r#"[{"metric": "app_operations_total"}, {"metric": "no_such"}]"#.to_owned())
            }
        };
        (request, expected)
    }

    fn failing(&mut self) -> (Request, Sent) {
        let number = self.numbers.below(100_000);
        let answer = match self.numbers.below(8) {
            0 => Answer::new().status(500).header("x-exception-type", format!("E{}", number % 40)),
            1 => Answer::new().status(503).size(number % 5000),
            2 => Answer::new().close(),
            3 => Answer::new().reset(),
            4 => Answer::new().size(number).chunked(),
            5 => Answer::new().status(404),
            _ => Answer::new().size(number % 3000),
        };
        let path = format!("/upstream/orders/{number}");
        let request = match number % 4 {
            0 => Request::new("POST", path).body(vec![b'x'; number]),
            _ => Request::get(path),
        };
        (request.answer(&answer), Sent::default())
    }

    /// Sends a number of requests and waits for each answer.
    fn in_turn(&mut self, many: usize, mut make: impl FnMut(&mut Self) -> (Request, Sent)) -> Sent {
        let mut sent = Sent::default();
        for _ in 0..many {
            let (request, expected) = make(self);
            let Ok(mut connection) = self.connect() else { continue };
            sent.add(Sent { requests: 1, ..expected });
            match connection.request(&request) {
                Ok(response) if stays_open(&response) => self.connection = Some(connection),
                Ok(_) => {}
                Err(error) => {
                    sent.unanswered += 1;
                    tell(&request, &error);
                }
            }
        }
        sent
    }

    fn http2(&mut self) -> Sent {
        let mut sent = Sent::default();
        let requests = (0..ROUND).map(|_| match self.numbers.below(3) {
            0 => self.hostile(),
            _ => self.normal(),
        });
        // The library refuses some targets itself.
        let (requests, expected): (Vec<Request>, Vec<Sent>) =
            requests.filter(|(request, _)| http2::head(request).is_ok()).unzip();
        let outcomes = http2::send_all(self.to, 1, 16, &requests);
        for ((request, expected), outcome) in requests.iter().zip(expected).zip(outcomes) {
            sent.add(Sent { requests: 1, ..expected });
            if let Err(error) = outcome {
                sent.unanswered += 1;
                tell(request, &error);
            }
        }
        sent
    }

    fn connect(&mut self) -> Result<Connection, NoResponse> {
        self.connection.take().map_or_else(|| Connection::open(self.to), Ok)
    }
}

/// Prints the first few requests that were not answered.
fn tell(request: &Request, error: &NoResponse) {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    if TOLD.fetch_add(1, Ordering::Relaxed) < 10 {
        let target = request.target.get(..80).unwrap_or(&request.target).escape_ascii();
        eprintln!("no answer to {} {target}: {error}", request.method);
    }
}

fn stays_open(response: &Response) -> bool {
    let closing = |value: &[u8]| value.eq_ignore_ascii_case(b"close");
    !response.header("connection").is_some_and(closing)
}
