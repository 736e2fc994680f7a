//! Finds, starts, asks and stops real Envoys.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::config::{LISTENER, LISTENERS_FILE, Setup};
use crate::http::{Request, Response};
use crate::scrape::Scrape;
use crate::wait::{eventually, poll};
use crate::{http1, repository};

/// How long Envoy may take to start: the module is compiled for each worker.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(10);

/// The versions on which everything is tested, newest first: those of `tests/envoys` with a mark.
fn versions() -> impl Iterator<Item = &'static str> {
    include_str!("../../envoys").lines().filter_map(|line| line.strip_suffix(" test"))
}

/// An Envoy that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The program.
    pub path: PathBuf,
    /// Its version, as the folder says or the program.
    pub version: String,
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

impl Default for Binary {
    /// The program in the environment variable `ENVOY`, else the version in `ENVOY_VERSION`, else
    /// the first that is tested.
    fn default() -> Self {
        let newest = || versions().next().expect("a version is marked");
        Self::chosen().unwrap_or_else(|| Self::of(newest()))
    }
}

impl Binary {
    /// The Envoy of this version that `make` has installed.
    pub fn of(version: &str) -> Self {
        let path = repository().join(format!(".tools/envoy-{version}/bin/envoy"));
        assert!(
            path.exists(),
            "Envoy {version} is not installed: `make envoys` installs the tested versions"
        );
        Self { path, version: version.to_owned() }
    }

    /// The Envoys on which version-dependent behaviour is tested: all that are marked, or the one
    /// that `ENVOY` or `ENVOY_VERSION` names.
    pub fn tested() -> Vec<Self> {
        match Self::chosen() {
            Some(binary) => vec![binary],
            None => versions().map(Self::of).collect(),
        }
    }

    fn chosen() -> Option<Self> {
        let variable =
            |name| std::env::var_os(name).filter(|value: &std::ffi::OsString| !value.is_empty());
        if let Some(path) = variable("ENVOY") {
            let told = Command::new(&path).arg("--version").output();
            let told =
                told.unwrap_or_else(|error| panic!("{}: {error}", Path::new(&path).display()));
            let version = String::from_utf8_lossy(&told.stdout).trim().to_owned();
            return Some(Self { path: path.into(), version });
        }
        variable("ENVOY_VERSION").map(|version| Self::of(&version.to_string_lossy()))
    }
}

/// Envoy did not start; the display shows its whole log.
#[derive(Debug)]
pub struct DidNotStart {
    /// How it ended, or that it did not get ready in time.
    pub reason: String,
    /// What it wrote.
    pub log: String,
}

impl fmt::Display for DidNotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envoy did not start: {}\n{}", self.reason, self.log)
    }
}

impl Setup {
    /// Starts Envoy; panics with its log where it does not start.
    #[track_caller]
    pub fn start(&self) -> Envoy {
        self.try_start().unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Starts Envoy and waits until it is ready.
    pub fn try_start(&self) -> Result<Envoy, DidNotStart> {
        Envoy::start(self)
    }
}

/// A running Envoy; it is stopped when dropped. Where the test panics, its files are kept and
/// their place is printed.
pub struct Envoy {
    child: Child,
    directory: Option<TempDir>,
    path: PathBuf,
    admin: SocketAddr,
    listeners: BTreeMap<String, SocketAddr>,
}

impl Envoy {
    fn start(setup: &Setup) -> Result<Self, DidNotStart> {
        if setup.hot_restart {
            Self::spawn(setup, |directory| {
                let id = directory.join("base-id").to_string_lossy().into_owned();
                vec!["--use-dynamic-base-id".into(), "--base-id-path".into(), id]
            })
        } else {
            Self::spawn(setup, |_| vec!["--disable-hot-restart".into()])
        }
    }

