#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::completion::Completion;
use super::store::StoredRow;
use super::*;
use crate::message::{ClientId, RepresentedParty, ServiceId};
use crate::registry::{
    Client, ClientStatus, ConnectionType, Endpoint, PathGlob, Registry, Service, ServiceType,
};
use crate::trust::GlobalConf;

fn at(millis: i64) -> UnixTime {
    UnixTime::from_millis(millis)
}

fn client(code: &str) -> ClientId {
    ClientId::new("LAB", "GOV", code, Some("sub")).unwrap()
}

fn record(role: Role) -> OperationalRecord {
    let service = ServiceId::new(&client("200"), "pets", None).unwrap();
    OperationalRecord {
        request_out: Some(at(1_010)),
        response_in: Some(at(1_020)),
        response_out: Some(at(1_030)),
        client: Some(client("100")),
        service: Some(service),
        rest: Some(RestCall { method: "GET".into(), path: "/pets/7".into() }),
        represented_party: Some(RepresentedParty { party_class: None, party_code: Some("p".into()) }),
        message_id: Some("m".repeat(300)),
        protocol_version: Some("1".into()),
        request_id: Some("r-1".into()),
        peer_address: Some("10.0.0.9".into()),
        request: Some(Sizes { message: 100, parts: 5, attachments: Some(1) }),
        response: Some(Sizes { message: 50, parts: 0, attachments: Some(0) }),
        succeeded: true,
        status: Some(200),
        ..OperationalRecord::begun(role, at(1_000))
    }
}

fn registry() -> Registry {
    let provider = client("200");
    let endpoint = |method: &str, path: &str| Endpoint {
        service_code: "pets".into(),
        method: method.into(),
        path: PathGlob::new(path).unwrap(),
        access: BTreeSet::new(),
    };
    let service = Service {
        id: ServiceId::new(&provider, "pets", None).unwrap(),
        service_type: ServiceType::OpenApi3,
        url: "http://svc".into(),
        description_url: None,
        verify_tls: false,
        timeout_secs: None,
        disabled: None,
        log_bodies: None,
        refuse_repeats: false,
    };
    let client = Client {
        id: provider,
        status: ClientStatus::Registered,
        connection_type: ConnectionType::NoSsl,
        certificates: BTreeSet::new(),
        services: vec![service],
        endpoints: vec![endpoint("*", "**"), endpoint("*", "/pets/*"), endpoint("GET", "/pets/first")],
        local_groups: Vec::new(),
    };
    Registry::new(vec![client], 1).unwrap()
}

fn rows(records: &[OperationalRecord]) -> Vec<StoredRow> {
    let (server, global_conf, registry) =
        (SecurityServerId::new("LAB", "GOV", "1", "ss").unwrap(), GlobalConf::default(), registry());
    let completion = Completion {
        server: &server,
        version: "7.8.0",
        internal_ip: "10.1.1.1",
        global_conf: &global_conf,
        registry: &registry,
    };
    completion.rows(records, 77)
}

fn told(record: &OperationalRecord) -> Value {
    let rows = rows(std::slice::from_ref(record));
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(row.records, 1);
    serde_json::from_str(&row.lines).unwrap()
}

#[test]
fn records_of_the_same_parties_share_a_row_up_to_its_bound() {
    let mut records = vec![record(Role::Client); 250];
    records[7].client = Some(client("300"));
    records[8].service = None;
    for (at, record) in records.iter_mut().enumerate() {
        record.message_id = Some(format!("{at}\n"));
    }
    let mut rows = rows(&records);
    rows.sort_by_key(|row| (row.client.clone(), row.provider.clone(), std::cmp::Reverse(row.records)));
    let told: Vec<_> =
        rows.iter().map(|row| (row.client.as_deref(), row.provider.as_deref(), row.records)).collect();
    let (one, other, third) = (Some("LAB/GOV/100/sub"), Some("LAB/GOV/200/sub"), Some("LAB/GOV/300/sub"));
    assert_eq!(
        told,
        [(one, None, 1), (one, other, 100), (one, other, 100), (one, other, 48), (third, other, 1),]
    );
    let mut ids: Vec<usize> = Vec::new();
    for row in &rows {
        assert_eq!(row.lines.lines().count(), row.records);
        for line in row.lines.lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            assert_eq!(record["clientMemberCode"].as_str(), row.client.as_deref().unwrap().split('/').nth(2));
            assert_eq!(record.get("serviceCode").is_some(), row.provider.is_some());
            ids.push(record["messageId"].as_str().unwrap().trim_end().parse().unwrap());
        }
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..250).collect::<Vec<_>>());
}

