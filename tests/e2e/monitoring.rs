//! Operational monitoring as a collector sees it: by the bytes that collectors look for.

use std::io::Read;
use std::net::SocketAddr;

use hermod::sandbox::RuntimeChoice;
use hermod::sandbox::plan::ports;
use serde_json::Value;

use super::backend::Script;
use super::captures::error_code;
use super::http::{self, Message};
use super::soap;
use super::world::{Cases, World, eventually};

const OPMON: &str = "http://x-road.eu/xsd/op-monitoring.xsd";

/// Who asks: member code, and subsystem where there is one.
type Asker = (&'static str, Option<&'static str>);

/// A request as the public metrics collector writes it, to the owner of `server`.
pub fn query(asker: Asker, server: (&str, &str), service: &str, body: &str) -> Vec<u8> {
    let member = |code: &str| {
        format!(
            "<id:xRoadInstance>SANDBOX</id:xRoadInstance><id:memberClass>GOV</id:memberClass>\
             <id:memberCode>{code}</id:memberCode>"
        )
    };
    let (kind, subsystem) = match asker.1 {
        Some(code) => ("SUBSYSTEM", format!("<id:subsystemCode>{code}</id:subsystemCode>")),
        None => ("MEMBER", String::new()),
    };
    let envelope = format!(
        "<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:id=\"http://x-road.eu/xsd/identifiers\" xmlns:xrd=\"http://x-road.eu/xsd/xroad.xsd\" \
         xmlns:om=\"{OPMON}\" xmlns:mon=\"http://x-road.eu/xsd/monitoring\">\n<SOAP-ENV:Header>\
         <xrd:client id:objectType=\"{kind}\">{}{subsystem}</xrd:client>\
         <xrd:service id:objectType=\"SERVICE\">{provider}<id:serviceCode>{service}</id:serviceCode></xrd:service>\
         <xrd:securityServer id:objectType=\"SERVER\">{provider}<id:serverCode>{}</id:serverCode>\
         </xrd:securityServer><xrd:id>q-1</xrd:id><xrd:protocolVersion>4.0</xrd:protocolVersion>\
         </SOAP-ENV:Header><SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>",
        member(asker.0),
        server.1,
        provider = member(server.0),
    );
    soap::post("text/xml;charset=UTF-8", "", envelope.as_bytes())
}

