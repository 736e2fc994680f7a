//! The `endpoint` label: what the configuration names of it.

use super::compile::{Capacity, Compiler};
use crate::config::InferenceMode;
use crate::endpoint::{self, CanonicalPath, Decoded, Endpoints, Inference, MAX_SEGMENTS};
use crate::labels::value::encoded;
use crate::labels::{OTHER, UNMATCHED};
use crate::request::status::Statuses;

impl Compiler<'_> {
    pub(super) fn endpoint_capacity(&mut self, endpoints: &Endpoints) {
        let limits = &self.config.limits;
        let max = limits.endpoints() as usize;
        let configured = endpoints.labels().len();
        // `_OTHER` and `_UNMATCHED` have places of their own.
        let needed = configured + 2;
        if self.capacity == Capacity::Checked && configured > 0 && needed > max {
            self.mistakes.add(
                limits.endpoints_key(),
                format!(
                    "{max} is too few: the {configured} endpoints of `endpoint.templates` and \
                     `endpoint.rules`, {OTHER} and {UNMATCHED} need {needed}; raise it to that or more"
                ),
            );
        }
        let most = limits.max_label_value_length as usize;
        let length = |label: &String| encoded(label, usize::MAX).len();
        let longest = endpoints.labels().iter().map(length).max().unwrap_or(0);
        if self.capacity == Capacity::Checked && longest > most {
            self.mistakes.add(
                "limits.max_label_value_length",
                format!(
                    "{most} is too short: the longest endpoint of the configuration has {longest} \
                     characters; raise it to that or more"
                ),
            );
        }
        let open = self.has_unnamed_endpoints();
        let left = max.saturating_sub(needed);
        if open && configured > 0 && needed <= max && left < max.div_ceil(10) {
            self.warnings.add(
                limits.endpoints_key(),
                format!(
                    "the {configured} endpoints of `endpoint.templates` and `endpoint.rules` leave \
                     {left} of {max} places to all others, which are {OTHER} once these are taken; \
                     raise it, or set `endpoint.inference` to \"off\" where there are no others"
                ),
            );
        }
        let series = limits.max_series_per_metric as usize;
        if series < configured {
            self.warnings.add(
                "limits.max_series_per_metric",
                format!(
                    "{series} is fewer than the {configured} endpoints of `endpoint.templates` and \
                     `endpoint.rules`, so not each can have a series; raise it"
                ),
            );
        }
    }

    /// Whether requests may have endpoints that the configuration does not name.
    fn has_unnamed_endpoints(&self) -> bool {
        let endpoint = &self.config.endpoint;
        endpoint.inference != InferenceMode::Off || endpoint.route_name
    }

    /// Endpoints that a condition names, as they are compared: in the form of labels before their
    /// encoding. Those that no request with one of the methods (none: any) can have are mistakes.
    pub(super) fn endpoint_names(
        &mut self,
        path: &str,
        names: &[String],
        methods: &[String],
        endpoints: &Endpoints,
    ) -> Vec<String> {
        let mut all = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match self.endpoint_name(&path, name, methods, endpoints) {
                Ok(found) => all.extend(found),
                Err(message) => self.mistakes.add(path, message),
            }
        }
        all
    }

    fn endpoint_name(
        &mut self,
        path: &str,
        name: &str,
        methods: &[String],
        endpoints: &Endpoints,
    ) -> Result<Vec<String>, String> {
        if name.is_empty() {
            return Err("is empty; write an endpoint as it stands in the label".to_owned());
        }
        if name == OTHER {
            return Err(format!(
                "{OTHER} is what a limit makes of endpoints, and conditions see them before; name the endpoints"
            ));
        }
        // As it is, and as it stands in a scrape.
        let is_known = |label: &&String| *label == name || encoded(label, usize::MAX) == name;
        if let Some(label) = endpoints.labels().iter().find(is_known) {
            return Ok(vec![label.clone()]);
        }
        let config = &self.config.endpoint;
        if name == UNMATCHED || (name == "*" && config.inference != InferenceMode::Off) {
            return Ok(vec![name.to_owned()]);
        }
        // Envoy's route names are any text, which a scrape shows encoded.
        let mut possible = Vec::new();
        if config.route_name {
            possible.push(name.to_owned());
            let decoded = Decoded::new(name.as_bytes()).collect();
            possible.extend(String::from_utf8(decoded).ok().filter(|decoded| decoded != name));
        }
        match self.endpoint_of_path(path, name, methods, endpoints) {
            Ok(label) => possible.push(label),
            Err(message) if possible.is_empty() => return Err(message),
            Err(_) => {}
        }
        Ok(possible)
    }

    /// The label of a path written as a template is, where some request can have it.
    fn endpoint_of_path(
        &mut self,
        path: &str,
        name: &str,
        methods: &[String],
        endpoints: &Endpoints,
    ) -> Result<String, String> {
        if !name.starts_with('/') && !name.contains(" /") {
            return Err(format!(
                "{name:?} is no endpoint of `endpoint.rules`, and all others begin with a slash; \
                 write a path, such as /users/{{id}}"
            ));
        }
        let (method, label) = endpoint::label_of_template(name)
            .map_err(|messages| format!("{name:?}: {}", messages.join("; ")))?;
        if method.is_some() {
            return Err(format!(
                "{name:?}: endpoints have no method; write {label:?}, and the method into `match.methods` where it matters"
            ));
        }
        if endpoints.labels().contains(&label) {
            return Ok(label);
        }
        if self.config.endpoint.inference == InferenceMode::Off {
            return Err(format!(
                "{name:?} is not in `endpoint.templates` or `endpoint.rules`, and nothing is inferred, so no request can have it; add a template"
            ));
        }
        // Parameters in braces match those of templates, as any other segment would.
        let as_path = CanonicalPath::new(label.as_bytes());
        let any = [String::new()];
        let methods = if methods.is_empty() { &any[..] } else { methods };
        let mut taken = None;
        for method in methods {
            taken = endpoints.explain(method.as_bytes(), &as_path);
            if taken.is_none() {
                break;
            }
        }
        if let Some(entry) = taken {
            return Err(format!(
                "{name:?}: endpoint.{entry} takes its requests; write that endpoint, or add a template"
            ));
        }
        let placeholders = label.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        if let Some(other) = placeholders.into_iter().find(|name| !["id", "*"].contains(name)) {
            return Err(format!(
                "{name:?} is not in `endpoint.templates`, and inferred endpoints have no \
                 placeholder but {{id}}, so no request can have {{{other}}}; add a template"
            ));
        }
        self.warn_of_unlikely_label(path, name, &label);
        Ok(label)
    }

    /// Warns where what is inferred of a path, at first at least, is another label than the path.
    fn warn_of_unlikely_label(&mut self, path: &str, name: &str, label: &str) {
        let sample = label.replace("{id}", "1").replace("/{*}", &"/a".repeat(MAX_SEGMENTS));
        let mut inferred = Vec::new();
        let inference = Inference::new(InferenceMode::Heuristic);
        inference.label(&CanonicalPath::new(sample.as_bytes()), &mut inferred);
        let inferred = String::from_utf8_lossy(&inferred);
        if inferred != label && !label.ends_with("/{*}") {
            self.warnings.add(
                path,
                format!(
                    "{name:?} is not in `endpoint.templates`, and such a path becomes {inferred:?} \
                     unless traffic teaches otherwise; add it as a template"
                ),
            );
        }
    }

    pub(super) fn ignore_statuses(&mut self) -> Statuses {
        let mut statuses = Statuses::default();
        for (index, &code) in self.config.endpoint.ignore_statuses.iter().enumerate() {
            if !(100..=999).contains(&code) {
                let path = format!("endpoint.ignore_statuses[{index}]");
                self.mistakes.add(path, format!("{code} is not a status code; use 100 to 999"));
            }
            statuses.insert(code);
        }
        statuses
    }
}
