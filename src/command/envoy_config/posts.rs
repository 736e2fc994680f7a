//! Where events may be posted (`events.path`): on a listener of their own, on the loopback
//! interface, because whoever reaches the path can count whatever is declared.

use serde_json::Value;

/// The plugin's configuration without `events.path` and what only posts can report; `None` where it
/// takes no posts anyway.
pub(super) fn without_posts(configuration: &[u8]) -> Option<String> {
    let mut document: Value = serde_json::from_slice(configuration).ok()?;
    let events = document.get_mut("events")?.as_object_mut()?;
    let path = events.remove("path")?;
    if path.as_str().is_none_or(str::is_empty) {
        return None;
    }
    let header = events.get("response_header").and_then(Value::as_str).unwrap_or_default();
    if header.is_empty()
        && let Some(metrics) = document.get_mut("custom_metrics").and_then(Value::as_array_mut)
    {
        metrics.retain(|metric| metric.get("source").and_then(Value::as_str) != Some("event"));
    }
    serde_json::to_string_pretty(&document).ok()
}

/// The listener `events`, around the plugin's entry in `http_filters`.
pub(super) fn listener(port: u16, plugin: &str) -> String {
    format!(
        r#"
  # Takes events that are posted, from this machine alone.
  - name: events
    address:
      socket_address: {{ address: 127.0.0.1, port_value: {port} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: events
          route_config:
            virtual_hosts:
            - name: events
              domains: ["*"]
              routes:
              - match: {{ prefix: / }}
                direct_response: {{ status: 404 }}
          http_filters:
{plugin}          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_public_listener_takes_no_posts() {
        let metrics = json!([{"name": "a", "source": "event"}, {"name": "b"}]);
        let split = |events: Value| {
            let text = json!({"custom_metrics": metrics, "events": events}).to_string();
            let text = without_posts(text.as_bytes())?;
            Some(serde_json::from_str::<Value>(&text).unwrap())
        };
        for events in [json!({}), json!({"path": ""}), json!({"response_header": "x"})] {
            assert_eq!(split(events), None);
        }
        let both = split(json!({"path": "/e", "response_header": "x"})).unwrap();
        let expected = json!({"custom_metrics": metrics, "events": {"response_header": "x"}});
        assert_eq!(both, expected);
        let posts = split(json!({"path": "/e"})).unwrap();
        assert_eq!(posts, json!({"custom_metrics": [{"name": "b"}], "events": {}}));
        assert_eq!(without_posts(b""), None);
        assert_eq!(without_posts(b"{}"), None);
    }
}
