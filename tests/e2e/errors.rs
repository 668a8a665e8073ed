//! Refusals that no capture shows: which code, which status, and whose fault.

use std::time::Duration;

use hermod::sandbox::RuntimeChoice;
use hermod::sandbox::source::Parts;

use super::backend::Script;
use super::captures::error_code;
use super::http::Message;
use super::soap;
use super::world::{Cases, World, eventually, on_each_runtime, rest_request};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

fn refused(answer: &Message, status: u16, code: &str) {
    let got = (answer.status(), error_code(answer));
    assert_eq!(got, (status, code.to_owned()), "{:?} {}", answer.headers, answer.text());
}

#[test]
fn refusals_name_the_rule_and_the_party() {
    on_each_runtime(|runtime| {
        let world = World::start(runtime, |options| {
            options.extra_config += "\n[log]\nbody_bytes_max = 100000\n";
        });
        let mut cases = Cases::default();
        requests(&world, &mut cases);
        services(&world, &mut cases);
        narrow_endpoints(&world, &mut cases);
        changed_configuration(&world, &mut cases);
        cases.finish();
    });
}

fn requests(world: &World, cases: &mut Cases) {
    let internal = "server.clientproxy.internal_error";
    cases.case("a method that REST does not know", || {
        refused(&world.rest("FOO", "echo", "", b""), 500, internal);
    });
    for (party, code) in [("GOV/1", ""), ("1", ""), ("GOV/1/", ""), ("a/b/c", internal)] {
        cases.case(&format!("represented party {party}"), || {
            world.backend.script(Script::Says(OK.to_vec()));
            let answer = world.rest("GET", "cap", &format!("X-Road-Represented-Party: {party}\r\n"), b"");
            refused(&answer, if code.is_empty() { 200 } else { 500 }, code);
            let asked = world.backend.asked();
            let told = asked.iter().all(|call| call.header("x-road-represented-party") == party);
            assert!(told && asked.len() == usize::from(code.is_empty()));
        });
    }
    cases.case("represented party and security token pass in SOAP", || {
        let token = "<t:securityToken xmlns:t=\"http://x-road.eu/xsd/security-token.xsd\" \
                     tokenType=\"urn:ietf:params:oauth:token-type:jwt\">eyJ0.e30.x_-</t:securityToken>";
        let party = "<r:representedParty xmlns:r=\"http://x-road.eu/xsd/representation.xsd\">\
                     <r:partyClass>COM</r:partyClass><r:partyCode>7</r:partyCode></r:representedParty>";
        let body = soap::envelope(("200", "provider"), ("soapcap", "v1"), &format!("{token}{party}"));
        let answered = body.replace("<soapcap/>", "<soapcapResponse/>");
        let says = |answered: &str| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
                answered.len()
            );
            world.backend.script(Script::Says(format!("{head}{answered}").into_bytes()));
            world.send(soap::post("text/xml", "", body.as_bytes()))
        };
        let answer = says(&answered);
        refused(&answer, 200, "");
        assert!(answer.text().contains(token) && answer.text().contains(party), "{}", answer.text());
        assert_eq!(world.backend.asked()[0].body, body.as_bytes(), "as it was sent");
        // The represented party of the answer must be that of the request, the token need not.
        refused(&says(&answered.replace(token, "")), 200, "");
        let inconsistent = "server.clientproxy.service_failed.inconsistent_response";
        let answer = says(&answered.replace(party, ""));
        let code = error_code(&answer);
        assert!(code.ends_with("inconsistent_response"), "{code}, {inconsistent}");
    });
    cases.case("a client with five parts", || {
        let request = String::from_utf8(rest_request("GET", "echo", "", b"")).unwrap();
        let request = request.replace("100/consumer", "100/consumer/x");
        refused(&world.send(request), 500, internal);
    });
    cases.case("an error in XML", || {
        let answer = world.rest("GET", "nosuch", "Accept: application/xml\r\n", b"");
        refused(&answer, 500, "server.serverproxy.unknown_service");
        assert_eq!(answer.header("content-type"), "application/xml;charset=utf-8");
        assert!(answer.text().contains("<error><type>server.serverproxy.unknown_service</type>"));
    });
    for path in ["cap/a%25b", "cap//b", "cap/%2e%2e/x", "cap/%5C", "cap/%00", "cap/%zz"] {
        cases.case(&format!("bare 400 for {path}"), || {
            let answer = world.rest("GET", path, "", b"");
            refused(&answer, 400, "");
        });
    }
    cases.case("/r2 is SOAP", || {
        let answer = world.send("GET /r2/x HTTP/1.1\r\nHost: ss\r\n\r\n");
        refused(&answer, 200, "client.invalid_http_method");
    });
    cases.case("a member-level service has no REST address (trap 40)", || {
        let request = String::from_utf8(rest_request("GET", "x", "", b"")).unwrap();
        refused(&world.send(request.replace("/200/provider/x", "/200/x")), 500, internal);
    });
    cases.case("client and content-length with chunks", || {
        let extra = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(world.rest("POST", "echo", extra, b"").status(), 400);
    });
    cases.case("SOAP with an undefined entity", || {
        let body = soap::envelope(("200", "provider"), ("soapcap", "v1"), "<x:userId>&nope;</x:userId>");
        refused(&world.send(soap::post("text/xml", "", body.as_bytes())), 200, "client.invalid_soap");
    });
    cases.case("SOAP with a header twice", || {
        let header = "<x:id>m-0</x:id>";
        let body = soap::envelope(("200", "provider"), ("soapcap", "v1"), header);
        let answer = world.send(soap::post("text/xml", "", body.as_bytes()));
        refused(&answer, 200, "client.duplicate_header_field");
    });
    cases.case("a multipart without parts", || {
        let request = soap::post("multipart/related; boundary=b", "", b"--b--\r\n");
        refused(&world.send(request), 200, "client.missing_soap");
    });
}

