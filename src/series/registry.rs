//! From label values to the host's metrics.
//!
//! One registry per VM: it outlives configurations, because the host gives a new id for every
//! definition and never forgets one. A request's way through it is a hash of small integers; the
//! host is asked only for a series that this VM has not used before and that has its place.

use hashbrown::HashMap;

use super::family::{Budget, Family, FamilyLabel, Meeting};
use super::handle::define;
use super::limits::{Limit, Limits};
use super::list::List;
use super::{Admission, Claim, Key, MAX_LABELS, OTHER_ID, Series, Shapes, Values};
use crate::host::{Host, LogLevel, MetricKind};
use crate::labels::{self, OTHER};
use crate::secret::Secret;

pub use super::handle::{Amount, Handle};

/// Places kept for each configured value, when traffic makes series of its own.
const KEPT_PER_VALUE: usize = 16;

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
    /// Whether it stands for a value that a limit left out, or that waits for a place.
    pub folded: bool,
}

/// All label values and metrics of this VM.
#[derive(Default)]
pub struct Registry {
    lists: Vec<List>,
    list_names: HashMap<String, usize>,
    budgets: Vec<Budget>,
    budget_names: HashMap<String, usize>,
    families: Vec<Family>,
    own: HashMap<String, Handle>,
    name: String,
    secret: Secret,
    /// The configuration that is being defined.
    owner: u32,
}

impl Registry {
    /// What is defined from now on belongs to this configuration, whose former limits are
    /// forgotten. The secret is for hashes of what clients send; it should be that of all workers.
    pub fn configure(&mut self, owner: u32, secret: Secret) {
        (self.owner, self.secret) = (owner, secret);
        self.lists.iter_mut().for_each(|list| list.limits.release(owner));
        self.budgets.iter_mut().for_each(|budget| budget.limits.release(owner));
    }

    /// A configuration is gone, and with it its limits: where other configurations have larger
    /// ones, those hold now.
    pub fn release(&mut self, host: &impl Host, owner: u32) {
        for list in &mut self.lists {
            list.limits.release(owner);
            list.limit(host);
        }
        for budget in &mut self.budgets {
            budget.limits.release(owner);
            budget.limit(host);
        }
    }

    /// The list of values of this name, made where there is none. [`OTHER`] has its place in it.
    /// Where traffic can make up values, their places must be `earned`.
    pub fn values(&mut self, host: &impl Host, name: &str, max: usize, earned: bool) -> usize {
        let index = match self.list_names.get(name) {
            Some(&index) => index,
            None => {
                self.lists.push(List {
                    name: name.to_owned(),
                    values: Values::new(name, max, earned, self.secret),
                    limits: Limits::default(),
                    brought: 0,
                    waiting: 0,
                    gauges: None,
                });
                self.list_names.insert(name.to_owned(), self.lists.len() - 1);
                self.lists.len() - 1
            }
        };
        if earned {
            self.list_gauges(host, index);
        }
        let limit = Limit { owner: self.owner, max, kept: 0 };
        if let Some(list) = self.lists.get_mut(index) {
            list.limits.add(limit);
            list.limit(host);
        }
        self.reserve(host, index, OTHER);
        index
    }

    /// Defines what is told of a list whose places must be earned.
    fn list_gauges(&mut self, host: &impl Host, index: usize) {
        let Some(list) = self.lists.get_mut(index).filter(|list| list.gauges.is_none()) else {
            return;
        };
        list.values.set_earned();
        let name = std::mem::take(&mut list.name);
        let labels: &[_] = match name.split_once('/') {
            Some((metric, label)) => &[("metric", metric), ("label", label)],
            None => &[("label", name.as_str())],
        };
        let gauges =
            ["route_metrics_values", "route_metrics_values_limit", "route_metrics_values_waiting"]
                .map(|metric| self.own(host, MetricKind::Gauge, metric, labels));
        if let Some(list) = self.lists.get_mut(index) {
            gauges[0].change(host, list.brought);
            list.gauges = Some(gauges);
            list.name = name;
        }
    }

    /// Gives a configured value its place in a list, whatever the limit.
    pub fn reserve(&mut self, host: &impl Host, values: usize, text: &str) -> ValueId {
        let admission = match self.lists.get_mut(values) {
            Some(list) => list.admitted(host, |values| values.reserve(host, text)),
            None => Admission::Failed,
        };
        self.value_id(host, admission)
    }

    /// The id of a label value; that of [`OTHER`] where it has no place.
    #[inline]
    pub fn value(&mut self, host: &impl Host, values: usize, text: &str) -> ValueId {
        let Some(list) = self.lists.get_mut(values) else {
            return ValueId { id: OTHER_ID, folded: true };
        };
        if let Some(id) = list.values.find(text) {
            return ValueId { id, folded: false };
        }
        let admission = list.admitted(host, |values| values.admit(host, text));
        self.value_id(host, admission)
    }

    fn value_id(&mut self, host: &impl Host, admission: Admission) -> ValueId {
        match admission {
            Admission::Admitted { id, .. } => return ValueId { id, folded: false },
            Admission::Failed => self.error(host, "shared_data"),
            Admission::Full | Admission::Waiting => {}
        }
        ValueId { id: OTHER_ID, folded: true }
    }

    /// Whether a value has its place in a list, as far as this VM knows. Does not ask the host.
    pub fn knows(&mut self, values: usize, text: &str) -> bool {
        self.lists.get_mut(values).is_some_and(|list| list.values.knows(text))
    }