#[test]
fn a_rest_record_has_the_fields_of_the_protocol_and_no_others() {
    let expected = json!({
        "monitoringDataTs": 77, "securityServerInternalIp": "10.1.1.1", "securityServerType": "Producer",
        "requestInTs": 1000, "requestOutTs": 1010, "responseInTs": 1020, "responseOutTs": 1030,
        "clientXRoadInstance": "LAB", "clientMemberClass": "GOV", "clientMemberCode": "100",
        "clientSubsystemCode": "sub", "serviceXRoadInstance": "LAB", "serviceMemberClass": "GOV",
        "serviceMemberCode": "200", "serviceSubsystemCode": "sub", "serviceCode": "pets", "restMethod": "GET",
        "restPath": "/pets/*", "xRoadVersion": "7.8.0", "representedPartyCode": "p", "messageId": "m".repeat(255),
        "messageProtocolVersion": "1", "xRequestId": "r-1", "serviceType": "OPENAPI3", "requestSize": 105,
        "requestAttachmentCount": 0, "responseSize": 50, "responseAttachmentCount": 0, "succeeded": true,
        "statusCode": 200
    });
    let told = told(&record(Role::Producer));
    assert_eq!(told, expected);
    for name in told.as_object().unwrap().keys() {
        assert!(FIELDS.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn the_path_is_told_as_the_pattern_of_the_best_endpoint_and_by_the_provider_only() {
    let path = |role, path: &str| {
        let mut record = record(role);
        record.rest = Some(RestCall { method: "GET".into(), path: path.into() });
        told(&record).get("restPath").cloned()
    };
    assert_eq!(path(Role::Producer, "/pets/first"), Some(json!("/pets/first")));
    assert_eq!(path(Role::Producer, "/pets/secret"), Some(json!("/pets/*")));
    assert_eq!(path(Role::Producer, "/owners/1"), None);
    assert_eq!(path(Role::Client, "/pets/first"), None);
}

#[test]
fn soap_sizes_count_attachments_apart_and_metaservices_take_their_times_from_the_ends() {
    let mut record = record(Role::Client);
    (record.rest, record.status, record.answered_here) = (None, None, true);
    record.request = Some(Sizes { message: 100, parts: 5, attachments: Some(2) });
    record.fault = Some(("server.x".into(), "t".repeat(3000)));
    let told = told(&record);
    assert_eq!(told["serviceType"], "WSDL");
    assert_eq!(
        (&told["requestSize"], &told["requestMimeSize"], &told["requestAttachmentCount"]),
        (&json!(100), &json!(105), &json!(2))
    );
    assert_eq!((&told["responseSize"], told.get("responseMimeSize")), (&json!(50), None));
    assert_eq!((&told["requestOutTs"], &told["responseInTs"]), (&json!(1000), &json!(1030)));
    assert_eq!(told["serviceSecurityServerAddress"], "10.0.0.9");
    assert_eq!(told["faultString"].as_str().unwrap().len(), 2048);
}

#[test]
fn a_full_queue_loses_the_oldest_record_and_counts_it() {
    let settings = settings(std::path::Path::new("/nowhere"));
    let monitoring = Monitoring::new(config::Monitoring { queue_records_max: 2, ..settings }, at(0));
    for id in ["a", "b", "c"] {
        let mut record = Box::new(record(Role::Client));
        record.message_id = Some(id.into());
        monitoring.push(record);
    }
    let waiting: Vec<String> =
        take(monitoring.queue.as_ref().unwrap()).into_iter().filter_map(|record| record.message_id).collect();
    assert_eq!(waiting, ["b", "c"]);
    assert_eq!(monitoring.figures(), (0, 1));
}

fn settings(folder: &std::path::Path) -> config::Monitoring {
    config::Monitoring {
        operational: true,
        database: folder.join("monitoring.sqlite"),
        keep_days: 7,
        records_max: 1000,
        queue_records_max: 10,
        payload_records_max: 3,
        available_after_secs: 60,
        health_period_secs: 600,
        environmental: false,
        limit_remote_data_set: false,
    }
}

fn criteria(from: i64, to: i64) -> Criteria {
    Criteria { from, to, party: None, provider: None, fields: BTreeSet::new() }
}

fn row(client: &str, provider: &str, id: u32) -> StoredRow {
    let json = json!({"monitoringDataTs": 1, "securityServerInternalIp": "i", "messageId": id}).to_string();
    StoredRow { client: Some(client.into()), provider: Some(provider.into()), records: 1, lines: json + "\n" }
}

/// A row of several records.
fn joined(rows: &[StoredRow]) -> StoredRow {
    let lines = rows.iter().map(|row| row.lines.as_str()).collect();
    StoredRow { records: rows.len(), lines, ..rows[0].clone() }
}

fn ids(page: &Page) -> Vec<u64> {
    let payload: Value = serde_json::from_str(&page.json).unwrap();
    let records = payload["records"].as_array().unwrap();
    assert_eq!(records.len(), page.count);
    records.iter().filter_map(|record| record["messageId"].as_u64()).collect()
}

#[tokio::test]
async fn pages_never_split_a_second_and_end_before_what_is_still_to_come() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut store = MonitoringStore::open(&settings.database).await.unwrap();
    let (one, other) = ("LAB/GOV/100/sub", "LAB/GOV/200/sub");
    store.insert(100, &[row(one, other, 1), row(one, other, 2)]).await.unwrap();
    store.insert(101, &[row(one, other, 3), row(other, one, 4), row(one, other, 5)]).await.unwrap();
    store.insert(105, &[row(one, other, 6)]).await.unwrap();
    let now = UnixTime::from_secs(1000);

    let page = query::answer(&settings, &criteria(0, 900), now).await.unwrap();
    assert_eq!((ids(&page), page.next_from), (vec![1, 2, 3, 4, 5], Some(102)));
    let page = query::answer(&settings, &criteria(102, 900), now).await.unwrap();
    assert_eq!((ids(&page), page.next_from), (vec![6], None));
    let page = query::answer(&settings, &criteria(0, 101), now).await.unwrap();
    assert_eq!((ids(&page).len(), page.next_from), (5, None));

    // Up to now: the last minute is not complete yet.
    let page = query::answer(&settings, &criteria(105, 1000), UnixTime::from_secs(166)).await.unwrap();
    assert_eq!((ids(&page), page.next_from), (vec![6], Some(106)));
    let page = query::answer(&settings, &criteria(102, i64::MAX), UnixTime::from_secs(165)).await.unwrap();
    assert_eq!((ids(&page), page.next_from), (vec![], Some(105)));

    for (criteria, text) in [
        (criteria(-1, 5), "recordsFrom is negative"),
        (criteria(0, -5), "recordsTo is negative"),
        (criteria(6, 5), "recordsTo is before recordsFrom"),
        (criteria(940, 950), "records from 940 are not available yet"),
    ] {
        let error = query::answer(&settings, &criteria, now).await.unwrap_err();
        assert!(matches!(error, QueryError::Invalid(_)) && error.to_string() == text, "{error}");
    }
}

#[tokio::test]
async fn others_see_their_own_exchanges_without_the_server_s_address_and_only_fields_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut store = MonitoringStore::open(&settings.database).await.unwrap();
    let rows = [
        row("LAB/GOV/100/sub", "LAB/GOV/200/sub", 1),
        row("LAB/GOV/100", "LAB/GOV/200", 2),
        row("LAB/GOV/300/sub", "LAB/GOV/100/sub", 3),
    ];
    store.insert(100, &rows).await.unwrap();
    let now = UnixTime::from_secs(1000);
    let own = Criteria { party: Some(client("100")), ..criteria(0, 500) };
    let page = query::answer(&settings, &own, now).await.unwrap();
    assert_eq!(ids(&page), [1, 3]);
    assert!(!page.json.contains("securityServerInternalIp") && page.json.contains("monitoringDataTs"));
    let provided = Criteria { provider: Some(client("100")), ..own.clone() };
    assert_eq!(ids(&query::answer(&settings, &provided, now).await.unwrap()), [3]);
    let fields = BTreeSet::from(["messageId".to_owned()]);
    let page = query::answer(&settings, &Criteria { fields, ..criteria(0, 500) }, now).await.unwrap();
    assert_eq!(page.json, r#"{"records":[{"messageId":1},{"messageId":2},{"messageId":3}]}"#);
}

#[tokio::test]
async fn records_are_kept_for_a_bounded_time_and_in_a_bounded_number() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut store = MonitoringStore::open(&settings.database).await.unwrap();
    for second in 0..10 {
        store.insert(second, &[row("a", "b", second as u32)]).await.unwrap();
    }
    store.clean(4, 1000).await.unwrap();
    let now = UnixTime::from_secs(1000);
    let left = config::Monitoring { payload_records_max: 100, ..settings };
    let page = query::answer(&left, &criteria(0, 500), now).await.unwrap();
    assert_eq!(ids(&page), [4, 5, 6, 7, 8, 9]);
    store.clean(4, 2).await.unwrap();
    assert_eq!(ids(&query::answer(&left, &criteria(0, 500), now).await.unwrap()), [8, 9]);
}

#[tokio::test]
async fn rows_of_many_records_are_paged_by_seconds_and_bounded_by_their_records() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let mut store = MonitoringStore::open(&settings.database).await.unwrap();
    let of = |ids: std::ops::Range<u32>| joined(&ids.map(|id| row("a", "b", id)).collect::<Vec<_>>());
    store.insert(100, &[of(0..2), of(2..3)]).await.unwrap();
    // Numbers go on where they ended, whoever stores: in an upgrade two processes do.
    let mut successor = MonitoringStore::open(&settings.database).await.unwrap();
    store.insert(101, &[of(3..5)]).await.unwrap();
    successor.insert(101, &[of(5..8)]).await.unwrap();
    store.insert(102, &[of(8..10)]).await.unwrap();
    let now = UnixTime::from_secs(1000);
    let answer = async |from| query::answer(&settings, &criteria(from, 500), now).await.unwrap();
    let page = answer(0).await;
    assert_eq!((ids(&page), page.next_from), (vec![0, 1, 2], Some(101)));
    let page = answer(101).await;
    assert_eq!((ids(&page), page.next_from), (vec![3, 4, 5, 6, 7], Some(102)));
    let page = answer(102).await;
    assert_eq!((ids(&page), page.next_from), (vec![8, 9], None));

    store.clean(0, 6).await.unwrap();
    let all = config::Monitoring { payload_records_max: 100, ..settings.clone() };
    let left = async || ids(&query::answer(&all, &criteria(0, 500), now).await.unwrap());
    assert_eq!(left().await, [3, 4, 5, 6, 7, 8, 9], "a row goes when all of it is beyond the bound");
    store.clean(0, 5).await.unwrap();
    assert_eq!(left().await, [5, 6, 7, 8, 9]);
}

