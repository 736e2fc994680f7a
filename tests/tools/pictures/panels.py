#!/usr/bin/env python3
"""Draws panels of a Grafana dashboard from a Prometheus, as one HTML page of SVG.

    panels.py DASHBOARD PROMETHEUS MINUTES > page.html

It reads what the dashboard says: titles, units, places and queries, each put to Prometheus with every
variable at "All". It is not Grafana: colours and scales are its own, and it draws stat panels, time series and
tables, which is all that the shipped dashboard has.
"""

import html
import json
import math
import sys
import time
import urllib.parse
import urllib.request

COLOURS = ["#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642", "#cca300"]
# Behind a value: what it stands for per second, or with a prefix as SI has it.
UNITS = {"reqps": " req/s", "cps": " /s", "percentunit": "%", "bytes": "B", "s": "s"}
PREFIXES = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ")]
LETTER = 5.6  # the width of a letter of the plots, in pixels, at most on average
WIDTH, ROW = 1180, 34  # of the page, and of one unit of height of Grafana's grid, in pixels


def digits(value):
    """Three digits that count, without an exponent."""
    text = f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}" if value else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shown(value, unit):
    if value != value:
        return "–"
    if unit == "µs":
        value, unit = value / 1e6, "s"
    if unit == "percentunit":
        return digits(value * 100) + "%"
    # Times have small prefixes, and none above the second.
    prefixes = [p for p in PREFIXES if (p[0] <= 1 if unit == "s" else p[0] >= 1)]
    # What is rounded up to a thousand has the next prefix.
    bound, prefix = next((p for p in prefixes if abs(value) >= p[0] * 0.9995), prefixes[-1]) if value else (1, "")
    word = UNITS.get(unit, "")
    number = digits(value / bound)
    if unit in ("s", "bytes"):
        return f"{number} {prefix}{word}"
    return f"{number}{' ' + prefix if prefix else ''}{word}"


