//! The canonical form of a request path.
//!
//! [`CanonicalPath`] owns what counts as *the path* of a request, for templates, rules and
//! inference alike. It borrows the raw path, allocates nothing, and reads every byte once.
//!
//! The canonical form has
//! - no query and no fragment, and of an absolute-form target (`http://user@host/x`) no scheme and
//!   no authority (RFC 9112, 3.2.2);
//! - no matrix parameters: a segment ends at its first `;` (RFC 3986, 3.3);
//! - no empty segments and no trailing slash;
//! - no dot segments: `.` is dropped and `..` takes its parent along, never above the root
//!   (RFC 3986, 5.2.4). `%2e` counts as a dot, as in Envoy's `normalize_path`, and parameters are
//!   cut first, as servlet containers do. A request cannot pass for one of `/static/…` by writing
//!   `/static/..;/admin`;
//! - at most [`MAX_SEGMENTS`] segments. [`CanonicalPath::truncated`] says that more followed.
//!
//! Percent-encoding stays as it is: `/a%2Fb` is one segment. Text and segments are raw bytes of the
//! client's choice, not always UTF-8.
//!
//! Two targets are no paths. `*` (RFC 9112, 3.2.4) has no segments and the text `*`. All else that
//! does not start with a slash – the authority of a CONNECT, an empty path, `users/1` – has no
//! segments and no text, so that no host name becomes an endpoint; see [`Form`].

use crate::secret::little_endian;

/// The most segments of a canonical path; the rest of a longer path is dropped.
pub const MAX_SEGMENTS: usize = 24;

/// What kind of request target a canonical path was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A path, in origin-form or taken out of an absolute-form.
    Path,
    /// The target `*` of a server-wide OPTIONS.
    Asterisk,
    /// No path: the authority of a CONNECT, nothing at all, or something malformed.
    None,
}

/// A request path in canonical form, borrowed from the raw path. See the module.
#[derive(Clone, Copy, Debug)]
pub struct CanonicalPath<'a> {
    form: Form,
    /// The first `depth` of them count.
    segments: [&'a [u8]; MAX_SEGMENTS],
    /// How many segments the path has without the bound.
    depth: usize,
    /// The path without scheme, authority and query, as the client spelt it.
    raw: &'a [u8],
    /// The canonical text where the raw path holds it in one piece.
    verbatim: Option<&'a [u8]>,
    has_percent: bool,
    /// What follows the path: nothing, or a query or a fragment with its mark.
    after: &'a [u8],
}

impl<'a> CanonicalPath<'a> {
    const NOTHING: Self = Self {
        form: Form::None,
        segments: [&[]; MAX_SEGMENTS],
        depth: 0,
        raw: &[],
        verbatim: None,
        has_percent: false,
        after: &[],
    };

    /// Takes a raw request target apart: any bytes, of any length.
    // Inlined, so that what is a few hundred bytes is made where it is used, and not copied.
    #[inline]
    #[must_use]
    pub fn new(raw: &'a [u8]) -> Self {
        // Of the constant one copy is made; an array made here would be made, and copied as well.
        let mut path = Self::NOTHING;
        path.read(raw);
        path
    }

