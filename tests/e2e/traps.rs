//! Traps of the fact sheets that only show between two running servers.

use hermod::sandbox::source::Parts;
use hermod::sandbox::{Ecosystem, RuntimeChoice};

use super::captures::error_code;
use super::soap;
use super::world::{World, eventually, rest_request};

fn world() -> World {
    World::start(RuntimeChoice::Auto, |_| ())
}

fn publish(ecosystem: &Ecosystem, change: impl FnOnce(&str) -> String) {
    let parts = ecosystem.source().parts();
    let shared = change(&parts.shared);
    assert_ne!(shared, parts.shared, "nothing is changed");
    ecosystem.source().publish(Parts { shared, ..parts });
}

fn rest_code(world: &World) -> String {
    error_code(&world.rest("GET", "random?size=1", "", b""))
}

#[test]
fn trap_transport_17_nothing_passes_when_the_peers_ocsp_port_is_closed() {
    let world = World::start(RuntimeChoice::Auto, |options| {
        options.extra_config += "\n[proxy]\nocsp_port = 5599\n";
    });
    assert_eq!(rest_code(&world), "server.clientproxy.ssl_authentication_failed.internal_error");
    let answer = world.send(soap::call("getRandom"));
    assert_eq!(error_code(&answer), "server.clientproxy.ssl_authentication_failed.internal_error");
}

#[test]
fn trap_trust_04_ports_of_peers_are_local_parameters() {
    let world = World::start(RuntimeChoice::Auto, |options| {
        options.extra_config += "\n[proxy]\nserver_port = 5599\n";
    });
    assert_eq!(rest_code(&world), "server.clientproxy.network_error");
}

#[test]
fn trap_transport_18_and_trap_trust_13_the_certificate_must_be_of_a_server_of_exactly_this_client() {
    let world = world();
    assert_eq!(rest_code(&world), "");
    publish(&world.ecosystem, |shared| shared.replacen("<client>s0</client>", "", 1));
    let refused = "server.serverproxy.service_failed.ssl_authentication_failed";
    eventually(refused, || rest_code(&world) == refused);
    // The owner is implied: its message gets as far as the access rights.
    world.apply(0, "[[client]]\nid = \"SANDBOX/GOV/100\"\nconnection = \"NOSSL\"\n");
    let request = String::from_utf8(rest_request("GET", "random?size=1", "", b"")).unwrap();
    let answer = world.send(request.replace("SANDBOX/GOV/100/consumer", "SANDBOX/GOV/100"));
    assert_eq!(error_code(&answer), "server.serverproxy.access_denied", "{}", answer.text());
}

#[test]
fn trap_transport_19_metaservices_need_no_right() {
    let world = world();
    let bare = world.provider_declaration().replace("access = [\"SANDBOX/GOV/100/consumer\"]", "");
    world.apply(1, &bare);
    assert_eq!(rest_code(&world), "server.serverproxy.access_denied");
    assert_eq!(world.rest("GET", "listMethods", "", b"").status(), 200);
    let allowed = world.rest("GET", "allowedMethods", "", b"");
    assert_eq!((allowed.status(), allowed.text().as_str()), (200, "{\"service\":[]}"));
    let listed = world.send(soap::call("listMethods"));
    assert_eq!((listed.status(), error_code(&listed).as_str()), (200, ""));
    assert!(listed.text().contains("getRandom"));
}

#[test]
fn trap_transport_33_and_35_nothing_is_released_that_the_consumer_cannot_log() {
    let mut world = world();
    let config = world.ecosystem.server(0).files().config();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + "\n[log]\nbody_bytes_max = 1000\n").unwrap();
    world.restart(0);
    let answer = world.rest("GET", "random?size=1001", "", b"");
    assert_eq!(error_code(&answer), "server.clientproxy.logging_failed", "{}", answer.text());
    assert!(!answer.text().contains("0123456789"));
    assert_eq!(world.rest("GET", "random?size=1000", "", b"").body.len(), 1000);
    // While the request is written everything is an I/O error of the consumer's server.
    let calls = world.ecosystem.stations().rest.calls();
    let answer = world.rest("POST", "echo", "", &[b'x'; 1001]);
    assert_eq!(error_code(&answer), "server.clientproxy.io_error", "{}", answer.text());
    assert_eq!(world.ecosystem.stations().rest.calls(), calls, "the service is not called");
}

#[test]
fn trap_transport_41_without_a_time_stamping_authority_nothing_passes() {
    let world = world();
    publish(&world.ecosystem, |shared| {
        let (start, end) = (shared.find("<approvedTSA>").unwrap(), shared.find("</approvedTSA>").unwrap());
        format!("{}{}", &shared[..start], &shared[end + "</approvedTSA>".len()..])
    });
    eventually("nothing passes", || rest_code(&world) == "server.clientproxy.io_error");
    let code = error_code(&world.send(soap::call("getRandom")));
    assert_eq!(code, "server.clientproxy.logging_failed.mlog.no_timestamping_provider_found");
    // The state is known and left again.
    assert!(world.rest("GET", "random?size=1", "", b"").text().contains("time-stamp"));
}

#[test]
fn trap_trust_09_only_soap_compares_the_target_with_the_server_that_got_the_message() {
    let world = world();
    // Another name for the provider's server: the consumer finds the address by it.
    let address = world.ecosystem.plan().providers()[0].address;
    publish(&world.ecosystem, |shared| {
        let other = format!(
            "<securityServer><owner>m1</owner><serverCode>alias</serverCode><address>{address}</address>\
             <client>s1</client></securityServer>\n    <globalGroup>"
        );
        shared.replacen("<globalGroup>", &other, 1)
    });
    let target = "X-Road-Security-Server: SANDBOX/GOV/200/alias\r\n";
    eventually("the alias is known", || {
        let code = error_code(&world.rest("GET", "random?size=1", target, b""));
        assert!(code.is_empty() || code == "server.clientproxy.invalid_security_server", "{code}");
        code.is_empty()
    });
    let header = "<x:securityServer id:objectType=\"SERVER\"><id:xRoadInstance>SANDBOX</id:xRoadInstance>\
                  <id:memberClass>GOV</id:memberClass><id:memberCode>200</id:memberCode>\
                  <id:serverCode>alias</id:serverCode></x:securityServer>";
    let body = soap::envelope(("200", "provider"), ("getRandom", "v1"), header);
    let answer = world.send(soap::post("text/xml", "", body.as_bytes()));
    assert_eq!(error_code(&answer), "server.serverproxy.service_failed.invalid_security_server");
}

#[test]
fn trap_transport_37_a_service_is_disabled_exactly_when_it_has_a_notice() {
    let world = world();
    let enabled = world.provider_declaration();
    let of_echo = "code = \"echo\"\n";
    for notice in ["", "Out of order"] {
        world.apply(1, &enabled.replace(of_echo, &format!("{of_echo}disabled = \"{notice}\"\n")));
        let code = error_code(&world.rest("GET", "echo", "", b""));
        assert_eq!(code, "server.serverproxy.service_disabled", "notice \"{notice}\"");
    }
    world.apply(1, &enabled);
    assert_eq!(world.rest("GET", "echo", "", b"").status(), 200);
}
