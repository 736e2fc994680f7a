//! Where the plugin stands in a configuration of Envoy, Istio or Envoy Gateway.

use anyhow::{anyhow, bail};
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::command::yaml;
use crate::config::join;

/// A plugin configuration, as the filter would get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The path of the plugin inside the file; empty where the file is the configuration itself.
    pub place: String,
    /// The bytes that the filter is configured with. A `Struct` comes as JSON.
    pub configuration: Vec<u8>,
    /// The environment variables that the file gives to the VM, with their values.
    pub variables: Vec<(String, String)>,
}

impl Plugin {
    /// The value that the file gives to an environment variable; what is taken over from Envoy's own
    /// environment is not known.
    pub fn variable(&self, name: &str) -> Option<String> {
        let mut variables = self.variables.iter();
        variables.find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

/// Names and values of variables: `key_values` of Envoy's `EnvironmentVariables`.
fn key_values(vm: &Value) -> Vec<(String, String)> {
    let variables = vm.get("environment_variables").or_else(|| vm.get("environmentVariables"));
    let pairs = variables.and_then(|all| all.get("key_values").or_else(|| all.get("keyValues")));
    let pairs = pairs.and_then(Value::as_object).into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), plain(value))).collect()
}

/// Names and values of variables: `vmConfig.env` of Istio's `WasmPlugin`, without those of the host.
fn env(spec: &Value) -> Vec<(String, String)> {
    let list = spec.get("vmConfig").and_then(|vm| vm.get("env")).and_then(Value::as_array);
    let inline = |variable: &&Value| {
        variable.get("valueFrom").is_none_or(|from| from.as_str() != Some("HOST"))
    };
    let pair = |variable: &Value| {
        let name = variable.get("name").and_then(Value::as_str)?;
        Some((name.to_owned(), variable.get("value").map(plain).unwrap_or_default()))
    };
    list.into_iter().flatten().filter(inline).filter_map(pair).collect()
}

/// The text of a scalar: YAML may have read `0.1` and `true` as something else.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The words by which a plugin, its VM or its module is known to be this one.
const OWN_WORDS: [&str; 2] = ["route_metrics", "route-metrics"];

/// Keys at the top of configurations of Envoy and of Kubernetes, none of them one of the plugin's.
const FOREIGN_KEYS: [&str; 12] = [
    "@type",
    "admin",
    "apiVersion",
    "configs",
    "dynamicResources",
    "dynamic_resources",
    "items",
    "node",
    "resources",
    "staticResources",
    "static_resources",
    "stats_config",
];

/// The plugin configurations in a text: the text itself where it is one, else those of all
/// route-metrics plugins in a configuration of Envoy (YAML or JSON, also a part of one), in
/// Istio's `WasmPlugin` and `EnvoyFilter`, and in Envoy Gateway's `EnvoyExtensionPolicy`.
///
/// # Errors
/// The text is neither JSON nor YAML, has no such plugin, or a plugin's configuration has a form
/// that the filter does not read. What stands in a plugin's configuration is not looked at.
pub fn plugins(text: &[u8]) -> anyhow::Result<Vec<Plugin>> {
    let whole = || {
        vec![Plugin { place: String::new(), configuration: text.to_vec(), variables: Vec::new() }]
    };
    let documents = match serde_json::from_slice::<Value>(text) {
        Ok(document) => vec![document],
        // An error in the plugin's own JSON is for the plugin's parser to report.
        Err(_) if matches!(text.trim_ascii_start().first(), None | Some(b'{' | b'[')) => {
            return Ok(whole());
        }
        Err(_) => yaml(text)?,
    };
    let mut search = Search::default();
    for (index, document) in documents.iter().enumerate() {
        let place = if documents.len() > 1 { format!("document[{index}]") } else { String::new() };
        search.visit(place, document);
    }
    let Search { found, others, mistakes } = search;
    if !mistakes.is_empty() {
        bail!(mistakes.join("\n"));
    }
    if !found.is_empty() {
        return Ok(found);
    }
    if !others.is_empty() {
        bail!(
            "none of the Wasm plugins is known for route-metrics by its name, root_id, vm_id or \
             module (route_metrics.wasm): {}",
            others.join(", ")
        );
    }
    if documents.iter().any(is_configuration) {
        bail!("no Wasm plugin in this configuration");
    }
    Ok(whole())
}

/// Whether a document is a configuration of Envoy or a resource of Kubernetes, by its members.
#[must_use]
pub fn is_configuration(document: &Value) -> bool {
    FOREIGN_KEYS.iter().any(|key| document.get(key).is_some())
}

/// The documents of a YAML text.
///
/// # Errors
/// Not UTF-8, or not YAML.
pub fn yaml(text: &[u8]) -> anyhow::Result<Vec<Value>> {
    let text = std::str::from_utf8(text).map_err(|error| anyhow!("not a text: {error}"))?;
    yaml::documents(text, yaml::Duplicates::Refused)
        .map_err(|mistake| anyhow!("neither JSON nor YAML: {mistake}"))
}

#[derive(Default)]
struct Search {
    found: Vec<Plugin>,
    /// Plugins that are not this one.
    others: Vec<String>,
    mistakes: Vec<String>,
}

