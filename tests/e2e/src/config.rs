//! Writes Envoy configurations: one listener with the filter and a router, clusters, and the stats
//! configuration that turns stat names back into labels.
//!
//! Parts are plain JSON (which is YAML), so that a test can put in whatever Envoy understands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use route_metrics::command::envoy_config::yaml;
use serde_json::{Map, Value, json};

use crate::repository;

/// The name of the listener and of the default cluster.
pub const LISTENER: &str = "main";
/// The cluster of [`Setup::new`].
pub const UPSTREAM: &str = "upstream";

/// The protobuf type in which the plugin configuration travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `google.protobuf.StringValue`: the JSON as text.
    StringValue,
    /// `google.protobuf.BytesValue`: the JSON as bytes.
    BytesValue,
    /// `google.protobuf.Struct`: the JSON as YAML keys, which Envoy hands over as protobuf.
    Struct,
}

/// What runs the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Envoy's Wasm.
    Wasm,
    /// Envoy's dynamic modules (1.38 and newer).
    Native,
}

impl Default for Host {
    /// The one in the environment variable `E2E_HOST`, `native` or `wasm`; without it Wasm.
    fn default() -> Self {
        match std::env::var("E2E_HOST").as_deref() {
            Ok("native") => Self::Native,
            Ok("wasm" | "") | Err(_) => Self::Wasm,
            Ok(other) => panic!("E2E_HOST is {other:?}, neither wasm nor native"),
        }
    }
}

/// One use of the filter.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// What runs it.
    pub host: Host,
    /// The plugin configuration. A JSON string goes as it is (for what is not JSON).
    pub configuration: Value,
    /// How it travels.
    pub form: Form,
    /// `vm_config.environment_variables.key_values`.
    pub environment: Vec<(String, String)>,
    /// `vm_config.vm_id`.
    pub vm_id: String,
    /// The module.
    pub module: PathBuf,
    /// What Envoy does when a VM has died.
    pub failure_policy: String,
    /// `allow_on_headers_stop_iteration`: whether the filter sees a body before it lets the headers
    /// go on.
    pub stop_at_headers: bool,
    /// What is merged into the filter's `config`; `null` takes a field away.
    pub settings: Value,
}

impl Plugin {
    /// The built module with this configuration, as `StringValue` and with `FAIL_RELOAD`.
    pub fn new(configuration: Value) -> Self {
        Self::on(Host::default(), configuration)
    }

    /// As [`Plugin::new`], on this host.
    pub fn on(host: Host, configuration: Value) -> Self {
        let module = match host {
            Host::Wasm => "dist/route_metrics.wasm",
            Host::Native => "dist/libroute_metrics.so",
        };
        Self {
            host,
            configuration,
            form: Form::StringValue,
            environment: Vec::new(),
            vm_id: "route-metrics".to_owned(),
            module: repository().join(module),
            failure_policy: "FAIL_RELOAD".to_owned(),
            stop_at_headers: false,
            settings: json!({}),
        }
    }

    /// The same with these settings merged into the filter's `config` (`PluginConfig`).
    #[must_use]
    pub fn settings(mut self, settings: Value) -> Self {
        merge(&mut self.settings, settings);
        self
    }

    /// The same in another form.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// The same with one more environment variable of the VM.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same in another VM (with shared data of its own).
    #[must_use]
    pub fn vm_id(mut self, vm_id: &str) -> Self {
        self.vm_id = vm_id.to_owned();
        self
    }

    /// The same with `allow_on_headers_stop_iteration`.
    #[must_use]
    pub fn stop_at_headers(mut self) -> Self {
        self.stop_at_headers = true;
        self
    }

    /// The plugin configuration as text.
    pub fn text(&self) -> String {
        match &self.configuration {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// The filter's entry in `http_filters`.
    pub fn http_filter(&self) -> Value {
        let wrapped = |name: &str, value: Value| json!({"@type": format!("type.googleapis.com/google.protobuf.{name}"), "value": value});
        let configuration = match self.form {
            Form::StringValue => wrapped("StringValue", self.text().into()),
            Form::BytesValue => {
                let encoded = base64::engine::general_purpose::STANDARD.encode(self.text());
                wrapped("BytesValue", encoded.into())
            }
            Form::Struct => wrapped("Struct", self.configuration.clone()),
        };
        if self.host == Host::Native {
            return json!({
                "name": "route_metrics",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules\
                              .v3.DynamicModuleFilter",
                    "dynamic_module_config": {
                        "module": {"local": {"filename": self.module}},
                        "do_not_close": true,
                    },
                    "filter_name": "route_metrics",
                    "filter_config": configuration,
                },
            });
        }
        let environment: Map<String, Value> =
            self.environment.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
        let mut config = json!({
            "name": "route_metrics",
            "root_id": "route_metrics",
            "failure_policy": self.failure_policy,
            "allow_on_headers_stop_iteration": self.stop_at_headers,
            "vm_config": {
                "vm_id": self.vm_id,
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": self.module}},
                "environment_variables": {"key_values": environment},
            },
            "configuration": configuration,
        });
        merge(&mut config, self.settings.clone());
        json!({
            "name": "route_metrics",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": config,
            },
        })
    }
}