#[tokio::test]
async fn more_rows_than_are_read_at_once_are_all_told() {
    let folder = tempfile::tempdir().unwrap();
    let settings = config::Monitoring { payload_records_max: 1000, ..settings(folder.path()) };
    let mut store = MonitoringStore::open(&settings.database).await.unwrap();
    for second in 0..3 {
        let rows: Vec<StoredRow> = (0..64).map(|id| row("a", "b", 64 * second + id)).collect();
        store.insert(i64::from(second), &rows).await.unwrap();
    }
    let page = query::answer(&settings, &criteria(0, 500), UnixTime::from_secs(1000)).await.unwrap();
    assert_eq!((ids(&page), page.next_from), ((0..192).collect(), None));
}

#[tokio::test]
async fn records_of_a_version_that_stored_each_in_a_row_are_still_told() {
    use sqlx::Connection as _;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    drop(MonitoringStore::open(&settings.database).await.unwrap());
    let url = format!("sqlite://{}", settings.database.display());
    let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
    for sql in [
        "ALTER TABLE operational_record DROP COLUMN records",
        "DELETE FROM _sqlx_migrations WHERE version = 2",
        "INSERT INTO operational_record VALUES (1, 100, 'a', 'b', '{\"messageId\":1}'), (2, 100, 'a', 'b', '{\"messageId\":2}')",
    ] {
        sqlx::query(sql).execute(&mut database).await.unwrap();
    }
    database.close().await.unwrap();
    let mut store = MonitoringStore::open(&settings.database).await.unwrap();
    store.insert(100, &[row("a", "b", 3)]).await.unwrap();
    let page = query::answer(&settings, &criteria(0, 500), UnixTime::from_secs(1000)).await.unwrap();
    assert_eq!(ids(&page), [1, 2, 3]);
}