impl Search {
    fn visit(&mut self, place: String, value: &Value) {
        match value {
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    self.visit(format!("{place}[{index}]"), value);
                }
            }
            Value::Object(object) if object.contains_key("kind") && self.kind(&place, object) => {}
            Value::Object(object) => {
                if let Some(vm) = get(object, "vm_config", "vmConfig").filter(|vm| vm.is_object()) {
                    self.envoy(&place, object, vm);
                    return;
                }
                let module = get(object, "dynamic_module_config", "dynamicModuleConfig");
                if let Some(module) = module.filter(|module| module.is_object()) {
                    self.native(&place, object, module);
                    return;
                }
                for (key, value) in object {
                    self.visit(join(&place, key), value);
                }
            }
            _ => {}
        }
    }

    /// An `envoy.extensions.wasm.v3.PluginConfig`.
    fn envoy(&mut self, place: &str, plugin: &Map<String, Value>, vm: &Value) {
        let words = [
            plugin.get("name"),
            get(plugin, "root_id", "rootId"),
            vm.get("vm_id").or_else(|| vm.get("vmId")),
            vm.get("code"),
        ];
        if self.is_own(place, &words) {
            let configuration = match plugin.get("configuration") {
                None | Some(Value::Null) => Ok(Vec::new()),
                Some(any) => unpack(any),
            };
            self.add(place, "configuration", configuration, key_values(vm));
        }
    }

    /// An `envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter`.
    fn native(&mut self, place: &str, filter: &Map<String, Value>, module: &Value) {
        let words =
            [get(filter, "filter_name", "filterName"), module.get("name"), module.get("module")];
        if self.is_own(place, &words) {
            let configuration = match get(filter, "filter_config", "filterConfig") {
                None | Some(Value::Null) => Ok(Vec::new()),
                Some(any) => unpack(any),
            };
            self.add(place, "filter_config", configuration, Vec::new());
        }
    }

    /// A resource of Istio or Envoy Gateway; false where it is none that holds plugins by itself.
    fn kind(&mut self, place: &str, resource: &Map<String, Value>) -> bool {
        let name = resource.get("metadata").and_then(|metadata| metadata.get("name"));
        let Some(spec) = resource.get("spec") else { return false };
        match resource.get("kind").and_then(Value::as_str) {
            Some("WasmPlugin") => {
                let place = join(place, "spec");
                if self.is_own(&place, &[name, spec.get("url"), spec.get("pluginName")]) {
                    let configuration = as_json(spec.get("pluginConfig"));
                    self.add(&place, "pluginConfig", configuration, env(spec));
                }
                true
            }
            Some("EnvoyExtensionPolicy") => {
                for (key, index, plugin) in ["wasm", "dynamicModule"].iter().flat_map(|key| {
                    let list = spec.get(key).and_then(Value::as_array).into_iter().flatten();
                    list.enumerate().map(move |(index, plugin)| (key, index, plugin))
                }) {
                    let place = format!("{}[{index}]", join(&join(place, "spec"), key));
                    let words = [name, plugin.get("name"), plugin.get("code")];
                    if self.is_own(&place, &words) {
                        // Its `env` only names variables of the host.
                        self.add(&place, "config", as_json(plugin.get("config")), Vec::new());
                    }
                }
                true
            }
            _ => false,
        }
    }

    fn is_own(&mut self, place: &str, words: &[Option<&Value>]) -> bool {
        let text: String = words.iter().flatten().map(|word| word.to_string()).collect();
        let own = OWN_WORDS.iter().any(|word| text.to_ascii_lowercase().contains(word));
        if !own {
            let name = words.iter().flatten().find_map(|word| word.as_str());
            self.others.push(name.unwrap_or(place).to_owned());
        }
        own
    }

    fn add(
        &mut self,
        place: &str,
        key: &str,
        configuration: Result<Vec<u8>, String>,
        variables: Vec<(String, String)>,
    ) {
        let place = join(place, key);
        match configuration {
            Ok(configuration) => self.found.push(Plugin { place, configuration, variables }),
            Err(mistake) => self.mistakes.push(format!("{place}: {mistake}")),
        }
    }
}

fn get<'a>(object: &'a Map<String, Value>, snake: &str, camel: &str) -> Option<&'a Value> {
    object.get(snake).or_else(|| object.get(camel))
}

/// What Envoy hands over of a `google.protobuf.Any` (`MessageUtil::anyToBytes`).
fn unpack(any: &Value) -> Result<Vec<u8>, String> {
    let kind = any.get("@type").and_then(Value::as_str).unwrap_or_default();
    let value = any.get("value");
    let text = || match value {
        None => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(format!("the value of `{kind}` is not a string")),
    };
    match kind.rsplit('/').next() {
        Some("google.protobuf.StringValue") => Ok(text()?.as_bytes().to_vec()),
        Some("google.protobuf.BytesValue") => base64(text()?),
        Some("google.protobuf.Struct") => as_json(value),
        _ => Err(format!(
            "`@type` is {kind:?}; use type.googleapis.com/google.protobuf.StringValue, BytesValue \
             or Struct"
        )),
    }
}

/// An object as the filter would read it from a `Struct`.
fn as_json(value: Option<&Value>) -> Result<Vec<u8>, String> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => serde_json::to_vec(value).map_err(|error| error.to_string()),
    }
}

/// Base64 as protobuf's JSON reads it: either alphabet, with or without padding.
fn base64(text: &str) -> Result<Vec<u8>, String> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&STANDARD, lenient)
        .decode(text)
        .or_else(|_| GeneralPurpose::new(&URL_SAFE, lenient).decode(text))
        .map_err(|error| format!("the value of a BytesValue is not base64: {error}"))
}