    #[inline(never)]
    fn read(&mut self, raw: &'a [u8]) {
        let Some(text) = path_of(raw) else {
            return self.read_other(raw);
        };
        self.form = Form::Path;
        let mut segments = Segments { start: 0, cut: None, adjacent: true, end: 0 };
        let mut end = text.len();
        let (words, rest) = text.as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        'text: for (index, word) in words.chain([little_endian(rest)]).enumerate() {
            let mut marks = marks(word);
            while marks != 0 {
                let at = index * 8 + marks.trailing_zeros() as usize / 8;
                marks &= marks - 1;
                match text.get(at) {
                    Some(b'/') => self.push(text, at, &mut segments),
                    Some(b'?' | b'#') => {
                        end = at;
                        break 'text;
                    }
                    Some(b';') if segments.cut.is_none() => segments.cut = Some(at),
                    Some(b'%') => self.has_percent = true,
                    _ => {}
                }
            }
        }
        self.push(text, end, &mut segments);
        (self.raw, self.after) = text.split_at_checked(end).unwrap_or_default();
        self.verbatim = match self.depth {
            0 => Some(b"/"),
            _ if segments.adjacent => text.get(..segments.end),
            _ => None,
        };
    }

    /// Adds the segment that ends at a place.
    #[inline(always)]
    fn push(&mut self, text: &'a [u8], end: usize, segments: &mut Segments) {
        let start = std::mem::replace(&mut segments.start, end + 1);
        let end = segments.cut.take().unwrap_or(end);
        let segment = text.get(start..end).unwrap_or_default();
        match segment.first() {
            None => return,
            Some(b'.' | b'%') => match dots(segment) {
                0 => {}
                1 => return,
                _ => {
                    self.depth = self.depth.saturating_sub(1);
                    segments.adjacent = false;
                    return;
                }
            },
            _ => {}
        }
        if let Some(place) = self.segments.get_mut(self.depth) {
            *place = segment;
            segments.adjacent &= start == segments.end + 1;
            segments.end = end;
        }
        self.depth += 1;
    }

    /// Reads a target without a path.
    fn read_other(&mut self, raw: &'a [u8]) {
        let end = raw.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(raw.len());
        (self.raw, self.after) = raw.split_at_checked(end).unwrap_or_default();
        if self.raw == b"*" {
            self.form = Form::Asterisk;
            self.verbatim = Some(self.raw);
        } else {
            self.verbatim = Some(&[]);
        }
    }

    /// What kind of target it is. All but [`Form::Path`] have no segments.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// The segments, at most [`MAX_SEGMENTS`], none of them empty, as the client spelt them.
    #[must_use]
    pub fn segments(&self) -> &[&'a [u8]] {
        self.segments.get(..self.depth).unwrap_or(&self.segments)
    }

    /// Whether the path has more segments than were kept. Its label then ends in `/{*}`.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.depth > MAX_SEGMENTS
    }

    /// The canonical text: `/` and the segments joined by `/`, without a mark where segments were
    /// dropped; `*` for [`Form::Asterisk`], nothing for [`Form::None`].
    ///
    /// Most clients send it in one piece, which is then borrowed. Otherwise it is put together in
    /// `buffer`; what does not fit there is cut.
    #[must_use]
    pub fn text<'b>(&'b self, buffer: &'b mut [u8]) -> &'b [u8] {
        if let Some(text) = self.verbatim {
            return text;
        }
        let mut length = 0;
        for segment in self.segments() {
            length += copy(b"/", buffer.get_mut(length..).unwrap_or_default());
            length += copy(segment, buffer.get_mut(length..).unwrap_or_default());
        }
        buffer.get(..length).unwrap_or_default()
    }

    /// The canonical text where the client sent it in one piece; see [`Self::text`].
    #[must_use]
    pub fn verbatim(&self) -> Option<&'a [u8]> {
        self.verbatim
    }

    /// Bytes of the canonical text.
    #[must_use]
    pub fn text_len(&self) -> usize {
        match self.verbatim {
            Some(text) => text.len(),
            None => self.segments().iter().map(|segment| segment.len() + 1).sum(),
        }
    }

    /// The path from a segment on to its end, as the client spelt it, with all that the canonical
    /// form leaves out there. `None` where the path has no such segment.
    #[must_use]
    pub fn raw_from(&self, segment: usize) -> Option<&'a [u8]> {
        let start = self.segments().get(segment)?.as_ptr().addr();
        self.raw.get(start.checked_sub(self.raw.as_ptr().addr())?..)
    }

    /// The path from a segment to the end of another one, as the client spelt it. `None` where the
    /// path has no such segments.
    #[must_use]
    pub fn raw_between(&self, first: usize, last: usize) -> Option<&'a [u8]> {
        let end = self.segments().get(last)?;
        let start = self.segments().get(first)?.as_ptr().addr();
        self.raw_from(first)?.get(..(end.as_ptr().addr() + end.len()).checked_sub(start)?)
    }

    /// Whether anything in the path may be percent-encoded.
    #[must_use]
    pub fn has_percent(&self) -> bool {
        self.has_percent
    }

    /// The query as it was sent, without `?` and fragment; `None` where there is none.
    #[must_use]
    pub fn query(&self) -> Option<&'a [u8]> {
        let (query, _fragment) = split_at_byte(self.after.strip_prefix(b"?")?, b'#');
        Some(query)
    }

    /// The first value of a query parameter, decoded as a form (WHATWG URL, 5.1: `+` is a space,
    /// `%xx` a byte, a bad `%` itself). A parameter without `=` has the value "".
    ///
    /// It is borrowed from the query where nothing had to be decoded, else from `buffer`; what does
    /// not fit there is cut. The name is compared after decoding.
    #[must_use]
    pub fn query_param<'b>(&self, name: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        let value = self.query()?.split(|&byte| byte == b'&').find_map(|pair| {
            let (key, value) = split_at_byte(pair, b'=');
            let found = !pair.is_empty() && FormDecoded(Decoded::new(key)).eq(name.iter().copied());
            found.then_some(value.unwrap_or_default())
        })?;
        if !value.iter().any(|byte| matches!(byte, b'%' | b'+')) {
            return Some(value);
        }
        let mut length = 0;
        for (place, byte) in buffer.iter_mut().zip(FormDecoded(Decoded::new(value))) {
            *place = byte;
            length += 1;
        }
        buffer.get(..length)
    }
}

