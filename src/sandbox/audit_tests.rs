//! The audit on logs that were written without any security server.

use bytes::Bytes;

use super::*;
use crate::crypto::{Digest, DigestAlgorithm, SigningKey as _};
use crate::evidence::{SignatureTemplate, sign_batch, timestamp};
use crate::log::{LogConfig, LogHandle, Record, TimestampClient, Timestamper};
use crate::message::{ClientId, SecurityServerId, XRoadError};
use crate::sandbox::keys::Identity;
use crate::sandbox::plan::ports;
use crate::sandbox::proof::Conf;
use crate::sandbox::{Ecosystem, KeyType, Options};
use crate::time::{Clock as _, SystemClock};
use crate::trust::{Policy, ocsp_request};

struct OverHttp {
    url: String,
    ecosystem: Ecosystem,
}

impl TimestampClient for OverHttp {
    async fn stamp(&self, imprint: &Digest) -> Result<Bytes, XRoadError> {
        let request = axum::http::Request::post(&self.url);
        let request = request.body(http_body_util::Full::from(timestamp::request_der(imprint))).unwrap();
        let answer = Client::default().send(request).await.unwrap();
        let authorities = [self.ecosystem.pki().tsa.certificate().clone()];
        let accepted =
            timestamp::accept_response(answer.body(), imprint, &authorities, &Policy::default()).unwrap();
        Ok(accepted.token.into())
    }
}

fn template(ecosystem: &Ecosystem, signing: &Identity) -> SignatureTemplate {
    let request = ocsp_request(signing.certificate(), ecosystem.pki().ca.certificate());
    let response = Bytes::from(ecosystem.responder().respond(&request, SystemClock.now()));
    SignatureTemplate::new(signing.certificate(), &[], &[response], signing.key().algorithm())
}

fn messages(ecosystem: &Ecosystem, direction: Direction) -> Vec<(String, Bytes, Bytes)> {
    let (consumer, provider) = (ecosystem.plan().consumer(), &ecosystem.plan().servers[1]);
    let service = format!("{}/random", provider.subsystem());
    let head = |id: &str| match direction {
        Direction::Request => {
            format!(
                "GET\r\n/r1/{service}\r\nX-Road-Client:{}\r\nx-road-id:{id}\r\nAccept:a/b\r\n",
                consumer.subsystem()
            )
        }
        Direction::Response => format!(
            "200\r\nOK\r\nx-road-client:{}\r\nx-road-service:{service}\r\nx-road-id:{id}\r\n\
             x-road-request-id:r-{id}\r\nx-road-request-hash:AAAA\r\nContent-Type:a/b\r\n",
            consumer.subsystem()
        ),
    };
    let ids = (0..5).map(|n| format!("audit-{n}"));
    ids.map(|id| (id.clone(), head(&id).into(), Bytes::from(format!("body of {id}")))).collect()
}

