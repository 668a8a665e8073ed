#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use super::*;
use crate::control::parse_declaration;
use crate::registry::{Registry, changes, facts};

/// A dump as `pg_dump` makes it by default, its tables in the order of their names.
fn dump(certificate: &[u8]) -> String {
    let mut hex = String::new();
    certificate.iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
    let tables: [(&str, &str, &[&str]); 13] = [
        (
            "accessright",
            "id, subjectid, rightsgiven, client_id, endpoint_id",
            &[
                "1\t4\t2024-01-01 10:00:00\t2\t1",
                "2\t5\t2024-01-01 10:00:00\t2\t2",
                "3\t6\t2024-01-01 10:00:00\t2\t3",
                "4\t6\t2024-01-01 10:00:00\t2\t5",
            ],
        ),
        ("certificate", "id, data, client_id", &[&format!("1\t\\\\x{hex}\t2"), "2\t\\\\x00\t2"]),
        (
            "client",
            "id, conf_id, identifier, clientstatus, isauthentication",
            &["1\t1\t1\tregistered\t\\N", "2\t1\t2\tregistered\tSSLAUTH", "3\t1\t3\tdisabled\tSSLNOAUTH"],
        ),
        (
            "endpoint",
            "id, client_id, servicecode, method, path, generated",
            &[
                "1\t2\tgetRandom\t*\t**\tt",
                "2\t2\tpets\tGET\t/pets/*\tf",
                "3\t2\tpets\t*\t**\tt",
                "4\t2\tgone\t*\t**\tt",
                "5\t2\techo\t*\t**\tt",
            ],
        ),
        ("groupmember", "id, groupmemberid, added, localgroup_id", &["1\t4\t2024-01-01 10:00:00\t1"]),
        ("history", "id, operation", &["1\tCOPY junk", "2\tmore\twith\ttabs"]),
        (
            "identifier",
            "id, discriminator, type, xroadinstance, memberclass, membercode, subsystemcode, serviceversion, \
             servicecode, groupcode, securitycategory, servercode",
            &[
                "1\tC\tMEMBER\tLAB\tGOV\t100\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N",
                "2\tC\tSUBSYSTEM\tLAB\tGOV\t100\tsub/one\t\\N\t\\N\t\\N\t\\N\t\\N",
                "3\tC\tSUBSYSTEM\tLAB\tGOV\t100\ttwo\t\\N\t\\N\t\\N\t\\N\t\\N",
                "4\tC\tSUBSYSTEM\tLAB\tCOM\t200\tcaller\t\\N\t\\N\t\\N\t\\N\t\\N",
                "5\tGG\tGLOBALGROUP\tLAB\t\\N\t\\N\t\\N\t\\N\t\\N\tall\t\\N\t\\N",
                "6\tLG\tLOCALGROUP\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\tpartners\t\\N\t\\N",
            ],
        ),
        (
            "localgroup",
            "id, groupcode, description, updated, client_id",
            &["1\tpartners\tPartner\\ttab \"and\" \\\\quotes\t2024-01-01 10:00:00\t2"],
        ),
        ("service_securitycategories", "service_id, security_cat_id, id", &[]),
        (
            "service",
            "id, servicedescription_id, servicecode, serviceversion, title, url, sslauthentication, timeout",
            &[
                "1\t1\tgetRandom\tv1\tRandom\thttps://svc.lab:8443/soap\t\\N\t60",
                "2\t2\tpets\t\\N\t\\N\thttp://svc.lab/pets\tf\t0",
                "3\t3\techo\t\\N\t\\N\thttp://svc.lab/echo\tt\t5",
                "4\t3\tbroken\t\\N\t\\N\tnot a url\tt\t5",
            ],
        ),
        (
            "servicedescription",
            "id, client_id, url, disabled, disablednotice, refresheddate, type",
            &[
                "1\t2\thttp://svc.lab/soap?wsdl\tf\tOut of order\t2024-01-01 10:00:00\tWSDL",
                "2\t2\thttp://svc.lab/api.yaml\tt\t\\N\t2024-01-01 10:00:00\tOPENAPI3",
                "3\t2\thttp://svc.lab/echo\tt\tBack soon\t2024-01-01 10:00:00\tREST",
            ],
        ),
        ("serverconf", "id, servercode, owner", &["1\tss1\t1"]),
        ("tsp", "id, name, url, conf_id", &["1\tTSA\thttp://tsa.lab\t1"]),
    ];
    let mut text = String::from("--\n-- PostgreSQL database dump\n--\nSET search_path = public;\n\n");
    for (table, columns, rows) in tables {
        let columns = columns.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(text, "COPY serverconf.{table} ({columns}) FROM stdin;").unwrap();
        rows.iter().for_each(|row| writeln!(text, "{row}").unwrap());
        text.push_str("\\.\n\n");
    }
    text
}