fn services(world: &World, cases: &mut Cases) {
    cases.case("a service that takes too long", || {
        world.backend.script(Script::Slowly(Duration::from_secs(3), OK.to_vec()));
        refused(&world.rest("GET", "quick", "", b""), 500, "server.serverproxy.io_error");
    });
    cases.case("a service that says nothing", || {
        world.backend.script(Script::Hangs);
        refused(&world.rest("GET", "cap", "", b""), 500, "server.serverproxy.io_error");
        refused(&world.send(soap::call("soapcap")), 200, "server.serverproxy.service_failed.io_error");
    });
    cases.case("cookies of a service are the caller's own business", || {
        let with_cookie = "HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nContent-Length: 0\r\n\r\n";
        world.backend.script(Script::Says(with_cookie.as_bytes().to_vec()));
        for _ in 0..2 {
            assert_eq!(world.rest("GET", "cap", "", b"").header("set-cookie"), "session=1");
        }
        assert!(world.backend.asked().iter().all(|call| call.header("cookie").is_empty()));
    });
    cases.case("a service whose answer is cut off", || {
        world.backend.script(Script::Says(OK[..OK.len() - 1].to_vec()));
        let answer = world.rest("GET", "cap", "", b"");
        assert!(error_code(&answer).starts_with("server.serverproxy."), "{} {}", answer.first, answer.text());
    });
    cases.case("a body too large for the log is not released", || {
        let body = vec![b'x'; 100_001];
        world.backend.script(Script::Says(OK.to_vec()));
        let answer = world.rest("POST", "cap", "", &body);
        // Whatever fails while the request is written is an I/O error at the consumer (trap 35).
        refused(&answer, 500, "server.clientproxy.io_error");
        assert_eq!(world.backend.asked().len(), 0, "the service is not called");
        assert_eq!(world.rest("POST", "cap", "", &body[..100_000]).status(), 200);
    });
    cases.case("an answer too large for the log is not released", || {
        let answer = world.rest("GET", "random?size=100001", "", b"");
        refused(&answer, 500, "server.serverproxy.logging_failed");
        assert!(!answer.text().contains("0123456789"));
    });
}

fn narrow_endpoints(world: &World, cases: &mut Cases) {
    let denied = "server.serverproxy.access_denied";
    for (method, path, code) in [
        ("GET", "limited/pets/1", ""),
        ("GET", "limited/pets/1/toys", denied),
        ("GET", "limited/pets", denied),
        ("get", "limited/pets/1", "server.clientproxy.internal_error"),
        ("POST", "limited/pets/1", denied),
    ] {
        cases.case(&format!("{method} {path}"), || {
            world.backend.script(Script::Says(OK.to_vec()));
            let answer = world.rest(method, path, "", b"");
            refused(&answer, if code.is_empty() { 200 } else { 500 }, code);
        });
    }
    for path in
        ["limited/pets/1%2Ftoys", "limited/pets/1%23x", "limited/pets/1%3Fx", "limited/pets/../pets/1"]
    {
        cases.case(&format!("ambiguous: {path}"), || {
            world.backend.script(Script::Says(OK.to_vec()));
            let answer = world.rest("GET", path, "", b"");
            assert!(
                error_code(&answer).starts_with("server.serverproxy."),
                "{} {}",
                answer.first,
                answer.text()
            );
            assert_eq!(world.backend.asked().len(), 0, "the service is not called");
        });
    }
}

