#!/usr/bin/env python3
"""Crawls open-source applications through a real Envoy, and compares the labels with the routes that the
application's own router found.

    compare.py ENVOY ROUTE_METRICS MODULE [APPLICATION…]

Per application: requests that were scored, routes, labels, GA and F1 (docs/endpoints.md has what they mean),
what the limits folded, and whether Envoy's scrape counts what the client counted. A second row has the labels of
the same requests with the templates that `import-openapi` makes of what the application says of its routes.
`--routes FILE` writes each request as a line of JSON (method, path, status, route, label).
"""

import argparse
import base64
import collections
import http.client
import html.parser
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).parent
# The default of `endpoint.ignore_statuses`: such requests are _UNMATCHED and teach nothing.
IGNORED = {301, 400, 401, 403, 404, 405, 410}


class Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        for name in ("href", "src"):
            if tag in ("a", "link", "script", "img") and attributes.get(name):
                self.found.append(attributes[name])


class Client:
    """One client of Envoy, with cookies, that keeps what it has sent and got."""

    def __init__(self, port):
        self.port, self.cookies, self.requests = port, {}, []

    def send(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        for cookie in response.headers.get_all("set-cookie") or []:
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        self.requests.append({"method": method, "path": path, "status": response.status,
                              "route": response.headers.get("x-route")})
        return response, content


def crawl(client, start, most, random):
    """Follows links from `start`, breadth first within what was seen least, for at most `most` requests."""
    waiting, seen, asked = [start], {start}, collections.Counter()
    while waiting and most > 0:
        # What looks like a page that was not asked for much, first: else one long list fills the crawl.
        waiting.sort(key=lambda path: asked[re.sub(r"\d+", "#", path.split("?")[0])])
        path = waiting.pop(0)
        asked[re.sub(r"\d+", "#", path.split("?")[0])] += 1
        response, content = client.send("GET", path)
        most -= 1
        found = [response.headers["location"]] if response.headers.get("location") else []
        if "html" in (response.headers.get("content-type") or ""):
            links = Links()
            links.feed(content.decode("utf-8", "replace"))
            found += links.found
        random.shuffle(found)
        for link in found:
            target = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://127.0.0.1:{client.port}{path}", link))
            if target.hostname != "127.0.0.1" or target.port != client.port or "logout" in target.path:
                continue
            path_and_query = target.path + (f"?{target.query}" if target.query else "")
            path_and_query = urllib.parse.quote(path_and_query, safe="/?&=%:@!$'()*+,;~-._")
            if path_and_query not in seen and len(seen) < 20_000:
                seen.add(path_and_query)
                waiting.append(path_and_query)


def wiki(client, random):
    crawl(client, "/", 150, random)
    _, page = client.send("GET", "/admin/login/")
    token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page).group(1).decode()
    form = urllib.parse.urlencode({"csrfmiddlewaretoken": token, "username": "ada", "password": "ada", "next": "/"})
    response, _ = client.send("POST", "/admin/login/?next=/", form,
                              {"content-type": "application/x-www-form-urlencoded"})
    assert response.status == 302, response.status
    crawl(client, "/", 450, random)
    crawl(client, "/admin/", 450, random)


