//! The first configuration: what the files at hand are, the plugin's JSON that comes of them, and a
//! page that explains it, as JSON has no comments.

mod page;

use anyhow::{anyhow, bail};
use serde_json::{Value, json};

use super::envoy_config::{self, StatsConfig};
use super::openapi;
use super::preview::Replay;
use super::stack::{Families, RuleOptions, rule_file};
use crate::config::{self, Mistakes};
use crate::plan::{self, Capacity};

/// How much of a file is looked at to see whether it is a log.
pub const HEAD_BYTES: usize = 1 << 16;
/// Lines of it that are looked at.
const HEAD_LINES: usize = 40;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OpenAPI or Swagger.
    Specification,
    /// An access log.
    Log,
    /// A configuration of Envoy, Istio or Envoy Gateway.
    Envoy,
    /// A plugin configuration.
    Plugin,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Specification => "a specification",
            Self::Log => "an access log",
            Self::Envoy => "a configuration of Envoy",
            Self::Plugin => "a plugin configuration",
        }
    }
}

/// Whether a file that begins so is an access log: one of its first lines is a request, or it is
/// packed, as nothing else is here.
#[must_use]
pub fn is_log(head: &[u8]) -> bool {
    const PACKED: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];
    if PACKED.iter().any(|magic| head.starts_with(magic)) {
        return true;
    }
    let Ok(mut replay) = Replay::new(b"{}") else { return false };
    replay.start_input("");
    for line in head.split(|&byte| byte == b'\n').take(HEAD_LINES) {
        replay.line(line.strip_suffix(b"\r").unwrap_or(line));
    }
    replay.requests() > 0
}

/// What the whole of a file is that is no log.
///
/// # Errors
/// It is none of those, with what it is as far as that is known.
pub fn kind(bytes: &[u8]) -> anyhow::Result<Kind> {
    let mistake = match openapi::is_specification(bytes) {
        Ok(true) => return Ok(Kind::Specification),
        Ok(false) => None,
        Err(mistake) => Some(mistake),
    };
    if let Ok(documents) = envoy_config::yaml(bytes)
        && documents.iter().any(|document| {
            envoy_config::is_configuration(document)
                || (document.get("kind").is_some() && document.get("spec").is_some())
                || !places(document, "http_filters").is_empty()
        })
    {
        return Ok(Kind::Envoy);
    }
    if bytes.trim_ascii_start().starts_with(b"{") && config::parse(bytes).is_ok() {
        return Ok(Kind::Plugin);
    }
    let expected = "an access log, an OpenAPI specification, a configuration of Envoy or of this \
                    plugin is needed";
    match mistake {
        Some(mistake) => bail!("{mistake:#}; {expected}"),
        None => bail!("{expected}, and none of its first {HEAD_LINES} lines is a request"),
    }
}

/// What comes of the files.
#[derive(Debug)]
pub struct Start {
    plugin: Value,
    /// Templates that were there before.
    own: usize,
    platform: Platform,
    /// Where HTTP filters stand, and where the plugin stands already.
    filters: Vec<String>,
    plugins: Vec<String>,
    has_stats_config: bool,
    sources: Vec<(String, Kind, String)>,
    notes: Vec<String>,
    /// Each template and what it came from.
    origins: Vec<(String, String)>,
}

/// Who configures Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Platform {
    Envoy,
    Istio,
    Gateway,
}

/// A file that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// What stands in it.
    pub text: String,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            plugin: json!({}),
            own: 0,
            platform: Platform::Envoy,
            filters: Vec::new(),
            plugins: Vec::new(),
            has_stats_config: false,
            sources: Vec::new(),
            notes: Vec::new(),
            origins: Vec::new(),
        }
    }
}

impl Start {
    /// Starts from a plugin configuration.
    ///
    /// # Errors
    /// It is refused, or differs from the one that was given before.
    pub fn plugin(&mut self, name: &str, text: &[u8]) -> anyhow::Result<()> {
        plan::read(text, Capacity::Checked).map_err(|mistakes| refused(name, &mistakes))?;
        let plugin = match text.trim_ascii() {
            [] => json!({}),
            text => serde_json::from_slice(text).map_err(|_| anyhow!("{name}: is not JSON"))?,
        };
        self.start_from(name, plugin)?;
        let gave = format!("{} templates", self.own);
        self.sources.push((name.to_owned(), Kind::Plugin, gave));
        Ok(())
    }

    fn start_from(&mut self, name: &str, plugin: Value) -> anyhow::Result<()> {
        if self.plugin != json!({}) && self.plugin != plugin {
            bail!("{name}: has another plugin configuration than the files before it; give one");
        }
        self.plugin = plugin;
        let templates = texts(&self.plugin, "templates");
        self.own = templates.len();
        self.origins = templates.into_iter().map(|t| (t, name.to_owned())).collect();
        Ok(())
    }