#[test]
fn health_figures_slide_and_are_of_successes_only() {
    let mut health = Health::new(at(0), 600);
    let mut take = |millis: i64, duration: i64, succeeded: bool| {
        let mut record = record(Role::Producer);
        (record.request_in, record.response_out) = (at(millis), Some(at(millis + duration)));
        record.succeeded = succeeded;
        health.take(&record, Some("REST"), at(millis + duration));
    };
    take(0, 10, true);
    take(1000, 20, true);
    take(2000, 999, false);
    health.take(&record(Role::Client), Some("REST"), at(0));
    let told = health.services(None, at(5000));
    let [service] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((service.last_success, service.last_failure), (Some(at(1020)), Some(at(2999))));
    let statistics = &service.statistics;
    assert_eq!((statistics.successes, statistics.failures), (2, 1));
    let duration = &statistics.duration;
    assert_eq!((duration.min(), duration.max(), duration.mean()), (10, 20, 15.0));
    assert!((duration.deviation() - 50f64.sqrt()).abs() < 1e-9);
    assert_eq!(statistics.request_size.max(), 105);
    assert!(health.services(Some(&client("100")), at(5000)).is_empty());
    let later = health.services(Some(&client("200")), at(700_000));
    assert_eq!((later[0].statistics.successes, later[0].last_success), (0, Some(at(1020))));
}
