//! From label values to the host's metrics.
//!
//! One registry per VM: it outlives configurations, because the host gives a new id for every
//! definition and never forgets one. A request's way through it is a hash of small integers; the
//! host is asked only for a series that this VM has not used before.

use hashbrown::HashMap;

use crate::host::{Host, LogLevel, MetricKind};
use crate::labels::{self, OTHER};
use crate::series::{Admission, Claim, Key, OTHER_ID, Series, Values};

/// Places kept for each configured value, when traffic makes series of its own.
const KEPT_PER_VALUE: usize = 16;

/// A metric of the host, or none where it refused to define it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handle(Option<u32>);

impl Handle {
    /// Adds to it, where it exists.
    #[inline]
    pub fn add(self, host: &impl Host, by: u64) {
        if let (Some(id), Ok(by @ 1..)) = (self.0, i64::try_from(by)) {
            host.increment_metric(id, by);
        }
    }

    /// Changes a gauge, where it exists.
    pub fn change(self, host: &impl Host, by: i64) {
        if let (Some(id), true) = (self.0, by != 0) {
            host.increment_metric(id, by);
        }
    }

    /// Sets or observes, where it exists. Values above `i64::MAX` count as that: Envoy would take
    /// them for negative.
    #[inline]
    pub fn record(self, host: &impl Host, value: u64) {
        if let Some(id) = self.0 {
            host.record_metric(id, value.min(i64::MAX.unsigned_abs()));
        }
    }
}

/// What is done to a metric's series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Adds to a counter; nothing where it is 0.
    Add(u64),
    /// Observes in a histogram or sets a gauge.
    Record(u64),
}

/// A label of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FamilyLabel {
    name: String,
    values: usize,
    closed: bool,
}

struct Family {
    name: String,
    kind: MetricKind,
    labels: Vec<FamilyLabel>,
    series: Series<Handle>,
    /// `route_metrics_series` of this family.
    count: Handle,
    /// `route_metrics_overflow_total` by label, defined when first needed.
    overflow: Vec<Option<Handle>>,
}

/// How a family of metrics is defined.
#[derive(Debug)]
pub struct Definition<'a> {
    /// The metric's full name.
    pub name: &'a str,
    /// What it is.
    pub kind: MetricKind,
    /// Its labels: name, list of values ([`Registry::values`]), and whether the source is closed.
    pub labels: Vec<(&'a str, usize, bool)>,
    /// How many series there may be.
    pub max_series: usize,
}

/// The value of a label for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueId {
    /// Its id.
    pub id: u32,
    /// Whether it stands for a value that a limit left out.
    pub folded: bool,
}

/// All label values and metrics of this VM.
#[derive(Default)]
pub struct Registry {
    values: Vec<Values>,
    value_names: HashMap<String, usize>,
    families: Vec<Family>,
    family_names: HashMap<String, usize>,
    own: HashMap<String, Handle>,
    name: String,
}

impl Registry {
    /// The list of values of this name, made where there is none. [`OTHER`] has its place in it.
    pub fn values(&mut self, host: &impl Host, name: &str, max: usize) -> usize {
        if let Some(&index) = self.value_names.get(name) {
            if let Some(values) = self.values.get_mut(index) {
                values.set_max(max);
            }
            return index;
        }
        let mut values = Values::new(name, max);
        if values.reserve(host, OTHER).is_none() {
            self.error(host, "shared_data");
        }
        self.values.push(values);
        self.value_names.insert(name.to_owned(), self.values.len() - 1);
        self.values.len() - 1
    }

    /// Gives a configured value its place in a list, whatever the limit.
    pub fn reserve(&mut self, host: &impl Host, values: usize, text: &str) -> ValueId {
        let id = self.values.get_mut(values).and_then(|values| values.reserve(host, text));
        if id.is_none() {
            self.error(host, "shared_data");
        }
        ValueId { id: id.unwrap_or(OTHER_ID), folded: id.is_none() }
    }

    /// The id of a label value; that of [`OTHER`] where a limit leaves it out.
    #[inline]
    pub fn value(&mut self, host: &impl Host, values: usize, text: &str) -> ValueId {
        let Some(list) = self.values.get_mut(values) else {
            return ValueId { id: OTHER_ID, folded: true };
        };
        if let Some(id) = list.find(text) {
            return ValueId { id, folded: false };
        }
        match list.admit(host, text) {
            Admission::Admitted { id, .. } => ValueId { id, folded: false },
            Admission::Full => ValueId { id: OTHER_ID, folded: true },
            Admission::Failed => {
                self.error(host, "shared_data");
                ValueId { id: OTHER_ID, folded: true }
            }
        }
    }