/// Where the stats configuration comes from.
#[derive(Clone, Debug)]
pub enum Stats {
    /// What `route-metrics bootstrap` prints for the plugin configuration.
    Bootstrap,
    /// Istio's default tag rules and one `extraStatTags` entry for each label of the bootstrap.
    Istio,
    /// This value of `stats_config`.
    Given(Value),
}

/// A whole Envoy configuration in the making.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) binary: Option<crate::Binary>,
    pub(crate) concurrency: usize,
    pub(crate) arguments: Vec<String>,
    pub(crate) dynamic: bool,
    pub(crate) hot_restart: bool,
    pub(crate) drain_seconds: u64,
    pub(crate) port: u16,
    plugin: Option<Plugin>,
    beside: Vec<(String, Plugin)>,
    stats: Stats,
    routes: Vec<Value>,
    clusters: Vec<Value>,
    filters_before: Vec<Value>,
    filters_after: Vec<Value>,
    connection_manager: Value,
    more_listeners: Vec<Value>,
    settings: Value,
    access_log: Option<String>,
}

impl Setup {
    /// Everything goes to `upstream`; two workers; no filter yet.
    pub fn new(upstream: SocketAddr) -> Self {
        Self {
            binary: None,
            concurrency: 2,
            arguments: Vec::new(),
            dynamic: false,
            hot_restart: false,
            drain_seconds: 1,
            port: 0,
            plugin: None,
            beside: Vec::new(),
            stats: Stats::Bootstrap,
            routes: Vec::new(),
            clusters: vec![cluster(UPSTREAM, upstream)],
            filters_before: Vec::new(),
            filters_after: Vec::new(),
            connection_manager: json!({}),
            more_listeners: Vec::new(),
            settings: json!({}),
            access_log: None,
        }
    }

    /// The Envoy to run; by default [`Binary::default`](crate::Binary).
    #[must_use]
    pub fn binary(mut self, binary: &crate::Binary) -> Self {
        self.binary = Some(binary.clone());
        self
    }

    /// The number of worker threads.
    #[must_use]
    pub fn concurrency(mut self, workers: usize) -> Self {
        self.concurrency = workers;
        self
    }

    /// One more argument of the command line.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Puts the filter in, with this plugin configuration.
    #[must_use]
    pub fn filter(self, configuration: Value) -> Self {
        self.plugin(Plugin::new(configuration))
    }

    /// Puts the filter in.
    #[must_use]
    pub fn plugin(mut self, plugin: Plugin) -> Self {
        self.plugin = Some(plugin);
        self
    }

    /// One more listener, on which everything is answered `404` unless the filter, with another
    /// plugin configuration, does so itself.
    #[must_use]
    pub fn listener_beside(mut self, name: &str, plugin: Plugin) -> Self {
        self.beside.push((name.to_owned(), plugin));
        self
    }

    /// Where `stats_config` comes from; by default the bootstrap of the plugin configuration.
    #[must_use]
    pub fn stats(mut self, stats: Stats) -> Self {
        self.stats = stats;
        self
    }

    /// Listens on this port in place of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// A route before the one that takes everything else to the upstream; see [`route`] and
    /// [`direct_response`].
    #[must_use]
    pub fn route(mut self, route: Value) -> Self {
        self.routes.push(route);
        self
    }

    /// One more cluster; see [`cluster`].
    #[must_use]
    pub fn cluster(mut self, cluster: Value) -> Self {
        self.clusters.push(cluster);
        self
    }

    /// Merges settings into those of the default cluster.
    #[must_use]
    pub fn upstream_settings(mut self, settings: Value) -> Self {
        if let Some(first) = self.clusters.first_mut() {
            merge(first, settings);
        }
        self
    }

    /// An HTTP filter before ours.
    #[must_use]
    pub fn filter_before(mut self, filter: Value) -> Self {
        self.filters_before.push(filter);
        self
    }

