//! `openssl s_client` and `openssl s_server`.

use std::io::Write;

use super::*;

fn is_here() -> bool {
    installed(Path::new("openssl"), "version")
}

fn command(tool: &str, keys: &Keys, kind: &Kind) -> Command {
    let mut command = Command::new("openssl");
    command.arg(tool).args(["-tls1_2", "-cipher", kind.openssl]);
    command.arg("-cert").arg(keys.path("cert.pem")).arg("-key").arg(keys.path("key.pem"));
    command
}

/// What `s_client` prints about a connection on which it sends these bytes.
fn s_client(keys: &Keys, kind: &Kind, to: SocketAddr, more: &[&str], send: &[u8]) -> String {
    let mut command = command("s_client", keys, kind);
    command.args(["-connect", &to.to_string(), "-ign_eof"]).args(more).current_dir(keys.directory.path());
    let mut peer = Peer::start(&mut command);
    peer.0.stdin.take().unwrap().write_all(send).unwrap();
    let mut said = Vec::new();
    peer.0.stdout.as_mut().unwrap().read_to_end(&mut said).unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

fn request(target: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: peer\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn openssl_reaches_us_and_resumes_by_ticket_and_by_session_id() {
    if !is_here() {
        return;
    }
    for kind in &KINDS {
        let (own, theirs) = (Keys::make(kind), Keys::make(kind));
        let (workers, address) = our_server(&own);
        for extra in [&[][..], &["-no_ticket"]] {
            for (session, word, resumed) in [("-sess_out", "New", false), ("-sess_in", "Reused", true)] {
                let options = [extra, &[session, "session.pem"]].concat();
                let said = s_client(&theirs, kind, address, &options, &request("/peer", b""));
                let line = format!("{word}, TLSv1.2, Cipher is {}", kind.openssl);
                assert!(said.contains(&line), "{options:?} {said}");
                assert!(said.contains("Extended master secret: yes"), "{said}");
                assert!(said.contains(&format!("certificates=1 resumed={resumed}")), "{said}");
            }
        }
        for length in [1, 15, 16, 17, 1024, 16_384, 100_000] {
            let body = pattern(length);
            let said = s_client(&theirs, kind, address, &["-quiet"], &request("/", &body));
            assert!(said.ends_with(std::str::from_utf8(&body).unwrap()), "{length}");
        }
        workers.stop();
        workers.join();
    }
}

#[test]
fn we_reach_openssl_and_resume() {
    if !is_here() {
        return;
    }
    for kind in &KINDS {
        let (own, theirs) = (Keys::make(kind), Keys::make(kind));
        let client = our_client(&own);
        for extra in [&[][..], &["-no_ticket"]] {
            let mut command = command("s_server", &theirs, kind);
            let mut peer =
                Peer::start(command.args(["-accept", "127.0.0.1:0", "-Verify", "1", "-www"]).args(extra));
            let address = peer.port("ACCEPT");
            as_worker(async {
                let pool = Pool::new(PoolOptions::default());
                for resumes in [false, true, true] {
                    let (page, resumed, certificates) = ask(&pool, address, &client, "/", b"").await.unwrap();
                    let page = String::from_utf8_lossy(&page);
                    let word = if resumes { "Reused" } else { "New" };
                    assert!(page.contains(&format!("{word}, TLSv1.2, Cipher is {}", kind.openssl)), "{page}");
                    assert_eq!((resumed, certificates), (resumes, 1));
                }
            });
            drop(peer);
        }
        let mut command = command("s_server", &theirs, kind);
        command.args(["-accept", "127.0.0.1:0", "-Verify", "1", "-WWW", "-http_server_binmode"]);
        let mut peer = Peer::start(command.current_dir(theirs.directory.path()));
        let address = peer.port("ACCEPT");
        as_worker(async {
            let pool = Pool::new(PoolOptions::default());
            for length in [1, 16_384, 300_000] {
                let body = pattern(length);
                std::fs::write(theirs.path("file"), &body).unwrap();
                assert!(ask(&pool, address, &client, "/file", b"").await.unwrap().0 == body, "{length}");
            }
        });
    }
}
