//! Containers whose documents hold more, less or something else than they should.

use std::collections::BTreeMap;

use super::builder::{Record, build};
use super::mutations::{Bench, SIGNATURE};

#[test]
fn accepts_no_document_with_more_in_it() {
    let Some(bench) = Bench::new() else { return };
    let doctype = "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\"><!ENTITY f \"&e;&e;\">]>";
    for seed in &bench.seeds {
        for entry in seed.entries.iter().filter(|e| e.name.ends_with(".xml") && e.data.starts_with(b"<")) {
            if entry.name.to_lowercase().ends_with("manifest.xml") {
                continue;
            }
            let text = seed.text(&entry.name);
            let root = text.find("<?xml").map_or(0, |_| text.find("?>").map_or(0, |at| at + 2));
            let (before, after) = text.split_at(root);
            bench.refuse(
                seed,
                "a document type",
                seed.with(&entry.name, format!("{before}{doctype}{after}").as_bytes()),
            );
            bench.refuse(seed, "a second root", seed.with(&entry.name, format!("{text}<x/>").as_bytes()));
        }
        let signature = seed.text(SIGNATURE);
        let deep = "<x>".repeat(100_000) + &"</x>".repeat(100_000);
        let wide = "<x/>".repeat(120_000);
        let copy =
            signature.get(signature.find("<ds:Signature ").unwrap()..signature.rfind("</asic:").unwrap());
        let object = "</xades:UnsignedSignatureProperties>";
        let places = [object, "</ds:Signature>", "<ds:Object>", "</asic:XAdESSignatures>"];
        for place in places {
            let put = |piece: &str| {
                seed.with(SIGNATURE, signature.replacen(place, &format!("{piece}{place}"), 1).as_bytes())
            };
            bench.refuse(seed, &format!("deep nesting before {place}"), put(&deep));
            bench.refuse(seed, &format!("a second signature before {place}"), put(copy.unwrap()));
            bench.check(seed, &format!("many elements before {place}"), put(&wide));
        }
        for (what, before, piece) in [
            ("another key", "</ds:KeyInfo>", "<ds:KeyValue/>"),
            ("a key elsewhere", "<ds:X509Data>", "<ds:RetrievalMethod URI=\"http://127.0.0.1/\"/>"),
            ("another subject", "<ds:X509Certificate>", "<ds:X509SubjectName>CN=x</ds:X509SubjectName>"),
            ("an unknown unsigned property", object, "<xades:Other/>"),
            (
                "second unsigned properties",
                "</xades:UnsignedProperties>",
                "<xades:UnsignedSignatureProperties/>",
            ),
            ("text among the OCSP answers", "</xades:OCSPValues>", "x"),
            ("something among the OCSP answers", "</xades:OCSPValues>", "<x/>"),
            ("something among the revocation values", "</xades:RevocationValues>", "<x/>"),
            ("text at the time-stamp", "<xades:EncapsulatedTimeStamp>", "x"),
            ("something at the time-stamp", "</xades:SignatureTimeStamp>", "<x/>"),
        ] {
            if signature.contains(before) {
                let more = signature.replacen(before, &format!("{piece}{before}"), 1);
                bench.refuse(seed, what, seed.with(SIGNATURE, more.as_bytes()));
            }
        }
        for (what, from, to) in [
            ("no OCSP answers", "xades:OCSPValues", "xades:Values"),
            ("another id", "Id=\"signed-properties\"", "Id=\"other-properties\""),
            ("another target", "URI=\"#signed-properties\"", "URI=\"#signature\""),
            ("another algorithm", "rsa-sha512", "rsa-sha256"),
            ("MD5", "http://www.w3.org/2001/04/xmlenc#sha512", "http://www.w3.org/2001/04/xmldsig-more#md5"),
            ("a remote reference", "URI=\"/message.xml\"", "URI=\"http://127.0.0.1/message.xml\""),
            ("a doubled id", "<ds:KeyInfo>", "<ds:KeyInfo Id=\"signed-properties\">"),
            ("a policy of its own", "urn:oid:1.3.6.1.4.1.3516.16.2", "urn:oid:1.3.6.1.4.1.3516.16.3"),
        ] {
            if signature.contains(from) {
                bench.refuse(seed, what, seed.with(SIGNATURE, signature.replace(from, to).as_bytes()));
            }
        }
    }
}

#[test]
fn accepts_no_hash_chain_that_is_no_path() {
    let Some(bench) = Bench::new() else { return };
    let step = |id: usize, items: &str| format!("<h:HashStep id=\"STEP{id}\">{items}</h:HashStep>");
    let chain = |steps: String| {
        format!(
            "<h:HashChain xmlns=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:h=\"http://cyber.ee/hashchain\">\
             <h:DefaultDigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\"/>{steps}</h:HashChain>"
        )
    };
    let refer = |id: usize| format!("<h:StepRef URI=\"#STEP{id}\"/>");
    let mut chains: BTreeMap<&str, String> = BTreeMap::new();
    chains.insert("a cycle of one", chain(step(0, &refer(0))));
    chains.insert("a cycle of two", chain(step(0, &refer(1)) + &step(1, &refer(0))));
    chains
        .insert("a fan of doublings", chain((0..60).map(|id| step(id, &refer(id + 1).repeat(2))).collect()));
    chains.insert("a long path", chain((0..2000).map(|id| step(id, &refer(id + 1))).collect()));
    chains.insert("a remote step", chain(step(0, "<h:StepRef URI=\"http://127.0.0.1/x#STEP0\"/>")));
    chains.insert("nothing", chain(String::new()));
    chains.insert("a large document", chain(step(0, &" ".repeat(5_000_000))));
    for seed in &bench.seeds {
        for name in ["sig-hashchain.xml", "ts-hashchain.xml"] {
            if seed.entry(name).is_none() {
                continue;
            }
            for (what, chain) in &chains {
                bench.refuse(seed, &format!("{what} in {name}"), seed.with(name, chain.as_bytes()));
            }
        }
    }
}

#[test]
fn an_entry_that_inflates_without_end_costs_nothing() {
    let Some(bench) = Bench::new() else { return };
    let seed = &bench.seeds[2];
    let zeros = vec![0; 8 * 1024 * 1024];
    // Declared honestly, many times: refused by the sum before anything is inflated.
    let mut records = seed.records();
    let bomb = Record::deflated("attachment2", &zeros);
    for number in 2..100 {
        records.push(Record {
            name: format!("attachment{number}"),
            local_name: format!("attachment{number}"),
            ..bomb.clone()
        });
    }
    bench.refuse(seed, "attachments of 800 MiB", build(&records, b""));
    // Declared too small.
    let mut records = seed.records();
    records.push(Record { size: 10, ..bomb });
    bench.refuse(seed, "an attachment that lies about its size", build(&records, b""));
}
