//! The API: users, orders, a catalogue behind a cache, payments that fail and reports that are slow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

/// The most users and cached products; what comes later replaces what was there.
const MAX_ENTRIES: usize = 1000;

#[derive(Clone, Default)]
struct Shop(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    /// Passwords by name.
    users: HashMap<String, String>,
    cache: HashMap<String, Value>,
    orders: u64,
}

impl Shop {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The routes of the API.
pub fn routes() -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/v1/auth/register", post(register))
        .route("/api/v1/auth/login", post(login))
        .route("/api/v1/users", get(users))
        .route("/api/v1/users/{id}", get(user).put(user))
        .route("/api/v1/users/{id}", delete(|| async { StatusCode::NO_CONTENT }))
        .route("/api/v1/orders", post(order))
        .route("/api/v1/orders/{id}", get(one_order))
        .route("/api/v1/orders/{id}/items", get(items))
        .route("/api/v1/catalog/{product}", get(product))
        .route("/api/v1/payments/{id}", get(payment))
        .route("/api/v1/reports/{id}", get(report))
        .with_state(Shop::default())
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

async fn register(State(shop): State<Shop>, Json(new): Json<Credentials>) -> Response {
    let mut contents = shop.contents();
    if contents.users.contains_key(&new.name) {
        return (StatusCode::CONFLICT, Json(json!({"error": "the name is taken"}))).into_response();
    }
    if contents.users.len() >= MAX_ENTRIES {
        contents.users.clear();
    }
    let body = json!({"name": new.name});
    contents.users.insert(new.name, new.password);
    (StatusCode::CREATED, Json(body)).into_response()
}

async fn login(State(shop): State<Shop>, Json(user): Json<Credentials>) -> Response {
    match shop.contents().users.get(&user.name) {
        Some(password) if *password == user.password => {
            Json(json!({"token": format!("{:016x}", fastrand::u64(..))})).into_response()
        }
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    page: u32,
}

async fn users(State(shop): State<Shop>, Query(Page { page }): Query<Page>) -> Json<Value> {
    let contents = shop.contents();
    let names: Vec<&String> = contents.users.keys().skip(page as usize * 20).take(20).collect();
    Json(json!({"page": page, "users": names}))
}

async fn user(Path(id): Path<u64>) -> Response {
    if id > 5000 {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "no such user"}))).into_response();
    }
    Json(json!({"id": id, "name": format!("user {id}"), "about": "x".repeat(id as usize % 700)}))
        .into_response()
}

async fn order(State(shop): State<Shop>, Json(items): Json<Vec<u64>>) -> Response {
    let mut contents = shop.contents();
    contents.orders += 1;
    let body = json!({"id": contents.orders, "items": items});
    (StatusCode::CREATED, Json(body)).into_response()
}

async fn one_order(Path(id): Path<u64>) -> Json<Value> {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(2..40))).await;
    Json(json!({"id": id, "state": "shipped"}))
}

async fn items(Path(id): Path<u64>) -> Json<Value> {
    let items: Vec<Value> =
        (0..id % 40).map(|item| json!({"item": item, "price": item * 7 + 1})).collect();
    Json(json!({"order": id, "items": items}))
}

/// A product, from the cache where it is there; `x-cache` says so.
async fn product(State(shop): State<Shop>, Path(product): Path<String>) -> Response {
    let cached = shop.contents().cache.get(&product).cloned();
    let (cache, product) = match cached {
        Some(product) => ("HIT", product),
        None => {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(10..60))).await;
            let found = json!({"product": product, "stock": fastrand::u8(..)});
            let mut contents = shop.contents();
            if contents.cache.len() >= MAX_ENTRIES {
                contents.cache.clear();
            }
            contents.cache.insert(product, found.clone());
            ("MISS", found)
        }
    };
    ([("x-cache", cache)], Json(product)).into_response()
}

/// Fails now and then, and says with which exception.
async fn payment(Path(id): Path<u64>) -> Response {
    let exception = match fastrand::u8(0..10) {
        0 => "PaymentDeclined",
        1 => "GatewayTimeout",
        _ => return Json(json!({"id": id, "paid": true})).into_response(),
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-exception-type", axum::http::HeaderValue::from_static(exception));
    (StatusCode::INTERNAL_SERVER_ERROR, headers, Json(json!({"error": exception}))).into_response()
}

/// Takes its time.
async fn report(Path(id): Path<u64>) -> Response {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(200..1500))).await;
    (StatusCode::OK, format!("report {id}\n").repeat(2000)).into_response()
}
