//! What a request costs, exactly: the table in `counts.md` is what the module does, no more and no
//! less. It does not depend on the machine. A module that does more fails; one that does less
//! asks for a new table, which `UPDATE_COUNTS=1` writes.

use std::fmt::Write as _;
use std::path::Path;

use route_metrics_exact::{Counts, Guest, ROOT, World};

/// Requests before the first that is counted: series are defined, tables have grown.
const WARM: u32 = 2_000;
/// Requests over which instructions are averaged.
const COUNTED: u32 = 1_000;
/// Instructions may grow by this share before the test fails, so that a change of the compiler's
/// mind is no failure.
const TOLERANCE: f64 = 0.05;

struct Case {
    name: &'static str,
    configuration: &'static str,
    path: fn(u32) -> String,
    /// How the request ends, where that is not 200 with an announced size.
    answer: fn(&mut World),
    /// Host calls that one request may make.
    most_calls: u64,
}

const PLAIN: fn(&mut World) = |_| {};

const CASES: &[Case] = &[
    Case {
        name: "recorded, template",
        configuration: r#"{"endpoint": {"templates": ["/users/{id}"]}}"#,
        path: |index| format!("/users/{}", 1000 + index % 9000),
        answer: PLAIN,
        most_calls: 8,
    },
    Case {
        name: "recorded, size not announced",
        configuration: r#"{"endpoint": {"templates": ["/users/{id}"]}}"#,
        path: |index| format!("/users/{}", 1000 + index % 9000),
        answer: |world| world.response_headers.retain(|(name, _)| name != b"content-length"),
        most_calls: 8,
    },
    Case {
        name: "recorded, failed",
        configuration: r#"{"endpoint": {"templates": ["/users/{id}"]}}"#,
        path: |index| format!("/users/{}", 1000 + index % 9000),
        answer: |world| {
            for (name, value) in &mut world.response_headers {
                if name == b":status" {
                    *value = b"500".to_vec();
                }
            }
        },
        most_calls: 8,
    },
    Case {
        name: "recorded, 1,000 templates",
        configuration: "templates",
        path: |index| format!("/api/v1/resource{}/{}/items", index % 1000, index),
        answer: PLAIN,
        most_calls: 8,
    },
    Case {
        name: "recorded, inferred, one path",
        configuration: "{}",
        path: |_| "/api/v1/users/4711/orders/12".to_owned(),
        answer: PLAIN,
        most_calls: 8,
    },
    Case {
        name: "recorded, inferred, distinct paths",
        configuration: "{}",
        path: |index| format!("/api/v1/users/{}/orders/{}", 10_000 + index * 7, index % 977),
        answer: PLAIN,
        most_calls: 8,
    },
    Case {
        name: "excluded",
        configuration: r#"{"endpoint": {"exclude": ["/healthz"]}}"#,
        path: |_| "/healthz".to_owned(),
        answer: PLAIN,
        most_calls: 8,
    },
    Case {
        name: "sampled out",
        configuration: r#"{"sampling": {"rate": 0.000000001}}"#,
        path: |_| "/api/v1/users/4711/orders/12".to_owned(),
        answer: PLAIN,
        most_calls: 1,
    },
    Case {
        name: "disabled",
        configuration: r#"{"enabled": false}"#,
        path: |_| "/api/v1/users/4711/orders/12".to_owned(),
        answer: PLAIN,
        most_calls: 0,
    },
];