    /// Looks at a configuration of Envoy, Istio or Envoy Gateway.
    ///
    /// # Errors
    /// Its plugin has a form that the filter does not read, or differs from that of another file.
    pub fn envoy(&mut self, name: &str, text: &[u8]) -> anyhow::Result<()> {
        let documents =
            envoy_config::yaml(text).map_err(|mistake| anyhow!("{name}: {mistake:#}"))?;
        for document in &documents {
            let version = document.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
            if version.contains("istio.io") {
                self.platform = Platform::Istio;
            } else if version.contains("gateway.envoyproxy.io") {
                self.platform = Platform::Gateway;
            }
            let named = |place: String| format!("{name}: {place}");
            self.filters.extend(places(document, "http_filters").into_iter().map(named));
            self.has_stats_config |= document.get("stats_config").is_some();
        }
        let mut gave = format!("{} places for HTTP filters", self.filters.len());
        // Without a plugin of ours there is an error; there need not be one yet.
        for plugin in envoy_config::plugins(text).unwrap_or_default() {
            if plugin.place.is_empty() {
                continue;
            }
            let place = format!("{name}: {}", plugin.place);
            plan::read(&plugin.configuration, Capacity::Checked)
                .map_err(|mistakes| refused(&place, &mistakes))?;
            let value = match plugin.configuration.as_slice() {
                [] => json!({}),
                text => serde_json::from_slice(text)
                    .map_err(|_| anyhow!("{place}: its configuration is not JSON"))?,
            };
            self.start_from(name, value)?;
            gave = format!("a plugin with {} templates", self.own);
            self.plugins.push(place);
        }
        self.sources.push((name.to_owned(), Kind::Envoy, gave));
        Ok(())
    }

    /// Adds what a specification or a log gave: a configuration with templates, and what is to be
    /// told of it.
    pub fn add(&mut self, names: &[String], kind: Kind, found: &Value, notes: Vec<String>) {
        let before = texts(&self.plugin, "templates");
        let mut known: Vec<String> =
            before.iter().map(|template| openapi::shape(template)).collect();
        known.sort_unstable();
        let mut all = before;
        let mut count = 0;
        for template in texts(found, "templates") {
            let shape = openapi::shape(&template);
            if let Err(place) = known.binary_search(&shape) {
                known.insert(place, shape);
                self.origins.push((template.clone(), kind.name().to_owned()));
                all.push(template);
                count += 1;
            }
        }
        let mut rules = member(&self.plugin, "rules");
        for rule in member(found, "rules") {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        // Limits for all of them together, and not below what is there.
        let needed = openapi::configuration(&all, &rules, all.len());
        for limits in [found.get("limits"), needed.get("limits")] {
            for (key, value) in limits.and_then(Value::as_object).into_iter().flatten() {
                let limit = |key: &str| self.plugin["limits"][key].as_u64();
                let own = match key.as_str() {
                    "max_endpoints" => limit(key).or(limit("max_values_per_label")),
                    _ => limit(key),
                };
                if own.is_none_or(|own| value.as_u64().is_some_and(|value| value > own)) {
                    if let (Some(own), true) = (own, self.own > 0) {
                        self.notes.push(format!("limits.{key} is raised from {own} to {value}"));
                    }
                    set(&mut self.plugin, "limits", key, value.clone());
                }
            }
        }
        // A limit of its own that was enough before.
        let endpoints = all.len() + rules.len();
        if let Ok(parsed) = config::parse(self.plugin.to_string().as_bytes())
            && (parsed.limits.endpoints() as usize) < endpoints + 2
        {
            let (own, raised) =
                (parsed.limits.endpoints(), (endpoints + 100).next_multiple_of(100));
            self.notes.push(format!("limits.max_endpoints is raised from {own} to {raised}"));
            set(&mut self.plugin, "limits", "max_endpoints", raised.into());
        }
        if !all.is_empty() {
            set(&mut self.plugin, "endpoint", "templates", all.into());
        }
        if !rules.is_empty() {
            set(&mut self.plugin, "endpoint", "rules", rules.into());
        }
        if self.plugin.get("limits").is_some_and(Value::is_null) {
            self.plugin.as_object_mut().map(|plugin| plugin.remove("limits"));
        }
        for (index, name) in names.iter().enumerate() {
            let gave = match (index + 1 == names.len(), names.len()) {
                (true, 1) => format!("{count} new templates"),
                (true, _) => format!("{count} new templates, with those above"),
                _ => String::new(),
            };
            self.sources.push((name.clone(), kind, gave));
        }
        self.notes.extend(notes);
    }

    /// The plugin configuration so far, without templates that would be refused.
    ///
    /// # Errors
    /// It is refused for what was there before.
    pub fn checked(&mut self) -> anyhow::Result<Vec<u8>> {
        let refused = |mistakes: &Mistakes| refused("the configuration", mistakes);
        let text = self.plugin.to_string();
        let Err(mistakes) = plan::load(text.as_bytes(), |_| None, Capacity::Checked) else {
            return Ok(text.into_bytes());
        };
        let mut templates = texts(&self.plugin, "templates");
        let mut dropped = Vec::new();
        for mistake in mistakes.iter() {
            let index = mistake.path.strip_prefix("endpoint.templates[");
            let index = index.and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok());
            match index {
                Some(index) if index >= self.own => {
                    dropped.push(index);
                    self.notes.push(format!("left out: {}", mistake.message));
                }
                _ => return Err(refused(&mistakes)),
            }
        }
        let mut index = 0;
        templates.retain(|template| {
            index += 1;
            let kept = !dropped.contains(&(index - 1));
            if !kept {
                self.origins.retain(|(known, _)| known != template);
            }
            kept
        });
        set(&mut self.plugin, "endpoint", "templates", templates.into());
        let text = self.plugin.to_string().into_bytes();
        match plan::load(&text, |_| None, Capacity::Checked) {
            Ok(_) => Ok(text),
            Err(mistakes) => Err(refused(&mistakes)),
        }
    }