fn operational(from: i64, to: i64, more: &str, output: &str) -> String {
    format!(
        "<om:getSecurityServerOperationalData><om:searchCriteria><om:recordsFrom>{from}</om:recordsFrom>\
         <om:recordsTo>{to}</om:recordsTo>{more}</om:searchCriteria>{output}</om:getSecurityServerOperationalData>"
    )
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The records of an answer, found as collectors find them.
fn records(answer: &Message) -> Vec<Value> {
    let start = b"content-id: <operational-monitoring-data.json.gz>\r\n\r\n";
    let Some(at) = find(&answer.body, start) else { panic!("no attachment: {}", answer.text()) };
    let rest = &answer.body[at + start.len()..];
    let end = find(rest, b"\r\n--xroad").expect("an end");
    let mut json = String::new();
    flate2::read::GzDecoder::new(&rest[..end]).read_to_string(&mut json).expect("gzip");
    let value: Value = serde_json::from_str(&json).expect("JSON");
    let records = value["records"].as_array().expect("records").clone();
    assert!(answer.text().contains(&format!("<om:recordsCount>{}</om:recordsCount>", records.len())));
    records
}

/// Lets the owners of both servers ask over plain HTTP.
pub fn open_owners(world: &World) {
    let open = |declaration: String, owner: &str| {
        let id = format!("id = \"SANDBOX/GOV/{owner}\"\n");
        declaration.replacen(&id, &format!("{id}connection = \"NOSSL\"\n"), 1)
    };
    let consumer =
        std::fs::read_to_string(world.ecosystem.server(0).files().registry()).expect("a declaration");
    world.apply(0, &open(consumer, "100"));
    world.apply(1, &open(world.provider_declaration(), "200"));
}

#[test]
fn operational_and_health_data_are_told_to_those_who_may_ask_in_the_form_that_collectors_expect() {
    let world = World::start(RuntimeChoice::Auto, |options| {
        options.extra_config += "\n[monitoring]\navailable_after_secs = 1\n";
    });
    let plan = world.ecosystem.plan();
    let provider_port = SocketAddr::from((plan.providers()[0].address, 8080));
    let (consumer, owner): (Asker, Asker) = (("100", Some("consumer")), ("200", None));
    open_owners(&world);

    assert_eq!(
        world.rest("POST", "echo/a/b", "X-Road-Id: rest-1\r\nX-Road-UserId: u\r\n", b"12345").status(),
        200
    );
    assert_eq!(world.rest("GET", "limited/pets/1", "X-Road-Id: rest-2\r\n", b"").status(), 500);
    assert_eq!(world.rest("GET", "denied", "X-Road-Id: rest-3\r\n", b"").status(), 500);
    world.backend.script(Script::Says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno".to_vec()));
    assert_eq!(world.rest("GET", "limited/pets/2", "X-Road-Id: rest-4\r\n", b"").status(), 404);
    let attached = format!(
        "--b\r\nContent-Type: text/xml\r\n\r\n{}\r\n--b\r\nContent-Type: text/plain\r\n\r\n1234567\r\n--b--\r\n",
        soap::envelope(("200", "provider"), ("getRandom", "v1"), "")
    );
    world.send(soap::post("multipart/related; boundary=b; type=\"text/xml\"", "", attached.as_bytes()));

    // As the owner, at the server itself: everything.
    let ask = |from: i64, more: &str, output: &str| {
        let body = operational(from, 4_000_000_000, more, output);
        http::send(provider_port, &query(owner, ("200", "ss2"), "getSecurityServerOperationalData", &body))
    };
    let mut told = Vec::new();
    eventually("the records are there", || {
        told = records(&ask(0, "", ""));
        let of = |id: &str| told.iter().any(|record| record["messageId"] == id);
        ["rest-1", "rest-2", "rest-3", "rest-4", "m-1"].iter().all(|id| of(id))
    });
    let record = |id: &str| told.iter().find(|record| record["messageId"] == id).expect("a record").clone();
    let mut cases = Cases::default();
    cases.case("a REST exchange with a body", || {
        let record = record("rest-1");
        let address = plan.consumer().address.to_string();
        for (field, value) in [
            ("securityServerType", "Producer"),
            ("restMethod", "POST"),
            ("serviceType", "REST"),
            ("clientMemberCode", "100"),
            ("clientSubsystemCode", "consumer"),
            ("serviceSubsystemCode", "provider"),
            ("serviceCode", "echo"),
            ("messageUserId", "u"),
            ("messageProtocolVersion", "1"),
            ("xRoadVersion", "7.8.0"),
            ("clientSecurityServerAddress", address.as_str()),
        ] {
            assert_eq!(record[field], value, "{field}: {record}");
        }
        assert_eq!((&record["succeeded"], &record["statusCode"]), (&Value::Bool(true), &200.into()));
        assert!(record["requestSize"].as_u64() > Some(100), "{record}");
        let times =
            ["requestInTs", "requestOutTs", "responseInTs", "responseOutTs"].map(|f| record[f].as_i64());
        assert!(times.is_sorted() && times.iter().all(Option::is_some), "{times:?}");
        assert!(record.get("restPath").is_none() && record.get("faultCode").is_none());
        assert!(record["securityServerInternalIp"].is_string() && record["monitoringDataTs"].is_i64());
    });
    cases.case("failures", || {
        let (hung, denied, not_found) = (record("rest-2"), record("rest-3"), record("rest-4"));
        assert_eq!(hung["restPath"], "/pets/*");
        assert_eq!((&hung["succeeded"], hung.get("statusCode")), (&Value::Bool(false), None));
        assert!(hung["faultCode"].as_str().is_some_and(|code| code.starts_with("server.serverproxy.")));
        assert_eq!(denied["faultCode"], "server.serverproxy.access_denied");
        assert_eq!((&not_found["succeeded"], &not_found["statusCode"]), (&Value::Bool(false), &404.into()));
        assert!(not_found.get("faultCode").is_none());
    });
    cases.case("SOAP with an attachment", || {
        let record = record("m-1");
        let (size, mime) = (record["requestSize"].as_u64(), record["requestMimeSize"].as_u64());
        assert_eq!(
            (mime, &record["requestAttachmentCount"]),
            (size.map(|size| size + 7), &1.into()),
            "{record}"
        );
        assert_eq!((&record["serviceType"], &record["serviceVersion"]), (&"WSDL".into(), &"v1".into()));
        assert_eq!((record.get("restMethod"), record.get("statusCode")), (None, None));
    });
    cases.case("the answer names what collectors look for, and where to go on", || {
        let answer = ask(0, "", "");
        let text = answer.text();
        assert!(answer.header("content-type").starts_with("multipart/related"), "{answer:?}");
        let next = text.split("<om:nextRecordsFrom>").nth(1).and_then(|rest| rest.split('<').next());
        let next: i64 = next.and_then(|next| next.parse().ok()).expect("nextRecordsFrom");
        assert!(told.iter().all(|record| record["monitoringDataTs"].as_i64().is_some_and(|at| at < next)));
        assert!(text.contains("<om:records>cid:operational-monitoring-data.json.gz</om:records>"));
        let boundary = answer.header("content-type").split("boundary=").nth(1).map(str::to_owned);
        assert!(boundary.is_some_and(|boundary| boundary.trim_matches('"').starts_with("xroad")));
    });
    cases.case("output fields and a provider", || {
        let output = "<om:outputSpec><om:outputField>messageId</om:outputField></om:outputSpec>";
        let told = records(&ask(0, "", output));
        assert!(told.iter().all(|record| record.as_object().is_some_and(|fields| fields.len() <= 1)));
        let client = "<om:client id:objectType=\"SUBSYSTEM\"><id:xRoadInstance>SANDBOX</id:xRoadInstance>\
                      <id:memberClass>GOV</id:memberClass><id:memberCode>200</id:memberCode>\
                      <id:subsystemCode>provider</id:subsystemCode></om:client>";
        let told = records(&ask(0, client, ""));
        assert!(told.len() >= 5 && told.iter().all(|record| record["serviceSubsystemCode"] == "provider"));
    });
    cases.case("the consumer's own record carries the same request id and no path", || {
        let body = operational(0, 4_000_000_000, "", "");
        let owner: Asker = ("100", None);
        let asked = query(owner, ("100", "ss1"), "getSecurityServerOperationalData", &body);
        let told = records(&world.send(asked));
        let own = told.iter().find(|record| record["messageId"] == "rest-4").expect("a record");
        assert_eq!((&own["securityServerType"], &own["statusCode"]), (&"Client".into(), &404.into()));
        assert_eq!(own["xRequestId"], record("rest-4")["xRequestId"]);
        assert_eq!(own["serviceSecurityServerAddress"], plan.providers()[0].address.to_string());
        assert!(own.get("restPath").is_none());
    });
    cases.case("others see their own exchanges, without the server's address", || {
        let body = operational(0, 4_000_000_000, "", "");
        let asked = query(consumer, ("200", "ss2"), "getSecurityServerOperationalData", &body);
        let told = records(&world.send(asked));
        assert!(told.iter().any(|record| record["messageId"] == "rest-1"));
        assert!(told.iter().all(|record| record["clientSubsystemCode"] == "consumer"), "{told:?}");
        assert!(told.iter().all(|record| record.get("securityServerInternalIp").is_none()));
    });
    for (name, body) in [
        ("a time to come", operational(4_000_000_000, 4_000_000_001, "", "")),
        ("an end before the start", operational(9, 8, "", "")),
        ("a negative time", operational(-1, 8, "", "")),
        ("a time beyond the numbers", operational(0, 0, "", "").replace(">0<", ">99999999999999999999<")),
        (
            "an unknown field",
            operational(0, 8, "", "<om:outputSpec><om:outputField>x</om:outputField></om:outputSpec>"),
        ),
        ("no criteria", "<om:getSecurityServerOperationalData/>".to_owned()),
    ] {
        cases.case(&format!("{name} is refused"), || {
            let asked = query(consumer, ("200", "ss2"), "getSecurityServerOperationalData", &body);
            let answer = world.send(asked);
            assert_eq!(error_code(&answer), "server.serverproxy.opmonitor.client.invalid_request");
        });
    }
    cases.case("health data", || {
        let asked = |more: &str| {
            let body = format!("<om:getSecurityServerHealthData>{more}</om:getSecurityServerHealthData>");
            world.send(query(consumer, ("200", "ss2"), "getSecurityServerHealthData", &body)).text()
        };
        let text = asked("");
        assert!(text.contains("<om:statisticsPeriodSeconds>600</om:statisticsPeriodSeconds>"), "{text}");
        let services: Vec<&str> = text.split("<om:serviceEvents>").skip(1).collect();
        let echo = services.iter().find(|service| service.contains(">echo<")).expect("the service");
        for part in [
            "<om:serviceType>REST</om:serviceType>",
            "<om:successfulRequestCount>1</om:successfulRequestCount>",
            "<om:unsuccessfulRequestCount>0</om:unsuccessfulRequestCount>",
            "<om:lastSuccessfulRequestTimestamp>",
            "<om:requestAverageDuration>",
            "<om:responseSizeStdDev>0.0</om:responseSizeStdDev>",
        ] {
            assert!(echo.contains(part), "{part}: {echo}");
        }
        let limited = services.iter().find(|service| service.contains(">limited<")).expect("the service");
        assert!(limited.contains("<om:unsuccessfulRequestCount>2<") && !limited.contains("Duration"), "{limited}");
        let none = asked(
            "<om:filterCriteria><om:client id:objectType=\"MEMBER\"><id:xRoadInstance>SANDBOX</id:xRoadInstance>\
             <id:memberClass>GOV</id:memberClass><id:memberCode>999</id:memberCode></om:client></om:filterCriteria>",
        );
        assert!(none.contains("<om:servicesEvents></om:servicesEvents>"), "{none}");
    });
    let metrics = |asker: Asker, body: &str| {
        let asked = query(asker, ("200", "ss2"), "getSecurityServerMetrics", body);
        let port = if asker == owner { provider_port } else { world.client_port() };
        http::send(port, &asked)
    };
    cases.case("environmental data for the owner", || {
        let text = metrics(owner, "<mon:getSecurityServerMetrics/>").text();
        for part in [
            "<mon:name>SERVER:SANDBOX/GOV/200/ss2</mon:name>",
            "<mon:stringMetric><mon:name>proxyVersion</mon:name><mon:value>7.8.0</mon:value></mon:stringMetric>",
            "<mon:metricSet><mon:name>systemMetrics</mon:name>",
            "<mon:histogramMetric><mon:name>SystemCpuLoad</mon:name><mon:updated>",
            "<mon:numericMetric><mon:name>DiskSpaceTotal_/</mon:name>",
            "<mon:name>certificateType</mon:name><mon:value>AUTH_OR_SIGN</mon:value>",
            "<mon:name>Xroad Processes</mon:name><mon:metricSet>",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let filter = "<mon:getSecurityServerMetrics><mon:outputSpec><mon:outputField>TotalSwapSpace</mon:outputField>\
                      </mon:outputSpec></mon:getSecurityServerMetrics>";
        let text = metrics(owner, filter).text();
        assert!(text.contains("TotalSwapSpace") && !text.contains("Certificates"), "{text}");
    });
    cases.case("environmental data for others", || {
        let answer = metrics(consumer, "<mon:getSecurityServerMetrics/>");
        assert_eq!(error_code(&answer), "server.serverproxy.access_denied");
    });
    cases.finish();
}

#[test]
fn the_health_port_says_whether_the_server_can_do_its_work() {
    let world = World::start(RuntimeChoice::Auto, |_| ());
    let address = world.ecosystem.plan().consumer().address;
    let health = || {
        let answer =
            http::send((address, ports::HEALTH).into(), b"DELETE /any/path?x HTTP/1.1\r\nHost: ss\r\n\r\n");
        (answer.status(), answer.text())
    };
    let maintenance = |state: &str| {
        let request = format!("GET /maintenance?targetState={state} HTTP/1.1\r\nHost: ss\r\n\r\n");
        let answer = http::send((address, ports::ADMIN).into(), request.as_bytes());
        (answer.status(), answer.text())
    };
    assert_eq!(health(), (200, String::new()));
    assert_eq!(maintenance("true"), (200, "Maintenance mode set: false => true".to_owned()));
    assert_eq!(health(), (503, "Health check interface is in maintenance mode.".to_owned()));
    assert_eq!(maintenance("perhaps").0, 400);
    assert_eq!(maintenance("false").0, 200);
    assert_eq!(health().0, 200);
    // Messages go on in between; only balancers look elsewhere.
    assert_eq!(world.rest("GET", "random?size=1", "", b"").status(), 200);
}
