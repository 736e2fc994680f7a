//! The traffic of the API's users: each of a few hundred endless customers does what customers do.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

const PRODUCTS: [&str; 8] = ["lamp", "table", "chair", "shelf", "mirror", "carpet", "sofa", "desk"];

/// What scanners ask every server for.
const SCANS: [&str; 4] = ["/wp-login.php", "/.env", "/admin/config.php", "/.git/HEAD"];

/// Sends requests to the proxy, `rate` per second on average, until the program ends.
pub async fn send(proxy: SocketAddr, rate: f64) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let pause = 1.0 / rate.max(0.001);
    loop {
        tokio::spawn(one(client.clone(), proxy));
        // Arrivals of independent users: exponential pauses.
        let pause = -pause * (1.0 - fastrand::f64()).ln();
        tokio::time::sleep(Duration::from_secs_f64(pause.min(60.0))).await;
    }
}

async fn one(client: Client<HttpConnector, Body>, proxy: SocketAddr) {
    let (method, path, body) = request();
    let build = Request::builder().method(method).uri(format!("http://{proxy}{path}"));
    let built = match body {
        Some(body) => {
            build.header("content-type", "application/json").body(Body::from(body.to_string()))
        }
        None => build.body(Body::empty()),
    };
    let Ok(request) = built else { return };
    // One in a hundred does not wait for the answer.
    let patience = Duration::from_millis(if fastrand::u8(0..100) == 0 { 1 } else { 10_000 });
    let answer = async {
        let response = client.request(request).await.ok()?;
        let status = response.status();
        response.into_body().collect().await.ok()?;
        Some(status)
    };
    if let Ok(None | Some(StatusCode::SERVICE_UNAVAILABLE)) =
        tokio::time::timeout(patience, answer).await
    {
        // The proxy is not there yet, or has gone.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A request and its body, as often as it would come.
fn request() -> (Method, String, Option<Value>) {
    let id = fastrand::u32(1..5000);
    let user = || {
        let name = fastrand::u8(..);
        json!({"name": format!("user{name}"), "password": format!("secret{}", name % 16)})
    };
    let get = |path: String| (Method::GET, path, None);
    match fastrand::u8(0..100) {
        0..25 => get(format!("/api/v1/users/{}", fastrand::u32(1..5100))),
        25..30 => get(format!("/api/v1/users?page={}", fastrand::u8(0..5))),
        30..33 => (Method::PUT, format!("/api/v1/users/{id}"), Some(user())),
        33..34 => (Method::DELETE, format!("/api/v1/users/{id}"), None),
        34..36 => (
            Method::POST,
            format!(
                "/api/v1/auth/oauth/{}",
                fastrand::choice(["github", "google", "nobody"]).unwrap_or_default()
            ),
            None,
        ),
        36..38 => (
            Method::POST,
            "/api/v1/organizations".to_owned(),
            Some(json!({"name": format!("org{}", fastrand::u8(..))})),
        ),
        38..39 => (Method::PUT, format!("/api/v1/organizations/org{}", fastrand::u8(..)), None),
        39..40 => (Method::DELETE, format!("/api/v1/organizations/org{}", fastrand::u8(..)), None),
        40..50 => get(format!("/api/v1/orders/{id}")),
        50..60 => get(format!("/api/v1/orders/{id}/items")),
        60..65 => (Method::POST, "/api/v1/orders".to_owned(), Some(json!([id, id + 1]))),
        65..80 => {
            let product = fastrand::choice(PRODUCTS).unwrap_or_default();
            get(format!("/api/v1/catalog/{product}"))
        }
        80..86 => (Method::POST, "/api/v1/auth/login".to_owned(), Some(user())),
        86..89 => (Method::POST, "/api/v1/auth/register".to_owned(), Some(user())),
        89..93 => get(format!("/api/v1/payments/{id}")),
        93..95 => get(format!("/api/v1/reports/{id}")),
        95..98 => get("/healthz".to_owned()),
        _ => get(fastrand::choice(SCANS).unwrap_or_default().to_owned()),
    }
}
