//! Labels: from their definitions to where values come from and what becomes of them.

use super::choice::Lists;
use super::compile::Compiler;
use crate::config::{Label, Source, join};
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
            let (mistakes, warnings) = (self.mistakes.clone(), self.warnings.clone());
            let plan = self.label(path, name, label);
            (self.mistakes, self.warnings) = (mistakes, warnings);
            return plan;
        } else if exceptions && name == "type" {
            SourcePlan::ExceptionType
        } else if let Some(source) = built_in(name) {
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
            max_values: match source {
                SourcePlan::Endpoint => self.config.limits.endpoints() as usize,
                _ => self.config.limits.max_values_per_label as usize,
            },
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
        let limits = &self.config.limits;
        let limit = match label.from {
            Source::Endpoint => (limits.endpoints() as usize, limits.endpoints_key()),
            _ => (limits.max_values_per_label as usize, "limits.max_values_per_label"),
        };
        self.limited_label(path, name, label, limit)
    }

    /// The same with another limit on its values, and the key that says so.
    pub(super) fn limited_label(
        &mut self,
        path: &str,
        name: &str,
        label: &Label,
        (max_values, limit): (usize, &str),
    ) -> Option<LabelPlan> {
        let Label { from, name: key, value, map, allow, default, hash } = label;
        let source = self.source(path, *from, key.as_deref(), value.as_deref());
        let (map, allow, default) = (map.as_ref(), allow.as_deref(), default.as_deref());
        let lists = Lists { map, allow, default, max_values, limit };
        let choice = self.choice(path, lists);
        self.keys_that_never_come(path, *from, value.as_deref(), lists);
        self.hash_goes(path, *hash, &choice, matches!(source, Some(SourcePlan::Constant(_))));
        Some(LabelPlan {
            name: name.to_owned(),
            values: self.full_name(name),
            source: source?,
            choice,
            hash: *hash,
            max_values,
        })
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
                let header = self.sent_header(&format!("{path}.name"), key)?;
                SourcePlan::RequestHeader(self.request_header(&header))
            }
            Source::ResponseHeader => {
                let header = self.answered_header(&format!("{path}.name"), key)?;
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
            Source::Constant => {
                let value = value.unwrap_or_default();
                self.fixed_value(&format!("{path}.value"), value);
                SourcePlan::Constant(value.to_owned())
            }
        })
    }
}

/// The source of a label that needs no definition.
pub(super) fn built_in(name: &str) -> Option<Source> {
    BUILT_IN.into_iter().find(|from| from.word() == name)
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
