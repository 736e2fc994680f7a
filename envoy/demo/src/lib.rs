//! A small API, and the traffic that its users would make through a proxy in front of it.

pub mod api;
pub mod business;
pub mod traffic;

/// The API on a free port of 127.0.0.1, in a thread of its own, until the process ends: where it
/// listens.
///
/// # Errors
/// No port or no thread can be had.
pub fn start(business: business::Business) -> std::io::Result<std::net::SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, api::routes(business)).await
        })
    })?;
    Ok(address)
}