def kinto(client, random):
    secret = base64.b64encode(b"ada:secret").decode()
    headers = {"authorization": f"Basic {secret}", "content-type": "application/json"}

    def call(method, path, data=None):
        body = None if method in ("GET", "DELETE") else json.dumps({"data": data or {}})
        response, content = client.send(method, path, body, headers)
        assert method == "GET" or response.status < 300, (method, path, response.status, content)
        return response, content

    client.send("PUT", "/v1/accounts/ada", json.dumps({"data": {"password": "secret"}}),
                {"content-type": "application/json"})
    names = ["blog", "payments", "fleet", "team-a", "team-b", "app2", "shop", "archive", "eu-west", "sandbox"]
    kinds = ["articles", "comments", "tags", "devices", "settings", "invoices", "drafts"]
    for bucket in names:
        call("PUT", f"/v1/buckets/{bucket}")
        call("PUT", f"/v1/buckets/{bucket}/groups/{random.choice(['editors', 'readers', 'ops'])}", {"members": []})
        for kind in random.sample(kinds, 4):
            call("PUT", f"/v1/buckets/{bucket}/collections/{kind}")
            for _ in range(6):
                response, content = call("POST", f"/v1/buckets/{bucket}/collections/{kind}/records", {"n": 1})
                record = json.loads(content)["data"]["id"]
                path = f"/v1/buckets/{bucket}/collections/{kind}/records/{record}"
                call("GET", path)
                call(random.choice(["PUT", "PATCH"]), path, {"n": 2})
                if random.random() < 0.3:
                    call("DELETE", path)
            call("GET", f"/v1/buckets/{bucket}/collections/{kind}/records?_limit=5")
            call("GET", f"/v1/buckets/{bucket}/collections/{kind}")
        for page in ("collections", "groups", "history", "collections?_sort=id"):
            call("GET", f"/v1/buckets/{bucket}/{page}")
        call("GET", f"/v1/buckets/{bucket}")
    for path in ("/v1/", "/v1/__heartbeat__", "/v1/__lbheartbeat__", "/v1/__version__", "/v1/__api__",
                 "/v1/buckets", "/v1/accounts", "/v1/accounts/ada", "/v1/contribute.json", "/v1/nothing",
                 "/v1/buckets/default", "/v1/buckets/default/collections/notes/records"):
        for _ in range(5):
            call("GET", path)


APPLICATIONS = {"kinto": kinto, "wiki": wiki}


def template(route):
    """A route of Django or Pyramid in our notation: every placeholder is {}."""
    route = re.sub(r"\{[^{}]*\}", "{}", route)
    # Named groups of regular expressions, with what they nest.
    while (start := route.find("(?P<")) >= 0:
        depth, end = 0, start
        for end in range(start, len(route)):
            depth += {"(": 1, ")": -1}.get(route[end], 0)
            if depth == 0:
                break
        route = route[:start] + "{}" + route[end + 1:]
    route = re.sub(r"<[^<>]*>", "{}", route)
    route = re.sub(r"\\[ZA]|[\^$\\]", "", route)
    return "/" + route.strip("/")


def score(rows):
    """Grouping accuracy and F1 of purity and inverse purity over (template, label)."""
    by_template, by_label, both = collections.Counter(), collections.Counter(), collections.Counter()
    for pair in rows:
        by_template[pair[0]] += 1
        by_label[pair[1]] += 1
        both[pair] += 1
    exact = sum(count for (t, l), count in both.items() if by_template[t] == count == by_label[l])
    best = lambda side: sum({pair[side]: count for pair, count in sorted(both.items(), key=lambda x: x[1])}.values())
    total = len(rows)
    purity, inverse = best(1) / total, best(0) / total
    return {"requests": total, "routes": len(by_template), "labels": len(by_label), "GA": exact / total,
            "F1": 2 * purity * inverse / (purity + inverse)}


