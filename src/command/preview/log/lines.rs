//! Reading lines of any length in constant memory.

use std::io::{self, Read};

/// The longest line that is read; Envoy and its peers cut or refuse far shorter requests.
pub const MAX_LINE: usize = 1 << 20;
/// Bytes asked of the reader at a time.
const CHUNK: usize = 256 << 10;

/// Lines of a reader. Holds at most [`MAX_LINE`] and a chunk.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// In the middle of a line that is too long.
    skipping: bool,
    finished: bool,
}

impl<R: Read> Lines<R> {
    /// The lines of a reader.
    pub fn new(reader: R) -> Self {
        let buffer = vec![0; CHUNK];
        Self { reader, buffer, start: 0, end: 0, skipping: false, finished: false }
    }

    /// The reader.
    pub fn reader(&self) -> &R {
        &self.reader
    }

    /// The next line without its end, `Err` inside where it is longer than [`MAX_LINE`]; `None` at
    /// the end. The last line needs no end.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read_line(&mut self) -> io::Result<Option<Result<&[u8], TooLong>>> {
        let mut searched = 0;
        loop {
            let unread = self.buffer.get(self.start + searched..self.end).unwrap_or_default();
            if let Some(found) = memchr::memchr(b'\n', unread) {
                let line = self.start..self.start + searched + found;
                self.start = line.end + 1;
                if std::mem::take(&mut self.skipping) {
                    return Ok(Some(Err(TooLong)));
                }
                return Ok(Some(Ok(self.buffer.get(line).unwrap_or_default())));
            }
            searched += unread.len();
            if self.finished {
                let line = self.start..self.end;
                self.start = self.end;
                if std::mem::take(&mut self.skipping) {
                    return Ok(Some(Err(TooLong)));
                }
                let line = self.buffer.get(line).unwrap_or_default();
                return Ok((!line.is_empty()).then_some(Ok(line)));
            }
            if searched > MAX_LINE {
                self.skipping = true;
            }
            if self.skipping {
                self.start = self.end;
                searched = 0;
            }
            self.fill()?;
        }
    }

    /// Reads more, behind what was not handed out yet.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() + CHUNK, 0);
        }
        loop {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.reader.read(room) {
                Ok(0) => self.finished = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }
}

/// A line was longer than [`MAX_LINE`]; it was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;
