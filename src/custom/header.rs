//! Events in a response header: a list of tokens with parameters (RFC 9651, 3.1).
//!
//! ```text
//! app_cache_operations_total;operation=get;hit=?1, app_task_seconds;task=mail;value=1.25
//! ```
//!
//! The token is the metric, the parameter `value` its value, every other parameter a label. As the
//! RFC demands, one syntax error makes the whole field void; in a field that can be read, each
//! event stands for itself.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;

use sfv::visitor::{
    EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};

use super::events::{Event, EventsPlan, MAX_EVENTS, Outcome, Refusal, Reported};
use crate::custom::number::Number;

/// The longest header that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// The parameter that is the value, and so cannot be a label.
pub const VALUE: &str = "value";

/// The events of a header, each checked.
///
/// # Errors
/// [`Outcome::Malformed`]: no list, one of more than [`MAX_EVENTS`] members, or one of more than
/// [`MAX_BYTES`] bytes.
pub fn parse<'a>(
    plan: &EventsPlan,
    field: &'a [u8],
) -> Result<Vec<Result<Event<'a>, Refusal>>, Refusal> {
    let malformed = |message: String| Refusal::new(Outcome::Malformed, "", message);
    if field.len() > MAX_BYTES {
        let message = format!("{} bytes, but {MAX_BYTES} are the most", field.len());
        return Err(malformed(message));
    }
    let members = Parser::new(field)
        .parse_list_with_visitor(List(Vec::new()))
        .map_err(|error| malformed(format!("no list of RFC 9651: {error}")))?;
    Ok(members.into_iter().map(|member| plan.check(member?)).collect())
}

/// More members than are read.
#[derive(Debug)]
struct TooMany;

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {MAX_EVENTS} members")
    }
}

impl std::error::Error for TooMany {}

type Member<'a> = Result<Reported<'a>, Refusal>;

struct List<'a>(Vec<Member<'a>>);

impl<'de> ListVisitor<'de> for List<'de> {
    type Out = Vec<Member<'de>>;
    type Error = TooMany;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, TooMany> {
        if self.0.len() == MAX_EVENTS {
            return Err(TooMany);
        }
        self.0.push(Ok(Reported::default()));
        Ok(Entry(self.0.last_mut()))
    }

    fn finish(self) -> Result<Self::Out, TooMany> {
        Ok(self.0)
    }
}

/// Fills in the member that was just added.
struct Entry<'a, 'de>(Option<&'a mut Member<'de>>);

fn refuse(member: &mut Member<'_>, outcome: Outcome, part: &str, message: &str) {
    if member.is_ok() {
        *member = Err(Refusal::new(outcome, part, message));
    }
}

impl<'de> EntryVisitor<'de> for Entry<'_, 'de> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        if let Some(member) = self.0 {
            refuse(member, Outcome::Malformed, "", "is a list; write the metric's name");
        }
        Ok(Ignored)
    }
}

impl<'de> ItemVisitor<'de> for Entry<'_, 'de> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        let mut member = self.0;
        let name = match item {
            BareItemFromInput::Token(token) => Some(Cow::Borrowed(token.as_str())),
            // A name that begins with an underscore is no token.
            BareItemFromInput::String(text) => Some(string(text)),
            _ => None,
        };
        match (&mut member, name) {
            (Some(Ok(event)), Some(name)) => event.metric = name,
            (Some(member), _) => {
                refuse(member, Outcome::Malformed, "", "is no token; write the metric's name");
            }
            (None, _) => {}
        }
        Ok(Entry(member))
    }
}

fn string(text: Cow<'_, sfv::StringRef>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_str()),
        Cow::Owned(text) => Cow::Owned(text.into()),
    }
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

impl<'de> ParameterVisitor<'de> for Entry<'_, 'de> {
    type Out = ();
    type Error = Infallible;

    fn parameter(
        &mut self,
        key: &'de KeyRef,
        item: BareItemFromInput<'de>,
    ) -> Result<(), Infallible> {
        let Some(member) = &mut self.0 else { return Ok(()) };
        let Ok(event) = member else { return Ok(()) };
        let key = key.as_str();
        if key == VALUE {
            let number = match item {
                BareItemFromInput::Integer(integer) => {
                    let integer = i64::from(integer);
                    #[expect(clippy::cast_precision_loss, reason = "below zero is refused anyway")]
                    let real = Number::Real(integer as f64);
                    u64::try_from(integer).map_or(real, Number::Whole)
                }
                BareItemFromInput::Decimal(decimal) => Number::Real(f64::from(decimal)),
                _ => {
                    refuse(member, Outcome::Invalid, VALUE, "is not a number");
                    return Ok(());
                }
            };
            event.value = Some(number);
            return Ok(());
        }
        let text = match item {
            BareItemFromInput::Token(token) => Cow::Borrowed(token.as_str().as_bytes()),
            BareItemFromInput::String(text) => bytes(string(text)),
            BareItemFromInput::DisplayString(text) => bytes(text),
            BareItemFromInput::ByteSequence(bytes) => Cow::Owned(bytes),
            BareItemFromInput::Boolean(flag) => {
                Cow::Borrowed(if flag { &b"true"[..] } else { b"false" })
            }
            BareItemFromInput::Integer(integer) => Cow::Owned(integer.to_string().into_bytes()),
            BareItemFromInput::Decimal(decimal) => Cow::Owned(decimal.to_string().into_bytes()),
            BareItemFromInput::Date(date) => {
                Cow::Owned(date.unix_seconds().to_string().into_bytes())
            }
        };
        // Of a parameter that stands twice the last one counts (RFC 9651, 4.2.3.2).
        match event.labels.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => *known = text,
            None => event.labels.push((Cow::Borrowed(key), text)),
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        Ok(())
    }
}
