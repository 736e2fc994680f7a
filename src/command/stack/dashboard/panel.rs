//! Panels of a Grafana dashboard: their JSON, and where they stand.

use serde_json::{Value, json};

/// How a panel shows its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Lines over time.
    Lines,
    /// Areas over time, one on top of the other.
    Stacked,
    /// One number with a sparkline.
    Number,
    /// One row per series, from one evaluation.
    Table,
}

/// A query and the name of its series.
#[derive(Clone, Debug)]
pub struct Query {
    /// PromQL with the dashboard's variables.
    pub expr: String,
    /// Grafana's template for the name of a series.
    pub legend: String,
}

impl Query {
    /// A query whose series are named by this template.
    pub fn new(expr: impl Into<String>, legend: impl Into<String>) -> Self {
        Self { expr: expr.into(), legend: legend.into() }
    }
}

/// A panel in the making.
#[derive(Clone, Debug)]
pub struct Panel {
    title: String,
    description: String,
    show: Show,
    unit: &'static str,
    width: u32,
    queries: Vec<Query>,
    /// From which value on which colour; green below.
    thresholds: Vec<(f64, &'static str)>,
    /// Names of alerts about what the panel shows.
    alerts: Vec<&'static str>,
    /// Units of a table's columns, by the query's place.
    column_units: Vec<&'static str>,
    max: Option<f64>,
}

/// The source of every query.
pub fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Panel {
    /// A panel of a third of the width. Units are Grafana's identifiers (`reqps`, `percentunit`).
    pub fn new(title: &str, unit: &'static str, description: &str, queries: Vec<Query>) -> Self {
        Self {
            title: title.to_owned(),
            description: description.to_owned(),
            show: Show::Lines,
            unit,
            width: 8,
            queries,
            thresholds: Vec::new(),
            alerts: Vec::new(),
            column_units: Vec::new(),
            max: None,
        }
    }

    /// Shown in another way.
    pub fn show(mut self, show: Show) -> Self {
        self.show = show;
        self
    }

    /// So many of 24 columns wide.
    pub fn width(mut self, columns: u32) -> Self {
        self.width = columns;
        self
    }

    /// Colours from these values on.
    pub fn thresholds(mut self, thresholds: &[(f64, &'static str)]) -> Self {
        self.thresholds = thresholds.to_vec();
        self
    }

    /// Links to these alerts.
    pub fn alerts(mut self, alerts: &[&'static str]) -> Self {
        self.alerts = alerts.to_vec();
        self
    }

    /// Units of the columns of a table.
    pub fn columns(mut self, units: &[&'static str]) -> Self {
        self.column_units = units.to_vec();
        self
    }

    /// The upper end of the scale.
    pub fn max(mut self, max: f64) -> Self {
        self.max = Some(max);
        self
    }

    fn height(&self) -> u32 {
        match self.show {
            Show::Number => 4,
            Show::Table => 10,
            Show::Lines | Show::Stacked => 8,
        }
    }

    fn json(&self, id: u32, x: u32, y: u32) -> Value {
        let (kind, options) = self.kind();
        let mut panel = json!({
            "id": id,
            "type": kind,
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height()},
            "targets": self.targets(),
            "fieldConfig": self.field_config(),
            "options": options,
        });
        if !self.alerts.is_empty() {
            let links: Vec<Value> = self.alerts.iter().map(|alert| link(alert)).collect();
            panel["links"] = links.into();
        }
        if self.show == Show::Table {
            panel["transformations"] = self.join();
        }
        panel
    }

    fn kind(&self) -> (&'static str, Value) {
        match self.show {
            Show::Lines | Show::Stacked => (
                "timeseries",
                json!({
                    "legend": {
                        "displayMode": "table", "placement": "bottom", "showLegend": true,
                        "calcs": ["lastNotNull", "max"],
                    },
                    "tooltip": {"mode": "multi", "sort": "desc"},
                }),
            ),
            Show::Number => (
                "stat",
                json!({
                    "colorMode": "value", "graphMode": "area", "justifyMode": "auto",
                    "orientation": "auto", "textMode": "value", "wideLayout": true,
                    "showPercentChange": false, "percentChangeColorMode": "standard",
                    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                }),
            ),
            Show::Table => ("table", json!({"showHeader": true, "cellHeight": "sm"})),
        }
    }

    fn targets(&self) -> Vec<Value> {
        let table = self.show == Show::Table;
        let target = |(name, query): (char, &Query)| {
            json!({
                "refId": name.to_string(),
                "datasource": datasource(),
                "expr": query.expr,
                "legendFormat": query.legend,
                "range": !table,
                "instant": table,
                "format": if table { "table" } else { "time_series" },
            })
        };
        ('A'..='Z').zip(&self.queries).map(target).collect()
    }

    fn field_config(&self) -> Value {
        let mut steps = vec![json!({"color": "green", "value": null})];
        steps.extend(
            self.thresholds.iter().map(|(value, color)| json!({"color": color, "value": value})),
        );
        let mut defaults = json!({
            "unit": self.unit,
            "thresholds": {"mode": "absolute", "steps": steps},
            "color": {"mode": if self.show == Show::Number { "thresholds" } else { "palette-classic" }},
        });
        if let Some(max) = self.max {
            defaults["max"] = max.into();
        }
        match self.show {
            Show::Number | Show::Table => {}
            Show::Lines | Show::Stacked => {
                let (fill, mode) =
                    if self.show == Show::Stacked { (30, "normal") } else { (5, "none") };
                defaults["min"] = 0.into();
                defaults["custom"] = json!({
                    "drawStyle": "line", "lineWidth": 1, "fillOpacity": fill,
                    "showPoints": "never", "stacking": {"mode": mode, "group": "A"},
                });
            }
        }
        json!({"defaults": defaults, "overrides": self.overrides()})
    }

    /// Names and units of a table's columns: Grafana calls the values of query A `Value #A`.
    fn overrides(&self) -> Vec<Value> {
        let columns = ('A'..='Z').zip(&self.queries).zip(&self.column_units);
        let column = |((name, query), unit): ((char, &Query), &&str)| {
            json!({
                "matcher": {"id": "byName", "options": format!("Value #{name}")},
                "properties": [
                    {"id": "displayName", "value": query.legend},
                    {"id": "unit", "value": unit},
                ],
            })
        };
        columns.map(column).collect()
    }

    /// Puts the queries of a table side by side, and sorts by the first.
    fn join(&self) -> Value {
        json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": true, "job": true}}},
            {"id": "sortBy", "options": {"sort": [{"field": "Value #A", "desc": true}]}},
        ])
    }
}

/// A link to an alert's rule in Grafana.
fn link(alert: &str) -> Value {
    json!({
        "title": format!("Alert {alert}"),
        "type": "link",
        "icon": "bell",
        "tooltip": "",
        "tags": [],
        "url": format!("/alerting/list?search=rule:{alert}"),
        "asDropdown": false,
        "targetBlank": true,
        "includeVars": false,
        "keepTime": false,
    })
}

/// Places panels from left to right, row by row, and numbers them in order.
#[derive(Default)]
pub struct Board {
    panels: Vec<Value>,
    x: u32,
    y: u32,
    height: u32,
}

/// The width of the grid.
const COLUMNS: u32 = 24;

impl Board {
    fn next_id(&self) -> u32 {
        u32::try_from(self.panels.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn new_line(&mut self) {
        self.y += self.height;
        (self.x, self.height) = (0, 0);
    }

    /// A row with its panels; nothing where there are none.
    pub fn row(&mut self, title: &str, panels: Vec<Panel>) {
        if panels.is_empty() {
            return;
        }
        self.new_line();
        self.panels.push(json!({
            "id": self.next_id(),
            "type": "row",
            "title": title,
            "collapsed": false,
            "panels": [],
            "gridPos": {"x": 0, "y": self.y, "w": COLUMNS, "h": 1},
        }));
        self.y += 1;
        for panel in panels {
            if self.x + panel.width > COLUMNS {
                self.new_line();
            }
            self.panels.push(panel.json(self.next_id(), self.x, self.y));
            self.x += panel.width;
            self.height = self.height.max(panel.height());
        }
    }

    /// All panels.
    pub fn into_panels(self) -> Vec<Value> {
        self.panels
    }
}