    /// The family of this name, kind and labels, made where there is none.
    pub fn family(&mut self, host: &impl Host, definition: &Definition<'_>) -> usize {
        let &Definition { name, kind, max_series, .. } = definition;
        let labels: Vec<FamilyLabel> = definition
            .labels
            .iter()
            .map(|&(name, values, closed)| FamilyLabel { name: name.to_owned(), values, closed })
            .collect();
        let reserved: usize = labels
            .iter()
            .filter(|label| !label.closed)
            .filter_map(|label| self.lists.get(label.values))
            .map(|list| list.values.reserved_len())
            .sum();
        let limit = Limit { owner: self.owner, max: max_series, kept: KEPT_PER_VALUE * reserved };
        let place = self.budget(host, name, limit);
        let Self { lists, budgets, families, .. } = self;
        let Some(budget) = budgets.get_mut(place) else { return usize::MAX };
        let pairs = labels.iter().map(|label| {
            let list = lists.get(label.values).map_or("", |list| &list.name);
            (label.name.as_str(), list)
        });
        let shape = budget.shapes.number(host, kind, pairs);
        let same = |family: &Family| family.budget == place && family.shape == shape;
        let index = families.iter().position(same).unwrap_or_else(|| {
            if let Some(other) = families.iter().find(|f| f.budget == place && f.kind != kind) {
                let message = format!(
                    "{name} was a {} until now and is a {}: Envoy keeps what was counted as the \
                     former under the same name until it starts anew; use another name",
                    other.kind.word(),
                    kind.word()
                );
                host.log(LogLevel::Warn, &message);
            }
            families.push(Family {
                name: name.to_owned(),
                kind,
                overflow: vec![None; labels.len()],
                labels,
                budget: place,
                shape,
                rest: None,
            });
            families.len() - 1
        });
        if definition.labels.is_empty() {
            // It has one series, which can stand in the scrape from the start.
            self.record(host, index, &[], Amount::Add(0));
        }
        index
    }

    /// The budget of a metric, made where there is none, with one more limit.
    fn budget(&mut self, host: &impl Host, metric: &str, limit: Limit) -> usize {
        let index = match self.budget_names.get(metric) {
            Some(&index) => index,
            None => {
                let gauges = ["route_metrics_series", "route_metrics_series_limit"]
                    .map(|own| self.own(host, MetricKind::Gauge, own, &[("metric", metric)]));
                self.budgets.push(Budget {
                    series: Series::new(metric, limit.max, limit.kept),
                    shapes: Shapes::new(metric),
                    limits: Limits::default(),
                    gauges,
                });
                self.budget_names.insert(metric.to_owned(), self.budgets.len() - 1);
                self.budgets.len() - 1
            }
        };
        if let Some(budget) = self.budgets.get_mut(index) {
            budget.limits.add(limit);
            budget.limit(host);
        }
        index
    }

    /// Counts or observes in the series of these label values, which are in the order of the
    /// family's labels.
    #[inline]
    pub fn record(&mut self, host: &impl Host, index: usize, ids: &[ValueId], amount: Amount) {
        let Some(family) = self.families.get(index) else { return };
        let Some(budget) = self.budgets.get(family.budget) else { return };
        let mut plain = [0u32; MAX_LABELS];
        let mut folded = 0u32;
        for (place, (to, from)) in plain.iter_mut().zip(ids).enumerate() {
            *to = from.id;
            folded |= u32::from(from.folded) << place;
        }
        let plain = plain.get(..ids.len()).unwrap_or_default();
        let handle = match budget.series.find(Key::new(plain).of_shape(family.shape)) {
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
        let Self { lists, budgets, families, name, secret, .. } = self;
        let Some(family) = families.get_mut(index) else { return Handle::default() };
        let Some(budget) = budgets.get_mut(family.budget) else { return Handle::default() };
        let open = |label: &FamilyLabel, id: u32| {
            !label.closed
                && id != OTHER_ID
                && !lists.get(label.values).is_some_and(|list| list.values.is_reserved(id))
        };
        let claim = if family.labels.iter().zip(ids).any(|(label, &id)| open(label, id)) {
            Claim::Open
        } else {
            Claim::Configured
        };
        let mut meeting = Meeting { host, budget, lists, name, secret: *secret };
        if let Some(handle) = meeting.series(family, ids, claim) {
            return handle;
        }
        let mut less = [OTHER_ID; MAX_LABELS];
        for (place, (label, &id)) in family.labels.iter().zip(ids).enumerate() {
            let fold = open(label, id);
            *folded |= u32::from(fold) << place;
            if let Some(to) = less.get_mut(place) {
                *to = if fold { OTHER_ID } else { id };
            }
        }
        let less = less.get(..ids.len()).unwrap_or_default();
        if claim == Claim::Open
            && let Some(handle) = meeting.series(family, less, Claim::Configured)
        {
            return handle;
        }
        for (place, &id) in ids.iter().enumerate() {
            *folded |= u32::from(id != OTHER_ID) << place;
        }
        let rest = [OTHER_ID; MAX_LABELS];
        let rest = rest.get(..ids.len()).unwrap_or_default();
        meeting.series(family, rest, Claim::Rest).unwrap_or_else(|| meeting.rest(family))
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

    /// Exchanges with the other workers what has a place and what waits for one, where something
    /// does. To be called about once a second.
    pub fn exchange(&mut self, host: &impl Host) {
        for list in &mut self.lists {
            list.values.exchange(host);
            let waiting = list.values.waiting();
            if let Some([.., gauge]) = list.gauges
                && std::mem::replace(&mut list.waiting, waiting) != waiting
            {
                gauge.record(host, waiting as u64);
            }
        }
        for budget in &mut self.budgets {
            budget.series.exchange(host);
        }
    }
}
