//! What is counted of requests and under which labels, in real Envoys, seen from outside: requests
//! in, scrapes out.

mod configuring;
mod counting;
mod headers;
mod hostile;
mod labelling;
mod learning;
mod limits;
mod sampling;
mod scans;