    /// All files. `folder` is where they will stand, `requests` how often each template was asked in
    /// the logs.
    ///
    /// # Errors
    /// The configuration is refused.
    pub fn files(
        mut self,
        folder: &str,
        requests: &[(String, u64)],
    ) -> anyhow::Result<(Vec<File>, String)> {
        let text = self.checked()?;
        let of = |mistakes: Mistakes| refused("the configuration", &mistakes);
        let (parsed, plan) = plan::read(&text, Capacity::Checked).map_err(of)?;
        let stats = StatsConfig::new(&parsed).map_err(of)?;
        let bootstrap = match self.platform {
            Platform::Envoy => stats.yaml(),
            Platform::Istio => stats.istio(),
            Platform::Gateway => stats.gateway(),
        };
        let families = Families::new(&parsed, &plan);
        let rules = rule_file(&families, &RuleOptions::default()).yaml()?;
        let steps = self.steps(folder);
        for warning in plan.warnings.iter() {
            self.notes.push(format!("warning: {warning}"));
        }
        let page = self.page(requests, &steps);
        let mut plugin = serde_json::to_string_pretty(&self.plugin)?;
        plugin.push('\n');
        let files = vec![
            File { name: "plugin.json", text: plugin },
            File { name: "plugin.md", text: page },
            File { name: "bootstrap.yaml", text: bootstrap },
            File { name: "rules.yaml", text: rules },
        ];
        Ok((files, steps))
    }
}

/// Sets a member of a member.
fn set(plugin: &mut Value, at: &str, key: &str, value: Value) {
    if let Some(plugin) = plugin.as_object_mut() {
        let place = plugin.entry(at).or_insert_with(|| json!({}));
        if place.is_null() {
            *place = json!({});
        }
        if let Some(place) = place.as_object_mut() {
            place.insert(key.to_owned(), value);
        }
    }
}

/// A list of `endpoint`.
fn member(plugin: &Value, key: &str) -> Vec<Value> {
    let list = plugin.get("endpoint").and_then(|endpoint| endpoint.get(key));
    list.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn texts(plugin: &Value, key: &str) -> Vec<String> {
    member(plugin, key).iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn refused(name: &str, mistakes: &Mistakes) -> anyhow::Error {
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{name}: {mistake}")).collect();
    anyhow!(lines.join("\n"))
}

/// Where a member stands in a document, in either spelling of protobuf's JSON.
fn places(document: &Value, key: &str) -> Vec<String> {
    fn visit(value: &Value, at: &str, keys: [&str; 2], found: &mut Vec<String>) {
        match value {
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    visit(value, &format!("{at}[{index}]"), keys, found);
                }
            }
            Value::Object(object) => {
                for (key, value) in object {
                    let place = config::join(at, key);
                    if keys.contains(&key.as_str()) && value.is_array() {
                        found.push(place);
                    } else {
                        visit(value, &place, keys, found);
                    }
                }
            }
            _ => {}
        }
    }
    let camel = key.replace("_f", "F");
    let mut found = Vec::new();
    visit(document, "", [key, &camel], &mut found);
    found
}
