//! Made-up templates and paths, the same on every run.

const WORDS: [&str; 72] = [
    "accounts",
    "actions",
    "addresses",
    "alerts",
    "archive",
    "assets",
    "audit",
    "balances",
    "batches",
    "billing",
    "branches",
    "buckets",
    "builds",
    "cards",
    "carts",
    "channels",
    "charges",
    "clusters",
    "comments",
    "contacts",
    "countries",
    "coupons",
    "customers",
    "dashboards",
    "deployments",
    "devices",
    "discounts",
    "documents",
    "domains",
    "environments",
    "events",
    "exports",
    "features",
    "files",
    "folders",
    "forms",
    "groups",
    "history",
    "hooks",
    "images",
    "imports",
    "invoices",
    "issues",
    "items",
    "jobs",
    "keys",
    "labels",
    "languages",
    "licenses",
    "links",
    "locations",
    "logs",
    "members",
    "messages",
    "metrics",
    "milestones",
    "networks",
    "notes",
    "offers",
    "orders",
    "payments",
    "permissions",
    "pipelines",
    "plans",
    "policies",
    "products",
    "projects",
    "queues",
    "releases",
    "reports",
    "teams",
    "users",
];

/// A small generator (Steele and Vigna, splitmix64): the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % bound as u64) as usize
    }
}

/// Templates of the forms that public APIs have, in no order.
pub fn templates(count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for first in WORDS {
        all.push(format!("/api/v1/{first}"));
        all.push(format!("/api/v1/{first}/{{id}}"));
        for (index, second) in WORDS.into_iter().enumerate() {
            all.push(match index % 6 {
                0 => format!("/api/v1/{first}/{second}"),
                1 => format!("/api/v1/{first}/{{id}}/{second}"),
                2 => format!("/api/v1/{first}/{{id}}/{second}/{{other}}"),
                3 => format!("/v2/{first}/{{owner}}/{{name}}/{second}"),
                4 => format!("/v2/{first}/{{owner}}/{{name}}:{second}"),
                _ => format!("/internal/{first}/{second}/{{id}}.json"),
            });
        }
    }
    let mut random = Random(1);
    for index in (1..all.len()).rev() {
        all.swap(index, random.below(index + 1));
    }
    all.truncate(count);
    assert_eq!(all.len(), count);
    all
}

/// Paths of templates drawn at random.
pub fn paths(templates: &[String], count: usize) -> Vec<String> {
    let mut random = Random(2);
    (0..count)
        .map(|_| {
            let template = &templates[random.below(templates.len())];
            let mut path = String::new();
            for (index, piece) in template.split('{').enumerate() {
                let text = piece.split_once('}').map_or(piece, |(_, text)| text);
                if index > 0 {
                    path.push_str(&(100_000 + random.below(900_000)).to_string());
                }
                path.push_str(text);
            }
            path
        })
        .collect()
}
