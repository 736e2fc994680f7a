//! What Envoy makes of the stat names of a filter, and what must hold of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use route_metrics::host::MetricKind;
use route_metrics::host::recorder::{Recorded, Recorder};
use route_metrics::labels;
use route_metrics::plan::OWN_LABELS;
use route_metrics::plan::{CustomPlan, Plan};

/// Unanchored expressions of Istio's bootstrap and of Envoy's own tags, none of which may see
/// anything in a name of the filter's; each with a text that is in whatever it matches.
const FOREIGN: [(&str, &str); 8] = [
    ("cache.", r"(cache\.(.+?)\.)"),
    ("component.", r"(component\.(.+?)\.)"),
    ("tag.", r"(tag\.(.+?);\.)"),
    ("wasm_filter.", r"(wasm_filter\.(.+?)\.)"),
    ("rbac.", r"rbac(\.(allowed|denied))"),
    (".istio_dry_run_", r"(\.istio_dry_run_(allow|deny)_)"),
    (".shadow_", r"(\.shadow_(allowed|denied))"),
    ("_rq_", r"_rq(_(\d{3}))$"),
];

/// The filter's own families.
const OWN: [(&str, &[&str]); 8] = [
    ("route_metrics_build_info", &["version"]),
    ("route_metrics_series", &["metric"]),
    ("route_metrics_series_limit", &["metric"]),
    ("route_metrics_overflow_total", &["metric", "label"]),
    ("route_metrics_requests_total", &["decision"]),
    ("route_metrics_sample_rate_ppm", &[]),
    ("route_metrics_events_total", &["outcome"]),
    ("route_metrics_errors_total", &["reason"]),
];

/// A family that a plan means to make.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// Its labels in their order.
    pub labels: Vec<String>,
    /// How many series it may have.
    pub max_series: usize,
    /// How many values each label may have.
    pub max_values: Vec<usize>,
    /// Whether it is a histogram.
    pub is_histogram: bool,
}

fn custom(metric: &CustomPlan) -> Family {
    Family {
        name: metric.name.clone(),
        labels: metric.labels.iter().map(|label| label.name.clone()).collect(),
        max_series: metric.max_series,
        max_values: metric.labels.iter().map(|label| label.max_values).collect(),
        is_histogram: metric.kind == MetricKind::Histogram,
    }
}

/// The families that applications report.
pub fn reported(plan: &Plan) -> Vec<Family> {
    plan.events.metrics.iter().map(|declared| custom(&declared.metric)).collect()
}

/// All families of a plan but the filter's own and the gauge.
pub fn families(plan: &Plan) -> Vec<Family> {
    let of_requests = plan.metrics.iter().map(|metric| {
        let labels: Vec<_> = metric.labels.iter().map(|&place| &plan.labels[place]).collect();
        Family {
            name: metric.name.clone(),
            labels: labels.iter().map(|label| label.name.clone()).collect(),
            max_series: metric.max_series,
            max_values: labels.iter().map(|label| label.max_values).collect(),
            is_histogram: metric.kind == MetricKind::Histogram,
        }
    });
    let rules = plan.rules.all().iter().map(|rule| custom(&rule.metric));
    of_requests.chain(rules).chain(reported(plan)).collect()
}

fn with_regex<T>(expression: &str, use_it: impl FnOnce(&Regex) -> T) -> T {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<String, Regex>> = const { RefCell::new(BTreeMap::new()) };
    }
    KNOWN.with_borrow_mut(|known| {
        if !known.contains_key(expression) {
            let regex = Regex::new(expression).expect("an expression of Envoy's or the filter's");
            known.insert(expression.to_owned(), regex);
        }
        use_it(&known[expression])
    })
}

