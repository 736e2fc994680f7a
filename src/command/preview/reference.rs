//! The page docs/preview.md and the end of `--help`, made of the tables of formats.

use std::fmt::Write as _;

use super::log::formats::{FORMATS, Form, PROGRAMS};

/// The formats and programs in a few lines, for `--help`.
#[must_use]
pub fn help() -> String {
    let names =
        |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join(", ");
    let programs = PROGRAMS.iter().filter(|program| !program.marks.is_empty());
    format!(
        "Formats: {}.\n\nPrograms whose JSON and key=value lines are known by their keys: {}; \
         others by the usual names of keys. docs/preview.md has the whole list.",
        names(&mut FORMATS.iter().map(|format| format.name)),
        names(&mut programs.map(|program| program.name)),
    )
}

/// The page.
#[must_use]
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str(
        "\n## Formats of lines\n\n| format | written by | order of words |\n|---|---|---|\n",
    );
    for format in FORMATS {
        let layout = match format.form {
            Form::Layout(words) => format!("`{}`", words.replace('|', "\\|")),
            Form::Quoted => "`… REQUEST STATUS …`".to_owned(),
            Form::Keys => "keys and values".to_owned(),
            Form::Columns => "named by the log".to_owned(),
            Form::Tabs => "`METHOD PATH STATUS`".to_owned(),
        };
        let _ = writeln!(page, "| {} | {} | {layout} |", format.name, format.writers);
    }
    page.push_str(LAYOUTS);
    page.push_str("\n| program | told by | unit | keys |\n|---|---|---|---|\n");
    for program in PROGRAMS {
        let marks: Vec<String> = program
            .marks
            .split_ascii_whitespace()
            .map(|group| group.split('|').map(code).collect::<Vec<_>>().join(" or "))
            .collect();
        let keys: Vec<String> = program
            .keys
            .split_ascii_whitespace()
            .filter_map(|entry| {
                let (role, keys) = entry.split_once('=')?;
                let role = role.replace(':', " in ");
                Some(format!("{role}: {}", keys.split(',').map(code).collect::<Vec<_>>().join(" ")))
            })
            .collect();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            program.name,
            marks.join(", and "),
            program.unit.map_or("", super::log::Unit::name),
            keys.join("; "),
        );
    }
    page
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

const INTRODUCTION: &str = "\
# What `route-metrics preview` reads

```sh
route-metrics preview plugin.json access.log access.log.1.gz
kubectl logs -f deploy/envoy | route-metrics preview plugin.json -
```

It replays access logs through the filter in memory and reports endpoints, series, overflow and cost. Logs may be packed
with gzip or Zstandard. On standard input it reads until the end; the first Ctrl-C (SIGINT) or SIGTERM ends a log that
does not end by itself, and the report follows; the second one ends the command.

Each line is looked at by itself, so formats may be mixed. What a container runtime, Compose, stern, syslog or journald
puts before a line does not matter, and a line inside a JSON object (`log`, `message`, `line`, `textPayload` and such) is
read where the object itself is no request.

## Why an endpoint is what it is

`--why` prints below each inferred endpoint one of its paths, and for each segment why it stays or becomes `{id}`. The reasons are those
of [`explain`](endpoints.md), after what the log has taught:

```text
     200,003   20.0%  learned         4.98      4.98  /people/{id}/posts
                      such as /people/bjarne/posts
                        people: stays, score 173: the first segment +64, it is kept elsewhere +40, …
                        bjarne: {id}, score -99: what follows often follows the values here -37, …
                        posts: stays, score 126: it is kept at some places +54, one word that APIs use +26, …
```

The page (`--html`) shows them when an endpoint is clicked, and JSON has them as `segments`. `explain` says the same of one path, as it
is before any traffic.

## What is not read is told

A line is a request, or it is counted by what else it is: a TCP connection, the start of a request whose end is another
line, names of columns, other output. Lines that look like requests and are not understood are counted apart. Where they
are more than 5 % of the requests, the report is followed by a summary on standard error, and the exit code is 1; so it is
where there is no request at all. Keys that are not known are named with `--method-field`, `--path-field`,
`--status-field` and `--duration-field`; dots lead into objects: `--path-field ctx.http.target`.

## Units of durations

A duration with a unit (`12.3ms`, `0.005s`, `PT0.012S`, a key such as `duration_ms`) is read as it stands. For others the
unit is decided at the end of the log, for each key of each input, by what is the likeliest:

1. a field beside it that says the same with a unit (`latency_human`),
2. what the program writes, where the other keys of the line tell it,
3. what the key usually stands for,
4. whether any number has a decimal point, and which median a server can have.

The first outweighs the rest; the others are weighed, so that a median that no server has overrules a habit. The report
says which unit was taken and why, and `--duration-unit ns|us|ms|s` settles it.

## Sidecars

The log of an Istio sidecar holds inbound and outbound requests, told by the cluster's name. The report counts both;
`--direction inbound` or `outbound` leaves out the others. Requests that tell no direction stay.

## What is not read

Records of many lines (pretty-printed JSON, one JSON array over several lines, Rails' `Started` and `Completed`, Plug's
pairs of lines, Fastify's pairs), batches of records in one object (OTLP's `resourceLogs`, Azure's `records`), lists of
key-value pairs (`[{\"key\": …, \"value\": …}]`), CSV, UTF-16, and gRPC logs without a path. `jq -c .` puts an object on a line.
";

const LAYOUTS: &str = "
`STATUS?` may be a dash; several `SECONDS` are added; `TIMERS` are those of HAProxy, the last being the whole time; `*` is
any one word, `…` any number of them.

## Programs

JSON objects, `key=value` pairs and named columns are read by their keys. Keys are compared without case and separators
(`response_code`, `ResponseCode`, `http.response.status_code`), first by their whole path and then by its end; members of
`headers`, `error`, `upstream`, `kubernetes` and the like say nothing of the request. A program is told apart for the unit
of its durations. `line` is a request line, `text` a line that another program wrapped, `human` a duration with its unit.
";
