//! The API: users, orders, a catalogue behind a cache, payments that fail and reports that are slow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::business::Business;

/// The most users and cached products; what comes later replaces what was there.
const MAX_ENTRIES: usize = 1000;

#[derive(Clone)]
struct Shop(Arc<Mutex<Contents>>, Business);

#[derive(Default)]
struct Contents {
    /// Passwords by name.
    users: HashMap<String, String>,
    organizations: HashMap<String, u64>,
    cache: HashMap<String, Value>,
    orders: u64,
    reports: u64,
}

impl Shop {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The routes of the API, which reports its business there.
pub fn routes(business: Business) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/v1/auth/register", post(register))
        .route("/api/v1/auth/login", post(login))
        .route("/api/v1/auth/oauth/{provider}", post(oauth))
        .route("/api/v1/organizations", post(new_organization))
        .route("/api/v1/organizations/{id}", put(organization).delete(organization))
        .route("/api/v1/users", get(users))
        .route("/api/v1/users/{id}", get(user).put(user))
        .route("/api/v1/users/{id}", delete(|| async { StatusCode::NO_CONTENT }))
        .route("/api/v1/orders", post(order))
        .route("/api/v1/orders/{id}", get(one_order))
        .route("/api/v1/orders/{id}/items", get(items))
        .route("/api/v1/catalog/{product}", get(product))
        .route("/api/v1/payments/{id}", get(payment))
        .route("/api/v1/reports/{id}", get(report))
        .with_state(Shop(Arc::default(), business))
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

fn word(success: bool) -> &'static str {
    if success { "success" } else { "failure" }
}

async fn register(State(shop): State<Shop>, Json(new): Json<Credentials>) -> Response {
    let mut contents = shop.contents();
    let taken = contents.users.contains_key(&new.name);
    shop.1.did("app_user_registrations_total", &[("status", word(!taken))]);
    if taken {
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
    let known = shop.contents().users.get(&user.name) == Some(&user.password);
    logged_in(&shop, "password", known)
}

async fn oauth(State(shop): State<Shop>, Path(provider): Path<String>) -> Response {
    logged_in(&shop, "oauth", ["github", "google"].contains(&provider.as_str()))
}

fn logged_in(shop: &Shop, method: &str, known: bool) -> Response {
    shop.1.did("app_login_attempts_total", &[("status", word(known)), ("method", method)]);
    if known {
        Json(json!({"token": format!("{:016x}", fastrand::u64(..))})).into_response()
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

#[derive(Deserialize)]
struct Organization {
    name: String,
}

async fn new_organization(State(shop): State<Shop>, Json(new): Json<Organization>) -> Response {
    let mut contents = shop.contents();
    let taken = contents.organizations.contains_key(&new.name);
    shop.1.did(
        "app_organization_operations_total",
        &[("operation", "create"), ("status", word(!taken))],
    );
    if taken {
        return StatusCode::CONFLICT.into_response();
    }
    if contents.organizations.len() >= MAX_ENTRIES {
        contents.organizations.clear();
    }
    contents.organizations.insert(new.name, 0);
    StatusCode::CREATED.into_response()
}

/// Changes or ends an organization.
async fn organization(
    State(shop): State<Shop>,
    method: Method,
    Path(name): Path<String>,
) -> Response {
    let mut contents = shop.contents();
    let (operation, known) = match method {
        Method::DELETE => ("delete", contents.organizations.remove(&name).is_some()),
        _ => {
            let found = contents.organizations.get_mut(&name);
            ("update", found.map(|changes| *changes += 1).is_some())
        }
    };
    shop.1.did(
        "app_organization_operations_total",
        &[("operation", operation), ("status", word(known))],
    );
    if known { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }.into_response()
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

/// A user, in the new look for every other one.
async fn user(State(shop): State<Shop>, Path(id): Path<u64>) -> Response {
    if id > 5000 {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "no such user"}))).into_response();
    }
    let new_look = if id.is_multiple_of(2) { "true" } else { "false" };
    let user =
        json!({"id": id, "name": format!("user {id}"), "about": "x".repeat(id as usize % 700)});
    let mut response = Json(user).into_response();
    let flag = [("flag", "new-look"), ("enabled", new_look)];
    shop.1.report(&mut response, "app_feature_flag_evaluations_total", &flag);
    response
}

/// An order; its receipt is sent later, by a task in the background.
async fn order(State(shop): State<Shop>, Json(items): Json<Vec<u64>>) -> Response {
    let number = {
        let mut contents = shop.contents();
        contents.orders += 1;
        contents.orders
    };
    tokio::spawn(async move {
        let seconds = 0.01 * (1 + number % 5) as f64;
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        let status = word(!number.is_multiple_of(10));
        shop.1.task_ended("send_receipt", status, seconds).await;
    });
    (StatusCode::CREATED, Json(json!({"id": number, "items": items}))).into_response()
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
    let hit = if cached.is_some() { "true" } else { "false" };
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
    let mut response = ([("x-cache", cache)], Json(product)).into_response();
    let metric = "app_cache_operations_total";
    shop.1.report(&mut response, metric, &[("operation", "get"), ("hit", hit)]);
    if hit == "false" {
        shop.1.report(&mut response, metric, &[("operation", "set"), ("hit", hit)]);
    }
    response
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

/// Takes its time, and is not made for everybody.
async fn report(State(shop): State<Shop>, Path(id): Path<u64>) -> Response {
    shop.contents().reports += 1;
    if shop.contents().reports % 8 == 2 {
        shop.1.did("app_rate_limit_hits_total", &[("endpoint", "/api/v1/reports/{id}")]);
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    tokio::time::sleep(Duration::from_millis(fastrand::u64(200..1500))).await;
    (StatusCode::OK, format!("report {id}\n").repeat(2000)).into_response()
}