    /// An HTTP filter between ours and the router.
    #[must_use]
    pub fn filter_after(mut self, filter: Value) -> Self {
        self.filters_after.push(filter);
        self
    }

    /// Merges settings into those of the HTTP connection manager.
    #[must_use]
    pub fn connection_manager(mut self, settings: Value) -> Self {
        merge(&mut self.connection_manager, settings);
        self
    }

    /// One more listener, as it stands in the configuration.
    #[must_use]
    pub fn more_listener(mut self, listener: Value) -> Self {
        self.more_listeners.push(listener);
        self
    }

    /// Merges settings into the whole configuration.
    #[must_use]
    pub fn settings(mut self, settings: Value) -> Self {
        merge(&mut self.settings, settings);
        self
    }

    /// Writes an access log of this format; [`Envoy::access_log`](crate::Envoy::access_log) reads
    /// it. The end of the line is added.
    #[must_use]
    pub fn access_log(mut self, format: &str) -> Self {
        self.access_log = Some(format!("{format}\n"));
        self
    }

    /// Takes the listener from a watched file, so that
    /// [`Envoy::update`](crate::Envoy::update) can change it.
    #[must_use]
    pub fn dynamic(mut self) -> Self {
        self.dynamic = true;
        self
    }

    /// Lets another Envoy take over; see [`Envoy::restart`](crate::Envoy::restart).
    #[must_use]
    pub fn hot_restart(mut self) -> Self {
        self.hot_restart = true;
        self
    }

    /// How long connections may go on that a drain or an update wants closed; by default a second.
    #[must_use]
    pub fn drain_seconds(mut self, seconds: u64) -> Self {
        self.drain_seconds = seconds;
        self
    }

    /// The listener. Envoy writes its files to `directory`.
    pub fn listener(&self, directory: &Path) -> Value {
        let mut filters = self.filters_before.clone();
        filters.extend(self.plugin.as_ref().map(Plugin::http_filter));
        filters.extend(self.filters_after.iter().cloned());
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        }));
        let mut routes = self.routes.clone();
        routes.push(route("/", UPSTREAM));
        // CONNECT and `OPTIONS *` have no path that begins with a slash.
        routes.push(json!({
            "match": {"safe_regex": {"regex": ".*"}},
            "route": {"cluster": UPSTREAM},
        }));
        let mut manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network\
                      .http_connection_manager.v3.HttpConnectionManager",
            "codec_type": "AUTO",
            "stat_prefix": "ingress",
            "route_config": {
                "name": "routes",
                "virtual_hosts": [{"name": "all_hosts", "domains": ["*"], "routes": routes}],
            },
            "http_filters": filters,
        });
        if let Some(format) = &self.access_log {
            manager["access_log"] = json!([{
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3\
                              .FileAccessLog",
                    "path": directory.join("access.log"),
                    "log_format": {"text_format_source": {"inline_string": format}},
                },
            }]);
        }
        merge(&mut manager, self.connection_manager.clone());
        json!({
            "name": LISTENER,
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.port}},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }]}],
        })
    }

    /// The whole configuration. Envoy writes its files to `directory` and, where the setup is
    /// [dynamic](Setup::dynamic), reads [`LISTENERS_FILE`] from there.
    pub fn configuration(&self, directory: &Path) -> Value {
        let mut all = json!({
            "node": {"id": "route-metrics-e2e", "cluster": "route-metrics-e2e"},
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "static_resources": {"clusters": self.clusters},
            // Histograms appear in a scrape only after a flush; the default is 5 s.
            "stats_flush_interval": "0.2s",
        });
        merge(&mut all, self.stats_config(directory));
        if self.dynamic {
            all["dynamic_resources"]["lds_config"] = json!({
                "resource_api_version": "V3",
                "path_config_source": {
                    "path": directory.join(LISTENERS_FILE),
                    "watched_directory": {"path": directory},
                },
            });
        } else {
            let mut listeners = vec![self.listener(directory)];
            for (name, plugin) in &self.beside {
                let mut other = self.clone().plugin(plugin.clone());
                other.routes = vec![direct_response("/", 404, "")];
                let mut listener = other.listener(directory);
                listener["name"] = name.as_str().into();
                listeners.push(listener);
            }
            listeners.extend(self.more_listeners.iter().cloned());
            all["static_resources"]["listeners"] = listeners.into();
        }
        merge(&mut all, self.settings.clone());
        all
    }

    /// `stats_config`, and what else the filter's host wants to be in the bootstrap.
    fn stats_config(&self, directory: &Path) -> Value {
        let stats = match (&self.stats, &self.plugin) {
            (Stats::Given(config), _) => config.clone(),
            (Stats::Bootstrap, None) => json!({}),
            (Stats::Bootstrap, Some(plugin)) => return bootstrap(plugin, directory),
            (Stats::Istio, None) => istio_stats(&[]),
            (Stats::Istio, Some(plugin)) => {
                istio_stats(&labels_of(&bootstrap(plugin, directory)["stats_config"]))
            }
        };
        let mut all = json!({"stats_config": stats});
        // Without a plugin here, one of this host may come by discovery.
        let plugin = self.plugin.clone().unwrap_or_else(|| Plugin::new(json!({})));
        if plugin.host == Host::Native {
            all["layered_runtime"] = bootstrap(&plugin, directory)["layered_runtime"].clone();
        }
        all
    }

    /// Environment variables of the process, where the filter reads them there.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        let plugin = self.plugin.iter().filter(|plugin| plugin.host == Host::Native);
        let variables = plugin.flat_map(|plugin| &plugin.environment);
        variables.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The file of listeners of a dynamic setup.
