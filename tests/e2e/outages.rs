//! What goes on when something around the servers is away.

use std::time::Duration;

use hermod::log::LogReader;
use hermod::sandbox::{Fault, RuntimeChoice, traffic};

use super::captures::error_code;
use super::http;
use super::soap;
use super::world::{World, eventually};

fn all_pass(world: &World, when: &str) {
    let plan = world.ecosystem.plan().clone();
    let traffic = world.runtime.block_on(async move { traffic::send(&plan, 8, |_| ()).await });
    let errors: Vec<_> = traffic.outcomes.iter().filter_map(|outcome| outcome.error.as_ref()).collect();
    assert!(errors.is_empty(), "{when}: {errors:?}");
}

fn all_stamped(world: &World) {
    for server in world.ecosystem.servers() {
        eventually("time-stamps", || {
            LogReader::open(&server.files().log()).is_ok_and(|log| log.unstamped_count() == 0)
        });
    }
}

#[test]
fn messages_pass_while_trust_services_are_away() {
    let mut world = World::start(RuntimeChoice::Auto, |options| {
        options.extra_config += "\n[timestamp]\nretry_secs = 1\ninterval_secs = 1\n";
    });
    all_pass(&world, "everything is there");
    let stations = world.ecosystem.stations();
    stations.tsa.set_fault(Fault::Unavailable);
    all_pass(&world, "without time-stamping");
    let reader = LogReader::open(&world.ecosystem.server(0).files().log()).expect("the log");
    assert!(reader.unstamped_count() > 0);
    stations.tsa.set_fault(Fault::None);
    all_stamped(&world);

    stations.ocsp.set_fault(Fault::Unavailable);
    stations.source.set_fault(Fault::Unavailable);
    all_pass(&world, "without OCSP responder and configuration source");

    stations.tsa.set_fault(Fault::Unavailable);
    for server in [0, 1] {
        world.restart(server);
    }
    all_pass(&world, "after a restart with nothing around");
    let stations = world.ecosystem.stations();
    for station in [&stations.tsa, &stations.ocsp, &stations.source] {
        station.set_fault(Fault::None);
    }
    all_stamped(&world);

    stations.rest.set_fault(Fault::Slow(Duration::from_millis(700)));
    all_pass(&world, "with a slow service");
    stations.rest.set_fault(Fault::None);

    world.kill(1);
    let answer = world.rest("GET", "random?size=1", "", b"");
    assert_eq!((answer.status(), error_code(&answer).as_str()), (500, "server.clientproxy.network_error"));
    world.start_again(1);
    all_pass(&world, "with the provider's server back");
}

/// Makes a server's stored configuration say that it has expired.
fn expire(world: &World, server: usize) {
    let folder = world.ecosystem.server(server).files().root().join("globalconf/SANDBOX");
    for file in std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if file.extension().is_some_and(|extension| extension == "metadata") {
            let text = std::fs::read_to_string(&file).expect("metadata");
            let at = text.find("expirationDate\":\"").expect("a date") + 17;
            let old = text[at..].split('"').next().expect("a date").to_owned();
            std::fs::write(&file, text.replace(&old, "2020-01-01T00:00:00Z")).expect("metadata");
        }
    }
}

#[test]
fn an_expired_configuration_stops_messages_on_both_sides_and_no_downloads() {
    let world = World::start(RuntimeChoice::Auto, |_| ());
    assert_eq!(world.rest("GET", "random?size=1", "X-Road-Id: mine\r\n", b"").status(), 200);
    all_stamped(&world);
    world.ecosystem.stations().source.set_fault(Fault::Unavailable);
    let rest = || error_code(&world.rest("GET", "random?size=1", "", b""));
    let soap = || error_code(&world.send(soap::call("getRandom")));
    for (server, side) in [(1, "serverproxy"), (0, "clientproxy")] {
        expire(&world, server);
        let expected = format!("server.{side}.global_conf_outdated");
        eventually(&expected, || rest() == expected);
        assert_eq!(soap(), expected);
    }
    let get = |target: &str| {
        http::send(world.client_port(), format!("GET {target} HTTP/1.1\r\nHost: ss\r\n\r\n").as_bytes())
    };
    let evidence = "xRoadInstance=SANDBOX&memberClass=GOV&memberCode=100&subsystemCode=consumer&queryId=mine";
    assert_eq!(get(&format!("/asic?{evidence}")).status(), 200);
    assert_eq!(get("/verificationconf").status(), 200);
    assert_eq!(error_code(&get("/listClients")), "server.clientproxy.global_conf_outdated");
    world.ecosystem.stations().source.set_fault(Fault::None);
    eventually("messages pass again", || rest().is_empty() && soap() == soap::NO_SIZE);
}