fn changed_configuration(world: &World, cases: &mut Cases) {
    let source = world.ecosystem.source();
    let good = source.parts();
    let publish = |change: &dyn Fn(String) -> String| {
        source.publish(Parts { shared: change(good.shared.clone()), ..good.clone() });
    };
    let code_becomes = |code: &str| {
        eventually(code, || {
            world.backend.script(Script::Says(OK.to_vec()));
            error_code(&world.rest("GET", "cap", "", b"")) == code
        });
    };
    let provider = world.ecosystem.plan().providers()[0].clone();
    cases.case(
        "trap_transport_18: the consumer must be registered at the server that the certificate belongs to",
        || {
            // At the consumer's own server it still is in the registry; its peer goes by the global configuration.
            publish(&|shared| shared.replacen("<client>s0</client>", "", 1));
            code_becomes("server.serverproxy.service_failed.ssl_authentication_failed");
        },
    );
    cases.case("maintenance mode", || {
        let address = format!("<address>{}</address>", provider.address);
        let hash = "<inMaintenanceMode><message>Back at noon</message></inMaintenanceMode>";
        publish(&|shared| {
            let at = shared.find(&address).unwrap();
            let end = at + shared[at..].find("</securityServer>").unwrap();
            format!("{}{hash}{}", &shared[..end], &shared[end..])
        });
        code_becomes("server.clientproxy.maintenance_mode");
        assert!(world.rest("GET", "cap", "", b"").text().contains("Back at noon"));
    });
    cases.case("a provider that is registered nowhere", || {
        publish(&|shared| shared.replacen("<client>s1</client>", "", 1));
        code_becomes("server.clientproxy.unknown_member");
    });
    cases.case("the configuration is as before", || {
        source.publish(good.clone());
        code_becomes("");
    });
}

#[test]
fn revoked_certificates_stop_messages() {
    // The code, and what was said with it.
    let rest = |world: &World| {
        let answer = world.rest("GET", "random?size=1", "", b"");
        (error_code(&answer), answer.text())
    };
    let mut cases = Cases::default();
    for (name, index, sign, codes) in [
        // The provider's server no longer shows the certificate, or shows it with an answer that says so.
        (
            "the provider's authentication certificate",
            1,
            false,
            ["server.clientproxy.network_error", "server.clientproxy.ssl_authentication_failed"],
        ),
        (
            "the provider's signing certificate",
            1,
            true,
            [
                "server.serverproxy.cannot_create_signature",
                "server.serverproxy.service_failed.cannot_create_signature",
            ],
        ),
        (
            "the consumer's authentication certificate",
            0,
            false,
            [
                "server.clientproxy.ssl_authentication_failed",
                "server.serverproxy.service_failed.ssl_authentication_failed",
            ],
        ),
        ("the consumer's signing certificate", 0, true, ["server.clientproxy.io_error"; 2]),
    ] {
        cases.case(name, || {
            let mut world = World::start(RuntimeChoice::Auto, |_| ());
            let first = rest(&world);
            assert_eq!(first.0, "", "{}", first.1);
            let identities = &world.ecosystem.pki().servers[index];
            let identity = if sign { &identities.signing } else { &identities.authentication };
            let serial = identity.certificate().serial().to_vec();
            world.ecosystem.responder().set_revoked(serial.clone(), true);
            // A consumer believes an answer about a peer, and open connections, as long as they are fresh.
            let forgetful = index == 1 && !sign;
            let code = |world: &mut World| {
                if forgetful {
                    world.restart(0);
                }
                rest(world)
            };
            let (mut last, mut told) = (String::new(), String::new());
            eventually(name, || {
                (last, told) = code(&mut world);
                !last.is_empty()
            });
            assert!(codes.iter().any(|code| last.starts_with(code)), "{last}: {told}");
            // A certificate may have been suspended only.
            world.ecosystem.responder().set_revoked(serial, false);
            eventually("messages pass again", || code(&mut world).0.is_empty());
        });
    }
    cases.finish();
}
