//! What was answered is logged, on both sides, whatever happens to a server.

use hermod::sandbox::audit;
use hermod::sandbox::traffic::{self, Traffic};

use super::world::{World, eventually, on_each_runtime};

#[test]
fn every_answered_message_survives_the_kill_of_either_server() {
    on_each_runtime(|runtime| {
        let mut world = World::start(runtime, |_| ());
        let mut answered = Vec::new();
        for server in [1, 0] {
            let before = world.ecosystem.stations().rest.calls();
            let plan = world.ecosystem.plan().clone();
            let sending = world.runtime.spawn(async move { traffic::send(&plan, 300, |_| ()).await });
            eventually("traffic flows", || world.ecosystem.stations().rest.calls() > before + 20);
            world.kill(server);
            world.start_again(server);
            let World { runtime, ecosystem, .. } = &mut world;
            let traffic = runtime.block_on(sending).expect("traffic");
            answered.extend(traffic.outcomes.into_iter().filter(|outcome| outcome.error.is_none()));
            let plan = ecosystem.plan().clone();
            let after = runtime.block_on(async move { traffic::send(&plan, 32, |_| ()).await });
            let errors: Vec<_> = after.outcomes.iter().filter_map(|outcome| outcome.error.as_ref()).collect();
            assert!(errors.is_empty(), "after the restart of server {server}: {errors:?}");
            answered.extend(after.outcomes);
        }
        assert!(answered.len() > 64 + 20, "only {} messages were answered", answered.len());
        let traffic = Traffic { outcomes: answered, elapsed: Default::default() };
        let World { runtime, ecosystem, .. } = &mut world;
        let audit = runtime.block_on(audit::run(ecosystem, &traffic, &|_| ())).expect("an audit");
        assert_eq!(audit.failures, [""; 0]);
        assert_eq!(audit.verified, traffic.outcomes.len(), "every answered message is proved on both sides");
    });
}
