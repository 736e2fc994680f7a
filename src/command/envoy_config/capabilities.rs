//! What the module may do in Envoy: the functions of the host that it calls, and its own that the
//! host calls. Envoy can leave out all others (`capability_restriction_config`).
//!
//! The list is held to the built module by `tests/e2e/tests/faults/privileges.rs`.

use std::str::FromStr;

use crate::config::Config;

/// Imports and callbacks of the module, in the order of the alphabet, but for `proc_exit`: it is only
/// called where the VM is lost in any case.
pub const CAPABILITIES: [&str; 30] = [
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_get_buffer_bytes",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_log",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_tick",
    "proxy_record_metric",
    "proxy_remove_header_map_value",
    "proxy_send_local_response",
    "proxy_set_effective_context",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
    "random_get",
];

/// Those that a plugin with this configuration needs; all others are callbacks that would do nothing,
/// and functions that are never called.
pub fn needed(config: &Config) -> Vec<&'static str> {
    let header = !config.events.response_header.is_empty();
    let posts = !config.events.path.is_empty();
    let needed = |name: &str| match name {
        "proxy_on_response_headers" | "proxy_remove_header_map_value" => header,
        "proxy_continue_stream"
        | "proxy_on_request_body"
        | "proxy_on_request_trailers"
        | "proxy_send_local_response"
        | "proxy_set_effective_context" => posts,
        "proxy_get_header_map_value" => header || posts,
        "proxy_set_property" => config.endpoint.export,
        _ => true,
    };
    CAPABILITIES.into_iter().filter(|name| needed(name)).collect()
}

/// A version of Envoy, as far as configurations differ: major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvoyVersion(u16, u16);

impl EnvoyVersion {
    /// The first one that has `capability_restriction_config` in `VmConfig`. It warns of the one in
    /// `PluginConfig`, which is the only one that older versions know; those refuse the new one.
    const RESTRICTS_VMS: Self = Self(1, 40);

    /// The first one whose dynamic modules keep what this one builds on.
    const RUNS_NATIVELY: Self = Self(1, 38);

    /// Whether it takes the dynamic module.
    pub fn runs_natively(self) -> bool {
        self >= Self::RUNS_NATIVELY
    }

    /// Whether the list belongs into `vm_config`, and not beside it.
    pub fn restricts_vms(self) -> bool {
        self >= Self::RESTRICTS_VMS
    }
}

impl FromStr for EnvoyVersion {
    type Err = String;

    /// Reads `1.40`, `1.40.0`, or what `envoy --version` prints.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = match text.split_once("version: ") {
            Some((_, build)) => build.split('/').nth(1).unwrap_or_default(),
            None => text,
        };
        let mut parts = number.trim().split('.').map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self(major, minor)),
            _ => Err(format!("{text:?} is not a version of Envoy, such as 1.40")),
        }
    }
}

/// A list in YAML, below these lines of comment.
pub(super) fn restriction(comment: &str, capabilities: &[&str]) -> String {
    let names: String = capabilities.iter().map(|name| format!("    {name}: {{}}\n")).collect();
    format!("{comment}capability_restriction_config:\n  allowed_capabilities:\n{names}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_module_is_trimmed_to_this_list() {
        // What Envoy always allows, and what the standard library calls.
        let always =
            ["_initialize", "memory", "proxy_abi_version_0_2_1", "proxy_on_memory_allocate"];
        let abi = include_str!("../../module/wasm/abi.txt").lines();
        let mut abi: BTreeSet<&str> =
            abi.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        for name in always {
            assert!(abi.remove(name), "{name}");
        }
        let of_envoy = CAPABILITIES.into_iter().filter(|name| name.starts_with("proxy_"));
        assert_eq!(abi, of_envoy.collect());
    }

    #[test]
    fn versions_are_read_from_numbers_and_from_what_envoy_prints() {
        let printed =
            |number| format!("\nenvoy  version: 3909deb1/{number}/Clean/RELEASE/BoringSSL\n");
        for (text, restricts_vms) in [
            ("1.36", false),
            ("1.39.3", false),
            ("1.40", true),
            ("1.40.0", true),
            ("1.100.1-dev", true),
            ("2.0", true),
            (&printed("1.37.0"), false),
            (&printed("1.41.0-dev"), true),
        ] {
            let version: EnvoyVersion = text.parse().unwrap();
            assert_eq!(version.restricts_vms(), restricts_vms, "{text}");
        }
        for text in ["", "1", "newest", "v1.40", "1.x", "version: ", "version: 3909deb1"] {
            assert!(text.parse::<EnvoyVersion>().is_err(), "{text}");
        }
    }
}
