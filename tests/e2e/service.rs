//! A server as a service: notifications, sockets that somebody else holds, reload, upgrade, watchdog; with the tools of
//! the service manager where they are installed.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use hermod::sandbox::RuntimeChoice;

use super::world::{DEADLINE, HERMOD, World, eventually};

/// A notification socket, as the service manager has it.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    heard: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, path, heard: Vec::new(), _folder: folder }
    }

    /// The next notification, if one comes within the time.
    fn next(&mut self, limit: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(limit)).unwrap();
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        self.heard.push(text.clone());
        Some(text)
    }

    /// Waits for a notification that has this field, and returns it.
    fn wait_for(&mut self, what: &str) -> String {
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            if let Some(text) = self.next(Duration::from_millis(200))
                && text.contains(what)
            {
                return text;
            }
        }
        panic!("{what} was not notified; heard {:#?}", self.heard);
    }
}

/// A server that ends with its standard input, whatever becomes of the test.
struct Service {
    child: Child,
    stdin: Option<ChildStdin>,
    output: PathBuf,
}

impl Service {
    fn start(world: &World, manager: &Manager, mut command: Command) -> Self {
        let output = world.ecosystem.server(1).files().directory().join("service.log");
        let file = std::fs::File::create(&output).unwrap();
        let mut child = command
            .env("NOTIFY_SOCKET", &manager.path)
            .stdin(Stdio::piped())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        Self { child, stdin, output }
    }

    fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    fn signal(&self, signal: &str) {
        send_signal(self.child.id(), signal);
    }

    fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < DEADLINE, "it does not end: {}", self.output());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send_signal(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn config(world: &World) -> PathBuf {
    world.ecosystem.server(1).files().config()
}

fn run_command(config: &Path) -> Command {
    let mut command = Command::new(HERMOD);
    command.args(["run", "--exit-on-stdin-close", "--config"]).arg(config);
    command
}

fn hermod(words: &[&str], config: &Path) -> Output {
    Command::new(HERMOD).args(words).arg("--config").arg(config).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn tool(name: &str) -> bool {
    let there =
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: {name} is not installed");
    }
    there
}

/// A program that prepares itself to take over and ends when it is its turn; `None` where there is no Python.
fn ends_when_it_may_go(config: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    if !tool("python3") {
        return None;
    }
    let program = config.with_file_name("ends-when-it-may-go");
    let text = "#!/usr/bin/env python3\nimport socket\ns = socket.socket(fileno=0)\nwhile s.recv(4096) != b'prepare': pass\n\
                s.send(b'prepared 0')\ns.recv(4096)\n";
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Some(program)
}

/// An ecosystem whose second server does not run.
fn world() -> World {
    let mut world = World::start(RuntimeChoice::Auto, |_| ());
    passes(&world);
    let World { runtime, ecosystem, .. } = &mut world;
    runtime.block_on(ecosystem.server_mut(1).stop()).unwrap();
    world
}

fn passes(world: &World) {
    eventually("a message passes", || world.rest("GET", "random", "", b"").status() == 200);
}

#[test]
fn a_service_waits_in_words_is_ready_reloads_and_ends() {
    let world = world();
    let (config, mut manager) = (config(&world), Manager::new());
    let good = std::fs::read_to_string(&config).unwrap();
    let (pin, kept) = (config.with_file_name("pin"), config.with_file_name("pin.kept"));
    std::fs::rename(&pin, &kept).unwrap();

    let mut service = Service::start(&world, &manager, run_command(&config));
    let status = manager.wait_for("STATUS=");
    assert!(status.contains("waits for the token's PIN") && !status.contains("READY"), "{status}");
    std::fs::rename(&kept, &pin).unwrap();
    manager.wait_for("READY=1");
    passes(&world);

    // A reload that is in order.
    service.signal("-HUP");
    let reloading = manager.wait_for("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    manager.wait_for("READY=1");
    std::fs::write(&config, good.replace("[server]", "[logging]\nlevel = \"debug\"\n\n[server]")).unwrap();
    let reloaded = hermod(&["reload"], &config);
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    manager.wait_for("READY=1");

    // A broken one is refused, by word and exit code, and changes nothing.
    std::fs::write(&config, good.replace("root =", "rot =")).unwrap();
    service.signal("-HUP");
    manager.wait_for("RELOADING=1");
    let refused = manager.wait_for("READY=1");
    assert!(refused.contains("refused") && refused.contains("rot"), "{refused}");
    assert!(service.output().contains("refused, everything stays as it was"), "{}", service.output());
    std::fs::write(&config, good.replace("pin_file = \"../pin\"", "pin = \"wrong\"")).unwrap();
    let refused = hermod(&["reload"], &config);
    assert!(!refused.status.success() && text(&refused).contains("PIN"), "{}", text(&refused));
    manager.wait_for("READY=1");
    // What only the start would fail at is found before anything is let go of.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let health = format!("[health]\nlisten = \"{address}\" # ");
    std::fs::write(&config, good.replace("[health]\nlisten = ", &health)).unwrap();
    let refused = hermod(&["reload"], &config);
    assert!(!refused.status.success() && text(&refused).contains(&address), "{}", text(&refused));
    manager.wait_for("READY=1");
    assert!(!service.output().contains("handing over"), "{}", service.output());
    passes(&world);

    // What only a start can change is done by a successor.
    let changed = good.replace("[listen]", "[proxy]\nidle_timeout_ms = 20000\n\n[listen]");
    std::fs::write(&config, &changed).unwrap();
    let reloaded = hermod(&["reload"], &config);
    assert!(reloaded.status.success() && text(&reloaded).contains("has taken over"), "{}", text(&reloaded));
    let named = manager.wait_for("MAINPID=");
    let pid: u32 = named.lines().find_map(|line| line.strip_prefix("MAINPID=")).unwrap().parse().unwrap();
    manager.wait_for("READY=1");
    assert!(service.wait().success() && service.output().contains("handing over"));
    passes(&world);
    std::fs::write(&config, changed.replace("idle_timeout_ms = 20000", "idle_timeout_ms = 20001")).unwrap();
    // Once more, as an upgrade does: a successor can have one itself.
    let upgraded = hermod(&["upgrade"], &config);
    assert!(upgraded.status.success(), "{}", text(&upgraded));
    let named = manager.wait_for("MAINPID=");
    let next: u32 = named.lines().find_map(|line| line.strip_prefix("MAINPID=")).unwrap().parse().unwrap();
    assert_ne!(pid, next);
    manager.wait_for("READY=1");
    passes(&world);

    // A program that is none leaves everything as it is.
    let refused = hermod(&["upgrade", "--binary", "/bin/false"], &config);
    assert!(!refused.status.success(), "{}", text(&refused));
    manager.wait_for("the last reload was refused");
    passes(&world);
    // One that ends when the log and the ports are already its own: the old version goes on, and nobody was refused.
    if let Some(program) = ends_when_it_may_go(&config) {
        let stop = std::sync::atomic::AtomicBool::new(false);
        let address = SocketAddr::from((world.ecosystem.plan().providers()[0].address, 5500));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::net::TcpStream::connect(address).expect("the port is open all the time");
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            let refused = hermod(&["upgrade", "--binary", program.to_str().unwrap()], &config);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(!refused.status.success(), "{}", text(&refused));
        });
        manager.wait_for("READY=1");
        assert!(service.output().contains("the successor has failed, going on"), "{}", service.output());
        passes(&world);
    }
    send_signal(next, "-TERM");
    manager.wait_for("STOPPING=1");
    eventually("its end", || {
        let stat = std::fs::read_to_string(format!("/proc/{next}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    let output = std::fs::read_to_string(&service.output).unwrap();
    assert!(output.trim_end().ends_with("stopped"), "{output}");
}

#[test]
fn what_must_be_mended_ends_the_service_with_a_code_of_its_own() {
    let world = world();
    let (config, mut manager) = (config(&world), Manager::new());
    let good = std::fs::read_to_string(&config).unwrap();
    let log = world.ecosystem.server(1).files().log();
    for (broken, told) in [
        (good.replace("root =", "rot ="), "rot"),
        (good.replace("pin_file = \"../pin\"", "pin = \"wrong\""), "PIN"),
    ] {
        std::fs::write(&config, broken).unwrap();
        let mut service = Service::start(&world, &manager, run_command(&config));
        assert_eq!(service.wait().code(), Some(78), "{}", service.output());
        assert!(manager.wait_for("STATUS=").contains(told));
    }
    std::fs::write(&config, good).unwrap();
    // A socket that nobody would ever answer on.
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = hermod::host::command_with(Path::new(HERMOD), &[("telnet".to_owned(), socket)]);
    command.args(["run", "--config"]).arg(&config);
    let mut service = Service::start(&world, &manager, command);
    assert_eq!(service.wait().code(), Some(78), "{}", service.output());
    assert!(service.output().contains("\"telnet\""), "{}", service.output());
    // A log of a version to come: going back is refused by name.
    let segment = std::fs::read_dir(&log).unwrap().flatten().map(|entry| entry.path());
    let segment = segment.filter(|path| path.extension().is_some_and(|e| e == "log")).min().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    // Its header is there twice.
    let copy = usize::from(u16::from_le_bytes(bytes[10..12].try_into().unwrap()));
    for start in [0, copy] {
        bytes[start + 8..start + 10].copy_from_slice(&u16::MAX.to_le_bytes());
    }
    std::fs::write(&segment, &bytes).unwrap();
    let mut service = Service::start(&world, &manager, run_command(&config));
    assert_eq!(service.wait().code(), Some(78), "{}", service.output());
    assert!(service.output().contains("use the server that wrote it"), "{}", service.output());
}

#[test]
fn a_worker_that_hangs_is_noticed_within_the_time_of_the_watchdog() {
    const INTERVAL: Duration = Duration::from_millis(1200);
    let world = world();
    let (config, mut manager) = (config(&world), Manager::new());
    let hang = config.with_file_name("hang");
    let mut command = run_command(&config);
    command.env("WATCHDOG_USEC", INTERVAL.as_micros().to_string()).env("HERMOD_TEST_HANG_FILE", &hang);
    let service = Service::start(&world, &manager, command);
    manager.wait_for("READY=1");
    for _ in 0..4 {
        manager.wait_for("WATCHDOG=1");
    }
    std::fs::write(&hang, "").unwrap();
    eventually("it is noticed", || service.output().contains("the watchdog is not fed"));
    assert!(service.output().contains("worker-0"), "{}", service.output());
    // What was under way is heard; then the service manager would act after the interval.
    while manager.next(Duration::from_millis(1)).is_some() {}
    let began = Instant::now();
    while began.elapsed() < INTERVAL {
        let heard = manager.next(INTERVAL.saturating_sub(began.elapsed()).max(Duration::from_millis(1)));
        assert!(!heard.as_deref().is_some_and(|text| text.contains("WATCHDOG=1")), "{heard:?}");
    }
    std::fs::remove_file(&hang).unwrap();
    manager.wait_for("WATCHDOG=1");
}

#[test]
fn sockets_come_from_the_service_managers_own_tool() {
    if !tool("systemd-socket-activate") {
        return;
    }
    let world = world();
    let (config, mut manager) = (config(&world), Manager::new());
    let address = world.ecosystem.plan().providers()[0].address;
    let ports = [
        ("server", 5500),
        ("ocsp", 5577),
        ("consumer-http", 8080),
        ("consumer-https", 8443),
        ("admin", 9600),
        ("health", 5588),
    ];
    let mut command = Command::new("systemd-socket-activate");
    for (_, port) in ports {
        command.arg(format!("--listen={}", SocketAddr::from((address, port))));
    }
    let names: Vec<&str> = ports.iter().map(|(name, _)| *name).collect();
    command.arg(format!("--fdname={}", names.join(":")));
    command.arg(format!("--setenv=NOTIFY_SOCKET={}", manager.path.display()));
    command.arg(HERMOD).args(["run", "--exit-on-stdin-close", "--config"]).arg(&config);
    let mut service = Service::start(&world, &manager, command);
    eventually("the sockets are there", || service.output().contains("Listening on"));
    assert!(!service.output().contains("hermod starts"), "nothing is started before somebody calls");
    // The first caller waits in the socket and is answered.
    passes(&world);
    manager.wait_for("READY=1");
    let health = super::http::send(SocketAddr::from((address, 5588)), b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(health.status(), 200);
    service.signal("-TERM");
    manager.wait_for("STOPPING=1");
    assert!(service.wait().success(), "{}", service.output());
}

#[test]
fn units_are_in_order_and_expose_little() {
    if !tool("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let version = text(&Command::new("systemd-analyze").arg("--version").output().unwrap());
    let version: u32 = version.split_whitespace().nth(1).and_then(|v| v.parse().ok()).unwrap_or(0);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(units).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !["service", "socket", "slice"].iter().any(|kind| name.ends_with(&format!(".{kind}"))) {
            continue;
        }
        let mut unit = std::fs::read_to_string(entry.path()).unwrap().replace("/usr/bin/hermod", HERMOD);
        if version < 253 {
            unit = unit.replace("Type=notify-reload", "Type=notify");
        }
        std::fs::File::create(folder.path().join(&name)).unwrap().write_all(unit.as_bytes()).unwrap();
        names.push(folder.path().join(name));
    }
    assert!(names.len() >= 8, "{names:?}");
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&names).output().unwrap();
    assert!(verified.status.success() && verified.stderr.is_empty(), "{}", text(&verified));
    let secure = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--threshold=15"])
        .arg(folder.path().join("hermod.service"))
        .output()
        .unwrap();
    assert!(secure.status.success(), "{}", text(&secure));
}
