//! Wrong settings of `make run` and of the observability targets are refused before anything is
//! built or started: all at once, each by the name that the user wrote.

use std::fs;
use std::process::{Command, Output};

use crate::markdown::root;

const NAMES: [&str; 15] = [
    "ENVOY_PORT",
    "ADMIN_PORT",
    "METRICS_PORT",
    "DEMO_PORT",
    "EVENTS_PORT",
    "PROMETHEUS_PORT",
    "GRAFANA_PORT",
    "UPSTREAM",
    "PLUGIN",
    "CONCURRENCY",
    "ADDRESS",
    "METRICS_ENABLED",
    "OBSERVABILITY_ENABLED",
    "OBSERVABILITY_ADDRESS",
    "DOTENV",
];

/// A make target with nothing set but what is given.
fn make(target: &str, settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new("make");
    command.args(["--silent", target]).current_dir(root());
    // What a make around this test has set must not count.
    for name in NAMES.iter().chain(&["MAKEFLAGS", "MAKELEVEL", "MFLAGS"]) {
        command.env_remove(name);
    }
    command.env("DOTENV", "/dev/null").envs(settings.iter().copied()).output().unwrap()
}

/// The mistakes that it names.
#[track_caller]
fn mistakes(target: &str, settings: &[(&str, &str)]) -> Vec<String> {
    let output = make(target, settings);
    let said = String::from_utf8(output.stderr).unwrap();
    let mistakes: Vec<String> =
        said.lines().filter(|line| !line.starts_with("make")).map(str::to_owned).collect();
    assert_eq!(output.status.success(), mistakes.is_empty(), "{settings:?}: {said}");
    mistakes
}

const UPSTREAM: &str = "is not HOST:PORT, such as 127.0.0.1:8080, with a port from 1 to 65535";

#[test]
fn each_wrong_setting_is_named_as_the_user_wrote_it() {
    for target in ["run-settings", "stack-settings"] {
        for value in ["abc", "0", "70000", "-1", "1e3", "080", " 80", ""] {
            // There, what is empty has its default.
            if value.is_empty() && target == "stack-settings" {
                continue;
            }
            assert_eq!(
                mistakes(target, &[("ENVOY_PORT", value)]),
                [format!("ENVOY_PORT: \"{value}\" is not a port; use 1 to 65535")]
            );
        }
        for value in ["http://app", "app", "app:", ":80", "app:0", "app:70000", "a b:80", "::1:80"]
        {
            assert_eq!(
                mistakes(target, &[("UPSTREAM", value)]),
                [format!("UPSTREAM: \"{value}\" {UPSTREAM}")]
            );
        }
        for value in ["app:80", "127.0.0.1:8080", "[::1]:8080", "my_app.svc.local:10000"] {
            assert_eq!(mistakes(target, &[("UPSTREAM", value)]), [""; 0]);
        }
        for (settings, expected) in [
            (
                [("ENVOY_PORT", "9901"), ("PLUGIN", "envoy/plugin.json")],
                "ADMIN_PORT: \"9901\" is the port of ENVOY_PORT, too; give each its own",
            ),
            (
                [("ENVOY_PORT", "10080"), ("PLUGIN", "envoy/plugin.json")],
                "DEMO_PORT: \"10080\" is the port of ENVOY_PORT, too; give each its own",
            ),
            (
                [("ENVOY_PORT", "9903"), ("PLUGIN", "envoy/examples/saas.json")],
                "EVENTS_PORT: \"9903\" is the port of ENVOY_PORT, too; give each its own",
            ),
            (
                [("UPSTREAM", "localhost:9902"), ("PLUGIN", "envoy/plugin.json")],
                "UPSTREAM: \"localhost:9902\" is Envoy itself (METRICS_PORT); give the port of your server",
            ),
            ([("PLUGIN", "nowhere.json"), ("UPSTREAM", "")], "PLUGIN: \"nowhere.json\" is no file"),
        ] {
            assert_eq!(mistakes(target, &settings), [expected], "{target}");
        }
        // What is not used may have any port.
        assert_eq!(mistakes(target, &[("ENVOY_PORT", "9903")]), [""; 0]);
        let upstream = [("ENVOY_PORT", "10080"), ("UPSTREAM", "app:80")];
        assert_eq!(mistakes(target, &upstream), [""; 0]);
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let found = mistakes(
        "run-settings",
        &[("ENVOY_PORT", "abc"), ("METRICS_PORT", "0"), ("UPSTREAM", "app"), ("CONCURRENCY", "no")],
    );
    assert_eq!(
        found,
        [
            "ENVOY_PORT: \"abc\" is not a port; use 1 to 65535".to_owned(),
            "METRICS_PORT: \"0\" is not a port; use 1 to 65535".to_owned(),
            format!("UPSTREAM: \"app\" {UPSTREAM}"),
            "CONCURRENCY: \"no\" is not a number of workers; use 1 to 999".to_owned(),
        ]
    );
    let dotenv = std::env::temp_dir().join(format!("route-metrics-dotenv-{}", std::process::id()));
    let settings =
        "ENVOY_PORT=abc\nGRAFANA_PORT=9090\nMETRICS_ENABLED=maybe\nTYPO=1\nUPSTREAM=\"nope\"\n";
    fs::write(&dotenv, settings).unwrap();
    let file = dotenv.to_str().unwrap();
    let found = mistakes("stack-settings", &[("DOTENV", file), ("ADMIN_PORT", "70000")]);
    fs::remove_file(&dotenv).unwrap();
    assert_eq!(
        found,
        [
            format!("{file}:4: unknown setting \"TYPO\"; envoy/.env.example lists all"),
            "METRICS_ENABLED: \"maybe\" is not a switch; write true or false".to_owned(),
            "ENVOY_PORT: \"abc\" is not a port; use 1 to 65535".to_owned(),
            "ADMIN_PORT: \"70000\" is not a port; use 1 to 65535".to_owned(),
            format!("UPSTREAM: \"nope\" {UPSTREAM}"),
            "GRAFANA_PORT: \"9090\" is the port of PROMETHEUS_PORT, too; give each its own"
                .to_owned(),
        ]
    );
}

/// Nothing is built for settings that are refused.
#[test]
fn settings_are_looked_at_first() {
    for target in ["run", "observability-start", "start-with-observability"] {
        let output = make(target, &[("ENVOY_PORT", "abc"), ("UPSTREAM", "127.0.0.1:9")]);
        assert!(!output.status.success(), "{target}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("ENVOY_PORT: \"abc\" is not a port"), "{target}: {said}");
        assert!(output.stdout.is_empty(), "{target}: {:?}", String::from_utf8(output.stdout));
    }
}
