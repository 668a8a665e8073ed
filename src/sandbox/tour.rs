//! What a newcomer is shown: one message of each kind, a container downloaded and verified, and lines to copy.

use std::fmt::Write as _;
use std::path::PathBuf;

use axum::body::Bytes;
use axum::http::Response;

use super::client::Client;
use super::ecosystem::Ecosystem;
use super::error::SandboxError;
use super::messages::{Kind, Message};
use super::plan::{MEMBER_CLASS, Plan, ports};
use super::{proof, traffic};

/// Who there is and where, as text.
pub fn describe(ecosystem: &Ecosystem) -> String {
    let plan = ecosystem.plan();
    let mut out = format!("Instance {}, everything in {}\n", plan.instance, ecosystem.directory().display());
    for server in ecosystem.servers() {
        let _ = writeln!(
            out,
            "  {:<4} security server {}, subsystem {}: {}",
            server.plan().code,
            server.plan().server_id(),
            server.plan().subsystem(),
            server.consumer_url(),
        );
    }
    for (name, port) in [
        ("certificate authority, POST /sign", ports::CA),
        ("OCSP responder", ports::OCSP),
        ("time-stamping authority", ports::TSA),
        ("configuration source", ports::SOURCE),
        ("example REST service", ports::REST),
        ("example SOAP service", ports::SOAP),
    ] {
        let _ = writeln!(out, "  {name}: {}", plan.service_url(port));
    }
    out
}

/// Sends a message of each kind, downloads and verifies the evidence of the last, and tells `say` about it, one
/// paragraph at a time.
///
/// # Errors
/// The first thing that goes wrong, in words.
pub async fn show(ecosystem: &Ecosystem, say: &(dyn Fn(&str) + Sync)) -> Result<(), SandboxError> {
    let plan = ecosystem.plan();
    let (consumer, provider) = (plan.consumer(), &plan.providers()[0]);
    let client = Client::default();
    let run = super::random_text(6);

    let pets = format!("{}/r1/{}/pets", consumer.consumer_url(), provider.subsystem());
    let answer = client.get(&pets, &[("X-Road-Client", &consumer.subsystem())]).await?;
    if answer.status() != 200 {
        return Err(SandboxError::Exchange(format!("GET {pets}: {}", shown(&answer))));
    }
    say(&format!("{} asked {} for its pets: {}", consumer.subsystem(), provider.subsystem(), shown(&answer)));

    let mut last = String::new();
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        let message = Message::new(plan, provider, kind, format!("tour-{run}-{}", index + 1));
        traffic::send_one(&client, &message)
            .await
            .map_err(|reason| SandboxError::Exchange(format!("{}: {reason}", kind.name())))?;
        say(&format!(
            "{} {}: signed, exchanged, logged on both sides, answered; the answer is right byte for byte.",
            kind.name(),
            message.message_id
        ));
        last = message.message_id;
    }

    let container = download(ecosystem, &client, &last).await?;
    let conf = verification_conf(ecosystem, &client).await?;
    say(&proof::judge_files(&container, &conf)?);
    say(&format!(
        "Judge it again:\n  {} verify {} --conf {}",
        ecosystem.binary().display(),
        container.display(),
        conf.display()
    ));
    Ok(())
}

/// Lines for a terminal, ready to be copied. The SOAP message that one of them sends is put into the sandbox's directory.
///
/// # Errors
/// When that file cannot be written.
pub fn curl_lines(ecosystem: &Ecosystem) -> Result<String, SandboxError> {
    let plan = ecosystem.plan();
    let (consumer, provider) = (plan.consumer(), &plan.providers()[0]);
    let (url, client, service) = (consumer.consumer_url(), consumer.subsystem(), provider.subsystem());
    let envelope = ecosystem.directory().join("soap-request.xml");
    let soap = Message::new(plan, provider, Kind::Soap, "mine-soap".to_owned());
    std::fs::write(&envelope, &soap.body).map_err(SandboxError::file("write", &envelope))?;
    let own_id = format!("mine-{}", super::random_text(4));
    Ok(format!(
        "Try it yourself, in another terminal. REST, without and with a body, and SOAP:
  curl -H 'X-Road-Client: {client}' {url}/r1/{service}/pets
  curl -H 'X-Road-Client: {client}' -H 'X-Road-Id: {own_id}' -H 'Content-Type: application/json' \\
       -d '{{\"name\":\"Fenrir\",\"kind\":\"wolf\"}}' {url}/r1/{service}/pets
  curl -H 'Content-Type: text/xml; charset=UTF-8' -H 'SOAPAction: \"\"' --data-binary @{envelope} {url}/
What the provider offers, and who there is:
  curl -H 'X-Road-Client: {client}' '{url}/r1/{service}/getOpenAPI?serviceCode=pets'
  curl -H 'Accept: application/json' {url}/listClients
The evidence of your second message, judged offline:
  curl -fsSo {own_id}.asice '{asic}'
  curl -fsSo verificationconf.zip {url}/verificationconf
  {hermod} verify {own_id}.asice --conf verificationconf.zip",
        asic = asic_url(plan, &own_id, "requestOnly&unique&force"),
        envelope = envelope.display(),
        hermod = ecosystem.binary().display(),
    ))
}

/// Downloads the request of the exchange `message_id` from the consumer's server, time-stamped on the spot, into the
/// sandbox's directory.
///
/// # Errors
/// When the server refuses or the file cannot be written.
pub async fn download(
    ecosystem: &Ecosystem,
    client: &Client,
    message_id: &str,
) -> Result<PathBuf, SandboxError> {
    let url = asic_url(ecosystem.plan(), message_id, "requestOnly&unique&force");
    save(ecosystem, client, &url, &format!("{message_id}-request.asice")).await
}

/// Downloads what `hermod verify --conf` needs from the consumer's server.
///
/// # Errors
/// As [`download`].
pub async fn verification_conf(ecosystem: &Ecosystem, client: &Client) -> Result<PathBuf, SandboxError> {
    let url = format!("{}/verificationconf", ecosystem.plan().consumer().consumer_url());
    save(ecosystem, client, &url, "verificationconf.zip").await
}

fn asic_url(plan: &Plan, message_id: &str, flags: &str) -> String {
    let consumer = plan.consumer();
    format!(
        "{}/asic?xRoadInstance={}&memberClass={MEMBER_CLASS}&memberCode={}&subsystemCode={}\
         &queryId={message_id}&{flags}",
        consumer.consumer_url(),
        consumer.instance,
        consumer.member_code,
        consumer.subsystem_code
    )
}

async fn save(
    ecosystem: &Ecosystem,
    client: &Client,
    url: &str,
    name: &str,
) -> Result<PathBuf, SandboxError> {
    let answer = client.get(url, &[]).await?;
    if answer.status() != 200 {
        return Err(SandboxError::Exchange(format!("GET {url}: {}", shown(&answer))));
    }
    let path = ecosystem.directory().join(name);
    std::fs::write(&path, answer.body()).map_err(SandboxError::file("write", &path))?;
    Ok(path)
}

fn shown(answer: &Response<Bytes>) -> String {
    let body = answer.body();
    let start = body.get(..body.len().min(300)).unwrap_or(body);
    format!("HTTP {}, {}", answer.status().as_u16(), String::from_utf8_lossy(start))
}
