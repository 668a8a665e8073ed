//! A hostile consumer's server: parts missing, doubled, reordered, cut, oversized or not in their form.

use crate::draft::{self, Draft};
use crate::lab::{Case, Lab, good_rest_part, refused};

#[tokio::test]
async fn messages_whose_parts_are_not_those_of_the_protocol_are_refused() {
    let lab = Lab::start(&[1]).await;
    let mut cases = Vec::new();
    order(&lab, &mut cases);
    heads(&lab, &mut cases);
    rest_parts(&lab, &mut cases);
    sizes(&lab, &mut cases);
    soap(&lab, &mut cases);
    lab.check(cases).await;
}

fn order(lab: &Lab, cases: &mut Vec<Case>) {
    let mut add = |name: &str, code: &str, alter: &dyn Fn(&mut Draft)| {
        let mut draft = lab.rest();
        alter(&mut draft);
        cases.push(Case::new(name, &draft, refused(code)));
    };
    add("no part at all", "missing_rest", &|d| d.parts.clear());
    add("OCSP responses only", "missing_rest", &|d| d.parts.truncate(1));
    add("no message", "service_failed.invalid_content_type", &|d| d.remove(draft::REST_REQUEST));
    add("no OCSP response", "service_failed.ssl_authentication_failed", &|d| d.remove(draft::OCSP));
    add("OCSP response behind the message", "service_failed.ssl_authentication_failed", &|d| {
        d.parts.swap(0, 1);
    });
    add("OCSP response at the end", "service_failed.ssl_authentication_failed", &|d| d.parts.rotate_left(1));
    add("no signature", "missing_signature", &|d| d.remove(draft::SIGNATURE));
    add("message twice", "service_failed.invalid_content_type", &|d| d.parts.insert(1, d.parts[1].clone()));
    add("body twice", "service_failed.invalid_content_type", &|d| d.parts.insert(2, d.parts[2].clone()));
    add("signature twice", "service_failed.invalid_message", &|d| d.parts.push(d.parts[5].clone()));
    add("chain result twice", "service_failed.invalid_content_type", &|d| {
        d.parts.insert(3, d.parts[3].clone());
    });
    add("chain twice", "service_failed.invalid_content_type", &|d| d.parts.insert(4, d.parts[4].clone()));
    add("chain before its result", "service_failed.invalid_content_type", &|d| d.parts.swap(3, 4));
    add("signature before the body", "service_failed.invalid_message", &|d| d.parts.swap(2, 5));
    add("body before the message", "service_failed.invalid_content_type", &|d| d.parts.swap(1, 2));
    add("signature before the chain", "service_failed.invalid_message", &|d| d.parts.swap(3, 5));
    add("unknown part first", "service_failed.invalid_content_type", &|d| {
        d.push("text/plain", "x");
        d.parts.rotate_right(1);
    });
    add("unknown part in the middle", "service_failed.invalid_content_type", &|d| {
        let part = draft::Part { content_type: "application/octet-stream".into(), body: b"x".to_vec() };
        d.parts.insert(3, part);
    });
    add("unknown part at the end", "service_failed.invalid_message", &|d| d.push("text/plain", "x"));
    add("fault instead of the signature", "missing_signature", &|d| {
        d.remove(draft::SIGNATURE);
        d.push(draft::XML, "<Fault/>");
    });
    add("fault behind the signature", "service_failed.invalid_message", &|d| d.push(draft::XML, "<Fault/>"));
    add("a response", "missing_rest", &|d| {
        let at = d.at(draft::REST_REQUEST);
        d.parts[at].content_type = draft::REST_RESPONSE.into();
        d.parts.remove(2);
    });
    add("SOAP where REST is announced", "missing_rest", &|d| {
        let at = d.at(draft::REST_REQUEST);
        d.parts[at].content_type = draft::XML.into();
        d.parts.remove(2);
    });
    add("REST where SOAP is announced", "missing_soap", &|d| d.set("x-road-message-type", None));
    add("eleven OCSP responses", "service_failed.invalid_message", &|d| {
        for _ in 0..10 {
            d.parts.insert(0, d.parts[0].clone());
        }
    });
    add("a part without a type", "service_failed.invalid_content_type", &|d| {
        d.parts[1].content_type = String::new();
    });
}

