//! Reading access logs: files and standard input, packed ones too, with progress, until they end or
//! the user has seen enough.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, bail};
use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use route_metrics::command::preview::Replay;
use route_metrics::command::preview::log::Lines;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::Outcome;

/// Lines between two looks at the progress bar and at whether to stop.
const REDRAW_LINES: u64 = 1 << 14;
/// Bytes asked of a log at a time.
const CHUNK: usize = 1 << 16;
/// Chunks of standard input that wait to be read.
const CHUNKS: usize = 16;
/// The first bytes of gzip (RFC 1952, 2.3.1) and of a frame of Zstandard (RFC 8878, 3.1.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The exit code of a program that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Whether the user has seen enough: the first SIGINT or SIGTERM ends the log, the second one the
/// command.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Takes the signals over.
    ///
    /// # Errors
    /// Those of the system.
    pub fn on_signals() -> anyhow::Result<Self> {
        let stop = Self::default();
        let flag = stop.clone();
        ctrlc::set_handler(move || {
            if flag.0.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
        })
        .context("signals")?;
        Ok(stop)
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Replays a log; `-` is standard input.
///
/// # Errors
/// Those of reading and unpacking, with the name of the log.
pub fn read(replay: &mut Replay, log: &Path, stop: &Stop) -> Outcome {
    if log == Path::new("-") {
        let input = Followed::stdin(stop.clone());
        return replay_lines(replay, "standard input", input, progress(None), stop);
    }
    let name = log.display().to_string();
    let file = File::open(log).with_context(|| name.clone())?;
    let metadata = file.metadata().with_context(|| name.clone())?;
    if metadata.is_dir() {
        bail!("{name}: is a directory");
    }
    let bar = progress(metadata.is_file().then_some(metadata.len()));
    replay_lines(replay, &name, file, bar, stop)
}

/// The bar counts bytes as they are stored, so it is right for packed logs, too.
fn replay_lines(
    replay: &mut Replay,
    name: &str,
    reader: impl Read,
    bar: ProgressBar,
    stop: &Stop,
) -> Outcome {
    replay.start_input(name);
    let reader = BufReader::with_capacity(CHUNK, bar.wrap_read(reader));
    let mut lines = Lines::new(unpacked(reader).with_context(|| name.to_owned())?);
    let mut count = 0u64;
    loop {
        let line = match lines.read_line() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            // A packed log that was cut by the signal has no right end.
            Err(_) if stop.has_come() => break,
            Err(error) => return Err(error).with_context(|| name.to_owned()),
        };
        match line {
            Ok(line) => replay.line(line),
            Err(_) => replay.too_long(),
        }
        count += 1;
        if count.is_multiple_of(REDRAW_LINES) {
            bar.set_message(format!("{} requests", replay.requests()));
            if stop.has_come() {
                break;
            }
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Unpacks what starts as gzip or Zstandard does.
fn unpacked<'r>(mut reader: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let start = reader.fill_buf()?;
    if start.starts_with(&GZIP) {
        return Ok(Box::new(MultiGzDecoder::new(reader)));
    }
    if start.starts_with(&ZSTD) {
        return Ok(Box::new(Frames { decoder: next_frame(reader)? }));
    }
    Ok(Box::new(reader))
}

/// The frames of Zstandard, one behind another, as `cat` joins them.
struct Frames<R: BufRead> {
    decoder: Option<StreamingDecoder<R, FrameDecoder>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let count = decoder.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            let Some(decoder) = self.decoder.take() else { break };
            self.decoder = next_frame(decoder.into_inner())?;
        }
        Ok(0)
    }
}

/// The next frame with content; `None` at the end.
fn next_frame<R: BufRead>(mut reader: R) -> io::Result<Option<StreamingDecoder<R, FrameDecoder>>> {
    loop {
        let start = reader.fill_buf()?;
        if start.is_empty() {
            return Ok(None);
        }
        // Skippable frames (RFC 8878, 3.1.2): a magic number, a length and as many bytes.
        if !(start.first().is_some_and(|byte| byte & 0xf0 == 0x50) && start.get(1) == Some(&0x2a)) {
            return StreamingDecoder::new(reader).map(Some).map_err(io::Error::other);
        }
        let mut header = [0; 8];
        reader.read_exact(&mut header)?;
        let [.., a, b, c, d] = header;
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
    }
}

/// Standard input, read by a thread, so that a signal ends it even where nothing comes, as behind
/// `tail -f`.
struct Followed {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
    stop: Stop,
}

impl Followed {
    fn stdin(stop: Stop) -> Self {
        let (sender, chunks) = sync_channel(CHUNKS);
        std::thread::spawn(move || send(&mut io::stdin().lock(), &sender));
        Self { chunks, chunk: io::Cursor::default(), stop }
    }
}

/// Sends what is read until its end, or until nobody listens.
fn send(input: &mut impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = match input.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                chunk.truncate(count);
                Ok(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = read.is_err();
        if sender.send(read).is_err() || is_last {
            return;
        }
    }
}

impl Read for Followed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        use std::sync::mpsc::RecvTimeoutError;
        /// How soon a signal is seen while nothing comes.
        const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
        loop {
            let count = self.chunk.read(out)?;
            if count > 0 || out.is_empty() {
                return Ok(count);
            }
            match self.chunks.recv_timeout(LOOK) {
                Ok(chunk) => self.chunk = io::Cursor::new(chunk?),
                Err(RecvTimeoutError::Timeout) if !self.stop.has_come() => {}
                Err(_) => return Ok(0),
            }
        }
    }
}

/// A progress bar on standard error, where that is a terminal; `None`: the length is not known.
fn progress(bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, style) = match bytes {
        Some(bytes) => (
            ProgressBar::new(bytes),
            "{bar:40} {percent:>3} %  {binary_bytes_per_sec}  {msg}  {eta} left",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes}  {binary_bytes_per_sec}  {msg}  Ctrl-C prints the report",
        ),
    };
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