fn certificate() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(vec!["is.lab".into()]).unwrap().self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn an_official_database_becomes_a_declaration_that_grants_the_same() {
    let imported = import(&Dump::parse(&dump(&certificate())).unwrap());
    let text = declaration(&imported);
    let declared = parse_declaration("imported", std::path::Path::new("."), &text).unwrap();
    let (before, after) =
        (Registry::new(imported.clients.clone(), 0).unwrap(), Registry::new(declared, 0).unwrap());
    assert!(changes(&before, &after).is_empty(), "{:?}\n{text}", changes(&before, &after));
    assert_eq!(imported.server.as_ref().map(ToString::to_string).as_deref(), Some("LAB/GOV/100/ss1"));
    assert!(text.contains("timestamp.urls = [\"http://tsa.lab\"]"), "{text}");
    let facts = facts(&before).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in
        ["sub/one", "GET /pets/*", "global group LAB/all", "local group partners", "LAB/COM/200/caller"]
    {
        assert!(facts.contains(part), "{part}:\n{facts}");
    }
    let provider = before.clients().iter().find(|client| !client.services.is_empty()).unwrap();
    assert_eq!((provider.certificates.len(), provider.services.len()), (1, 3));
    let service = |code: &str| provider.services.iter().find(|s| s.id.service_code() == code).unwrap();
    assert!(service("getRandom").verify_tls && service("getRandom").disabled.is_none());
    assert_eq!(service("getRandom").description_url.as_deref(), Some("http://svc.lab/soap?wsdl"));
    assert_eq!((service("pets").timeout_secs, service("echo").timeout_secs), (None, Some(5)));
    assert_eq!(service("echo").disabled.as_deref(), Some("Back soon"));
    assert_eq!(provider.local_groups[0].description, "Partner\ttab \"and\" \\quotes");
    let left_out = imported.notices.join("\n");
    for part in
        ["certificate that cannot be read", "service broken is left out", "endpoint * ** of service gone"]
    {
        assert!(left_out.contains(part), "{part}:\n{left_out}");
    }
    assert_eq!(imported.notices.len(), 3, "{left_out}");
}

#[test]
fn a_description_that_was_disabled_without_a_notice_stays_disabled() {
    let imported = import(&Dump::parse(&dump(&certificate())).unwrap());
    let services = imported.clients.iter().flat_map(|client| &client.services);
    let pets = services.into_iter().find(|service| service.id.service_code() == "pets").unwrap();
    assert_eq!(pets.disabled.as_deref(), Some("Out of order"));
}

#[test]
fn statements_with_column_names_are_read_too() {
    let text = "INSERT INTO public.identifier (id, discriminator, xroadinstance, memberclass, membercode, subsystemcode) \
                VALUES (7, 'C', 'LAB', 'GOV', 'it''s, (x)\nand more', NULL);\n\
                INSERT INTO public.client (id, conf_id, identifier, clientstatus, isauthentication) VALUES (1, 1, 7, 'saved', NULL);\n\
                INSERT INTO public.history VALUES (1, 'x');\n";
    let imported = import(&Dump::parse(text).unwrap());
    assert_eq!(imported.clients[0].id.member_code(), "it's, (x)\nand more");
    assert!(imported.notices.is_empty());
    let nameless = "INSERT INTO public.client VALUES (1, 1, 7, 'saved', NULL);\n";
    assert!(Dump::parse(nameless).unwrap_err().to_string().contains("--column-inserts"));
}

#[test]
fn what_is_no_dump_is_refused() {
    assert_eq!(Dump::parse("hello").unwrap_err(), DumpError::NoData);
    assert_eq!(Dump::parse("COPY public.client (id) FROM stdin;\n1\n").unwrap_err(), DumpError::NoData);
    let error = Dump::parse("COPY public.client (id, conf_id) FROM stdin;\n1\n\\.\n").unwrap_err();
    assert_eq!(error.to_string(), "line 2: 1 values for the 2 columns of client");
}
