//! The Grafana dashboard of a configuration: its rows, variables and links. The panels of the rows
//! are in files of their own.

mod filter_panels;
mod panel;
mod queries;
mod request_panels;
mod user_panels;

use serde_json::{Value, json};

use self::panel::{Board, datasource};
use super::alerts::dashboard_uid;
use super::families::Families;

/// The dashboard for a configuration's families. Panels about something that the configuration
/// does not record, or records without the label that they need, are left out.
pub fn dashboard(families: &Families) -> Value {
    let mut board = Board::default();
    board.row("Overview", request_panels::overview(families));
    board.row("Traffic", request_panels::traffic(families));
    board.row("Endpoints", request_panels::endpoints(families));
    board.row("Sizes", request_panels::sizes(families));
    board.row("Limits", filter_panels::limits());
    board.row("The filter", filter_panels::health());
    board.row("Organisations and users", user_panels::detailed(families));
    board.row("Business metrics", families.custom.iter().map(user_panels::custom).collect());
    let namespace = families.prefix.trim_end_matches('_');
    let title = match namespace {
        "" => "Requests by endpoint".to_owned(),
        name => format!("Requests by endpoint: {name}"),
    };
    json!({
        "uid": dashboard_uid(families),
        "title": title,
        "description": "What route-metrics records in Envoy. Printed by `route-metrics dashboard`; \
                        change the plugin configuration, not this.",
        "tags": ["route-metrics", "envoy"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "annotations": {"list": [alert_annotation()]},
        "links": [alerts_link()],
        "templating": {"list": variables(families)},
        "panels": board.into_panels(),
    })
}

fn alert_annotation() -> Value {
    json!({
        "name": "Alerts",
        "datasource": datasource(),
        "enable": true,
        "hide": false,
        "iconColor": "red",
    "target": {
            "refId": "Alerts",
            "expr": r#"ALERTS{alertname=~"RouteMetrics.+", alertstate="firing"}"#,
        },
        "titleFormat": "{{alertname}}",
        "textFormat": "{{endpoint}} {{instance}}",
    })
}

fn alerts_link() -> Value {
    json!({
        "title": "Alerts",
        "type": "link",
        "icon": "bell",
        "tooltip": "The alerting rules of route-metrics",
        "tags": [],
        "url": "/alerting/list?search=RouteMetrics",
        "asDropdown": false,
        "targetBlank": true,
        "includeVars": false,
        "keepTime": false,
    })
}

/// The family and label from which the endpoints of the variable are listed.
fn endpoint_source(families: &Families) -> Option<(String, String)> {
    let counters = families.requests.iter().map(|family| (family, family.name.clone()));
    let duration = families.duration.iter().map(|duration| &duration.recorded);
    let histograms = duration.chain(&families.response_size);
    let counts = histograms.map(|family| (family, format!("{}_count", family.name)));
    let mut all = counters.chain(counts);
    all.find_map(|(family, series)| Some((series, family.endpoint.clone()?)))
}

fn variables(families: &Families) -> Vec<Value> {
    let source = json!({
        "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
        "hide": 0, "includeAll": false, "multi": false, "refresh": 1, "regex": "", "options": [],
    });
    let query = |name: &str, label: &str, query: String| {
        json!({
            "name": name,
            "label": label,
            "type": "query",
            "datasource": datasource(),
            "query": {"query": query, "refId": name},
            "hide": 0,
            "includeAll": true,
            "allValue": ".*",
            "multi": true,
            "refresh": 2,
            "regex": "",
            "sort": 1,
            "options": [],
            "current": {"selected": true, "text": "All", "value": "$__all"},
        })
    };
    let mut list = vec![
        source,
        query("job", "Job", "label_values(route_metrics_build_info, job)".to_owned()),
        query(
            "instance",
            "Instance",
            r#"label_values(route_metrics_build_info{job=~"$job"}, instance)"#.to_owned(),
        ),
    ];
    if let Some((series, label)) = endpoint_source(families) {
        let values =
            format!(r#"label_values({series}{{job=~"$job", instance=~"$instance"}}, {label})"#);
        list.push(query("endpoint", "Endpoint", values));
    }
    list
}
