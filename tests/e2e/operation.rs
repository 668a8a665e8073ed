//! What operators and downloading clients see.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use hermod::sandbox::RuntimeChoice;

use super::backup::KeyRing;
use super::captures::error_code;
use super::http::{self, Message};
use super::world::{Cases, HERMOD, World, eventually, hermod};

fn get(address: SocketAddr, target: &str) -> Message {
    http::send(address, format!("GET {target} HTTP/1.1\r\nHost: ss\r\n\r\n").as_bytes())
}

#[test]
fn downloads_are_encrypted_where_archives_are_and_more_than_run_at_once_wait() {
    let Some(ring) = KeyRing::new() else {
        eprintln!("skipped: gpg is not here");
        return;
    };
    let world = World::start(RuntimeChoice::Auto, |options| {
        let home = ring.0.path();
        options.extra_config += &format!("\n[log]\narchive_encryption = true\narchive_gpg_home = {home:?}\n");
    });
    assert_eq!(world.rest("GET", "random?size=10", "X-Road-Id: mine\r\n", b"").status(), 200);
    let query =
        "xRoadInstance=SANDBOX&memberClass=GOV&memberCode=100&subsystemCode=consumer&queryId=mine&force";
    let (port, at_once) = (world.client_port(), hermod::limits::DOWNLOAD_ENCRYPTIONS_MAX);
    std::thread::scope(|scope| {
        let downloads: Vec<_> =
            (0..3 * at_once).map(|_| scope.spawn(|| get(port, &format!("/asic?{query}")))).collect();
        for download in downloads {
            let answer = download.join().unwrap();
            assert_eq!(answer.status(), 200, "{}", answer.text());
            assert!(answer.header("content-disposition").contains("mine.zip.gpg"));
            let file = ring.0.path().join("download");
            std::fs::write(&file, &answer.body).unwrap();
            let output = ring.gpg(&["--quiet", "--decrypt", file.to_str().unwrap()]).unwrap();
            assert!(output.stdout.starts_with(b"PK"), "{}", String::from_utf8_lossy(&output.stderr));
        }
    });
}

#[test]
fn downloads_answer_and_refuse_as_captured() {
    let world = World::start(RuntimeChoice::Auto, |options| options.timestamping_interval_secs = 3600);
    let sent = world.rest("GET", "random?size=10", "X-Road-Id: mine\r\n", b"");
    assert_eq!(sent.status(), 200);
    let client = "xRoadInstance=SANDBOX&memberClass=GOV&memberCode=100&subsystemCode=consumer";
    let mut cases = Cases::default();
    for (query, status, text) in [
        (String::new(), 400, "Parameter \"xRoadInstance\"  must be specified."),
        (format!("{client}&queryId=none"), 404, "No signed documents found"),
        (format!("{client}&queryId=mine"), 500, "Message signature has not been timestamped yet!"),
        (
            format!("{client}&queryId=mine&requestOnly&responseOnly"),
            400,
            "Parameters \"requestOnly\" and \"responseOnly\" cannot be used at the same time.",
        ),
        (
            format!("{client}&queryId=mine&unique"),
            400,
            "Parameter \"unique\" not applicable without \"requestOnly\" or \"responseOnly\".",
        ),
        (
            "xRoadInstance=SANDBOX&memberClass=GOV&memberCode=999&subsystemCode=x&queryId=none".into(),
            401,
            "Client 'SUBSYSTEM:SANDBOX/GOV/999/x' not found",
        ),
    ] {
        cases.case(&format!("/asic?{query}"), || {
            let answer = get(world.client_port(), &format!("/asic?{query}"));
            assert_eq!((answer.status(), answer.text().as_str()), (status, text));
            assert_eq!(answer.header("content-type").to_ascii_lowercase(), "text/plain; charset=utf-8");
        });
    }
    for (flags, content_type, name) in [
        ("force", "application/zip", "\"mine.zip\""),
        ("requestOnly", "application/zip", "\"mine-request.zip\""),
        ("responseOnly", "application/zip", "\"mine-response.zip\""),
        ("requestOnly&unique", "application/vnd.etsi.asic-e+zip", "\"mine-request-"),
        ("responseOnly&unique", "application/vnd.etsi.asic-e+zip", "\"mine-response-"),
    ] {
        cases.case(&format!("/asic with {flags}"), || {
            let answer = get(world.client_port(), &format!("/asic?{client}&queryId=mine&{flags}"));
            assert_eq!((answer.status(), answer.header("content-type").as_str()), (200, content_type));
            let disposition = answer.header("content-disposition");
            assert!(
                disposition.starts_with("attachment; filename=") && disposition.contains(name),
                "{disposition}"
            );
            assert!(answer.body.starts_with(b"PK"));
        });
    }
    cases.case("/verificationconf", || {
        let answer = get(world.client_port(), "/verificationconf");
        assert_eq!((answer.status(), answer.header("content-type").as_str()), (200, "application/zip"));
        assert_eq!(answer.header("content-disposition"), "filename=\"verificationconf.zip\"");
    });
    let ocsp = SocketAddr::from((world.ecosystem.plan().providers()[0].address, 5577));
    let hashes = world.ecosystem.server(1).files().certificate_hashes().to_vec();
    for (target, status, parts) in [
        (format!("/?cert={}", hashes[0]), 200, 1),
        (format!("/any/path?cert={}&cert={}", hashes[0], hashes[0]), 200, 2),
        (format!("/?cert={}&cert={}&cert_hash=00", hashes[0], hashes[1]), 200, 2),
        (format!("/?cert={}", hashes[0].to_ascii_uppercase()), 500, 0),
        (format!("/?cert={}&cert={}", hashes[0], "0".repeat(40)), 500, 0),
        ("/?cert_hash=00".to_owned(), 500, 0),
        ("/".to_owned(), 500, 0),
    ] {
        cases.case(&format!("port 5577: {target}"), || {
            let answer = get(ocsp, &target);
            assert_eq!(answer.status(), status, "{}", answer.text());
            let found =
                answer.body.windows(39).filter(|w| *w == b"Content-Type: application/ocsp-response").count();
            assert_eq!((found, answer.header("content-type").is_empty()), (parts, status == 500));
        });
    }
    cases.case("port 5577: HEAD and POST", || {
        assert_eq!(http::send(ocsp, b"HEAD / HTTP/1.1\r\nHost: ss\r\n\r\n").status(), 200);
        let post = format!("POST /?cert={} HTTP/1.1\r\nHost: ss\r\nContent-Length: 0\r\n\r\n", hashes[0]);
        assert_eq!(http::send(ocsp, post.as_bytes()).status(), 500);
    });
    cases.finish();
}