def wait(what, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if (found := what()) is not None:
                return found
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit("it did not come up in time")


def get(address, path):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    content = response.read().decode()
    return content if response.status == 200 else None


def specification(name, port):
    """What the application says of its routes: Kinto serves it; of Django's routes a script prints it."""
    if name == "kinto":
        return get(f"127.0.0.1:{port}", "/v1/__api__")
    return subprocess.run([sys.executable, HERE / f"{name}_app.py", "--routes"], cwd=HERE, check=True,
                          capture_output=True, text=True).stdout


def label(requests, plugin, arguments):
    """The scored requests as (template, label), the labels by this configuration."""
    lines = "".join(f"{r['method']}\t{r['path']}\t{r['status']}\n" for r in requests)
    labels = subprocess.run([arguments.command, "label", plugin], input=lines, check=True, capture_output=True,
                            text=True).stdout.splitlines()
    rows = []
    for request, found in zip(requests, labels, strict=True):
        request.update(label=found, template=template(request["route"]) if request["route"] is not None else None)
        if request["route"] is not None and request["status"] not in IGNORED:
            rows.append((request["template"], found))
    return rows


def run(name, arguments, folder):
    application = subprocess.Popen([sys.executable, HERE / f"{name}_app.py"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=HERE, text=True)
    line = application.stdout.readline()
    if not line.strip():
        sys.exit(f"{name} did not start")
    plugin, config, admin = folder / "plugin.json", folder / "envoy.yaml", folder / "admin"
    plugin.write_text("{}")
    printed = subprocess.run(
        [arguments.command, "envoy", plugin, "--upstream", f"127.0.0.1:{line.strip()}", "--module", arguments.module,
         "--address", "127.0.0.1", "--port", "0", "--admin-port", "0", "--metrics-port", "0"], check=True, capture_output=True, text=True)
    config.write_text(printed.stdout)
    admin.unlink(missing_ok=True)
    envoy = subprocess.Popen([arguments.envoy, "--config-path", config, "--concurrency", "1", "--base-id-path",
                              folder / "id", "--use-dynamic-base-id", "--log-level", "error",
                              "--admin-address-path", admin])
    try:
        address = wait(lambda: (admin.read_text().strip() or None) if admin.exists() else None)
        wait(lambda: get(address, "/ready"))
        listeners = json.loads(get(address, "/listeners?format=json"))["listener_statuses"]
        ports = {entry["name"]: entry["local_address"]["socket_address"]["port_value"] for entry in listeners}
        client = Client(ports["traffic"])
        APPLICATIONS[name](client, random.Random(1))
        scrape = lambda: sum(float(row.rsplit(" ", 1)[1]) for row in get(address, "/stats/prometheus").splitlines()
                             if row.startswith("http_requests_total{"))
        counted = wait(lambda: (scrape() if scrape() >= len(client.requests) else None), 15)
        configured = folder / "configured.json"
        configured.write_text(subprocess.run(
            [arguments.command, "import-openapi", "-"], input=specification(name, line.strip()), check=True,
            capture_output=True, text=True).stdout)
        folded = sum(float(row.rsplit(" ", 1)[1]) for row in get(address, "/stats/prometheus").splitlines()
                     if row.startswith("http_requests_total{") and 'endpoint="_OTHER"' in row)
    finally:
        envoy.terminate()
        envoy.wait()
        application.stdin.close()
        application.wait()
    requests = client.requests
    with_templates = label(requests, configured, arguments)
    rows = label(requests, plugin, arguments)
    if arguments.routes:
        with open(arguments.routes, "a", encoding="utf-8") as out:
            out.writelines(json.dumps({"application": name, **request}) + "\n" for request in requests)
    return {**score(rows), "sent": len(requests), "counted": int(counted), "folded": int(folded)}, rows, with_templates


def print_worst(rows, most):
    """Routes with the most labels, and labels with the most routes."""
    for side, what in ((0, "route"), (1, "label")):
        others = collections.defaultdict(set)
        for row in rows:
            others[row[side]].add(row[1 - side])
        for word, names in sorted(others.items(), key=lambda item: -len(item[1]))[:most]:
            if len(names) > 1:
                print(f"  {what} {word}: {len(names)}: {sorted(names)[:6]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("envoy")
    parser.add_argument("command")
    parser.add_argument("module")
    parser.add_argument("applications", nargs="*", default=sorted(APPLICATIONS))
    parser.add_argument("--routes", help="append each request as a line of JSON to this file")
    parser.add_argument("--worst", type=int, default=0, help="so many routes with the most labels, and the reverse")
    arguments = parser.parse_args()
    for name in ("envoy", "command", "module"):
        setattr(arguments, name, os.path.abspath(getattr(arguments, name)))
    print("| application | sent | counted by Envoy | under `_OTHER` | scored | routes | labels | GA | F1 |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    status = 0
    for name in arguments.applications:
        with tempfile.TemporaryDirectory() as folder:
            found, rows, with_templates = run(name, arguments, pathlib.Path(folder))
        print("| {0} | {sent} | {counted} | {folded} | {requests} | {routes} | {labels} | {GA:.3f} | {F1:.3f} |"
              .format(name, **found), flush=True)
        print("| {0}, with templates | | | | {requests} | {routes} | {labels} | {GA:.3f} | {F1:.3f} |"
              .format(name, **score(with_templates)), flush=True)
        if found["sent"] != found["counted"]:
            status = 1
        if arguments.worst:
            print_worst(rows, arguments.worst)
            print("  with templates:")
            print_worst(with_templates, arguments.worst)
    sys.exit(status)


if __name__ == "__main__":
    main()