/// Logs five requests and five responses on a server, each batch signed by its sender.
async fn write_log(client: &OverHttp, server: usize, bodies: bool) -> PathBuf {
    let ecosystem = &client.ecosystem;
    let plan = &ecosystem.plan().servers[server];
    let directory = ecosystem.server(server).files().log();
    let id = SecurityServerId::new("SANDBOX", "GOV", &plan.member_code, &plan.code).unwrap();
    let log =
        LogHandle::open(LogConfig::new(directory.clone(), id), std::sync::Arc::new(SystemClock)).unwrap();
    log.timestamp_status().set_provider_configured(true);
    for (direction, sender) in [(Direction::Request, 0), (Direction::Response, 1)] {
        let signing = &ecosystem.pki().servers[sender].signing;
        let template = template(ecosystem, signing);
        let messages = messages(ecosystem, direction);
        let digest = |bytes: &Bytes| DigestAlgorithm::Sha512.digest(bytes);
        let requests: Vec<Vec<Digest>> = messages.iter().map(|m| vec![digest(&m.1), digest(&m.2)]).collect();
        let signatures = sign_batch(&template, signing.key(), SystemClock.now(), &requests).unwrap();
        for ((query_id, message, body), signature) in messages.into_iter().zip(signatures) {
            let client =
                ClientId::new("SANDBOX", "GOV", &plan.member_code, Some(plan.subsystem_code)).unwrap();
            let (message, attachments) = match bodies {
                true => (message, vec![crate::log::Body::Bytes(body)]),
                false => (crate::log::reduced_rest_head(&message), Vec::new()),
            };
            let record = Record {
                query_id,
                message,
                signature,
                direction,
                client,
                consumer: None,
                service: None,
                x_request_id: None,
                attachments,
                metadata_only: !bodies,
            };
            log.append(record).await.unwrap();
        }
    }
    Timestamper::new(log.clone(), DigestAlgorithm::Sha512, 1000).run_until_none_waits(client).await.unwrap();
    log.close();
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn proves_every_exchange_of_both_logs_and_notices_a_missing_record() {
    let options = Options { key_type: KeyType::Ec, ..Options::new("hermod".into()) };
    let ecosystem = Ecosystem::prepare(options, &|_| ()).await.unwrap();
    let url = ecosystem.plan().service_url(ports::TSA);
    let client = OverHttp { url, ecosystem };
    let logs = [write_log(&client, 0, true).await, write_log(&client, 1, true).await];
    let plan = client.ecosystem.plan();
    let conf = Conf::of(&client.ecosystem).unwrap();
    let ids: HashSet<String> = (0..5).map(|n| format!("audit-{n}")).collect();
    let sides = |ids: &HashSet<String>| -> Vec<Side> {
        [0, 1].map(|n| judge_log(&plan.servers[n], &logs[n], ids, &conf).unwrap()).into()
    };
    for log in &logs {
        wait_stamped(log.clone()).await.unwrap();
    }
    let audit = sum(sides(&ids), Duration::ZERO);
    assert_eq!(audit.failures, [""; 0]);
    assert_eq!((audit.verified, audit.log_records), (5, LogRecords { consumer: 10, provider: 10 }));
    assert_eq!(audit.messages_per_signature(), 5.0);
    assert_eq!(client.ecosystem.stations().tsa.calls(), 2);
    let mut halved = sides(&ids);
    halved[1].proved.retain(|(id, direction)| id != "audit-3" || *direction == Direction::Request);
    assert_eq!(sum(halved, Duration::ZERO).verified, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_without_its_body_proves_who_signed_the_body_that_somebody_else_knows() {
    let options = Options { key_type: KeyType::Ec, ..Options::new("hermod".into()) };
    let ecosystem = Ecosystem::prepare(options, &|_| ()).await.unwrap();
    let url = ecosystem.plan().service_url(ports::TSA);
    let client = OverHttp { url, ecosystem };
    let log = write_log(&client, 0, false).await;
    let subsystem = |server: usize| {
        let plan = &client.ecosystem.plan().servers[server];
        ClientId::new("SANDBOX", "GOV", &plan.member_code, Some(plan.subsystem_code)).unwrap()
    };
    let mut judge = RecordJudge::new(&Conf::of(&client.ecosystem).unwrap());
    let mut records = 0;
    for record in open(&log).unwrap().iter() {
        let record = record.unwrap();
        let of = |text: String| DigestAlgorithm::Sha512.digest(text.as_bytes());
        let known = of(format!("body of {}", record.summary.query_id));
        let request = record.summary.direction == Direction::Request;
        let (signer, other) = (subsystem(usize::from(!request)), subsystem(usize::from(request)));
        let signed = messages(&client.ecosystem, record.summary.direction);
        let signed = signed.iter().find(|(id, ..)| *id == record.summary.query_id).unwrap();
        let message = judge.judge_reduced(&record, &signer, &known).unwrap();
        assert_eq!(message, DigestAlgorithm::Sha512.digest(&signed.1));
        assert!(judge.judge(&record).is_err(), "alone it proves nothing");
        assert!(judge.judge_reduced(&record, &other, &known).is_err(), "another signer");
        assert!(judge.judge_reduced(&record, &signer, &of("another body".to_owned())).is_err());
        records += 1;
    }
    assert_eq!(records, 10);
}
