//! Requests with known endpoints, and how well labels group them.

use std::collections::HashMap;
use std::path::Path;

use route_metrics::config::{self, InferenceMode};
use route_metrics::endpoint::{CanonicalPath, Inference};
use serde_json::Value;

/// A request: its path, the number of its template (`None` for a scanner's), whether it is learned from.
pub struct Request {
    pub path: String,
    pub template: Option<usize>,
    pub counts: bool,
}

/// The requests of one API.
pub struct Corpus {
    /// The name of the file, without its extension.
    pub name: String,
    pub requests: Vec<Request>,
    /// The fixed segments of each template: `None` where there is a parameter.
    pub templates: Vec<Vec<Option<String>>>,
    /// Requests before this one are not scored.
    pub from: usize,
}

/// How well labels group requests. All are shares but `labels`, the labels for each template.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quality {
    pub accuracy: f64,
    pub f1: f64,
    pub labels: f64,
    pub kept: f64,
}

impl Corpus {
    /// Reads a file of requests, one JSON object with `path`, `template` and perhaps `status` in
    /// each line. Of traffic, which has statuses and scanners, the first half is not scored.
    pub fn read(file: &Path) -> Self {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let ignored = config::Endpoint::default().ignore_statuses;
        let (mut numbers, mut templates) = (HashMap::new(), Vec::new());
        let (mut has_status, mut is_real) = (false, false);
        let mut requests = Vec::new();
        for line in text.lines() {
            let value: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{file:?}: {error}"));
            let status = value["status"].as_u64().map(|status| status as u16);
            has_status |= status.is_some();
            is_real |= value.get("route").is_some();
            let template = value["template"].as_str().map(|template| {
                *numbers.entry(template.to_owned()).or_insert_with(|| {
                    let fixed = |it: &str| (!it.contains('{')).then(|| it.to_lowercase());
                    templates.push(
                        template.trim_end_matches('/').split('/').skip(1).map(fixed).collect(),
                    );
                    templates.len() - 1
                })
            });
            requests.push(Request {
                path: value["path"].as_str().unwrap_or_default().to_owned(),
                template,
                counts: !status.is_some_and(|status| ignored.contains(&status)),
            });
        }
        let from = if has_status && !is_real { requests.len() / 2 } else { 0 };
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, requests, templates, from }
    }

    /// The provider of the API.
    #[cfg(route_metrics_train)]
    pub fn provider(&self) -> &str {
        provider(&self.name)
    }

    /// Labels all requests in one pass, and scores them.
    pub fn score(&self) -> Quality {
        self.score_with(|_, _| {})
    }

    /// The same, and hands out each request that is scored, with its label.
    pub fn score_with(&self, mut each: impl FnMut(&Request, &[u8])) -> Quality {
        let mut inference = Inference::new(InferenceMode::Adaptive);
        let mut labels = HashMap::<Vec<u8>, usize>::new();
        let mut pairs = HashMap::<(usize, usize), f64>::new();
        let (mut kept, mut fixed) = (0.0, 0.0);
        let mut label = Vec::new();
        for (at, request) in self.requests.iter().enumerate().filter(|(_, it)| it.counts) {
            label.clear();
            inference.observe(&CanonicalPath::new(request.path.as_bytes()), &mut label);
            let Some(template) = request.template.filter(|_| at >= self.from) else { continue };
            each(request, &label);
            let mut segments = label.split(|&byte| byte == b'/').skip(1);
            for expected in &self.templates[template] {
                let segment = segments.next();
                if let Some(expected) = expected {
                    fixed += 1.0;
                    kept += f64::from(u8::from(
                        segment.is_some_and(|it| it.eq_ignore_ascii_case(expected.as_bytes())),
                    ));
                }
            }
            let next = labels.len();
            let number = match labels.get(&label) {
                Some(number) => *number,
                None => *labels.entry(label.clone()).or_insert(next),
            };
            *pairs.entry((template, number)).or_default() += 1.0;
        }
        let mut templates = HashMap::<usize, (f64, f64, usize, usize)>::new();
        let mut groups = vec![(0.0_f64, 0_usize); labels.len()];
        let mut all = 0.0;
        for (&(template, label), &count) in &pairs {
            let entry = templates.entry(template).or_default();
            *entry = (entry.0 + count, entry.1.max(count), entry.2 + 1, label);
            groups[label] = (groups[label].0.max(count), groups[label].1 + 1);
            all += count;
        }
        let purity = groups.iter().map(|it| it.0).sum::<f64>() / all;
        let inverse = templates.values().map(|it| it.1).sum::<f64>() / all;
        let exact = templates.values().filter(|it| it.2 == 1 && groups[it.3].1 == 1);
        Quality {
            accuracy: exact.map(|it| it.0).sum::<f64>() / all,
            f1: 2.0 * purity * inverse / (purity + inverse),
            labels: labels.len() as f64 / templates.len() as f64,
            kept: kept / fixed,
        }
    }
}

/// The mean of several, and the accuracy below which the worst tenth is.
pub fn mean(all: &[Quality]) -> (Quality, f64) {
    let of = |field: fn(&Quality) -> f64| all.iter().map(field).sum::<f64>() / all.len() as f64;
    let mut sorted: Vec<f64> = all.iter().map(|it| it.accuracy).collect();
    sorted.sort_by(f64::total_cmp);
    let mean = Quality {
        accuracy: of(|it| it.accuracy),
        f1: of(|it| it.f1),
        labels: of(|it| it.labels),
        kept: of(|it| it.kept),
    };
    (mean, sorted[sorted.len() / 10])
}

fn provider(name: &str) -> &str {
    name.split('+').next().unwrap_or(name)
}

/// Whether a provider trains, in the split of a seed.
pub fn trains(name: &str, seed: u64) -> bool {
    let start = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xcbf2_9ce4_8422_2325;
    let hash = provider(name)
        .bytes()
        .fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0
}
