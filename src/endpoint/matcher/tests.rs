use super::*;
use crate::test;

fn compile(templates: &[String]) -> Matcher {
    let templates: Vec<Template> =
        templates.iter().map(|text| Template::parse(text).expect(text)).collect();
    let (matcher, conflicts) = Matcher::compile((0..).zip(&templates));
    assert_eq!(conflicts, []);
    matcher
}

/// The template found, and how many nodes were looked at.
fn search(matcher: &Matcher, path: &str) -> (Option<u32>, usize) {
    let segments: Vec<&[u8]> = path.split('/').skip(1).map(str::as_bytes).collect();
    let mut search = Search::new(matcher, b"GET", &segments, false);
    (search.descend(0, 0), search.steps)
}

/// All templates of `length` segments, each of which is one of `kinds`, and then `end`.
fn grid(kinds: &[&str], length: u32, end: &str) -> Vec<String> {
    let count = kinds.len().pow(length);
    let template = |number: usize| {
        let digits = (0..length).map(|place| number / kinds.len().pow(place) % kinds.len());
        let path: String = digits.flat_map(|kind| ["/", kinds[kind]]).collect();
        format!("{path}/{end}")
    };
    (0..count).map(template).collect()
}

#[test]
fn head_counts_as_get_unless_a_template_names_it() {
    let found = |templates: &[&str], method: &str, path: &str| {
        let templates: Vec<String> = templates.iter().map(|&text| text.to_owned()).collect();
        let segments: Vec<&[u8]> = path.split('/').skip(1).map(str::as_bytes).collect();
        let found = compile(&templates).find(method.as_bytes(), &segments, false);
        found.map(|index| templates[index as usize].clone())
    };
    let get = ["GET /a", "POST /a"];
    assert_eq!(found(&get, "HEAD", "/a").as_deref(), Some("GET /a"));
    assert_eq!(found(&["POST /a"], "HEAD", "/a"), None);
    // No other method stands for GET, and GET for none but HEAD.
    for method in ["OPTIONS", "head", "TRACE", "MADE-UP", ""] {
        assert_eq!(found(&get, method, "/a"), None, "{method}");
    }
    assert_eq!(found(&["HEAD /a"], "GET", "/a"), None);
    // Its own comes first, then that of GET, then that of any method, whatever the order.
    let all = ["/{any}", "GET /{got}", "HEAD /{head}"];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let own = order.map(|place| all[place]);
        assert_eq!(found(&own, "HEAD", "/a").as_deref(), Some("HEAD /{head}"), "{own:?}");
        let two: Vec<&str> = own.into_iter().filter(|text| !text.contains("head")).collect();
        assert_eq!(found(&two, "HEAD", "/a").as_deref(), Some("GET /{got}"), "{two:?}");
    }
    // The path is looked at first.
    let paths = ["HEAD /{any}", "GET /a"];
    assert_eq!(found(&paths, "HEAD", "/a").as_deref(), Some("GET /a"));
    assert_eq!(found(&paths, "HEAD", "/b").as_deref(), Some("HEAD /{any}"));
}

#[test]
fn hostile_templates_and_paths_cost_little_per_segment() {
    // 4,096 ways lead to the last segment of these paths, and all fail there.
    let matcher = compile(&grid(&["a", "{x}"], 12, "end"));
    let (found, steps) = search(&matcher, "/a/a/a/a/a/a/a/a/a/a/a/a/other");
    assert_eq!(found, None);
    assert!(steps <= 2 * 13 + 1, "{steps} nodes");
    let matcher = compile(&grid(&["a", "a{x}", "{x}a", "{x}"], 6, "end"));
    let (found, steps) = search(&matcher, "/aaa/aaa/aaa/aaa/aaa/aaa/other");
    assert_eq!(found, None);
    assert!(steps <= 4 * 7 + 1, "{steps} nodes");
    // Other lengths are not walked at all.
    assert_eq!(search(&matcher, "/aaa/aaa/aaa"), (None, 1));
}

#[test]
fn parameters_for_several_segments_cost_little() {
    // Each of 4,096 ways leads to one, and one of them begins at each depth.
    let mut templates = grid(&["a", "{x}"], 12, "{*r}/end");
    for depth in 0..12 {
        templates.push(format!("{}/{{*r}}/b/end", "/a".repeat(depth)));
        templates.push(format!("{}/{{*r}}/{{y}}/c/end", "/{x}".repeat(depth)));
    }
    let matcher = compile(&templates);
    for end in ["end", "other", "c/other", "b/other"] {
        let path = format!("{}/{end}", "/a".repeat(20));
        let (found, steps) = search(&matcher, &path);
        assert_eq!(found.is_some(), end == "end", "{path}");
        assert!(steps <= 12 * 12, "{path}: {steps} nodes");
    }
    // Every way differs from every other: the trie is the bound.
    let mut templates = grid(&["a", "{x}"], 8, "{*r}/q");
    for (index, template) in templates.iter_mut().enumerate() {
        template.push_str(&index.to_string());
    }
    let matcher = compile(&templates);
    let (found, steps) = search(&matcher, &format!("{}/other", "/a".repeat(23)));
    assert_eq!(found, None);
    assert!(steps <= matcher.nodes.len(), "{steps} of {} nodes", matcher.nodes.len());
}

#[test]
fn no_node_is_looked_at_twice() {
    // Every way differs from every other, so nothing is skipped: the trie is the bound.
    let mut templates = grid(&["a", "{x}"], 10, "end");
    for (index, template) in templates.iter_mut().enumerate() {
        template.push_str(&index.to_string());
    }
    let matcher = compile(&templates);
    let (found, steps) = search(&matcher, "/a/a/a/a/a/a/a/a/a/a/other");
    assert_eq!(found, None);
    assert!(steps <= matcher.nodes.len(), "{steps} of {} nodes", matcher.nodes.len());
}

#[test]
fn many_patterns_in_one_place_are_told_apart() {
    let mut templates: Vec<String> = (0..500).map(|n| format!("/{{x}}:verb{n}")).collect();
    templates.extend((0..500).map(|n| format!("/file{n}-{{x}}.txt")));
    templates.extend((0..50).map(|n| format!("/{{x}}-{n}-{{y}}")));
    let matcher = compile(&templates);
    for (index, template) in (0..).zip(&templates) {
        let path = template.replace("{x}", "q").replace("{y}", "r");
        assert_eq!(search(&matcher, &path).0, Some(index), "{path}");
    }
    assert_eq!(search(&matcher, "/q:verb500").0, None);
}

#[test]
fn many_texts_in_one_place_are_told_apart() {
    let templates: Vec<String> = (0..5000).map(|n| format!("/word{n}")).collect();
    let matcher = compile(&templates);
    for (index, template) in (0..).zip(&templates) {
        assert_eq!(search(&matcher, template), (Some(index), 2), "{template}");
    }
    assert_eq!(search(&matcher, "/word"), (None, 1));
}