    /// The family of this name and labels, made where there is none.
    pub fn family(&mut self, host: &impl Host, definition: &Definition<'_>) -> usize {
        let labels: Vec<FamilyLabel> = definition
            .labels
            .iter()
            .map(|&(name, values, closed)| FamilyLabel { name: name.to_owned(), values, closed })
            .collect();
        let reserved: usize = labels
            .iter()
            .filter(|label| !label.closed)
            .filter_map(|label| self.values.get(label.values))
            .map(Values::reserved_len)
            .sum();
        let kept = KEPT_PER_VALUE * reserved;
        // The same metric with other labels is another family: its series are others.
        let names: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
        let full = format!("{}|{}", definition.name, names.join(","));
        let index = match self.family_names.get(&full) {
            Some(&index) => index,
            None => {
                self.families.push(Family {
                    name: definition.name.to_owned(),
                    kind: definition.kind,
                    labels: Vec::new(),
                    series: Series::new(&full, definition.max_series, kept),
                    count: Handle::default(),
                    overflow: vec![None; labels.len()],
                });
                self.family_names.insert(full, self.families.len() - 1);
                self.families.len() - 1
            }
        };
        let count = self.own(
            host,
            MetricKind::Gauge,
            "route_metrics_series",
            &[("metric", definition.name)],
        );
        let limit = self.own(
            host,
            MetricKind::Gauge,
            "route_metrics_series_limit",
            &[("metric", definition.name)],
        );
        limit.record(host, definition.max_series as u64);
        if let Some(family) = self.families.get_mut(index) {
            family.series.set_max(definition.max_series, kept);
            family.count = count;
            family.labels = labels;
        }
        if definition.labels.is_empty() {
            // It has one series, which can stand in the scrape from the start.
            self.touch(host, index);
        }
        index
    }

    fn touch(&mut self, host: &impl Host, index: usize) {
        if let Some(family) = self.families.get_mut(index) {
            family.handle(host, Key::default(), Claim::Rest, &mut self.name);
        }
    }

    /// Counts or observes in the series of these label values, which are in the order of the
    /// family's labels.
    #[inline]
    pub fn record(&mut self, host: &impl Host, index: usize, ids: &[ValueId], amount: Amount) {
        let Some(family) = self.families.get_mut(index) else { return };
        let mut plain = [0u32; crate::series::MAX_LABELS];
        let mut folded = 0u32;
        for (place, (to, from)) in plain.iter_mut().zip(ids).enumerate() {
            *to = from.id;
            folded |= u32::from(from.folded) << place;
        }
        let plain = plain.get(..ids.len()).unwrap_or_default();
        let key = Key::new(plain);
        let handle = match family.series.find(key) {
            Some(handle) => handle,
            None => self.meet(host, index, plain, &mut folded),
        };
        match amount {
            Amount::Add(by) => handle.add(host, by),
            Amount::Record(value) => handle.record(host, value),
        }
        if folded != 0 {
            self.overflow(host, index, folded);
        }
    }

    /// The way of a series that this VM has not used: into the list, or folded. First every open
    /// value that traffic made is folded, then everything.
    #[cold]
    fn meet(&mut self, host: &impl Host, index: usize, ids: &[u32], folded: &mut u32) -> Handle {
        let Self { values, families, name, .. } = self;
        let Some(family) = families.get_mut(index) else { return Handle::default() };
        let open = |label: &FamilyLabel, id: u32| {
            !label.closed
                && id != OTHER_ID
                && !values.get(label.values).is_some_and(|values| values.is_reserved(id))
        };
        let claim = if family.labels.iter().zip(ids).any(|(label, &id)| open(label, id)) {
            Claim::Open
        } else {
            Claim::Configured
        };
        let mut texts = Texts { values };
        if let Some(handle) = family.meet(host, ids, claim, &mut texts, name) {
            return handle;
        }
        let mut less = [OTHER_ID; crate::series::MAX_LABELS];
        for (place, (label, &id)) in family.labels.iter().zip(ids).enumerate() {
            let fold = open(label, id);
            *folded |= u32::from(fold) << place;
            if let Some(to) = less.get_mut(place) {
                *to = if fold { OTHER_ID } else { id };
            }
        }
        let less = less.get(..ids.len()).unwrap_or_default();
        if claim == Claim::Open
            && let Some(handle) = family.meet(host, less, Claim::Configured, &mut texts, name)
        {
            return handle;
        }
        for (place, &id) in ids.iter().enumerate() {
            *folded |= u32::from(id != OTHER_ID) << place;
        }
        let rest = [OTHER_ID; crate::series::MAX_LABELS];
        let rest = rest.get(..ids.len()).unwrap_or_default();
        family.meet(host, rest, Claim::Rest, &mut texts, name).unwrap_or_default()
    }

