//! An append-only list in shared data, on which all workers agree.

use crate::host::{CREATE_ONLY, Host, SharedWrite};

/// A page of a list is closed when it has reached this many bytes, so that an append copies a
/// bounded amount however long the list is.
const PAGE_BYTES: usize = 4096;

/// Tries of one append against other writers, before the caller gives up for this time.
pub const APPEND_TRIES: usize = 16;

/// An append-only list in shared data, as far as this VM has read it.
#[derive(Debug)]
pub struct SharedList {
    name: String,
    page: u32,
    /// The open page as last read, and its compare-and-swap number.
    bytes: Vec<u8>,
    cas: u32,
    /// Bytes of the open page that were handed out.
    read: usize,
    len: usize,
}

/// How an append ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Append {
    /// The entry is in the list.
    Done,
    /// Others have appended in between; what they added was handed out, decide again.
    Moved,
    /// The host refused.
    Failed,
}

impl SharedList {
    /// The list of this name; nothing is read yet.
    pub fn new(name: String) -> Self {
        Self { name, page: 0, bytes: Vec::new(), cas: CREATE_ONLY, read: 0, len: 0 }
    }

    /// Empties the pages of a list that nobody needs any more, for as long as `is_due` says so
    /// when a page was read. False where it is not, or the host refused. A page keeps an entry of
    /// no bytes, and what others write meanwhile stays.
    pub fn clear(host: &impl Host, name: &str, is_due: impl Fn() -> bool) -> bool {
        const EMPTY: [u8; 2] = [0; 2];
        let mut page = Vec::new();
        for number in 0_u32.. {
            page.clear();
            let key = format!("{name}/{number}");
            let Some(cas) = host.shared_get(&key, &mut page) else { return true };
            if !is_due() || host.shared_set(&key, &EMPTY, cas) == SharedWrite::Failed {
                return false;
            }
        }
        true
    }

    /// How many entries were handed out.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no entry was handed out.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn key(&self) -> String {
        format!("{}/{}", self.name, self.page)
    }

    /// Hands out the entries that were appended since the last call, by whomever, in order.
    pub fn sync(&mut self, host: &impl Host, mut entry: impl FnMut(&[u8])) {
        loop {
            let mut page = std::mem::take(&mut self.bytes);
            page.clear();
            let found = host.shared_get(&self.key(), &mut page);
            self.bytes = page;
            self.cas = found.unwrap_or(CREATE_ONLY);
            while let Some((head, rest)) =
                self.bytes.get(self.read..).and_then(<[u8]>::split_first_chunk::<2>)
            {
                let size = usize::from(u16::from_le_bytes(*head));
                let Some(value) = rest.get(..size) else { break };
                entry(value);
                self.read += 2 + size;
                self.len += 1;
            }
            if self.bytes.len() < PAGE_BYTES {
                return;
            }
            self.page += 1;
            self.read = 0;
            self.bytes.clear();
        }
    }

    /// Appends an entry of at most 65,535 bytes. The list must have been synchronised; `entry` is
    /// called for what others have added in the meantime.
    pub fn append(&mut self, host: &impl Host, value: &[u8], entry: impl FnMut(&[u8])) -> Append {
        let Ok(size) = u16::try_from(value.len()) else { return Append::Failed };
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&size.to_le_bytes());
        self.bytes.extend_from_slice(value);
        match host.shared_set(&self.key(), &self.bytes, self.cas) {
            SharedWrite::Done => {
                self.read = self.bytes.len();
                self.len += 1;
                // The write has changed the number; the next append finds out by reading.
                self.cas = CREATE_ONLY;
                Append::Done
            }
            SharedWrite::Mismatch => {
                self.bytes.truncate(before);
                self.sync(host, entry);
                Append::Moved
            }
            SharedWrite::Failed => {
                self.bytes.truncate(before);
                Append::Failed
            }
        }
    }
}
