//! Django applications around the Python code of a page of the documentation.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::repository;

/// The fenced blocks of a language in a page of `docs/`.
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("docs").join(page))
        .unwrap_or_else(|error| panic!("docs/{page}: {error}"));
    let fence = format!("```{language}\n");
    let starts = page.split(&fence).skip(1);
    starts.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A running application; it ends when dropped.
pub struct Application {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Application {
    /// Starts a program of `tests/e2e/data`, which prints its port and ends with its standard
    /// input, beside the Python blocks of a page, whose first lines are comments with the names of
    /// their files.
    pub fn start(program: &str, page: &str, environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        for block in blocks(page, "python") {
            let name = block.lines().next().and_then(|line| line.strip_prefix("# "));
            let path = directory.path().join(name.expect("a file's name"));
            std::fs::write(path, &block).expect("the directory is writable");
        }
        let path = directory.path().join("app.py");
        let program = repository().join("tests/e2e/data").join(program);
        std::fs::copy(program, &path).expect("the program is there");
        let python = repository().join(".tools/django/bin/python");
        let mut child = Command::new(&python)
            .arg(&path)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}; `tests/setup.sh django` installs it", python.display())
            });
        let mut line = String::new();
        let stdout = child.stdout.take().expect("standard output is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the application prints its port");
        let port = line.trim().parse().expect("the application prints its port");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { child, address, _directory: directory }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // Its standard input ends.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
