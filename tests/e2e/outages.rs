//! What goes on when something around the servers is away.

use std::time::Duration;

use hermod::log::LogReader;
use hermod::sandbox::{Fault, RuntimeChoice, traffic};

use super::captures::error_code;
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
