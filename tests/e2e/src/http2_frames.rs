//! HTTP/2 by hand: one request with whatever bytes, for what no library sends.
//!
//! Source: RFC 9113 (frames), RFC 7541 section 6.2.2 (literal header fields without indexing).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::http::NoResponse;
use crate::wait::deadline;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const MAX_FRAME: usize = 16_384;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole response.
    Answered,
    /// The stream was reset with this error code.
    Reset(u32),
    /// The connection was given up with this error code, or closed (0).
    GoneAway(u32),
}

/// Sends one request with these header fields, pseudo-headers included, in this order.
pub fn send(to: SocketAddr, fields: &[(&[u8], &[u8])]) -> Result<Outcome, NoResponse> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(deadline()))?;
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(SETTINGS, 0, 0, &[], &mut out);
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(name, &mut block);
        string(value, &mut block);
    }
    let fragments: Vec<_> = block.chunks(MAX_FRAME).collect();
    for (index, fragment) in fragments.iter().enumerate() {
        let kind = if index == 0 { HEADERS } else { CONTINUATION };
        let mut flags = if index == 0 { END_STREAM } else { 0 };
        if index + 1 == fragments.len() {
            flags |= END_HEADERS;
        }
        frame(kind, flags, 1, fragment, &mut out);
    }
    // The server may have given up before it has read everything; what it says is read below.
    let _ = stream.write_all(&out);
    read_outcome(&mut stream)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A string literal without Huffman coding (RFC 7541 section 5.2).
fn string(bytes: &[u8], out: &mut Vec<u8>) {
    const PREFIX: usize = 127;
    if let Some(mut rest) = bytes.len().checked_sub(PREFIX) {
        out.push(0x7f);
        while rest >= 128 {
            out.push((rest % 128) as u8 | 0x80);
            rest /= 128;
        }
        out.push(rest as u8);
    } else {
        out.push(bytes.len() as u8);
    }
    out.extend_from_slice(bytes);
}

fn read_outcome(stream: &mut TcpStream) -> Result<Outcome, NoResponse> {
    let mut gone = Outcome::GoneAway(0);
    loop {
        let mut head = [0; 9];
        match stream.read_exact(&mut head) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return Err(NoResponse("no answer in time".to_owned()));
            }
            Err(_) => return Ok(gone),
            Ok(()) => {}
        }
        let [a, b, c, kind, flags, id @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let mut payload = vec![0; length];
        if stream.read_exact(&mut payload).is_err() {
            return Ok(gone);
        }
        let number = |at: usize| {
            let bytes = payload.get(at..).and_then(|rest| rest.first_chunk::<4>());
            u32::from_be_bytes(bytes.copied().unwrap_or_default())
        };
        match kind {
            SETTINGS if flags == 0 => {
                let mut acknowledged = Vec::new();
                frame(SETTINGS, 1, 0, &[], &mut acknowledged);
                let _ = stream.write_all(&acknowledged);
            }
            HEADERS | DATA if flags & END_STREAM != 0 && u32::from_be_bytes(id) == 1 => {
                return Ok(Outcome::Answered);
            }
            RST_STREAM => return Ok(Outcome::Reset(number(0))),
            GOAWAY => gone = Outcome::GoneAway(number(4)),
            _ => {}
        }
    }
}