#[test]
fn operators_are_told_in_plain_words() {
    let mut world = World::start(RuntimeChoice::Auto, |_| ());
    let mut cases = Cases::default();
    let config = world.ecosystem.server(1).files().config();
    let text = std::fs::read_to_string(&config).unwrap();
    cases.case("a registry change is in force without a restart", || {
        assert_eq!(error_code(&world.rest("GET", "new", "", b"")), "server.serverproxy.unknown_service");
        let service = world.provider_declaration().replace("code = \"echo\"", "code = \"new\"");
        world.apply(1, &service);
        assert_eq!(world.rest("GET", "new", "", b"").status(), 200);
        assert_eq!(error_code(&world.rest("GET", "echo", "", b"")), "server.serverproxy.unknown_service");
    });
    cases.case("SIGHUP reads the tokens again", || {
        let server = world.ecosystem.server(1);
        let pid = server.id().expect("a process").to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
        eventually("tokens are read again", || {
            std::fs::read_to_string(server.files().output()).unwrap().contains("tokens read again")
        });
        assert_eq!(world.rest("GET", "random", "", b"").status(), 200);
    });
    cases.case("check beside a running server names its ports", || {
        let output = hermod(&["check", "--config"], &[], world.ecosystem.server(1));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success() && text.contains("is in use; does a server run already?"), "{text}");
    });
    cases.case("a second server on the same ports does not start", || {
        let output = hermod(&["run", "--config"], &[], world.ecosystem.server(1));
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success(), "{text}");
        assert!(text.contains("in use") || text.contains("lock"), "{text}");
    });
    world.runtime.block_on(world.ecosystem.server_mut(1).stop()).expect("a stop");
    cases.case("check of a good set-up", || {
        let output = hermod(&["check", "--config"], &[], world.ecosystem.server(1));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !text.contains("stops "), "{text}");
    });
    cases.case("port in use", || {
        let address = SocketAddr::from((world.ecosystem.plan().providers()[0].address, 8080));
        let _taken = TcpListener::bind(address).expect("a free port");
        let output = hermod(&["run", "--config"], &[], world.ecosystem.server(1));
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success(), "{text}");
        assert!(text.contains("in use") && text.contains(&address.to_string()), "{text}");
    });
    for (name, broken, told) in [
        ("unknown key", text.replace("runtime =", "runtme ="), "runtime"),
        ("wrong anchor", text.replace("configuration-anchor.xml", "hermod.toml"), "anchor"),
        ("wrong PIN", text.replace("pin_file = \"../pin\"", "pin = \"other\""), "PIN"),
    ] {
        cases.case(&format!("check: {name}"), || {
            let file = config.with_file_name("broken.toml");
            std::fs::write(&file, &broken).unwrap();
            let output = Command::new(HERMOD).args(["check", "--config"]).arg(&file).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(!output.status.success(), "{text}");
            let stops: Vec<&str> = text.lines().filter(|line| line.starts_with("stops")).collect();
            let stops = stops.join("\n");
            assert!(text.to_lowercase().contains(&told.to_lowercase()) && !stops.is_empty(), "{text}");
        });
    }
    cases.finish();
}
