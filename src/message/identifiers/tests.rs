use super::*;

#[test]
fn takes_identifiers_apart_without_loss() {
    let client = ClientId::from_rest("LAB/GOV/100/consumer").unwrap();
    assert_eq!(client.to_string(), "LAB/GOV/100/consumer");
    assert_eq!(client.member(), MemberId::new("LAB", "GOV", "100").unwrap());
    assert_eq!(client.member().client(), ClientId::new("LAB", "GOV", "100", None).unwrap());
    let service = ServiceId::new(&client, "cap", Some("v1")).unwrap();
    assert_eq!(service.client(), client);
    assert_eq!(format!("{service:?}"), "SERVICE:LAB/GOV/100/consumer/cap/v1");
    let server = SecurityServerId::from_rest("LAB/GOV/100/ss0").unwrap();
    assert_eq!(server.owner(), client.member());
}

#[test]
fn equality_is_by_field_not_by_text() {
    let member = ClientId::new("A", "B", "C", None).unwrap();
    assert_ne!(member, ClientId::new("A", "B", "C", Some("D")).unwrap());
    assert_ne!(ClientId::new("AB", "C", "D", None).unwrap(), ClientId::new("A", "BC", "D", None).unwrap());
    let with_subsystem =
        ServiceId::new(&ClientId::new("A", "B", "C", Some("x")).unwrap(), "y", None).unwrap();
    let with_version = ServiceId::new(&member, "x", Some("y")).unwrap();
    assert_eq!(with_subsystem.to_string(), with_version.to_string());
    assert_ne!(with_subsystem, with_version);
}

#[test]
fn rest_coding_goes_both_ways() {
    let client = ClientId::from_rest("DEV/COM/a%2fb/p%C3%A4%20+x").unwrap();
    assert_eq!(client.member_code(), "a/b");
    assert_eq!(client.subsystem_code(), Some("pä +x"));
    assert_eq!(client.to_rest(), "DEV/COM/a%2Fb/p%C3%A4%20+x");
    assert_eq!(ClientId::from_rest("A/B/%ff").unwrap().member_code(), "\u{fffd}");
    for bad in ["A/B", "A/B/C/D/E", "A/B/C/", "A//C", "A/B/c d", "A/B/ä", "A/B/%4", "A/B/%zz", "A/B/%20"] {
        assert!(ClientId::from_rest(bad).is_err(), "{bad}");
    }
}

#[test]
fn trap_transport_36_rest_identifiers_never_have_a_version() {
    let service = ServiceId::from_rest("LAB/GOV/200/provider/cap").unwrap();
    assert_eq!(service.service_version(), None);
    assert_eq!(service.to_rest(), "LAB/GOV/200/provider/cap");
    let empty = ServiceId::new(&service.client(), "cap", Some("")).unwrap();
    assert_ne!(service, empty);
}

#[test]
fn trap_transport_40_a_service_of_a_member_is_out_of_reach_for_rest() {
    assert!(ServiceId::from_rest("LAB/GOV/200/cap").is_err());
    assert!(ServiceId::from_rest("LAB/GOV/200/provider/cap/v1").is_err());
}

#[test]
fn represented_party_is_code_or_class_and_code() {
    let party = RepresentedParty::from_rest("GOV/999").unwrap();
    assert_eq!((party.party_class.as_deref(), party.party_code.as_deref()), (Some("GOV"), Some("999")));
    assert_eq!(RepresentedParty::from_rest("999/").unwrap().party_class, None);
    assert!(RepresentedParty::from_rest("a/b/c").is_err());
}