fn heads(lab: &Lab, cases: &mut Vec<Case>) {
    let mut add = |name: &str, expect: String, alter: &dyn Fn(&mut Draft)| {
        let mut draft = lab.rest();
        alter(&mut draft);
        cases.push(Case::new(name, &draft, expect));
    };
    for hash in ["SHA-1", "MD5", "SHA-256", "http://www.w3.org/2001/04/xmlenc#sha512", ""] {
        add(&format!("hash algorithm {hash:?}"), refused("internal_error"), &|d| {
            d.set("x-hash-algorithm", Some(hash));
        });
    }
    add("no hash algorithm", refused("internal_error"), &|d| d.set("x-hash-algorithm", None));
    add("no request id", refused("internal_error"), &|d| d.set("x-road-request-id", None));
    for kind in [
        "multipart/related; boundary=xtopHostile",
        "multipart/mixed; boundary=xtopHostile; boundary=x",
        "multipart/mixed",
        "application/json",
        "nonsense",
        "",
    ] {
        add(&format!("content type {kind:?}"), refused("service_failed.invalid_content_type"), &|d| {
            d.set("Content-Type", Some(kind));
        });
    }
    add("another boundary", refused("service_failed.io_error"), &|d| {
        d.set("Content-Type", Some(&draft::multipart_mixed("other")));
    });
    for method in ["GET", "PUT", "OPTIONS", "DELETE"] {
        add(method, refused("invalid_http_method"), &|d| d.start = format!("{method} / HTTP/1.1"));
    }
    let soap = lab.soap_of(&draft::envelope(("100", "consumer"), "q-1", ""));
    for original in [None, Some(""), Some("text/xml; charset=x-none"), Some("; charset=UTF-8")] {
        add(
            &format!("SOAP with the original type {original:?}"),
            refused("service_failed.internal_error"),
            &|d| {
                *d = soap.clone();
                d.set("x-original-content-type", original);
            },
        );
    }
    add("SOAP action that is none", refused("invalid_soap_action"), &|d| {
        d.set("x-road-message-type", None);
        d.set("x-original-soapaction", Some("unquoted"));
    });
}

