//! A JDK restricted to the official suites, by `TlsPeer.java`. `HERMOD_JAVA` names another `java` than that of the path.

use super::*;

fn program() -> Option<PathBuf> {
    let program = std::env::var_os("HERMOD_JAVA").map_or_else(|| PathBuf::from("java"), PathBuf::from);
    installed(&program, "-version").then_some(program)
}

// The ways in which official servers of any age may be set up; tried in full with the first kind of key.
const SETTINGS: [&[&str]; 3] = [
    &[],
    &[
        "-Djdk.tls.client.enableSessionTicketExtension=false",
        "-Djdk.tls.server.enableSessionTicketExtension=false",
    ],
    &["-Djdk.tls.useExtendedMasterSecret=false"],
];

fn command(program: &Path, settings: &[&str], keys: &Keys, kind: &Kind) -> Command {
    let mut command = Command::new(program);
    command.args(["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx64m"]).args(settings);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/TlsPeer.java"));
    command.arg(keys.directory.path()).arg(kind.java);
    command
}

#[test]
fn java_reaches_us_and_resumes_its_sessions() {
    let Some(java) = program() else { return };
    for (kind, settings) in KINDS.iter().zip([&SETTINGS[..], &SETTINGS[..1]]) {
        let (own, theirs) = (Keys::make(kind), Keys::make(kind));
        let (workers, address) = our_server(&own);
        for settings in settings {
            let mut command = command(&java, settings, &theirs, kind);
            let output = command.arg(address.port().to_string()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let expected: String = [false, true, true]
                .iter()
                .map(|resumed| format!("TLSv1.2 {} certificates=1 resumed={resumed}\n", kind.suite))
                .collect();
            let wrong = String::from_utf8_lossy(&output.stderr);
            assert_eq!(said, expected, "{settings:?} {wrong}");
        }
        workers.stop();
        workers.join();
    }
}

#[test]
fn we_reach_java_and_resume_though_it_closes_after_every_answer() {
    let Some(java) = program() else { return };
    for (kind, settings) in KINDS.iter().zip([&SETTINGS[..], &SETTINGS[..1]]) {
        let (own, theirs) = (Keys::make(kind), Keys::make(kind));
        for settings in settings {
            let mut peer = Peer::start(&mut command(&java, settings, &theirs, kind));
            let address = peer.port("listening");
            let client = our_client(&own);
            as_worker(async {
                let pool = Pool::new(PoolOptions::default());
                let (line, resumed, certificates) = ask(&pool, address, &client, "/", b"").await.unwrap();
                assert_eq!(
                    String::from_utf8(line).unwrap(),
                    format!("TLSv1.2 {} certificates=1", kind.suite)
                );
                assert_eq!((resumed, certificates), (false, 1));
                for length in [1, 15, 16, 17, 47, 48, 1024, 16_383, 16_384, 16_385, 1 << 20] {
                    let body = pattern(length);
                    let (answer, resumed, certificates) =
                        ask(&pool, address, &client, "/", &body).await.unwrap();
                    assert!(answer == body, "{length}");
                    assert_eq!((resumed, certificates), (true, 1), "{settings:?}");
                }
                assert_eq!(pool.idle(), 0);
            });
        }
    }
}
