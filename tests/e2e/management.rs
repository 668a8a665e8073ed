//! Management requests, from the command line to what the configuration source publishes.

use hermod::crypto::to_hex;
use hermod::sandbox::{RuntimeChoice, management::RegisteredServer};

use super::captures::error_code;
use super::world::{Cases, World, eventually, hermod};

/// Runs `hermod manage` for the provider's server: whether the request was taken, and what was said.
fn manage(world: &World, words: &[&str]) -> (bool, String) {
    let mut all = vec!["manage"];
    all.extend_from_slice(words);
    all.push("--config");
    let output = hermod(&all, &[], world.ecosystem.server(1));
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn provider(world: &World) -> RegisteredServer {
    world.ecosystem.management().registrations().servers[1].clone()
}

#[test]
fn management_requests_are_made_signed_sent_verified_and_applied() {
    let world = World::start(RuntimeChoice::Auto, |options| options.management = true);
    let taken = |words: &[&str]| {
        let (taken, said) = manage(&world, words);
        assert!(taken && said.contains("was taken"), "{words:?}: {said}");
    };
    let has = |code: &str| {
        let clients = provider(&world).clients;
        clients.iter().any(|(_, subsystem, on)| subsystem.as_deref() == Some(code) && *on)
    };
    let name_of = |code: &str| {
        let subsystems = world.ecosystem.management().registrations().subsystems;
        subsystems.into_iter().find(|(_, other, _)| other == code).and_then(|(_, _, name)| name)
    };
    let mut cases = Cases::default();
    cases.case("a client's life", || {
        let client = "SANDBOX/GOV/200/extra";
        taken(&["register-client", client, "--name", "Extra & more"]);
        assert!(has("extra"));
        assert_eq!(name_of("extra").as_deref(), Some("Extra & more"));
        eventually("the other server knows the client", || {
            let request = b"GET /listClients HTTP/1.1\r\nHost: ss\r\n\r\n";
            world.send(request).text().contains(">extra<")
        });
        taken(&["rename-client", client, "Other"]);
        assert_eq!(name_of("extra").as_deref(), Some("Other"));
        taken(&["disable-client", client]);
        assert!(!has("extra"));
        taken(&["enable-client", client]);
        assert!(has("extra"));
        taken(&["delete-client", client]);
        assert!(!has("extra"));
    });
    cases.case("the server's address", || {
        let address = provider(&world).address;
        taken(&["change-address", "ss2.sandbox.test"]);
        assert_eq!(provider(&world).address, "ss2.sandbox.test");
        // The provider of the management services finds the server by what it proves, not by its address.
        taken(&["change-address", &address]);
        assert_eq!(provider(&world).address, address);
    });
    cases.case("maintenance", || {
        taken(&["start-maintenance", "--message", "back at noon"]);
        assert_eq!(provider(&world).maintenance, Some(Some("back at noon".to_owned())));
        eventually("the other server knows of it", || {
            error_code(&world.rest("GET", "random?size=1", "", b"")) == "server.clientproxy.maintenance_mode"
        });
        taken(&["end-maintenance"]);
        eventually("the other server sends again", || {
            world.rest("GET", "random?size=1", "", b"").status() == 200
        });
    });
    let certificate = world.ecosystem.pki().servers[1].authentication.certificate().clone();
    cases.case("the authentication certificate", || {
        let hash = to_hex(certificate.sha256());
        let (taken_again, said) = manage(&world, &["register-certificate", "127.0.0.1"]);
        assert!(!taken_again && said.contains("is registered already"), "{said}");
        taken(&["delete-certificate", "--certificate", &hash]);
        assert!(provider(&world).certificates.is_empty());
        let address = world.ecosystem.plan().providers()[0].address.to_string();
        let (checked, said) = manage(&world, &["register-certificate", &address, "--dry-run"]);
        assert!(checked && said.contains("request 0"), "{said}");
        assert!(provider(&world).certificates.is_empty());
        taken(&["register-certificate", &address]);
        assert_eq!(provider(&world).certificates, [*certificate.sha256()]);
        eventually("messages pass again", || world.rest("GET", "random?size=1", "", b"").status() == 200);
    });
    for (words, reason) in [
        (&["rename-client", "SANDBOX/GOV/200/nobody", "x"][..], "is not known"),
        (&["change-owner", "SANDBOX/GOV/200/provider"], "is a subsystem"),
        (&["change-owner", "SANDBOX/GOV/100"], "no usable signing certificate of SANDBOX/GOV/100"),
        (&["delete-certificate", "--certificate", "00"], "no such authentication certificate"),
    ] {
        cases.case(&format!("{words:?} is refused"), || {
            let (taken, said) = manage(&world, words);
            assert!(!taken && said.contains(reason), "{said}");
        });
    }
    cases.finish();
}
