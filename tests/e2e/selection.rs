//! Which server of the provider a message goes to, and from which server the provider takes it.

use hermod::sandbox::source::Parts;

use super::captures::error_code;
use super::failover::provider_on_two_servers;
use super::http;
use super::soap;
use super::world::{World, eventually};
use hermod::sandbox::RuntimeChoice;

/// Exchanges that a server has answered as the provider's.
fn answered(world: &World, server: usize) -> u64 {
    let address = (world.ecosystem.server(server).plan().address, 9600).into();
    let text = http::send(address, b"GET /metrics HTTP/1.1\r\nHost: m\r\n\r\n").text();
    let line = text.lines().find_map(|line| line.strip_prefix("hermod_exchanges_total{side=\"provider\"} "));
    line.expect("a figure").trim().parse().expect("a number")
}

/// Takes servers out of service, or none.
fn maintain(world: &World, good: &Parts, servers: &[usize]) {
    let mut shared = good.shared.clone();
    for server in servers {
        let address = format!("<address>{}</address>", world.ecosystem.server(*server).plan().address);
        let at = shared.find(&address).expect("a server");
        let end = at + shared[at..].find("</securityServer>").expect("its end");
        let notice = format!("<inMaintenanceMode><message>Away {server}</message></inMaintenanceMode>");
        shared.insert_str(end, &notice);
    }
    world.ecosystem.source().publish(Parts { shared, ..good.clone() });
}

#[test]
fn servers_in_maintenance_are_left_out_and_a_target_is_kept_to() {
    let world = World::start(RuntimeChoice::Auto, |options| options.servers = 3);
    provider_on_two_servers(&world);
    let call = |extra: &str| world.rest("GET", "random?size=1", extra, b"");
    let target = |id: &str| format!("X-Road-Security-Server: {id}\r\n");
    let (second, third) = (target("SANDBOX/GOV/200/ss2"), target("SANDBOX/GOV/300/ss3"));
    for both in [&second, &third] {
        eventually("both servers serve the provider", || error_code(&call(both)).is_empty());
    }
    // A target is kept to, whichever server is fastest.
    for (server, id) in [(1, &second), (2, &third)] {
        let before = answered(&world, server);
        assert!((0..4).all(|_| error_code(&call(id)).is_empty()));
        assert_eq!(answered(&world, server), before + 4);
    }
    let with_target = |code: &str, owner: &str| {
        let header = format!(
            "<x:securityServer id:objectType=\"SERVER\"><id:xRoadInstance>SANDBOX</id:xRoadInstance>\
             <id:memberClass>GOV</id:memberClass><id:memberCode>{owner}</id:memberCode>\
             <id:serverCode>{code}</id:serverCode></x:securityServer>"
        );
        let body = soap::envelope(("200", "provider"), ("getRandom", "v1"), &header);
        world.send(soap::post("text/xml; charset=UTF-8", "", body.as_bytes()))
    };
    for (server, code, owner) in [(1, "ss2", "200"), (2, "ss3", "300")] {
        let before = answered(&world, server);
        assert_eq!(error_code(&with_target(code, owner)), soap::NO_SIZE);
        assert_eq!(answered(&world, server), before + 1);
    }
    let invalid = "server.clientproxy.invalid_security_server";
    assert_eq!(error_code(&with_target("ss1", "100")), invalid, "a server that does not serve the provider");
    for id in ["SANDBOX/GOV/100/ss1", "SANDBOX/GOV/200/nowhere"] {
        assert_eq!(error_code(&call(&target(id))), invalid, "{id}");
    }
    assert_eq!(error_code(&call(&target("SANDBOX/GOV/200"))), "server.clientproxy.internal_error");

    let good = world.ecosystem.source().parts();
    let maintenance = "server.clientproxy.maintenance_mode";
    for (away, at, id_away) in [(1, 2, &second), (2, 1, &third)] {
        maintain(&world, &good, &[away]);
        eventually("maintenance is known", || error_code(&call(id_away)) == maintenance);
        assert!(call(id_away).text().contains(&format!("Away {away}")));
        let before = (answered(&world, away), answered(&world, at));
        assert!((0..8).all(|_| error_code(&call("")).is_empty()));
        assert_eq!((answered(&world, away), answered(&world, at)), (before.0, before.1 + 8));
    }
    maintain(&world, &good, &[1, 2]);
    eventually("all are in maintenance", || error_code(&call("")) == maintenance);
    assert_eq!(error_code(&world.send(soap::call("getRandom"))), maintenance);
    maintain(&world, &good, &[]);
    eventually("maintenance is over", || error_code(&call("")).is_empty());
}

#[test]
fn a_consumers_server_that_is_too_old_is_not_served() {
    let world = World::start(RuntimeChoice::Auto, |options| {
        options.extra_config += "\n[proxy]\nversion = \"7.8.0\"\nmin_supported_client_version = \"7.8.1\"\n";
    });
    let refused = "server.serverproxy.client_proxy_version_not_supported";
    let rest = world.rest("GET", "random?size=1", "", b"");
    assert_eq!((rest.status(), error_code(&rest).as_str()), (500, refused));
    let soap = world.send(soap::call("getRandom"));
    assert_eq!((soap.status(), error_code(&soap).as_str()), (200, refused));
}
