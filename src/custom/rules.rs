//! Custom metrics of requests: which rules a request matches, and what it adds to their metrics.
//!
//! Methods, endpoints and response codes are looked up once per request, each giving the set of
//! rules that it leaves; only what stands in all three sets is looked at closer. So fifty rules
//! cost about as much as one, and a request that matches none costs three look-ups and reads
//! nothing from the host.

use hashbrown::HashMap;

use crate::custom::CustomPlan;
use crate::custom::number::{MAX_INCREMENT, Number};
use crate::host::{Host, MetricKind};
use crate::labels::OTHER;
use crate::labels::source::{LabelPlan, SourcePlan};
use crate::labels::value::{self, Buffers, Facts};
use crate::request::method;
use crate::request::status::Statuses;
use crate::series::registry::{Amount, Definition, Registry, ValueId};

/// A custom metric of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The metric.
    pub metric: CustomPlan,
    /// What a matching request adds, sets or observes.
    pub value: ValuePlan,
    /// Conditions on headers.
    pub headers: Vec<HeaderCondition>,
}

/// The conditions of a rule that are looked up; an empty list is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Methods, as they are sent, and [`OTHER`] for those without a label of their own.
    pub methods: Vec<String>,
    /// Endpoints, as they stand in the label.
    pub endpoints: Vec<String>,
    /// Response codes.
    pub statuses: Statuses,
}

/// A condition on a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderCondition {
    /// Which header.
    pub header: HeaderPlace,
    /// Its value; `None` for any.
    pub value: Option<String>,
}

/// Where the header of a condition is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderPlace {
    /// By its place in [`crate::plan::Plan::request_headers`].
    Request(usize),
    /// By its place in [`crate::plan::Plan::response_headers`].
    Response(usize),
}

/// What a matching request adds, sets or observes.
#[derive(Clone, Debug, PartialEq)]
pub enum ValuePlan {
    /// This number.
    Fixed(u64),
    /// Milliseconds to the end of the stream, multiplied by this.
    DurationMs(f64),
    /// Bytes of the request body, multiplied by this.
    RequestSize(f64),
    /// Bytes of the response body, multiplied by this.
    ResponseSize(f64),
    /// A number in a header or parameter, multiplied by this.
    Text(SourcePlan, f64),
}

/// A set of rules, a bit for each.
type Set = Box<[u64]>;

/// The rules of a configuration.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    methods: Vec<(Box<[u8]>, Set)>,
    other_methods: Set,
    /// By place among the configured endpoints.
    configured: Vec<Set>,
    endpoints: HashMap<Box<[u8]>, Set>,
    other_endpoints: Set,
    statuses: Vec<Set>,
    /// By response code: its place in `statuses`.
    status_of: Vec<u16>,
}

/// Response codes are below this.
const CODES: u16 = 1000;

impl Rules {
    /// Indexes rules. `endpoints` are the configured ones.
    #[must_use]
    pub fn new(rules: Vec<(Rule, Conditions)>, endpoints: &[String]) -> Self {
        let (rules, conditions): (Vec<Rule>, Vec<Conditions>) = rules.into_iter().unzip();
        let words = rules.len().div_ceil(64);
        let set = |holds: &dyn Fn(&Conditions) -> bool| -> Set {
            let mut set = vec![0u64; words];
            for (index, _) in conditions.iter().enumerate().filter(|(_, c)| holds(c)) {
                if let Some(word) = set.get_mut(index / 64) {
                    *word |= 1 << (index % 64);
                }
            }
            set.into()
        };
        let has = |list: &[String], text: &str| list.is_empty() || list.iter().any(|t| t == text);
        let mut methods: Vec<(Box<[u8]>, Set)> = Vec::new();
        for name in conditions.iter().flat_map(|c| &c.methods).filter(|name| *name != OTHER) {
            if !methods.iter().any(|(known, _)| **known == *name.as_bytes()) {
                let other = method::label(name.as_bytes()) == OTHER;
                let matching = set(&|c: &Conditions| {
                    has(&c.methods, name) || (other && c.methods.iter().any(|m| m == OTHER))
                });
                methods.push((name.as_bytes().into(), matching));
            }
        }
        let other_methods = set(&|c: &Conditions| has(&c.methods, OTHER));
        // A method of the closed set that no rule names is not `_OTHER`.
        let no_method = set(&|c: &Conditions| c.methods.is_empty());
        for name in method::ALL {
            if !methods.iter().any(|(known, _)| **known == *name.as_bytes()) {
                methods.push((name.as_bytes().into(), no_method.clone()));
            }
        }
        let endpoint_set = |text: &str| set(&|c: &Conditions| has(&c.endpoints, text));
        let named = conditions.iter().flat_map(|c| &c.endpoints);
        let by_text = named.map(|text| (text.as_bytes().into(), endpoint_set(text))).collect();
        let mut statuses: Vec<Set> = Vec::new();
        let mut status_of = Vec::with_capacity(usize::from(CODES));
        for code in 0..CODES {
            let matching =
                set(&|c: &Conditions| c.statuses.is_empty() || c.statuses.contains(code));
            let place = statuses.iter().position(|known| *known == matching).unwrap_or_else(|| {
                statuses.push(matching);
                statuses.len() - 1
            });
            status_of.push(u16::try_from(place).unwrap_or(0));
        }
        Self {
            methods,
            other_methods,
            configured: endpoints.iter().map(|text| endpoint_set(text)).collect(),
            endpoints: by_text,
            other_endpoints: set(&|c: &Conditions| c.endpoints.is_empty()),
            statuses,
            status_of,
            rules,
        }
    }

