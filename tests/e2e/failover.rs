//! A provider on two security servers.

use hermod::message::MemberId;
use hermod::sandbox::RuntimeChoice;
use hermod::sandbox::source::Parts;
use hermod::signer::{CertificateStatus, KeyPurpose, SoftwareToken};

use super::captures::error_code;
use super::world::{World, eventually};

/// The PIN of every token of a sandbox.
const PIN: &str = "Sandbox1234";

/// Registers the provider at the third server too, with its signing key there.
pub fn provider_on_two_servers(world: &World) {
    let source = world.ecosystem.source();
    let parts = source.parts();
    let shared = parts.shared.replace("<client>s2</client>", "<client>s1</client><client>s2</client>");
    assert_ne!(shared, parts.shared);
    source.publish(Parts { shared, ..parts });
    let third = world.ecosystem.server(2);
    let token = SoftwareToken::open(&third.files().root().join("tokens"), PIN).expect("a token");
    let identity = &world.ecosystem.pki().servers[1].signing;
    let owner = MemberId::new("SANDBOX", "GOV", "200").expect("a member");
    let id = token.import_key(KeyPurpose::Signing, identity.key()).expect("a key");
    let registered = CertificateStatus::Registered;
    token
        .put_certificate(&id, identity.certificate(), Some(&owner), registered, true)
        .expect("a certificate");
    // The running server is told as an operator tells it.
    let pid = third.id().expect("a process").to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().expect("kill").success());
    let own = "[[client]]\nid = \"SANDBOX/GOV/300\"\n\n[[client]]\nid = \"SANDBOX/GOV/300/provider\"\n\n";
    let provider = world.provider_declaration();
    world.apply(2, &format!("{own}{}", provider.replacen("[[client]]\nid = \"SANDBOX/GOV/200\"\n\n", "", 1)));
}

#[test]
fn another_server_of_the_provider_takes_over() {
    let mut world = World::start(RuntimeChoice::Auto, |options| options.servers = 3);
    provider_on_two_servers(&world);
    let call = |world: &World, target: &str| {
        error_code(&world.rest("GET", "random?size=1", &format!("X-Road-Security-Server: {target}\r\n"), b""))
    };
    for target in ["SANDBOX/GOV/200/ss2", "SANDBOX/GOV/300/ss3"] {
        eventually(&format!("{target} serves the provider"), || call(&world, target).is_empty());
    }
    for killed in [1, 2] {
        for _ in 0..8 {
            assert_eq!(error_code(&world.rest("GET", "random?size=1", "", b"")), "");
        }
        world.kill(killed);
        for attempt in 0..8 {
            let answer = world.rest("GET", "random?size=1", "", b"");
            assert_eq!(
                error_code(&answer),
                "",
                "server {killed} is killed, call {attempt}: {}",
                answer.text()
            );
        }
        world.start_again(killed);
    }
}