    /// Starts another Envoy in place of this one, which must be the first of
    /// [hot restarts](Setup::hot_restart): it takes over the listeners, then this one drains and
    /// ends. The setup should have this one's port.
    #[track_caller]
    pub fn restart(&self, setup: &Setup) -> Self {
        let id = fs::read_to_string(self.path.join("base-id")).expect("hot restarts are enabled");
        let arguments = ["--base-id", id.trim(), "--restart-epoch", "1"].map(str::to_owned);
        Self::spawn(setup, |_| arguments.into()).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn spawn(
        setup: &Setup,
        arguments: impl FnOnce(&Path) -> Vec<String>,
    ) -> Result<Self, DidNotStart> {
        let directory = crate::temporary_directory("envoy-");
        let path = directory.path().to_owned();
        let configuration = path.join("envoy.yaml");
        write_atomically(&configuration, &setup.configuration(&path));
        if setup.dynamic {
            write_atomically(&path.join(LISTENERS_FILE), &listeners_file(setup, &path));
        }
        let binary = setup.binary.clone().unwrap_or_default();
        let log = File::create(path.join("envoy.log")).expect("the directory is writable");
        let admin_file = path.join("admin-address");
        let child = Command::new(&binary.path)
            .args([OsStr::new("--config-path"), configuration.as_os_str()])
            .args([OsStr::new("--admin-address-path"), admin_file.as_os_str()])
            .args(["--concurrency", &setup.concurrency.to_string()])
            .args(arguments(&path))
            .args(["--log-level", "info"])
            .args(["--component-log-level", "main:warning,config:warning"])
            .args(["--drain-time-s", &setup.drain_seconds.to_string()])
            .args(["--parent-shutdown-time-s", &setup.drain_seconds.to_string()])
            .args(["--file-flush-interval-msec", "50"])
            .args(&setup.arguments)
            .envs(setup.environment())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.path.display()));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self {
            child,
            directory: Some(directory),
            path,
            admin: nowhere,
            listeners: BTreeMap::new(),
        };
        match envoy.get_ready(&admin_file) {
            Ok(()) => Ok(envoy),
            Err(reason) => Err(DidNotStart { reason, log: envoy.log() }),
        }
    }