    /// The rules, in the order of the configuration.
    #[must_use]
    pub fn all(&self) -> &[Rule] {
        &self.rules
    }

    /// Puts the rules that method, endpoint and code leave into `out`, by their places. `place` is
    /// that of a configured endpoint.
    fn candidates(
        &self,
        method: &[u8],
        endpoint: &[u8],
        place: Option<usize>,
        code: u16,
        out: &mut Vec<usize>,
    ) {
        out.clear();
        let methods = self.methods.iter().find(|(name, _)| **name == *method);
        let methods = methods.map_or(&self.other_methods, |(_, set)| set);
        let endpoints = match place {
            Some(place) => self.configured.get(place),
            None => self.endpoints.get(endpoint),
        };
        let endpoints = endpoints.unwrap_or(&self.other_endpoints);
        let status = self.status_of.get(usize::from(code)).copied().unwrap_or(0);
        let Some(statuses) = self.statuses.get(usize::from(status)) else { return };
        let words = methods.iter().zip(endpoints.iter()).zip(statuses.iter());
        for (word, ((methods, endpoints), statuses)) in words.enumerate() {
            let mut left = methods & endpoints & statuses;
            while left != 0 {
                out.push(word * 64 + left.trailing_zeros() as usize);
                left &= left - 1;
            }
        }
    }
}

/// What was defined for a custom metric.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// The family in the registry.
    pub family: usize,
    /// The lists of values of its labels.
    pub values: Vec<usize>,
}

/// Defines a custom metric. Values of labels are cut at `max` characters.
pub fn define(
    host: &impl Host,
    registry: &mut Registry,
    metric: &CustomPlan,
    endpoints: &[String],
    max: usize,
) -> Family {
    let mut values = Vec::new();
    for label in &metric.labels {
        values.push(label_values(host, registry, label, endpoints, max).0);
    }
    let labels = metric.labels.iter().zip(&values);
    let labels = labels.map(|(l, &list)| (l.name.as_str(), list, l.source.is_closed()));
    let definition = Definition {
        name: &metric.name,
        kind: metric.kind,
        labels: labels.collect(),
        max_series: metric.max_series,
    };
    Family { family: registry.family(host, &definition), values }
}

/// The list of values of a label, with places for what configuration names; and the ids of the
/// configured endpoints, where they stand in it as they are.
pub fn label_values(
    host: &impl Host,
    registry: &mut Registry,
    label: &LabelPlan,
    endpoints: &[String],
    max: usize,
) -> (usize, Vec<ValueId>) {
    let earned = label.source.is_open() && label.choice.listed.is_none();
    let list = registry.values(host, &label.values, label.max_values, earned);
    let mut ids = Vec::new();
    let mut reserve = |text: &str| registry.reserve(host, list, &value::encoded(text, max));
    if label.choice.listed.is_some() {
        label.choice.fixed_values().for_each(|text| {
            reserve(text);
        });
    } else if !label.hash {
        match &label.source {
            SourcePlan::Endpoint => {
                reserve(crate::labels::UNMATCHED);
                ids = endpoints.iter().map(|endpoint| reserve(endpoint)).collect();
            }
            SourcePlan::Constant(text) => {
                reserve(text);
            }
            _ => {}
        }
    }
    (list, ids)
}

/// What counts of a request for its rules.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// The place of the endpoint, if it is a configured one.
    pub endpoint: Option<usize>,
    /// What it adds to a counter.
    pub weight: u64,
    /// Whether it is in the uniform sample, so that histograms take it.
    pub in_sample: bool,
}

/// Buffers that are used again for every request.
#[derive(Default)]
pub struct Scratch {
    matching: Vec<usize>,
}

