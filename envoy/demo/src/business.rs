//! What the API reports of itself: events in response headers, and those of its background tasks,
//! which have no response, by post. And it keeps a tally of what it did, whoever counts it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// The header that carries events.
const HEADER: &str = "x-metric-events";
/// The path to which events are posted.
const PATH: &str = "/metric-events";

/// A metric with its labels.
pub type Series = (&'static str, Vec<(&'static str, String)>);

/// The tally, and where events are posted.
#[derive(Clone, Default)]
pub struct Business {
    did: Arc<Mutex<BTreeMap<Series, u64>>>,
    events: Arc<Mutex<Option<SocketAddr>>>,
    client: Arc<std::sync::OnceLock<Client<HttpConnector, Body>>>,
}

/// Labels as [`Business`] takes them.
pub fn labels(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

impl Business {
    /// Posts the events of background tasks there from now on; until then they are lost.
    pub fn post_to(&self, address: SocketAddr) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// How often each thing was done.
    pub fn tally(&self) -> BTreeMap<Series, u64> {
        self.did.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that something was done.
    pub fn did(&self, metric: &'static str, pairs: &[(&'static str, &str)]) {
        let mut did = self.did.lock().unwrap_or_else(PoisonError::into_inner);
        *did.entry((metric, labels(pairs))).or_default() += 1;
    }

    /// Notes something that no proxy can see, and reports it with a response.
    pub fn report(
        &self,
        response: &mut Response<Body>,
        metric: &'static str,
        pairs: &[(&'static str, &str)],
    ) {
        self.did(metric, pairs);
        let mut event = metric.to_owned();
        for (name, value) in pairs {
            match *value {
                "true" => event.push_str(&format!(";{name}")),
                "false" => event.push_str(&format!(";{name}=?0")),
                value => event.push_str(&format!(";{name}={value}")),
            }
        }
        if let Ok(event) = HeaderValue::from_str(&event) {
            response.headers_mut().append(HEADER, event);
        }
    }

    /// Notes the end of a background task, and posts it.
    pub async fn task_ended(&self, task: &'static str, status: &'static str, seconds: f64) {
        self.did("app_celery_tasks_total", &[("task", task), ("status", status)]);
        self.did("app_celery_task_duration_milliseconds", &[("task", task)]);
        self.post(json!([
            {"metric": "app_celery_tasks_total", "labels": {"task": task, "status": status}},
            {"metric": "app_celery_task_duration_milliseconds", "labels": {"task": task}, "value": seconds},
        ]))
        .await;
    }

    async fn post(&self, events: Value) {
        let address = *self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(address) = address else { return };
        let client = self.client.get_or_init(|| Client::builder(TokioExecutor::new()).build_http());
        let request = Request::post(format!("http://{address}{PATH}"))
            .header("content-type", "application/json")
            .body(Body::from(events.to_string()));
        let Ok(request) = request else { return };
        match client.request(request).await {
            Ok(response) if response.status() == 204 => {}
            Ok(response) => eprintln!("events were not taken: {}", response.status()),
            Err(error) => eprintln!("events were not taken: {error}"),
        }
    }
}