/// Where reading a path has come to.
struct Segments {
    /// Where the next segment starts.
    start: usize,
    /// Where its matrix parameters start.
    cut: Option<usize>,
    /// Whether the segments so far stand side by side in the raw path.
    adjacent: bool,
    /// Where the last one ends there.
    end: usize,
}

/// The bytes of eight that may mean something in a path, as the highest bits of their places: all of
/// `/`, `?`, `#`, `;` and `%`, and few others.
///
/// Eight at a time because a path is read for each request; the trick is that of "Bit Twiddling
/// Hacks" (Anderson), "Determine if a word has a zero byte".
#[inline(always)]
fn marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES * 0x80);
    let all = |byte: u8| ONES * u64::from(byte);
    let slashes = zeros(word ^ all(b'/'));
    // `;` and `?` differ in one bit.
    let ends = zeros((word | all(0x04)) ^ all(b'?'));
    // `#` and `%`, with `!` and `'`.
    let hashes = zeros((word & !all(0x06)) ^ all(b'!'));
    slashes | ends | hashes
}

/// The path of a request target, with what follows it: what starts with a slash, or follows the
/// authority of an absolute-form.
fn path_of(target: &[u8]) -> Option<&[u8]> {
    if target.first() == Some(&b'/') {
        return Some(target);
    }
    // RFC 3986, 3.1: a letter, then letters, digits, `+`, `-` and `.`.
    let scheme =
        target.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte))?;
    let authority = target.get(scheme..)?.strip_prefix(b"://")?;
    if !target.first()?.is_ascii_alphabetic() {
        return None;
    }
    let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    authority.get(end.unwrap_or(authority.len())..)
}

/// 1 for the segment `.`, 2 for `..`, with `%2e` for any of the dots; else 0.
fn dots(segment: &[u8]) -> usize {
    if segment.len() > 6 {
        return 0;
    }
    let mut count = 0;
    for byte in Decoded::new(segment) {
        if byte != b'.' {
            return 0;
        }
        count += 1;
    }
    if count > 2 { 0 } else { count }
}

/// What stands before the first `byte`, and what stands after it.
fn split_at_byte(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&other| other == byte) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

/// Copies what fits, and says how much that was.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let length = from.len().min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
        to.copy_from_slice(from);
    }
    length
}

/// The bytes of a percent-encoded text, decoded (RFC 3986, 2.1). A `%` that no two hexadecimal
/// digits follow stands for itself.
#[derive(Clone, Debug)]
pub struct Decoded<'a>(&'a [u8]);

impl<'a> Decoded<'a> {
    /// Decodes a text while it is iterated.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// The next byte, and whether it was percent-encoded.
    #[inline(always)]
    pub fn next_with_origin(&mut self) -> Option<(u8, bool)> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            self.0 = rest;
            return Some((high << 4 | low, true));
        }
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((first, false))
    }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        self.next_with_origin().map(|(byte, _)| byte)
    }
}

/// As [`Decoded`], and an unencoded `+` is a space.
struct FormDecoded<'a>(Decoded<'a>);

impl Iterator for FormDecoded<'_> {
    type Item = u8;

    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        match self.0.next_with_origin()? {
            (b'+', false) => Some(b' '),
            (byte, _) => Some(byte),
        }
    }
}

/// The value of a hexadecimal digit.
#[inline(always)]
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