/// Records a request under every rule that it matches; each has what was defined for it.
pub fn record(
    host: &impl Host,
    registry: &mut Registry,
    (rules, families): (&Rules, &[Family]),
    facts: &mut Facts<'_>,
    measured: Measured,
    scratch: &mut Scratch,
    buffers: &mut Buffers,
) {
    let code = facts.outcome.code(host);
    let mut matching = std::mem::take(&mut scratch.matching);
    let (method, place) = (facts.kept.method(), measured.endpoint);
    rules.candidates(method, facts.endpoint, place, code, &mut matching);
    for &index in &matching {
        let (Some(rule), Some(family)) = (rules.rules.get(index), families.get(index)) else {
            continue;
        };
        if rule.metric.kind == MetricKind::Histogram && !measured.in_sample {
            continue;
        }
        let headers_match = rule.headers.iter().all(|condition| {
            let found = match condition.header {
                HeaderPlace::Request(at) => facts.kept.header(at),
                HeaderPlace::Response(at) => facts.outcome.header(host, facts.response_headers, at),
            };
            match (found, &condition.value) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(found), Some(value)) => found == value.as_bytes(),
            }
        });
        if !headers_match {
            continue;
        }
        let value = match amount(host, rule, facts, buffers) {
            Ok(Some(value)) => value,
            Ok(None) => continue,
            Err(_) => {
                registry.error(host, "value");
                continue;
            }
        };
        let amount = match rule.metric.kind {
            MetricKind::Counter => {
                Amount::Add(value.saturating_mul(measured.weight).min(MAX_INCREMENT))
            }
            _ => Amount::Record(value),
        };
        let mut ids = [ValueId { id: 0, folded: false }; crate::series::MAX_LABELS];
        let labels = rule.metric.labels.iter().zip(&family.values);
        for (to, (label, &list)) in ids.iter_mut().zip(labels) {
            *to = registry.value(host, list, facts.value(host, label, buffers));
        }
        let ids = ids.get(..rule.metric.labels.len()).unwrap_or_default();
        registry.record(host, family.family, ids, amount);
    }
    scratch.matching = matching;
}

/// What a request adds, sets or observes; `None` where the source is absent.
fn amount(
    host: &impl Host,
    rule: &Rule,
    facts: &mut Facts<'_>,
    buffers: &mut Buffers,
) -> Result<Option<u64>, &'static str> {
    #[expect(clippy::cast_precision_loss, reason = "it is rounded all the same")]
    let (number, scale) = match &rule.value {
        ValuePlan::Fixed(value) => return Ok(Some(*value)),
        ValuePlan::DurationMs(scale) => {
            (Number::Real(facts.outcome.duration_ns(host) as f64 / 1e6), *scale)
        }
        ValuePlan::RequestSize(scale) => (Number::Whole(facts.outcome.request_size(host)), *scale),
        ValuePlan::ResponseSize(scale) => (Number::Whole(facts.response_size(host)), *scale),
        ValuePlan::Text(source, scale) => {
            let Some(text) = facts.source_text(host, source, buffers) else { return Ok(None) };
            (Number::parse(text).ok_or("is not a number")?, *scale)
        }
    };
    number.amount(rule.metric.kind, scale).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;
    use proptest::prelude::*;

    fn rule() -> Rule {
        let metric = CustomPlan {
            name: "m".to_owned(),
            kind: MetricKind::Counter,
            labels: Vec::new(),
            max_series: 10,
        };
        Rule { metric, value: ValuePlan::Fixed(1), headers: Vec::new() }
    }

    /// What [`Rules::candidates`] must find, rule by rule.
    fn one_by_one(
        conditions: &[Conditions],
        method: &str,
        endpoint: &str,
        code: u16,
    ) -> Vec<usize> {
        let holds = |c: &Conditions| {
            let methods = c.methods.is_empty()
                || c.methods.iter().any(|m| m == method)
                || (method::label(method.as_bytes()) == OTHER
                    && c.methods.iter().any(|m| m == OTHER));
            let endpoints = c.endpoints.is_empty() || c.endpoints.iter().any(|e| e == endpoint);
            methods && endpoints && (c.statuses.is_empty() || c.statuses.contains(code))
        };
        (0..conditions.len()).filter(|&index| holds(&conditions[index])).collect()
    }

    fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(proptest::sample::select(of), 0..3)
            .prop_map(|list| list.into_iter().map(str::to_owned).collect())
    }

    fn conditions() -> impl Strategy<Value = Conditions> {
        let methods = some(&["GET", "POST", "PURGE", OTHER]);
        let endpoints = some(&["/a", "/b/{id}", "/c", "_UNMATCHED"]);
        let statuses = some(&["200", "2xx", "404", "5xx", "0"]);
        (methods, endpoints, statuses).prop_map(|(methods, endpoints, texts)| {
            let mut statuses = Statuses::default();
            assert!(texts.iter().all(|text| statuses.insert_text(text)));
            Conditions { methods, endpoints, statuses }
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_what_looking_at_each_rule_finds(
            conditions in proptest::collection::vec(conditions(), 0..150),
            method in proptest::sample::select(&["GET", "POST", "PUT", "PURGE", "BREW", "get", ""][..]),
            endpoint in proptest::sample::select(&["/a", "/b/{id}", "/c", "/d", "_UNMATCHED"][..]),
            code in proptest::sample::select(&[0u16, 200, 204, 404, 500, 999][..]),
        ) {
            let configured = ["/a".to_owned(), "/b/{id}".to_owned()];
            let rules = conditions.iter().map(|c| (rule(), c.clone())).collect();
            let rules = Rules::new(rules, &configured);
            let place = configured.iter().position(|e| e == endpoint);
            let mut found = vec![77];
            rules.candidates(method.as_bytes(), endpoint.as_bytes(), place, code, &mut found);
            prop_assert_eq!(found, one_by_one(&conditions, method, endpoint, code));
        }
    }
}
