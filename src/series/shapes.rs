//! What a metric was in the course of updates: its kind and its labels.

use super::shared_list::APPEND_TRIES;
use super::{Append, SharedList, keys};
use crate::host::{Host, MetricKind};
use crate::labels::OTHER;

/// The kinds and label sets of a metric, numbered alike on all workers.
#[derive(Debug)]
pub struct Shapes {
    list: SharedList,
    texts: Vec<String>,
}

impl Shapes {
    /// Those of a metric; none is known yet.
    pub fn new(metric: &str) -> Self {
        Self { list: SharedList::new(keys::shapes(metric)), texts: Vec::new() }
    }

    /// The number of a shape: a kind, and labels with the names of their lists of values.
    pub fn number<'a>(
        &mut self,
        host: &impl Host,
        kind: MetricKind,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> u16 {
        let mut text = (kind as u32).to_string();
        for (label, list) in labels {
            // Neither has a space or a colon.
            text.extend([" ", label, ":", list]);
        }
        for _ in 0..APPEND_TRIES {
            let Self { list, texts } = self;
            list.sync(host, |entry| texts.push(String::from_utf8_lossy(entry).into_owned()));
            if texts.contains(&text) {
                break;
            }
            match list.append(host, text.as_bytes(), |entry| {
                texts.push(String::from_utf8_lossy(entry).into_owned());
            }) {
                Append::Done => texts.push(text.clone()),
                Append::Moved => {}
                Append::Failed => break,
            }
        }
        // Without shared data, the numbers are this VM's own.
        let place = self.texts.iter().position(|known| *known == text).unwrap_or_else(|| {
            self.texts.push(text);
            self.texts.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// The labels of a shape with the word for everything that is folded, if it has this kind.
    pub fn rest(&self, shape: u16, kind: MetricKind) -> Option<Vec<(&str, &str)>> {
        let mut words = self.texts.get(usize::from(shape))?.split(' ');
        let same = words.next() == Some((kind as u32).to_string().as_str());
        same.then(|| words.filter_map(|w| Some((w.split_once(':')?.0, OTHER))).collect())
    }
}