    fn get_ready(&mut self, admin_file: &Path) -> Result<(), String> {
        let mut ended = None;
        let ready = poll(START, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                ended = Some(status);
                return Ok(());
            }
            let address = fs::read_to_string(admin_file).map_err(|error| error.to_string())?;
            self.admin = address.trim().parse().map_err(|_| "no admin address yet".to_owned())?;
            match http1::send(self.admin, &Request::get("/ready")) {
                Ok(response) if response.status == 200 => Ok(()),
                Ok(response) => Err(format!("/ready: {}", response.text())),
                Err(error) => Err(format!("/ready: {error}")),
            }
        });
        if let Some(status) = ended {
            return Err(status.to_string());
        }
        ready?;
        self.listeners = self.find_listeners();
        Ok(())
    }

    fn find_listeners(&self) -> BTreeMap<String, SocketAddr> {
        let listeners = self.admin_json("/listeners?format=json");
        let statuses = listeners["listener_statuses"].as_array().cloned().unwrap_or_default();
        let address = |status: &Value| {
            let address = &status["local_address"]["socket_address"];
            let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
            let ip = address["address"].as_str()?.parse().ok()?;
            Some((status["name"].as_str()?.to_owned(), SocketAddr::new(ip, port)))
        };
        statuses.iter().filter_map(address).collect()
    }

    /// The address of the listener.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.listener(LISTENER)
    }

    /// The address of a listener by name.
    #[track_caller]
    pub fn listener(&self, name: &str) -> SocketAddr {
        *self.listeners.get(name).unwrap_or_else(|| panic!("no listener {name}"))
    }

    /// The admin interface.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The directory of its files.
    pub fn directory(&self) -> &Path {
        &self.path
    }

    /// The process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// `GET` on the admin interface; panics where that is not answered with 200.
    #[track_caller]
    pub fn admin_get(&self, target: &str) -> Response {
        self.ask_admin(&Request::get(target))
    }

    /// `POST` on the admin interface; panics where that is not answered with 200.
    #[track_caller]
    pub fn admin_post(&self, target: &str) -> Response {
        self.ask_admin(&Request::new("POST", target).header("content-length", "0"))
    }

    #[track_caller]
    fn ask_admin(&self, request: &Request) -> Response {
        let response = http1::send(self.admin, request)
            .unwrap_or_else(|error| panic!("admin: {error}\n{}", self.log()));
        assert_eq!(response.status, 200, "admin: {}", response.text());
        response
    }

    /// `GET` on the admin interface, parsed as JSON.
    #[track_caller]
    pub fn admin_json(&self, target: &str) -> Value {
        serde_json::from_slice(&self.admin_get(target).body).expect("the admin answers JSON")
    }

    /// `/stats/prometheus` as it is.
    #[track_caller]
    pub fn scrape_bytes(&self) -> Vec<u8> {
        self.admin_get("/stats/prometheus").body
    }

    /// `/stats/prometheus`, parsed strictly. A histogram value appears there only after the next
    /// flush; [`Envoy::eventually`] waits for it.
    #[track_caller]
    pub fn scrape(&self) -> Scrape {
        let bytes = self.scrape_bytes();
        Scrape::parse(&bytes).unwrap_or_else(|malformed| {
            let file = self.path.join("scrape.txt");
            fs::write(&file, &bytes).expect("the directory is writable");
            panic!("the scrape ({}): {malformed}", file.display())
        })
    }

    /// Scrapes until `check` is content; panics with `what` and its last complaint otherwise.
    #[track_caller]
    pub fn eventually<T>(
        &self,
        what: &str,
        mut check: impl FnMut(&Scrape) -> Result<T, String>,
    ) -> T {
        eventually(what, || check(&self.scrape()))
    }

    /// The value of one stat by its full name in `/stats`; `None` where it does not exist.
    #[track_caller]
    pub fn stat(&self, name: &str) -> Option<u64> {
        let text = self.admin_get("/stats?type=All").text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
        line.parse().ok()
    }

    /// The sum of all `wasm.*.vm_reload*` counters: how often a VM died and was made anew.
    #[track_caller]
    pub fn vm_reloads(&self) -> u64 {
        let text = self.admin_get("/stats?filter=vm_reload").text();
        text.lines().filter_map(|line| line.rsplit(": ").next()?.parse::<u64>().ok()).sum()
    }

    /// What Envoy has written so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.path.join("envoy.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for a line of the log that contains `needle`, and returns it.
    #[track_caller]
    pub fn wait_for_log(&self, needle: &str) -> String {
        eventually(&format!("{needle:?} in Envoy's log"), || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(needle)).map(str::to_owned);
            line.ok_or(log)
        })
    }

    /// The bytes of the access log so far, up to the last end of a line.
    pub fn access_log_bytes(&self) -> Vec<u8> {
        let mut bytes = fs::read(self.path.join("access.log")).unwrap_or_default();
        let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(end);
        bytes
    }

    /// The lines of the access log so far; what is not UTF-8 is replaced.
    pub fn access_log(&self) -> Vec<String> {
        let bytes = self.access_log_bytes();
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }

    /// Waits until the access log has so many lines, and returns them.
    #[track_caller]
    pub fn wait_for_access_log(&self, lines: usize) -> Vec<String> {
        eventually(&format!("{lines} lines in the access log"), || {
            let log = self.access_log();
            if log.len() >= lines { Ok(log) } else { Err(format!("{} lines", log.len())) }
        })
    }

    /// Gives a [dynamic](Setup::dynamic) Envoy another listener, and waits until it has taken or
    /// refused it; true where it was taken.
    #[track_caller]
    pub fn update(&mut self, setup: &Setup) -> bool {
        let counters = |envoy: &Self| {
            let text = envoy.admin_get("/stats?filter=listener_manager.lds.update_").text();
            let count = |name: &str| {
                let name = format!("listener_manager.lds.{name}: ");
                let line = text.lines().find_map(|line| line.strip_prefix(&name));
                line.and_then(|value| value.parse::<u64>().ok()).unwrap_or_default()
            };
            (count("update_success"), count("update_rejected"))
        };
        let before = counters(self);
        let was_active = self.active_listeners();
        write_atomically(&self.path.join(LISTENERS_FILE), &listeners_file(setup, &self.path));
        let after = eventually("an LDS update", || {
            let now = counters(self);
            if now == before { Err(format!("{now:?} updates")) } else { Ok(now) }
        });
        let accepted = after.1 == before.1;
        if accepted {
            // The listener warms (the module is compiled) after the update has been accepted.
            eventually("the new listener", || {
                let now = self.active_listeners();
                if now == was_active { Err("the old one is active".to_owned()) } else { Ok(()) }
            });
            self.listeners = self.find_listeners();
        }
        accepted
    }

    /// What is active of the dynamic listeners, without the times of their updates.
    fn active_listeners(&self) -> Value {
        let dump = self.admin_json("/config_dump?resource=dynamic_listeners");
        let mut active = Vec::new();
        for config in dump["configs"].as_array().into_iter().flatten() {
            active.push(json!({
                "version": config["active_state"]["version_info"],
                "listener": config["active_state"]["listener"],
            }));
        }
        active.into()
    }

    /// Stops Envoy and waits for its end.
    pub fn stop(mut self) {
        stop_process(&mut self.child);
    }

    /// Sends a signal, and does not wait for what it does.
    pub fn signal(&self, signal: Signal) {
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(id, signal).expect("the process has not been waited for");
        }
    }

    /// Waits until Envoy has ended by itself or by a signal; panics where it does not.
    #[track_caller]
    pub fn wait_ended(&mut self) -> ExitStatus {
        eventually("Envoy's end", || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        })
    }

    /// The most memory that Envoy has had resident so far, in bytes (`VmHWM`).
    #[track_caller]
    pub fn peak_memory_bytes(&self) -> u64 {
        let file = format!("/proc/{}/status", self.process());
        let status = fs::read_to_string(file).expect("Envoy runs on Linux");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        kilobytes.map(|kb: u64| kb * 1024).expect("the kernel tells the peak")
    }

    /// Writes the file of listeners anew, and does not wait until Envoy has read it.
    pub fn write_listeners(&self, setup: &Setup) {
        write_atomically(&self.path.join(LISTENERS_FILE), &listeners_file(setup, &self.path));
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        stop_process(&mut self.child);
        if std::thread::panicking()
            && let Some(directory) = self.directory.take()
        {
            eprintln!("Envoy's files are kept in {}", directory.keep().display());
        }
    }
}

/// Ends a process that this one has started: politely, and after a while by force.
pub(crate) fn stop_process(child: &mut Child) {
    let running = |child: &mut Child| matches!(child.try_wait(), Ok(None));
    if !running(child) {
        return;
    }
    if let Some(id) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // An error means that it has just ended.
        let _ = kill_process(id, Signal::TERM);
    }
    let ended = poll(STOP, || if running(child) { Err(()) } else { Ok(()) });
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The content of the listener file. Its version is new each time, so that an update with the same
/// listener can be seen, too.
fn listeners_file(setup: &Setup, directory: &Path) -> Value {
    let mut listener = setup.listener(directory);
    listener["@type"] = "type.googleapis.com/envoy.config.listener.v3.Listener".into();
    json!({"resources": [listener]})
}

fn write_atomically(path: &Path, content: &Value) {
    let new = path.with_extension("new");
    fs::write(&new, content.to_string()).expect("the directory is writable");
    fs::rename(&new, path).expect("a file can be renamed in its directory");
}
