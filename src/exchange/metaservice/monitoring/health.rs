//! getSecurityServerHealthData: any registered client may ask.

use super::answer::Elements;
use super::{NAMESPACE, invalid, plain, request};
use crate::control::monitoring::{ServiceHealth, Spread};
use crate::exchange::context::Worker;
use crate::exchange::metaservice::SoapAnswer;
use crate::message::{SoapMessage, XRoadError};

const RESPONSE: &str = "getSecurityServerHealthDataResponse";

pub fn answer(worker: &Worker, message: &SoapMessage) -> Result<SoapAnswer, XRoadError> {
    let request = request::health(message, NAMESPACE).map_err(invalid)?;
    let now = worker.now();
    let (started, period, services) = worker.shared.monitoring.health(|health| {
        (health.started(), health.period_secs(), health.services(request.provider.as_ref(), now))
    });
    let mut elements = Elements::open_root(&request.prefix, NAMESPACE, RESPONSE);
    elements.text("monitoringStartupTimestamp", started.millis());
    elements.text("statisticsPeriodSeconds", period);
    elements.open("servicesEvents");
    services.iter().for_each(|service| push(&mut elements, service));
    elements.close("servicesEvents");
    Ok(plain(message, &elements.finish(RESPONSE)))
}

fn push(elements: &mut Elements, health: &ServiceHealth) {
    elements.open("serviceEvents");
    elements.service("service", &health.service);
    elements.optional("lastSuccessfulRequestTimestamp", health.last_success.map(|at| at.millis()));
    elements.optional("lastUnsuccessfulRequestTimestamp", health.last_failure.map(|at| at.millis()));
    elements.optional("serviceType", health.service_type);
    elements.open("lastPeriodStatistics");
    let statistics = &health.statistics;
    elements.text("successfulRequestCount", statistics.successes);
    elements.text("unsuccessfulRequestCount", statistics.failures);
    if statistics.successes > 0 {
        let names =
            ["requestMinDuration", "requestAverageDuration", "requestMaxDuration", "requestDurationStdDev"];
        spread(elements, names, &statistics.duration);
        let names = ["requestMinSize", "requestAverageSize", "requestMaxSize", "requestSizeStdDev"];
        spread(elements, names, &statistics.request_size);
        let names = ["responseMinSize", "responseAverageSize", "responseMaxSize", "responseSizeStdDev"];
        spread(elements, names, &statistics.response_size);
    }
    elements.close("lastPeriodStatistics");
    elements.close("serviceEvents");
}

fn spread(elements: &mut Elements, [min, mean, max, deviation]: [&str; 4], spread: &Spread) {
    elements.text(min, spread.min());
    elements.text(mean, format_args!("{:?}", spread.mean()));
    elements.text(max, spread.max());
    elements.text(deviation, format_args!("{:?}", spread.deviation()));
}
