//! Two instances that trust each other.

use std::process::Command;

use hermod::sandbox::plan::Plan;
use hermod::sandbox::source::Parts;
use hermod::sandbox::{Ecosystem, KeyType, Options, RuntimeChoice, parameters, traffic};

use super::captures::error_code;
use super::http;
use super::world::{HERMOD, World, eventually, hermod};

/// Makes the private parameters of one instance trust another one.
fn trust(truster: &Ecosystem, trusted: &Ecosystem) {
    let parts = truster.source().parts();
    let end = "</instanceIdentifier>";
    let anchor = parameters::federation_anchor(trusted.plan(), trusted.pki());
    let private = parts.private.replacen(end, &format!("{end}{anchor}"), 1);
    truster.source().publish(Parts { private, ..parts });
}

/// Lets the consumer of another instance call the services of an ecosystem's provider.
fn admit(ecosystem: &Ecosystem, own: &str, other: &str) {
    let server = ecosystem.server(1);
    let declaration = std::fs::read_to_string(server.files().registry()).expect("a declaration");
    let consumer = |instance: &str| format!("access = [\"{instance}/GOV/100/consumer\"]");
    let changed = declaration.replace(&consumer(own), &consumer(other));
    assert_ne!(changed, declaration);
    let file = server.files().directory().join("applied.toml");
    std::fs::write(&file, changed).expect("a file");
    let output = hermod(&["registry", "apply"], &[file.as_os_str(), "--config".as_ref()], server);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn all_pass(world: &World, consumer: &Ecosystem, provider: &Ecosystem) {
    let servers = vec![consumer.plan().servers[0].clone(), provider.plan().servers[1].clone()];
    let plan = Plan { servers, ..consumer.plan().clone() };
    let mut last = Vec::new();
    eventually("messages of all kinds pass", || {
        let plan = plan.clone();
        let traffic = world.runtime.block_on(async move { traffic::send(&plan, 8, |_| ()).await });
        let errors: Vec<_> = traffic.outcomes.iter().filter_map(|outcome| outcome.error.clone()).collect();
        let done = errors.is_empty();
        if errors != last {
            eprintln!("{errors:?}");
            last = errors;
        }
        done
    });
}

fn get(ecosystem: &Ecosystem, target: &str) -> http::Message {
    let address = (ecosystem.plan().consumer().address, 8080).into();
    http::send(address, format!("GET {target} HTTP/1.1\r\nHost: ss\r\n\r\n").as_bytes())
}

#[test]
fn members_of_instances_that_trust_each_other_exchange_messages() {
    let allow = |options: &mut Options, instance: &str| {
        options.extra_config.insert_str(0, &format!("allowed_federations = [\"{instance}\"]\n"));
    };
    let world = World::start(RuntimeChoice::Auto, |options| allow(options, "foreign"));
    let here = &world.ecosystem;
    let mut options = Options::new(HERMOD.into());
    options.instance = "FOREIGN".to_owned();
    options.key_type = KeyType::Ec;
    options.extra_config = "update_interval_secs = 1\n".into();
    allow(&mut options, "SANDBOX");
    let there = world.runtime.block_on(Ecosystem::start(options)).expect("an ecosystem");
    world.apply(1, &std::fs::read_to_string(here.server(1).files().registry()).expect("a declaration"));

    let stranger = "server.clientproxy.internal_error";
    let call = "GET /r1/FOREIGN/GOV/200/provider/random?size=1 HTTP/1.1\r\nHost: ss\r\n\
                X-Road-Client: SANDBOX/GOV/100/consumer\r\n\r\n";
    assert_eq!(error_code(&world.send(call)), stranger);
    assert_eq!(error_code(&get(here, "/listClients?xRoadInstance=FOREIGN")), stranger);

    trust(here, &there);
    eventually("one side knows the other", || {
        get(here, "/listClients?xRoadInstance=FOREIGN").text().contains(">FOREIGN<")
    });
    let own = get(here, "/listClients").text();
    assert!(own.contains(">SANDBOX<") && !own.contains(">FOREIGN<"), "{own}");
    // Trust in one direction is not enough: the other side does not know the caller's certificate.
    assert_ne!(error_code(&world.send(call)), "");

    trust(&there, here);
    admit(&there, "FOREIGN", "SANDBOX");
    admit(here, "SANDBOX", "FOREIGN");
    all_pass(&world, here, &there);
    all_pass(&world, &there, here);

    // The answer of the other instance's member is proved by what this server offers.
    let named = call.replacen("X-Road-Client", "X-Road-Id: mine\r\nX-Road-Client", 1);
    assert_eq!(error_code(&world.send(named)), "");
    let folder = tempfile::tempdir().expect("a folder");
    let (container, conf) = (folder.path().join("mine.asice"), folder.path().join("conf.zip"));
    let query = "xRoadInstance=SANDBOX&memberClass=GOV&memberCode=100&subsystemCode=consumer&queryId=mine";
    let response = get(here, &format!("/asic?{query}&responseOnly&unique&force"));
    assert_eq!(response.status(), 200, "{}", response.text());
    std::fs::write(&container, &response.body).expect("a file");
    std::fs::write(&conf, get(here, "/verificationconf").body).expect("a file");
    let verify = Command::new(HERMOD).arg("verify").arg(&container).arg("--conf").arg(&conf).output();
    let output = verify.expect("the binary");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("FOREIGN/GOV/200"), "{text}");

    // A trust that is withdrawn ends at once.
    let parts = here.source().parts();
    let anchor = parameters::federation_anchor(there.plan(), there.pki());
    here.source().publish(Parts { private: parts.private.replace(&anchor, ""), ..parts });
    eventually("the other instance is forgotten", || error_code(&world.send(call)) == stranger);
}