def ticks(top):
    """Round numbers from 0 to at least `top`: steps of 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(top / 2))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * 3 >= top)
    return [step * place for place in range(math.ceil(top / step - 1e-9) + 1)]


class Prometheus:
    def __init__(self, address, minutes):
        self.address, self.end = address, time.time()
        self.start = self.end - 60 * minutes

    def ask(self, kind, expression, **more):
        expression = expression.replace("$__rate_interval_ms", "60000").replace("$__rate_interval", "1m").replace("$__range", "5m")
        for name in ("job", "instance", "endpoint"):
            expression = expression.replace(f"${name}", ".*")
        query = urllib.parse.urlencode({"query": expression, **more})
        with urllib.request.urlopen(f"{self.address}/api/v1/{kind}?{query}", timeout=30) as response:
            return json.load(response)["data"]["result"]

    def now(self, expression):
        return self.ask("query", expression, time=self.end)

    def range(self, expression):
        return self.ask("query_range", expression, start=self.start, end=self.end, step=5)


def legend(target, labels):
    name = target.get("legendFormat") or ""
    for label, value in labels.items():
        name = name.replace("{{" + label + "}}", value)
    return name


def stat(panel, prometheus, unit):
    found = prometheus.now(panel["targets"][0]["expr"])
    value = shown(float(found[0]["value"][1]), unit) if found else "No data"
    return f'<div class="stat">{html.escape(value)}</div>'


def table(panel, prometheus):
    columns = [target.get("legendFormat", "") for target in panel["targets"]]
    rows = {}
    for place, target in enumerate(panel["targets"]):
        for series in prometheus.now(target["expr"]):
            name = series["metric"].get("endpoint", "")
            rows.setdefault(name, {})[place] = float(series["value"][1])
    rows = sorted((row for row in rows.items() if 0 in row[1]), key=lambda row: -row[1][0])
    units = ["reqps", "percentunit", "s"]
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join(
        f"<tr><td>{html.escape(name)}</td>" + "".join(
            f"<td class=number>{shown(values[i], units[i]) if i in values else '–'}</td>" for i in range(len(columns))
        ) + "</tr>" for name, values in rows)
    return f"<table><tr><th>Endpoint</th>{head}</tr>{body}</table>"


def series_plot(panel, prometheus, unit, width, height):
    lines = []
    for target in panel["targets"]:
        for series in prometheus.range(target["expr"]):
            points = [(float(at), float(value)) for at, value in series["values"] if value not in ("NaN", "+Inf")]
            if points:
                lines.append((legend(target, series["metric"]), points))
    lines = lines[:10]
    if not lines:
        return f'<svg width="{width}" height="{height - 30}"><text x="{width // 2 - 24}" y="60">No data</text></svg>'
    # As many columns as the longest name leaves room for.
    longest = max(len(name) for name, _ in lines) * LETTER + 26
    columns = max(1, min(3, int(width / longest)))
    room = height - 30 - 16 * math.ceil(len(lines) / columns)
    marks = ticks(max(value for _, points in lines for _, value in points) or 1)
    names = [shown(mark, unit) for mark in marks]
    left, right, low = max(map(len, names)) * LETTER + 12, width - 8, room - 18
    x = lambda at: left + (at - prometheus.start) / (prometheus.end - prometheus.start) * (right - left)
    y = lambda value: low - value / (marks[-1] * 1.02) * (low - 8)
    out = [f'<svg width="{width}" height="{height - 30}">']
    for mark, name in zip(marks, names):
        at = y(mark)
        out.append(f'<line x1="{left:.0f}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>'
                   f'<text x="{left - 5:.0f}" y="{at + 4:.1f}" text-anchor="end">{name}</text>')
    for part in (0, 0.5, 1):
        at = prometheus.start + (prometheus.end - prometheus.start) * part
        anchor = ("start", "middle", "end")[int(part * 2)]
        out.append(f'<text x="{x(at):.1f}" y="{low + 14}" text-anchor="{anchor}">'
                   f'{time.strftime("%H:%M:%S", time.gmtime(at))}</text>')
    for place, (name, points) in enumerate(lines):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        at, down = 10 + place % columns * (width - 20) / columns, place // columns
        out.append(f'<rect x="{at:.0f}" y="{room + 2 + down * 16}" width="10" height="3" fill="{colour}"/>'
                   f'<text x="{at + 14:.0f}" y="{room + 8 + down * 16}">{html.escape(name)}</text>')
    return "".join(out) + "</svg>"


def main():
    dashboard = json.load(open(sys.argv[1], encoding="utf-8"))
    prometheus = Prometheus(sys.argv[2].rstrip("/"), float(sys.argv[3]))
    parts, bottom = [], 0
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        left, width = place["x"] * WIDTH // 24, place["w"] * WIDTH // 24 - 6
        top, height = place["y"] * ROW, place["h"] * ROW - 6
        title = html.escape(panel.get("title", ""))
        if panel["type"] == "row":
            # Four rows are enough for a picture.
            if title.startswith(("Sizes", "Limits")):
                break
            parts.append(f'<h2 style="left:{left}px;top:{top}px">{title}</h2>')
            continue
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "short")
        if panel["type"] == "stat":
            body = stat(panel, prometheus, unit)
        elif panel["type"] == "table":
            body = table(panel, prometheus)
        else:
            body = series_plot(panel, prometheus, unit, width - 12, height)
        parts.append(f'<div class="panel" style="left:{left}px;top:{top}px;width:{width}px;height:{height}px">'
                     f"<h3>{title}</h3>{body}</div>")
        bottom = max(bottom, top + height)
    print(f"""<!doctype html><meta charset="utf-8"><title>{html.escape(dashboard["title"])}</title><style>
body {{ margin: 12px; background: #111217; color: #d0d0d6; font: 12px sans-serif; position: relative; height: {bottom + 12}px }}
.panel, h2 {{ position: absolute; box-sizing: border-box }}
.panel {{ background: #181b1f; border: 1px solid #2a2d33; border-radius: 3px; padding: 4px 6px; overflow: hidden }}
h2 {{ font-size: 14px; margin: 8px 2px }} h3 {{ font-size: 12px; margin: 2px 0 4px; font-weight: 600 }}
.stat {{ font-size: 30px; color: #73bf69; text-align: center; margin-top: 22px }}
svg text {{ fill: #9a9aa5; font-size: 10px }} .grid {{ stroke: #2a2d33 }}
table {{ width: 100%; border-collapse: collapse }} td, th {{ text-align: left; padding: 4px 6px; border-bottom: 1px solid #2a2d33 }}
.number {{ font-variant-numeric: tabular-nums }}
</style>{"".join(parts)}""")


if __name__ == "__main__":
    main()