pub const LISTENERS_FILE: &str = "listeners.json";

/// A route for a prefix to a cluster.
pub fn route(prefix: &str, cluster: &str) -> Value {
    json!({"match": {"prefix": prefix}, "route": {"cluster": cluster}})
}

/// A route for a prefix that Envoy answers itself.
pub fn direct_response(prefix: &str, status: u16, body: &str) -> Value {
    let mut response = json!({"status": status});
    if !body.is_empty() {
        response["body"] = json!({"inline_string": body});
    }
    json!({"match": {"prefix": prefix}, "direct_response": response})
}

/// A cluster with one address, HTTP/1.1.
pub fn cluster(name: &str, address: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {
                "address": address.ip(), "port_value": address.port(),
            }}}}]}],
        },
    })
}

/// What `route-metrics bootstrap` prints for this plugin and its host.
///
/// A configuration that the command refuses has no bootstrap; tests of refused configurations get
/// that of the defaults.
fn bootstrap(plugin: &Plugin, directory: &Path) -> Value {
    let file = directory.join("plugin.json");
    let print = |configuration: &str| {
        std::fs::write(&file, configuration).expect("the directory is writable");
        let command = repository().join("dist/route-metrics");
        let output = Command::new(&command)
            .arg("bootstrap")
            .args((plugin.host == Host::Native).then_some("--native"))
            .arg(&file)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; run `make build`", command.display()));
        output.status.success().then_some(output.stdout).ok_or(output.stderr)
    };
    let printed = print(&plugin.text()).or_else(|_| print("{}")).unwrap_or_else(|stderr| {
        panic!("route-metrics bootstrap: {}", String::from_utf8_lossy(&stderr))
    });
    let documents = yaml(&printed).expect("`route-metrics bootstrap` prints YAML");
    documents.into_iter().next().expect("`route-metrics bootstrap` prints a document")
}

/// The labels that a stats configuration takes out of stat names in this project's form.
pub fn labels_of(stats_config: &Value) -> Vec<String> {
    stats_config["stats_tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|tag| {
            tag["tag_name"].as_str().is_some_and(|name| tag["regex"] == tag_regex(name).as_str())
        })
        .filter_map(|tag| tag["tag_name"].as_str().map(str::to_owned))
        .collect()
}

/// The one form of tag regex that is safe for hostile values.
fn tag_regex(label: &str) -> String {
    format!(r"({label}=\.=(.*?);\.;)")
}

/// A stats configuration for these labels alone.
pub fn stats_for(labels: &[&str]) -> Value {
    let tags: Vec<_> =
        labels.iter().map(|label| json!({"tag_name": label, "regex": tag_regex(label)})).collect();
    json!({"stats_tags": tags})
}

/// Istio's default tag rules, with these labels as `extraStatTags`.
fn istio_stats(labels: &[String]) -> Value {
    let file = include_str!("../data/istio-stats-tags.json");
    let mut config: Value = serde_json::from_str(file).expect("the file of Istio's tags is JSON");
    if let Some(fields) = config.as_object_mut() {
        fields.remove("source");
    }
    if let Some(tags) = config["stats_tags"].as_array_mut() {
        tags.extend(
            labels.iter().map(|label| json!({"tag_name": label, "regex": tag_regex(label)})),
        );
    }
    config
}

/// Puts `changes` into `target`: objects are merged, everything else is replaced.
fn merge(target: &mut Value, changes: Value) {
    match (target, changes) {
        (Value::Object(target), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(target.entry(key).or_insert(Value::Null), change);
            }
        }
        (target, changes) => *target = changes,
    }
}
