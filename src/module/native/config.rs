//! Configurations, as Envoy has them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};

use super::abi::{self, Buffer, Pointer};
use super::shared::lock;
use crate::module::families::{Family, declared};
use crate::plan::{self, Capacity};

/// Families, and their numbers.
pub type Families = HashMap<Family, usize>;

/// Every family that a configuration of this process has declared.
static FAMILIES: LazyLock<Mutex<Families>> = LazyLock::new(Mutex::default);

/// Exchanges the families that there are.
#[cfg(any(test, fuzzing))]
pub fn swap(other: &mut Families) {
    std::mem::swap(&mut *lock(&FAMILIES), other);
}

/// Configurations so far.
static CONFIGS: AtomicU32 = AtomicU32::new(0);

/// The number of a family that was declared.
pub fn family_number(family: &Family) -> Option<usize> {
    lock(&FAMILIES).get(family).copied()
}

/// What other configurations of this process have declared, and this one has not. Envoy forgets a series with the
/// last configuration that has its metric, so an update of labels would take counters away. What has another
/// type now goes: one name would have two.
fn earlier(own: &[Family]) -> Vec<Family> {
    let all = lock(&FAMILIES);
    let mut earlier: Vec<(&Family, usize)> = all
        .iter()
        .filter(|(family, _)| {
            let same = |own: &&Family| own.name == family.name;
            let mut same = own.iter().filter(same);
            same.all(|own| own.kind == family.kind && own.labels != family.labels)
        })
        .map(|(family, &number)| (family, number))
        .collect();
    earlier.sort_unstable_by_key(|&(_, number)| number);
    earlier.into_iter().map(|(family, _)| family.clone()).collect()
}

/// One configuration.
#[derive(Debug)]
pub struct Config {
    /// Envoy's.
    pub raw: Pointer,
    /// The number by which the filter knows it. Those of streams count up from 1.
    pub root: u32,
    /// The plugin configuration.
    pub bytes: Vec<u8>,
    /// Whether events are reported in response headers.
    pub reports_in_headers: bool,
    /// Whether events are posted.
    pub takes_posts: bool,
    /// Envoy's numbers of its metrics, by those of their families.
    numbers: Vec<Option<usize>>,
}

impl Config {
    /// Declares the metrics of a configuration, where it is valid; whoever has refused it says why.
    pub fn new(raw: Pointer, bytes: &[u8]) -> Self {
        let mut config = Self {
            raw,
            root: u32::MAX - CONFIGS.fetch_add(1, Ordering::Relaxed),
            bytes: bytes.to_vec(),
            reports_in_headers: false,
            takes_posts: false,
            numbers: Vec::new(),
        };
        if let Ok(plan) = plan::load(bytes, super::variable, Capacity::Checked) {
            config.reports_in_headers = plan.events.response_header.is_some();
            config.takes_posts = plan.events.path.is_some();
            let own = declared(&plan);
            let earlier = earlier(&own);
            own.into_iter().chain(earlier).for_each(|family| config.define(family));
        }
        config
    }

    fn define(&mut self, family: Family) {
        let mut id = 0;
        let name = Buffer::new(family.name.as_bytes());
        let labels: Vec<Buffer> =
            family.labels.iter().map(|label| Buffer::new(label.as_bytes())).collect();
        // SAFETY: Envoy is asking for the configuration's metrics now, and the pointers are valid for the call.
        let status = unsafe {
            abi::define(family.kind)(self.raw, name, labels.as_ptr(), labels.len(), &mut id)
        };
        if status != abi::DONE {
            log::warn!("Envoy refused to define {} ({status})", family.name);
            return;
        }
        let mut all = lock(&FAMILIES);
        let next = all.len();
        let place = *all.entry(family).or_insert(next);
        if self.numbers.len() <= place {
            self.numbers.resize(place + 1, None);
        }
        if let Some(number) = self.numbers.get_mut(place) {
            *number = Some(id);
        }
    }

    /// Envoy's number of a family's metric; `None` where this configuration does not have it.
    #[inline]
    pub fn number(&self, family: usize) -> Option<usize> {
        self.numbers.get(family).copied().flatten()
    }
}
