//! getSecurityServerMetrics (X-Road 7.8 behaviour).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::answer::Elements;
use super::{plain, request};
use crate::control::monitoring::{Histogram, Metric};
use crate::crypto::Certificate;
use crate::exchange::context::Worker;
use crate::exchange::metaservice::SoapAnswer;
use crate::message::{ErrorCode, SoapHeader, SoapMessage, XRoadError};
use crate::trust::TrustSnapshot;

/// Service code.
pub const METRICS: &str = "getSecurityServerMetrics";
/// Namespace of the service.
const NAMESPACE: &str = "http://x-road.eu/xsd/monitoring";
const RESPONSE: &str = "getSecurityServerMetricsResponse";

/// Step, before the signature is verified: only the owner and the central monitoring client may ask, else
/// `access_denied`.
pub fn check_access(worker: &Worker, trust: &TrustSnapshot, header: &SoapHeader) -> Result<(), XRoadError> {
    let allowed = is_owner(worker, header) || trust.global_conf.monitoring_client() == Some(&header.client);
    if allowed {
        return Ok(());
    }
    Err(XRoadError::new(ErrorCode::AccessDenied, format!("request is not allowed: {}", header.service)))
}

fn is_owner(worker: &Worker, header: &SoapHeader) -> bool {
    header.client == worker.shared.config.server_id.owner().client()
}

/// Answers. Error: `invalid_request`.
pub async fn answer(worker: &Worker, message: &SoapMessage) -> Result<SoapAnswer, XRoadError> {
    let (prefix, fields) = request::output(message, NAMESPACE)
        .map_err(|text| XRoadError::new(ErrorCode::InvalidRequest, text))?;
    let fields = fields.unwrap_or_default();
    let everything =
        is_owner(worker, message.header()) || !worker.shared.config.monitoring.limit_remote_data_set;
    let mut metrics = Vec::new();
    if is_wanted(&fields, "Certificates") {
        metrics.push(Metric::Set("Certificates".into(), certificates(worker)));
    }
    metrics.extend(of_host(worker, fields, everything).await?);

    let config = &worker.shared.config;
    let server = format!("{}:{}", config.server_id.type_name(), config.server_id);
    let version = Metric::Text("proxyVersion".into(), config.proxy.version.clone());
    let root = Metric::Set(server, vec![version, Metric::Set("systemMetrics".into(), metrics)]);
    let mut elements = Elements::open_root(&prefix, NAMESPACE, RESPONSE);
    push(&mut elements, &root);
    Ok(plain(message, &elements.finish(RESPONSE)))
}

fn is_wanted(fields: &BTreeSet<String>, name: &str) -> bool {
    fields.is_empty() || fields.contains(name)
}

// Lists of processes are many small files: read where no message waits.
async fn of_host(
    worker: &Worker,
    fields: BTreeSet<String>,
    everything: bool,
) -> Result<Vec<Metric>, XRoadError> {
    let (environment, now) = (Arc::clone(&worker.shared.environment), worker.now());
    let read = move || environment.metrics(&|name| is_wanted(&fields, name), everything, now);
    let task = worker.shared.control.spawn_blocking(read);
    task.await.map_err(|_| XRoadError::new(ErrorCode::InternalError, "the metrics could not be read"))
}

fn certificates(worker: &Worker) -> Vec<Metric> {
    let mut told: Vec<Metric> = Vec::new();
    let mut tell = |certificate: &Certificate, kind: &str, active: bool| {
        let metric = certificate_metric(certificate, kind, active);
        if !told.contains(&metric) {
            told.push(metric);
        }
    };
    for key in worker.shared.signer.keys() {
        for found in &key.certificates {
            tell(&found.certificate, "AUTH_OR_SIGN", found.active);
        }
    }
    let der = |der: &Vec<u8>| Certificate::from_der(der).ok();
    if let Some(internal) = worker.shared.internal_certificate.as_ref().and_then(der) {
        tell(&internal, "SECURITY_SERVER_TLS", true);
    }
    let registry = worker.registry();
    let registered = registry.clients().iter().flat_map(|client| &client.certificates);
    for certificate in registered.filter_map(der) {
        tell(&certificate, "INTERNAL_IS_CLIENT_TLS", true);
    }
    told
}

// The field is called sha1Hash and holds a SHA-256 hash (X-Road 7.8 behaviour).
fn certificate_metric(certificate: &Certificate, kind: &str, active: bool) -> Metric {
    let pairs: Vec<String> = certificate.sha256().iter().map(|byte| format!("{byte:02X}")).collect();
    let hash = pairs.join(":");
    let text = |name: &str, value: &str| Metric::Text(name.into(), value.into());
    let fields = vec![
        text("sha1Hash", &hash),
        text("notBefore", &certificate.not_before().to_rfc3339()),
        text("notAfter", &certificate.not_after().to_rfc3339()),
        text("certificateType", kind),
        text("active", if active { "true" } else { "false" }),
    ];
    Metric::Set(format!("certificate-{hash}"), fields)
}

fn push(elements: &mut Elements, metric: &Metric) {
    let element = match metric {
        Metric::Number(..) => "numericMetric",
        Metric::Text(..) => "stringMetric",
        Metric::Histogram(..) => "histogramMetric",
        Metric::Set(..) => "metricSet",
    };
    elements.open(element);
    elements.text("name", metric.name());
    match metric {
        Metric::Number(_, value) | Metric::Text(_, value) => elements.text("value", value),
        Metric::Histogram(_, histogram) => {
            let Histogram { updated, min, max, mean, median, deviation } = histogram;
            elements.text("updated", updated);
            for (name, value) in
                [("min", min), ("max", max), ("mean", mean), ("median", median), ("stddev", deviation)]
            {
                elements.text(name, value);
            }
        }
        Metric::Set(_, metrics) => metrics.iter().for_each(|metric| push(elements, metric)),
    }
    elements.close(element);
}