    /// Counts what a limit left out, by label. The filter's own metrics have no limit: they are as
    /// many as metrics and labels are configured.
    #[cold]
    fn overflow(&mut self, host: &impl Host, index: usize, folded: u32) {
        let count = self.families.get(index).map_or(0, |family| family.labels.len());
        for place in (0..count).filter(|place| folded >> place & 1 == 1) {
            let Some(family) = self.families.get(index) else { return };
            let handle = match family.overflow.get(place).copied().flatten() {
                Some(handle) => handle,
                None => self.overflow_handle(host, index, place),
            };
            handle.add(host, 1);
        }
    }

    fn overflow_handle(&mut self, host: &impl Host, index: usize, place: usize) -> Handle {
        let Some(family) = self.families.get(index) else { return Handle::default() };
        let metric = family.name.clone();
        let label = family.labels.get(place).map(|label| label.name.clone()).unwrap_or_default();
        let labels = [("metric", metric.as_str()), ("label", label.as_str())];
        let handle = self.own(host, MetricKind::Counter, "route_metrics_overflow_total", &labels);
        let slots = self.families.get_mut(index).map(|family| &mut family.overflow);
        if let Some(slot) = slots.and_then(|slots| slots.get_mut(place)) {
            *slot = Some(handle);
        }
        handle
    }

    /// A metric of the filter's own, defined when first asked for. The label values must be the
    /// filter's own words.
    pub fn own(
        &mut self,
        host: &impl Host,
        kind: MetricKind,
        metric: &str,
        labels: &[(&str, &str)],
    ) -> Handle {
        labels::stat_name(metric, labels.iter().copied(), &mut self.name);
        if let Some(&handle) = self.own.get(&self.name) {
            return handle;
        }
        let handle = define(host, kind, &self.name);
        self.own.insert(self.name.clone(), handle);
        handle
    }

    /// Counts something that the host refused, under `route_metrics_errors_total`.
    #[cold]
    pub fn error(&mut self, host: &impl Host, reason: &str) {
        self.own(host, MetricKind::Counter, "route_metrics_errors_total", &[("reason", reason)])
            .add(host, 1);
    }
}

struct Texts<'a> {
    values: &'a [Values],
}

impl Family {
    fn meet(
        &mut self,
        host: &impl Host,
        ids: &[u32],
        claim: Claim,
        texts: &mut Texts<'_>,
        name: &mut String,
    ) -> Option<Handle> {
        let key = Key::new(ids);
        if let Some(handle) = self.series.find(key) {
            return Some(handle);
        }
        match self.series.admit(host, key, claim) {
            Admission::Admitted { new, .. } => {
                if new {
                    self.count.change(host, 1);
                }
                let pairs = self.labels.iter().zip(ids).map(|(label, &id)| {
                    let text = texts.values.get(label.values).map_or(OTHER, |v| v.text(id));
                    (label.name.as_str(), text)
                });
                labels::stat_name(&self.name, pairs, name);
                let handle = define(host, self.kind, name);
                self.series.keep(key, handle);
                Some(handle)
            }
            Admission::Full | Admission::Failed if claim != Claim::Rest => None,
            // Nothing is dropped: without shared data the rest is counted all the same.
            Admission::Full | Admission::Failed => {
                let pairs = self.labels.iter().map(|label| (label.name.as_str(), OTHER));
                labels::stat_name(&self.name, pairs, name);
                let handle = define(host, self.kind, name);
                self.series.keep(key, handle);
                Some(handle)
            }
        }
    }

    fn handle(&mut self, host: &impl Host, key: Key, claim: Claim, name: &mut String) {
        if self.series.find(key).is_none() {
            let ids = [];
            self.meet(host, &ids, claim, &mut Texts { values: &[] }, name);
        }
    }
}

fn define(host: &impl Host, kind: MetricKind, name: &str) -> Handle {
    let id = host.define_metric(kind, name);
    if id.is_none() {
        host.log(LogLevel::Warn, &format!("the host refused to define {name}"));
    }
    Handle(id)
}