/// A stat name taken apart as Envoy does with the tag expressions of these labels: what is left of
/// the name, and the labels in the order in which they stand.
pub fn taken_apart<'a>(
    stat: &str,
    labels: impl Iterator<Item = &'a str>,
) -> (String, Vec<(&'a str, String)>) {
    let mut found: Vec<(usize, usize, &str, String)> = labels
        .filter(|label| stat.contains(*label))
        .filter_map(|label| {
            with_regex(&labels::tag_regex(label), |regex| {
                let captures = regex.captures(stat)?;
                let (all, value) = (captures.get(1)?, captures.get(2)?);
                Some((all.start(), all.end(), label, value.as_str().to_owned()))
            })
        })
        .collect();
    found.sort();
    let mut rest = String::new();
    let mut end = 0;
    for (start, after, ..) in &found {
        assert!(*start >= end, "two labels overlap in {stat:?}");
        rest.push_str(&stat[end..*start]);
        end = *after;
    }
    rest.push_str(&stat[end..]);
    // Envoy cuts a dot at the end.
    let rest = rest.trim_end_matches('.').to_owned();
    (rest, found.into_iter().map(|(_, _, label, value)| (label, value)).collect())
}

/// Checks every stat of a host whose filter has this plan: a scrape shows exactly the labels that
/// are meant, with values of printable ASCII within their bounds, and no limit is passed.
pub fn check(host: &Recorder, plan: &Plan) {
    let families = families(plan);
    let mut all: BTreeSet<&str> = OWN_LABELS.into();
    all.extend(families.iter().flat_map(|family| &family.labels).map(String::as_str));
    for family in &families {
        let wanted: Vec<&str> = family.labels.iter().map(String::as_str).collect();
        let stats = host.family(&family.name);
        assert!(
            stats.len() <= family.max_series,
            "{} has {} series, {} are allowed",
            family.name,
            stats.len(),
            family.max_series
        );
        let mut values = vec![BTreeSet::new(); wanted.len()];
        for (stat, _) in &stats {
            let read = check_name(stat, &family.name, &wanted, &all, plan.max_value_length);
            for (values, value) in values.iter_mut().zip(read) {
                values.insert(value);
            }
        }
        for (place, values) in values.iter().enumerate() {
            assert!(
                values.len() <= family.max_values[place],
                "{}: {} has {} values, {} are allowed",
                family.name,
                wanted[place],
                values.len(),
                family.max_values[place]
            );
        }
    }
    for (name, wanted) in OWN {
        for (stat, _) in host.family(name) {
            check_name(&stat, name, wanted, &all, usize::MAX);
        }
    }
}

/// Checks one stat name, and gives the values of its labels.
fn check_name(
    stat: &str,
    family: &str,
    wanted: &[&str],
    all: &BTreeSet<&str>,
    max: usize,
) -> Vec<String> {
    let printable = stat.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    assert!(printable, "{stat:?} has bytes that are not printable");
    let (rest, read) = taken_apart(stat, all.iter().copied());
    assert_eq!(rest, family, "what is left of {stat:?}");
    let names: Vec<&str> = read.iter().map(|(label, _)| *label).collect();
    assert_eq!(names, wanted, "the labels of {stat:?}");
    for (label, value) in &read {
        assert!(value.len() <= max, "{label} of {stat:?} is longer than {max}");
    }
    let mut again = String::new();
    let pairs = read.iter().map(|(label, value)| (*label, value.as_str()));
    labels::stat_name(family, pairs, &mut again);
    assert_eq!(again, stat, "the values read back are not those put in");
    for (text, foreign) in FOREIGN {
        let seen = stat.contains(text) && with_regex(foreign, |regex| regex.is_match(stat));
        assert!(!seen, "{foreign} sees something in {stat:?}");
    }
    read.into_iter().map(|(_, value)| value).collect()
}

/// The value of a counter or gauge of the filter's own, 0 where it is not there.
pub fn own(host: &Recorder, kind: MetricKind, name: &str, label: Option<(&str, &str)>) -> u64 {
    let mut stat = String::new();
    labels::stat_name(name, label.into_iter(), &mut stat);
    host.metric(kind, &stat).map_or(0, |recorded| recorded.value)
}

/// The sum over a family.
pub fn sum(host: &Recorder, family: &str) -> u64 {
    host.family(family).iter().map(|(_, recorded): &(String, Recorded)| recorded.value).sum()
}

/// How often series of a family were changed.
pub fn changes(host: &Recorder, family: &str) -> u64 {
    host.family(family).iter().map(|(_, recorded)| recorded.count).sum()
}
