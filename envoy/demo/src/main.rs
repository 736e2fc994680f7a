//! A small API, and the traffic that its users would make through a proxy in front of it.

use std::net::SocketAddr;

use clap::Parser;
use route_metrics_demo::business::Business;
use route_metrics_demo::{api, traffic};
use tokio::net::TcpListener;

/// Serves a small API, and sends it the traffic of its users through a proxy.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the API listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:10080")]
    listen: SocketAddr,
    /// The proxy in front of it; without it there is no traffic
    #[arg(long, value_name = "ADDRESS:PORT")]
    proxy: Option<SocketAddr>,
    /// Where the events of background tasks are posted; without it they are lost
    #[arg(long, value_name = "ADDRESS:PORT")]
    events: Option<SocketAddr>,
    /// Requests per second
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen).await?;
    if let Some(proxy) = arguments.proxy {
        tokio::spawn(traffic::send(proxy, arguments.rate));
    }
    let business = Business::default();
    if let Some(events) = arguments.events {
        business.post_to(events);
    }
    Ok(axum::serve(listener, api::routes(business)).with_graceful_shutdown(stopped()).await?)
}

/// Waits for Ctrl-C or TERM.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
        }
        Err(_) => drop(interrupt.await),
    }
}