fn rest_parts(lab: &Lab, cases: &mut Vec<Case>) {
    let good = String::from_utf8(good_rest_part("POST", "/echo")).unwrap();
    let mut add = |name: &str, code: &str, part: Vec<u8>| {
        cases.push(Case::new(name, &lab.rest_of(&part, Some(b"{}")), refused(code)));
    };
    let internal = "service_failed.internal_error";
    for line in [
        "Connection:close",
        "Transfer-Encoding:chunked",
        "Host:evil",
        "Content-Length:1",
        "Expect:100-continue",
        "Upgrade:h2c",
        "Keep-Alive:1",
        "TE:trailers",
        "Trailer:x",
        "Proxy-Authorization:x",
        "Server:x",
        "User-Agent:x",
        "Proxy-Authenticate:x",
        "cOnNeCtIoN:close",
        "no colon",
        ":no name",
        "blank name:x",
        "before :x",
        " folded:x",
        "\tfolded:x",
        "X-Ctl:a\u{1}b",
        "X-Nul:a\0b",
        "X-Del:a\u{7f}b",
        "n\u{e4}me:x",
        "X-Bare:a\rX-Smuggled:b",
        "",
    ] {
        add(&format!("header line {line:?}"), internal, format!("{good}{line}\r\n").into_bytes());
    }
    add("LF line ends", internal, good.replace("\r\n", "\n").into_bytes());
    add("CR line ends", internal, good.replace("\r\n", "\r").into_bytes());
    add("no line end", internal, good.trim_end().into());
    add("bad UTF-8", internal, [good.as_bytes(), b"X-Bad:\xff\xfe\r\n"].concat());
    add("byte order mark", internal, [b"\xef\xbb\xbf", good.as_bytes()].concat());
    for (from, to) in [
        ("POST\r\n", "post\r\n"),
        ("POST\r\n", "CONNECT\r\n"),
        ("POST\r\n", "POST \r\n"),
        ("POST\r\n", "\r\n"),
        ("/r1/", "/r2/"),
        ("/r1/", "//r1/"),
        ("/r1/", "http://evil/r1/"),
        ("/echo", "/echo#x"),
        ("/echo", "/echo HTTP/1.1"),
        ("/echo", "/echo\"x"),
        ("/echo", "/ec|ho"),
        ("/provider/echo", "/echo"),
        ("/echo", "/echo/%zz"),
        ("X-Road-Client:", "X-Road-Client: "),
        ("X-Road-Id:q-1\r\n", ""),
        ("X-Road-Id:q-1", "X-Road-Id:"),
    ] {
        add(&format!("{to:?} for {from:?}"), internal, good.replace(from, to).into_bytes());
    }
    let long = format!("X-Road-Id:{}", "q".repeat(256));
    add("message id of 256 characters", internal, good.replace("X-Road-Id:q-1", &long).into_bytes());
    let client = format!("X-Road-Client:{}\r\n", draft::subsystem("100", "consumer"));
    add("no client", "service_failed.invalid_client_identifier", good.replace(&client, "").into_bytes());
    for id in ["SANDBOX/GOV", "a/b/c/d/e", "", "SANDBOX/GOV/100/"] {
        let part = good.replace(&client, &format!("X-Road-Client:{id}\r\n"));
        add(&format!("client {id:?}"), internal, part.into_bytes());
    }
    let unregistered = "service_failed.ssl_authentication_failed";
    for id in
        ["SANDBOX/GOV/100/other", "SANDBOX/GOV/200/provider", "OTHER/GOV/100/consumer", "SANDBOX/GOV/200"]
    {
        let part = good.replace(&client, &format!("X-Road-Client:{id}\r\n"));
        add(&format!("client {id:?} of another server"), unregistered, part.into_bytes());
    }
    let last = format!("{good}X-Road-Client:{}\r\n", draft::subsystem("200", "provider"));
    add("another client in a later line", unregistered, last.into_bytes());
    let path = |to: &str| good.replace("/200/provider/echo", to).into_bytes();
    add("unknown provider", "service_failed.unknown_member", path("/300/provider/echo"));
    for out in ["/..", "/../x", "/%2e%2e/x", "/a/../../x"] {
        let part = good.replace("/echo", &format!("/echo{out}")).into_bytes();
        add(&format!("out of the service by {out}"), "access_denied", part);
    }
    add("unknown service", "unknown_service", path("/200/provider/nothing"));
    add("SOAP service", "unknown_service", path("/200/provider/getRandom"));
    let member = good.replace(&client, "X-Road-Client:SANDBOX/GOV/100\r\n");
    add("a client without rights", "access_denied", member.into_bytes());
}

fn sizes(lab: &Lab, cases: &mut Vec<Case>) {
    let mut add = |name: &str, code: &str, alter: &dyn Fn(&mut Draft)| {
        let mut draft = lab.rest();
        alter(&mut draft);
        cases.push(Case::new(name, &draft, refused(code)));
    };
    let large = "service_failed.invalid_message";
    add("OCSP response of 65 KiB", large, &|d| d.parts[0].body = vec![0x30; 65 << 10]);
    add("REST part of 257 KiB", large, &|d| d.part(draft::REST_REQUEST).resize(257 << 10, b'x'));
    add("hash chain of 513 KiB", large, &|d| d.part(draft::CHAIN).resize(513 << 10, b' '));
    add("chain result of 513 KiB", large, &|d| d.part(draft::CHAIN_RESULT).resize(513 << 10, b' '));
    add("signature of 513 KiB", large, &|d| d.part(draft::SIGNATURE).resize(513 << 10, b' '));
    let mime = "service_failed.mime_parsing_failed";
    let field = |name: &str, value: &str| format!("{}\r\n{name}: {value}", draft::REST_REQUEST);
    add("part header line of 1000 bytes", mime, &|d| d.parts[1].content_type = field("x", &"y".repeat(995)));
    add("1001 part headers", mime, &|d| {
        let lines: String = (0..1001).map(|n| format!("\r\nx{n}: y")).collect();
        d.parts[1].content_type = format!("{}{lines}", draft::REST_REQUEST);
    });
    add("part header without a colon", mime, &|d| {
        d.parts[1].content_type = format!("{}\r\nx", draft::REST_REQUEST)
    });
    add("part header with a control", mime, &|d| d.parts[1].content_type = field("x", "a\u{1}"));
    add("two content types", mime, &|d| {
        d.parts[1].content_type = format!("{}\r\nContent-Type: text/xml", draft::REST_REQUEST);
    });
    add("part header folded without end", mime, &|d| {
        d.parts[1].content_type = field("x", &format!("y{}", "\r\n z".repeat(6000)));
    });
    add("part header that is long without its folding", mime, &|d| {
        d.parts[1].content_type = field("x", &format!("y{}", "\r\n z".repeat(600)));
    });
}

