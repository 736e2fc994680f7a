//! Labels: from their definitions to where values come from and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use super::OWN_LABELS;
use super::compile::{Capacity, Compiler};
use crate::config::{Label, Mistakes, Source, join};
use crate::labels::source::{Choice, LabelPlan, SourcePlan};
use crate::labels::{self, NONE, OTHER};
use crate::series::MAX_LABELS;

impl Compiler<'_> {
    /// The names that `labels` defines.
    pub(super) fn label_names(&mut self) {
        for name in self.config.labels.keys() {
            self.label_name(&join("labels", name), name);
        }
    }

    pub(super) fn label_name(&mut self, path: &str, name: &str) {
        if !labels::is_name(name) {
            self.mistakes.add(
                path,
                format!("{name:?} is not a label name; use letters, digits and underscores, and no digit first"),
            );
        } else if name.starts_with("__") || ["le", "quantile"].contains(&name) {
            self.mistakes
                .add(path, format!("`{name}` is reserved by Prometheus; use another name"));
        }
    }

    /// Every definition in `labels` is checked, used or not.
    pub(super) fn label_definitions(&mut self) {
        self.without_effect(|this| {
            for (name, label) in &this.config.labels {
                this.label(&join("labels", name), name, label);
            }
        });
    }

    pub(super) fn label_count(&mut self, path: &str, count: usize) {
        let max = (self.config.limits.max_labels_per_metric as usize).min(MAX_LABELS);
        if count > max {
            self.mistakes.add(
                path,
                format!("{count} labels, but `limits.max_labels_per_metric` is {max}; drop some (at most {MAX_LABELS} are possible)"),
            );
        }
    }

    pub(super) fn named_label(
        &mut self,
        path: &str,
        name: &str,
        exceptions: bool,
    ) -> Option<LabelPlan> {
        let source = if let Some(label) = self.config.labels.get(name) {
            // Its own mistakes are reported where it is defined.
            let mut silent = Mistakes::default();
            std::mem::swap(&mut silent, &mut self.mistakes);
            let plan = self.label(path, name, label);
            self.mistakes = silent;
            return plan;
        } else if exceptions && name == "type" {
            SourcePlan::ExceptionType
        } else if let Some(source) = BUILT_IN.into_iter().find(|&from| from.word() == name) {
            self.source(path, source, None, None)?
        } else {
            let mut known: Vec<&str> = BUILT_IN.into_iter().map(Source::word).collect();
            if exceptions {
                known.push("type");
            }
            known.extend(self.config.labels.keys().map(String::as_str));
            let hint = if name == "type" {
                "; `type` is a label of `exceptions_total` only"
            } else {
                "; define it in `labels`"
            };
            self.mistakes.add(
                path,
                format!("unknown label {name:?}, expected one of `{}`{hint}", known.join("`, `")),
            );
            return None;
        };
        Some(LabelPlan {
            name: name.to_owned(),
            values: self.full_name(name),
            max_values: self.max_values(&source),
            source,
            choice: Choice { listed: None, absent: NONE.to_owned(), unlisted: OTHER.to_owned() },
            hash: false,
        })
    }

    pub(super) fn place(&mut self, label: LabelPlan) -> usize {
        if let Some(place) = self.labels.iter().position(|known| *known == label) {
            return place;
        }
        self.labels.push(label);
        self.labels.len() - 1
    }

    /// A label as it was defined, checked; `None` where its source is not usable.
    pub(super) fn label(&mut self, path: &str, name: &str, label: &Label) -> Option<LabelPlan> {
        let Label { from, name: key, value, map, allow, default, hash } = label;
        let source = self.source(path, *from, key.as_deref(), value.as_deref());
        let choice = self.choice(path, map.as_ref(), allow.as_deref(), default.as_deref());
        self.hash_goes(path, *hash, &choice, matches!(source, Some(SourcePlan::Constant(_))));
        let source = source?;
        Some(LabelPlan {
            name: name.to_owned(),
            values: self.full_name(name),
            max_values: self.max_values(&source),
            source,
            choice,
            hash: *hash,
        })
    }

    /// How many values a label of this source may have.
    fn max_values(&self, source: &SourcePlan) -> usize {
        let limits = &self.config.limits;
        match source {
            SourcePlan::Endpoint => limits.endpoints() as usize,
            _ => limits.values() as usize,
        }
    }

    pub(super) fn hash_goes(&mut self, path: &str, hash: bool, choice: &Choice, constant: bool) {
        if hash && (choice.listed.is_some() || constant) {
            self.mistakes.add(
                format!("{path}.hash"),
                "hashes what was found, so it does not go with `map`, `allow` or a constant; drop one",
            );
        }
    }

    pub(super) fn choice(
        &mut self,
        path: &str,
        map: Option<&BTreeMap<String, String>>,
        allow: Option<&[String]>,
        default: Option<&str>,
    ) -> Choice {
        let mut listed = None;
        if map.is_some() || allow.is_some() {
            let mut all: BTreeMap<String, String> = map.cloned().unwrap_or_default();
            for value in allow.unwrap_or_default() {
                all.entry(value.clone()).or_insert_with(|| value.clone());
            }
            for (from, to) in &all {
                if to.is_empty() {
                    let path = join(&format!("{path}.map"), from);
                    self.mistakes.add(path, "is empty; Prometheus takes an empty label for none");
                }
            }
            let max = self.config.limits.values() as usize;
            // Collecting would sort first, by another instance of the sort.
            let mut values = BTreeSet::new();
            for value in all.values() {
                values.insert(value);
            }
            let distinct = values.len() + 2;
            if distinct > max && self.capacity == Capacity::Checked {
                self.mistakes.add(
                    path,
                    format!("its `map` and `allow` need {distinct} places with {OTHER} and the default, but `limits.max_values_per_label` is {max}; raise it or list fewer"),
                );
            }
            listed = Some(all);
        }
        if default == Some("") {
            let path = format!("{path}.default");
            self.mistakes.add(path, "is empty; Prometheus takes an empty label for none");
        }
        Choice {
            listed,
            absent: default.unwrap_or(NONE).to_owned(),
            unlisted: default.unwrap_or(OTHER).to_owned(),
        }
    }

    pub(super) fn source(
        &mut self,
        path: &str,
        from: Source,
        key: Option<&str>,
        value: Option<&str>,
    ) -> Option<SourcePlan> {
        let word = from.word();
        let needs_name = matches!(
            from,
            Source::RequestHeader | Source::ResponseHeader | Source::QueryParam | Source::PathParam
        );
        match (needs_name, key) {
            (true, None | Some("")) => {
                self.mistakes.add(
                    format!("{path}.name"),
                    format!("is missing; `{word}` needs the name of what to read"),
                );
                return None;
            }
            (false, Some(_)) => {
                self.mistakes
                    .add(format!("{path}.name"), format!("does not go with `{word}`; drop it"));
            }
            _ => {}
        }
        match (from == Source::Constant, value) {
            (true, None | Some("")) => {
                self.mistakes
                    .add(format!("{path}.value"), "is missing; `constant` needs the value");
                return None;
            }
            (false, Some(_)) => {
                self.mistakes
                    .add(format!("{path}.value"), format!("does not go with `{word}`; drop it"));
            }
            _ => {}
        }
        let key = key.unwrap_or_default();
        Some(match from {
            Source::Method => SourcePlan::Method,
            Source::Endpoint => SourcePlan::Endpoint,
            Source::Status => SourcePlan::Status,
            Source::StatusClass => SourcePlan::StatusClass,
            Source::RouteName => SourcePlan::RouteName,
            Source::ClusterName => SourcePlan::ClusterName,
            Source::VirtualHost => SourcePlan::VirtualHost,
            Source::Authority => SourcePlan::RequestHeader(self.request_header(":authority")),
            Source::Protocol => SourcePlan::Protocol,
            Source::GrpcService => SourcePlan::GrpcService,
            Source::GrpcMethod => SourcePlan::GrpcMethod,
            Source::GrpcStatus => SourcePlan::GrpcStatus,
            Source::ResponseFlags => SourcePlan::ResponseFlags,
            Source::RequestHeader => {
                let header = self.header(&format!("{path}.name"), key)?;
                SourcePlan::RequestHeader(self.request_header(&header))
            }
            Source::ResponseHeader => {
                let header = self.header(&format!("{path}.name"), key)?;
                SourcePlan::ResponseHeader(self.response_header(header))
            }
            Source::QueryParam => SourcePlan::QueryParam(key.to_owned()),
            Source::PathParam => {
                let endpoint = &self.config.endpoint;
                let wanted = [format!("{{{key}}}"), format!("{{*{key}}}")];
                if !endpoint.templates.iter().any(|t| wanted.iter().any(|w| t.contains(w))) {
                    self.mistakes.add(
                        format!("{path}.name"),
                        format!("no template of `endpoint.templates` has a placeholder {{{key}}}; add one or mend the name"),
                    );
                }
                SourcePlan::PathParam(key.to_owned())
            }
            Source::Constant => SourcePlan::Constant(value.unwrap_or_default().to_owned()),
        })
    }

    /// A label that is the end of another one would be found inside it by its tag expression.
    pub(super) fn suffixes(&mut self) {
        // Each name, with the place where the configuration gives it.
        let mut names: BTreeMap<&str, Option<String>> = BTreeMap::new();
        names.extend(OWN_LABELS.map(|name| (name, None)));
        names.extend(self.labels.iter().map(|label| (label.name.as_str(), None)));
        for (index, metric) in self.config.custom_metrics.iter().enumerate() {
            let path = format!("custom_metrics[{index}].labels");
            let labels = metric.labels.iter().flatten();
            names.extend(labels.map(|(name, _)| (name.as_str(), Some(join(&path, name)))));
        }
        let labels = self.config.labels.keys();
        names.extend(labels.map(|name| (name.as_str(), Some(join("labels", name)))));
        let mut found = Vec::new();
        for (long, at) in &names {
            for (short, or_at) in &names {
                if long != short && long.ends_with(short) {
                    let path = at.clone().or_else(|| or_at.clone());
                    found.push((path.unwrap_or_else(|| join("labels", short)), *short, *long));
                }
            }
        }
        for (path, short, long) in found {
            self.mistakes.add(
                path,
                format!("`{short}` is the end of `{long}`, so Envoy would take it out of that one, too; rename one of them"),
            );
        }
    }
}

/// Labels that need no definition: the sources without parameters.
const BUILT_IN: [Source; 13] = [
    Source::Method,
    Source::Endpoint,
    Source::Status,
    Source::StatusClass,
    Source::RouteName,
    Source::ClusterName,
    Source::VirtualHost,
    Source::Authority,
    Source::Protocol,
    Source::GrpcService,
    Source::GrpcMethod,
    Source::GrpcStatus,
    Source::ResponseFlags,
];
