//! A pair of plain relays between the generator and the echo service, in place of the security servers: nginx twice,
//! with mutual TLS between the two and nothing signed or logged.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hermod::sandbox::plan::Plan;

use crate::process::{Usage, children_of};

const PLACES: [&str; 3] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
const READY_MAX: Duration = Duration::from_secs(10);
const END_MAX: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// The program, where it is installed.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("nginx"));
    in_path.chain(PLACES.map(PathBuf::from)).find(|file| file.is_file())
}

/// What the relays stand between.
pub struct Ends<'a> {
    /// For addresses: the block of the sandbox.
    pub plan: &'a Plan,
    /// Keys and certificates of the sandbox.
    pub pki: &'a Path,
    /// Where the service is.
    pub service: SocketAddr,
    /// The consumer's side takes TLS.
    pub client_tls: bool,
}

/// A running pair; dropping it ends it.
pub struct Pair {
    relays: Vec<Relay>,
    address: SocketAddr,
    // Removed last.
    _directory: tempfile::TempDir,
}

impl Pair {
    /// Starts both and waits until they listen.
    ///
    /// # Errors
    /// What nginx has to say.
    pub fn start(program: &Path, ends: &Ends<'_>) -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("hermod-null-").tempdir();
        let directory = directory.map_err(|e| e.to_string())?;
        let [a, b, c, _] = ends.plan.services_address.octets();
        let near = SocketAddr::from((Ipv4Addr::new(a, b, c, 101), if ends.client_tls { 8443 } else { 8080 }));
        let far = SocketAddr::from((Ipv4Addr::new(a, b, c, 102), 5500));
        let mut relays = Vec::new();
        for (name, listens, text) in
            [("provider", far, provider(ends, far)), ("consumer", near, consumer(ends, near, far))]
        {
            relays.push(Relay::start(program, directory.path(), name, listens, &text)?);
        }
        relays.reverse();
        Ok(Self { relays, address: near, _directory: directory })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Name and cost of each relay, the consumer's first.
    pub fn usage(&self) -> Vec<(&'static str, Usage)> {
        self.relays.iter().map(|relay| (relay.name, relay.usage())).collect()
    }
}

struct Relay {
    name: &'static str,
    shell: Child,
    pid: u32,
}

impl Relay {
    fn start(
        program: &Path,
        directory: &Path,
        name: &'static str,
        listens: SocketAddr,
        text: &str,
    ) -> Result<Self, String> {
        let folder = directory.join(name);
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let file = folder.join("nginx.conf");
        fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        let errors = folder.join("error.log");
        // The shell ends nginx when this process lets go of its input, whatever that process died of.
        let shell = Command::new("/bin/sh")
            .args(["-c", "\"$0\" -p \"$1\" -e \"$2\" -c \"$3\" & read -r _; kill -TERM $!; wait $!"])
            .args([program, &folder, &errors, &file])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("/bin/sh: {e}"))?;
        let mut relay = Self { name, shell, pid: 0 };
        let began = Instant::now();
        loop {
            let pid = fs::read_to_string(folder.join("pid")).unwrap_or_default();
            relay.pid = pid.trim().parse().unwrap_or(0);
            if relay.pid > 0 && TcpStream::connect_timeout(&listens, READY_MAX).is_ok() {
                return Ok(relay);
            }
            if began.elapsed() > READY_MAX {
                let said = fs::read_to_string(&errors).unwrap_or_default();
                let last = said.lines().last().unwrap_or("nginx does not listen").to_owned();
                return Err(format!("the {name}'s relay: {last}"));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn usage(&self) -> Usage {
        let workers = children_of(self.pid);
        [self.pid].into_iter().chain(workers).map(Usage::of).fold(Usage::default(), Usage::plus)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let began = Instant::now();
        while began.elapsed() < END_MAX {
            if !matches!(self.shell.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn common() -> String {
    // Workers of a root's nginx would be somebody who may not enter the directory.
    let root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    let user = if root { "user root;\n" } else { "" };
    let mut text = format!(
        "daemon off;\n{user}worker_processes 2;\npid pid;\nworker_rlimit_nofile 65536;\n\
         events {{ worker_connections 16384; }}\n\
         http {{\n  access_log off;\n  server_tokens off;\n  tcp_nodelay on;\n  client_max_body_size 0;\
         \n  keepalive_requests 1000000000;\n  keepalive_timeout 600s;\
         \n  proxy_http_version 1.1;\n  proxy_set_header Connection \"\";\n  proxy_request_buffering off;\
         \n  proxy_max_temp_file_size 0;\n  proxy_read_timeout 600s;\n"
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(text, "  {kind}_temp_path {kind};");
    }
    text
}

// Shorter than what the next one waits for on an idle connection, so that no request meets a closed one.
fn upstream(address: SocketAddr) -> String {
    format!(
        "  upstream next {{\n    server {address};\n    keepalive 1024;\n    keepalive_requests 1000000000;\n    \
         keepalive_timeout 20s;\n  }}\n"
    )
}

fn consumer(ends: &Ends<'_>, listens: SocketAddr, far: SocketAddr) -> String {
    let pki = ends.pki.display();
    let (mut tls, mut kind) = (String::new(), "");
    if ends.client_tls {
        kind = " ssl";
        tls = format!(
            "    ssl_certificate {pki}/ss1-internal.crt;\n    ssl_certificate_key {pki}/ss1-internal.key;\n"
        );
    }
    format!(
        "{}{}  server {{\n    listen {listens}{kind} backlog=4096;\n{tls}    location / {{\n      \
         proxy_pass https://next;\n      proxy_ssl_protocols TLSv1.3;\n      \
         proxy_ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;\n      \
         proxy_ssl_certificate {pki}/ss1-auth.crt;\n      proxy_ssl_certificate_key {pki}/ss1-auth.key;\n      \
         proxy_ssl_verify on;\n      proxy_ssl_trusted_certificate {pki}/ca.crt;\n      \
         proxy_ssl_name ss2.sandbox.test;\n      proxy_ssl_session_reuse on;\n    }}\n  }}\n}}\n",
        common(),
        upstream(far)
    )
}

fn provider(ends: &Ends<'_>, listens: SocketAddr) -> String {
    let pki = ends.pki.display();
    format!(
        "{}{}  server {{\n    listen {listens} ssl backlog=4096;\n    ssl_protocols TLSv1.3;\n    \
         ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;\n    ssl_certificate {pki}/ss2-auth.crt;\n    \
         ssl_certificate_key {pki}/ss2-auth.key;\n    ssl_verify_client on;\n    \
         ssl_client_certificate {pki}/ca.crt;\n    ssl_session_cache shared:s:4m;\n    \
         location / {{ proxy_pass http://next; }}\n  }}\n}}\n",
        common(),
        upstream(ends.service)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pair_speaks_mutual_tls_with_gcm_and_logs_nothing() {
        let plan = Plan::new(2, (9, 9));
        let service = SocketAddr::from((plan.services_address, 9301));
        let ends = Ends { plan: &plan, pki: Path::new("/pki"), service, client_tls: false };
        let (near, far) = ("127.9.9.101:8080".parse().unwrap(), "127.9.9.102:5500".parse().unwrap());
        let (consumer, provider) = (consumer(&ends, near, far), provider(&ends, far));
        for text in [&consumer, &provider] {
            assert!(text.contains("access_log off;") && text.contains("TLS_AES_256_GCM_SHA384"), "{text}");
            assert_eq!(text.matches('{').count(), text.matches('}').count());
        }
        assert!(provider.contains("ssl_verify_client on;") && consumer.contains("proxy_ssl_verify on;"));
        assert!(consumer.contains("server 127.9.9.102:5500;") && provider.contains("server 127.9.9.1:9301;"));
    }
}