fn soap(lab: &Lab, cases: &mut Vec<Case>) {
    let good = String::from_utf8(draft::envelope(("100", "consumer"), "q-1", "")).unwrap();
    let mut add = |name: &str, code: &str, envelope: String| {
        cases.push(Case::new(
            name,
            &lab.soap_of(envelope.as_bytes()),
            refused(&format!("service_failed.{code}")),
        ));
    };
    let (start, rest) = good.split_once("<e:Envelope").unwrap();
    for (name, doctype) in [
        ("DOCTYPE", "<!DOCTYPE e>"),
        ("entity bomb", "<!DOCTYPE e [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>"),
        ("external entity", "<!DOCTYPE e [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>"),
        ("external DTD", "<!DOCTYPE e SYSTEM \"http://127.0.0.1:1/x.dtd\">"),
    ] {
        add(name, "invalid_soap", format!("{start}{doctype}<e:Envelope{rest}"));
    }
    let inner = |xml: &str| good.replace("<p:size>", &format!("{xml}<p:size>"));
    add("unknown entity", "invalid_soap", inner("&lol;"));
    add("depth of 5000", "invalid_soap", inner(&format!("{}{}", "<a>".repeat(5000), "</a>".repeat(5000))));
    let attributes: String = (0..5000).map(|n| format!(" a{n}=\"x\"")).collect();
    add("5000 attributes", "invalid_soap", inner(&format!("<a{attributes}/>")));
    add("cut off", "invalid_soap", good[..good.len() - 20].to_owned());
    add("two roots", "invalid_soap", format!("{good}<x/>"));
    add("NUL", "invalid_soap", inner("\0"));
    add("two Headers", "invalid_soap", good.replace("<e:Body>", "<e:Header/><e:Body>"));
    add("no message id", "missing_header_field", good.replace("<x:id>q-1</x:id>", ""));
    let split = |name: &str| good.replacen(&format!("<i:{name}>"), &format!("<i:{name}><x/>"), 1);
    add("element in a member code", "invalid_xml", split("memberCode"));
    add("element in a service code", "invalid_xml", split("serviceCode"));
    add("two message ids", "duplicate_header_field", good.replace("<x:id>", "<x:id>z</x:id><x:id>"));
    add("no body", "missing_body", format!("{}</e:Envelope>", good.split("<e:Body>").next().unwrap()));
    add("another service in the body", "inconsistent_headers", good.replace("p:getRandom", "p:other"));
    add(
        "a fault",
        "invalid_message",
        format!(
            "{}<e:Body><e:Fault><faultcode>x</faultcode><faultstring>y</faultstring></e:Fault></e:Body></e:Envelope>",
            good.split("<e:Body>").next().unwrap()
        ),
    );
    let server = "<x:securityServer i:objectType=\"SERVER\"><i:xRoadInstance>SANDBOX</i:xRoadInstance>\
        <i:memberClass>GOV</i:memberClass><i:memberCode>100</i:memberCode><i:serverCode>ss1</i:serverCode>\
        </x:securityServer>";
    let elsewhere = draft::envelope(("100", "consumer"), "q-1", server);
    add("for another security server", "invalid_security_server", String::from_utf8(elsewhere).unwrap());
    let foreign = String::from_utf8(draft::envelope(("200", "provider"), "q-1", "")).unwrap();
    add("client of another server", "ssl_authentication_failed", foreign);
}
