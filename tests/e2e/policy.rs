//! What is kept of messages, as the configuration says.

use hermod::log::{LogReader, StoredRecord};
use hermod::sandbox::{RuntimeChoice, traffic};

use super::world::{Cases, World};

const BODY: &[u8] = b"a confidential body";
/// Messages of all kinds, SOAP and REST.
const OTHERS: usize = 8;

fn records(world: &World, server: usize) -> Vec<StoredRecord> {
    let log = LogReader::open(&world.ecosystem.server(server).files().log()).expect("a log");
    log.iter().map(|record| record.expect("a record")).collect()
}

fn configure(world: &mut World, lines: &str) {
    for server in [0, 1] {
        let file = world.ecosystem.server(server).files().config();
        let text = std::fs::read_to_string(&file).expect("a configuration");
        let kept = text.split("\n[log]\n").next().expect("a beginning");
        std::fs::write(&file, format!("{kept}\n[log]\n{lines}")).expect("a file");
        world.restart(server);
    }
}

#[test]
fn messages_are_kept_whole_without_bodies_or_not_at_all() {
    let mut world = World::start(RuntimeChoice::Auto, |options| options.extra_config += "\n[log]\n");
    let mut cases = Cases::default();
    let provider = "\"SANDBOX/GOV/200/provider\"";
    for (name, lines, expected) in [
        ("whole", String::new(), Some(true)),
        ("without bodies", "bodies = false\n".into(), Some(false)),
        ("without those of one provider", format!("bodies_except = [{provider}]\n"), Some(false)),
        ("with those of one provider", format!("bodies = false\nbodies_except = [{provider}]\n"), Some(true)),
        ("not at all", "records = false\n".into(), None),
        ("not those of one provider", format!("records_except = [{provider}]\n"), None),
        (
            "only those of one provider",
            format!("records = false\nrecords_except = [{provider}]\n"),
            Some(true),
        ),
    ] {
        configure(&mut world, &lines);
        let world = &world;
        cases.case(name, || {
            let before = [records(world, 0).len(), records(world, 1).len()];
            assert_eq!(world.rest("POST", "echo?secret=1", "", BODY).status(), 200);
            let plan = world.ecosystem.plan().clone();
            let traffic = world.runtime.block_on(traffic::send(&plan, OTHERS, |_| ()));
            assert_eq!(traffic.errors(), 0);
            for server in [0, 1] {
                let found = records(world, server).split_off(before[server]);
                let Some(bodies) = expected else {
                    assert_eq!(found.len(), 0, "server {server}");
                    continue;
                };
                assert_eq!(found.len(), 2 + 2 * OTHERS, "server {server}");
                for record in &found {
                    assert_eq!(record.summary.metadata_only, !bodies);
                }
                let request = &found[0];
                let shown = memchr::memmem::find(&request.message, b"secret").is_some();
                assert_eq!((shown, request.attachments.concat() == BODY), (bodies, bodies));
            }
        });
    }
    cases.finish();
}