impl Case {
    fn configuration(&self) -> String {
        if self.configuration != "templates" {
            return self.configuration.to_owned();
        }
        let templates: Vec<String> =
            (0..1000).map(|index| format!(r#""/api/v1/resource{index}/{{id}}/items""#)).collect();
        format!(
            r#"{{"endpoint": {{"templates": [{}]}}, "limits": {{"max_values_per_label": 2000}}}}"#,
            templates.join(",")
        )
    }

    fn world(&self) -> World {
        let mut world = World::get("/");
        (self.answer)(&mut world);
        world
    }

    /// Configures the module, and sends it the requests that are not counted.
    fn warm(&self, guest: &mut Guest) {
        let configured = guest.configure(ROOT, &self.configuration()).expect("it does not trap");
        assert!(configured, "{}: {:?}", self.name, guest.world().log);
        for index in 0..WARM {
            guest.world().set_path(&(self.path)(index));
            guest.request(ROOT).expect("it does not trap");
        }
        guest.look();
    }

    /// How often the module allocates in one request.
    fn allocations(&self) -> u64 {
        let mut guest = Guest::counting(self.world());
        self.warm(&mut guest);
        let before = guest.allocations().expect("it counts");
        assert!(before > 0, "{}: a configuration takes memory", self.name);
        for index in 0..COUNTED {
            guest.world().set_path(&(self.path)(WARM + index));
            guest.request(ROOT).expect("it does not trap");
        }
        (guest.allocations().expect("it counts") - before).div_ceil(u64::from(COUNTED))
    }

    /// What one request does, and the instructions that it takes on average.
    fn count(&self) -> Counts {
        let mut guest = Guest::start(self.world());
        self.warm(&mut guest);
        let mut each = None;
        let mut instructions = 0;
        for index in 0..COUNTED {
            guest.world().set_path(&(self.path)(WARM + index));
            guest.request(ROOT).expect("it does not trap");
            let mut counts = guest.look();
            instructions += std::mem::take(&mut counts.instructions);
            let first = each.get_or_insert_with(|| counts.clone());
            assert_eq!(*first, counts, "{}: requests differ in the steady state", self.name);
        }
        let mut counts = each.unwrap_or_default();
        counts.instructions = instructions / u64::from(COUNTED);
        counts
    }
}

fn table(rows: &[(&str, Counts, u64)]) -> String {
    let mut text = String::from(
        "| a request that is | host calls | of which hand over bytes | calls of the module | allocations | instructions |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );
    for (name, counts, allocations) in rows {
        let calls: u64 = counts.host_calls.values().sum();
        let Counts { handed_over, callbacks, instructions, .. } = counts;
        writeln!(
            text,
            "| {name} | {calls} | {handed_over} | {callbacks} | {allocations} | {instructions} |"
        )
        .expect("writing to a string");
    }
    text
}

/// The numbers of a row of the table.
fn numbers(row: &str) -> Vec<u64> {
    row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect()
}

#[test]
fn a_request_does_what_the_table_says() {
    let row = |case: &Case| (case.name, case.count(), case.allocations());
    let rows: Vec<(&str, Counts, u64)> = CASES.iter().map(row).collect();
    for (case, (name, counts, _)) in CASES.iter().zip(&rows) {
        let calls: u64 = counts.host_calls.values().sum();
        assert!(calls <= case.most_calls, "{name}: {calls} host calls: {:?}", counts.host_calls);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.md");
    let now = table(&rows);
    if std::env::var_os("UPDATE_COUNTS").is_some() {
        std::fs::write(&path, &now).expect("the table can be written");
        for (name, counts, _) in &rows {
            println!("{name}: {:?}", counts.host_calls);
        }
        return;
    }
    let before = std::fs::read_to_string(&path).expect("the table is there");
    assert_eq!(before.lines().count(), now.lines().count(), "another table:\n{now}");
    for (before, now) in before.lines().zip(now.lines()) {
        let (then, now_numbers) = (numbers(before), numbers(now));
        let [calls @ .., instructions] = then.as_slice() else { continue };
        let [now_calls @ .., now_instructions] = now_numbers.as_slice() else { continue };
        assert_eq!(calls, now_calls, "was {before}\nis  {now}\nUPDATE_COUNTS=1 if this is wanted");
        let change = *now_instructions as f64 / *instructions as f64 - 1.0;
        assert!(
            change.abs() <= TOLERANCE,
            "instructions changed by {:+.1} %:\nwas {before}\nis  {now}\nUPDATE_COUNTS=1 if this is wanted",
            change * 100.0
        );
    }
}
