//! How events reach the filter: in response headers, and by posts that it answers itself.

use super::{Action, Filter, Phase, Root, Scratch};
use crate::custom::events::Words;
use crate::custom::{header, post};
use crate::endpoint::CanonicalPath;
use crate::host::{HeaderMap, Host};
use crate::labels::value;

/// A post whose body was not shown goes on after so many ticks; the first may come at once.
const POST_TICKS: u32 = 2;

impl Root {
    fn words<'a>(&'a self, buffers: &'a mut value::Buffers) -> Words<'a> {
        Words { max: self.plan.max_value_length, hash_key: &self.hash_key, buffers }
    }
}

impl Scratch {
    /// Takes the buffer of a report back, unless it has grown out of proportion.
    fn keep_report(&mut self, report: Vec<u8>) {
        if report.capacity() <= header::MAX_BYTES {
            self.report = report;
        }
    }
}

impl<H: Host> Filter<H> {
    /// Events are posted: answered at once where they need not be seen, else waited for.
    #[cold]
    pub(super) fn post_headers(&mut self, stream: u32, complete: bool) -> Action {
        let host = &self.host;
        let read = |name: &str| {
            let mut value = Vec::new();
            host.header(HeaderMap::Request, name, &mut value).then_some(value)
        };
        let (method, media) = (read(":method"), read("content-type"));
        let (coding, length) = (read("content-encoding"), read("content-length"));
        let head = post::Head {
            method: method.as_deref().unwrap_or_default(),
            content_type: media.as_deref(),
            content_encoding: coding.as_deref(),
            content_length: length.as_deref(),
        };
        if let Some(answer) = head.refuse() {
            self.answer(stream, &answer);
        } else if complete {
            self.post(stream, true);
        } else if let Some(state) = self.streams.get_mut(&stream) {
            state.phase = Phase::Posting { ticks: 0 };
            self.waiting.push(stream);
        }
        Action::Wait
    }

    /// More of the request's body is there: `size` bytes so far, and `complete` where that is all.
    pub fn request_body(&mut self, stream: u32, size: usize, complete: bool) -> Action {
        let Some(state) = self.streams.get(&stream) else { return Action::Continue };
        match state.phase {
            Phase::Posting { ticks } if ticks < POST_TICKS => {
                if let Some(root) = self.roots.get_mut(&state.root) {
                    root.shows_bodies = true;
                }
            }
            Phase::Posting { .. } => {}
            Phase::Answered => return Action::Wait,
            _ => return Action::Continue,
        }
        if size > post::MAX_BYTES {
            self.answer(stream, &post::Answer::too_large());
        } else if complete {
            self.post(stream, false);
        }
        Action::Wait
    }

    /// Whether a configuration takes posts.
    pub fn waits_for_posts(&self, root: u32) -> bool {
        self.roots.get(&root).is_some_and(|root| root.plan.events.path.is_some())
    }

    /// Lets posts go on whose body Envoy has not shown.
    ///
    /// Envoy makes of "stop here" at request headers "stop all", and shows no body, unless the
    /// plugin's `allow_on_headers_stop_iteration` is true (since 1.35). Without it, a post waits
    /// until its body is probably there, and goes on then: Envoy passes the headers to the next
    /// filter and the body, which it had kept, to this one in the same turn, so that this one's
    /// answer is the first. The upstream may see the headers of a request that breaks off, and where
    /// the next filter answers at once, as the router does for a direct response, the client gets
    /// that.
    pub(super) fn release_posts(&mut self, root: u32) {
        if self.waiting.is_empty() {
            return;
        }
        let Self { host, roots, streams, waiting, .. } = self;
        let shows_bodies = roots.get(&root).is_some_and(|root| root.shows_bodies);
        waiting.retain(|stream| {
            let Some(state) = streams.get_mut(stream) else { return false };
            let Phase::Posting { ticks } = &mut state.phase else { return false };
            if state.root != root {
                return true;
            }
            if shows_bodies {
                return false;
            }
            *ticks += 1;
            let keep = *ticks < POST_TICKS;
            if !keep {
                host.continue_request(root, *stream);
            }
            keep
        });
    }

    /// Records what was posted, all of it or nothing, and answers.
    fn post(&mut self, stream: u32, empty: bool) {
        let Self { host, registry, roots, streams, scratch, .. } = self;
        let Some(state) = streams.get(&stream) else { return };
        let Some(root) = roots.get(&state.root) else { return };
        let mut body = std::mem::take(&mut scratch.report);
        body.clear();
        let answer = if !empty && !host.request_body(post::MAX_BYTES + 1, &mut body) {
            post::Answer::unreadable()
        } else {
            match post::parse(&root.plan.events, &body) {
                Ok(events) => {
                    let words = root.words(&mut scratch.value);
                    root.events.record(host, registry, &root.plan.events, &events, words);
                    post::Answer::done()
                }
                Err(answer) => answer,
            }
        };
        self.scratch.keep_report(body);
        self.answer(stream, &answer);
    }

    fn answer(&mut self, stream: u32, answer: &post::Answer) {
        let Some(state) = self.streams.get_mut(&stream) else { return };
        state.phase = Phase::Answered;
        let Some(root) = self.roots.get(&state.root) else { return };
        for &outcome in &answer.outcomes {
            root.events.count(&self.host, outcome, 1);
        }
        let mut headers = answer.headers.clone();
        if !answer.body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        self.host.send_response(answer.status, &headers, answer.body.as_bytes());
    }

    /// Takes events out of the response's headers, and records them.
    pub(super) fn header_events(&mut self, stream: u32) {
        let Self { host, registry, roots, streams, scratch, .. } = self;
        let Some(state) = streams.get(&stream) else { return };
        let Some(root) = roots.get(&state.root) else { return };
        let plan = &root.plan.events;
        let Some(name) = &plan.response_header else { return };
        let mut field = std::mem::take(&mut scratch.report);
        field.clear();
        if host.response_header_lines(name, &mut field) {
            host.remove_response_header(name);
            match header::parse(plan, &field) {
                Err(refusal) => root.events.count(host, refusal.outcome, 1),
                Ok(events) => {
                    let mut good = Vec::with_capacity(events.len());
                    for event in events {
                        match event {
                            Ok(event) => good.push(event),
                            Err(refusal) => root.events.count(host, refusal.outcome, 1),
                        }
                    }
                    let words = root.words(&mut scratch.value);
                    root.events.record(host, registry, plan, &good, words);
                }
            }
        }
        self.scratch.keep_report(field);
    }
}

/// Whether a request is for the path to which events are posted.
#[inline]
pub(super) fn is_post(host: &impl Host, events: &str, path: &mut Vec<u8>) -> bool {
    path.clear();
    host.header(HeaderMap::Request, ":path", path) && is_path(&CanonicalPath::new(path), events)
}

pub(super) fn is_path(path: &CanonicalPath<'_>, events: &str) -> bool {
    let mut buffer = [0; post::MAX_PATH_BYTES];
    path.text_len() == events.len() && path.text(&mut buffer) == events.as_bytes()
}
