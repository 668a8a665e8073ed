//! Fetching a service's description from where the registry says it is, under the TLS rule of the service itself.

use crate::exchange::context::Worker;
use crate::exchange::http_failure::http_failure;
use crate::exchange::service_call::{self, ServiceAddress};
use crate::limits::DESCRIPTION_BYTES_MAX;
use crate::message::{ErrorCode, XRoadError, latin1_to_utf8};
use crate::registry::{Registry, Service};
use crate::worker::{BodyFraming, HttpError};

/// Content type, if any, and bytes of a description. Error: `internal_error` for a status other than 200 or a document
/// that is too large; failures of the connection have their own codes.
pub async fn description(
    worker: &Worker,
    registry: &Registry,
    service: &Service,
    url: &str,
) -> Result<(Option<String>, Vec<u8>), XRoadError> {
    let internal = |text: String| XRoadError::new(ErrorCode::InternalError, text);
    let address = ServiceAddress::parse(url)?;
    let provider = registry.client(&service.id.client());
    let provider = provider.ok_or_else(|| internal("the provider is gone".into()))?;
    let mut connection = service_call::connect(worker, provider, service, &address).await?;
    let failed = |error: HttpError| http_failure(&error, &format!("description of service {}", service.id));
    let headers = [("Host", address.authority()), ("User-Agent", "Hermod".to_string())];
    let target = address.target();
    let sent = async {
        connection.send_request("GET", target.as_bytes(), &headers, BodyFraming::None).await?;
        connection.finish_request().await
    };
    sent.await.map_err(failed)?;
    let head = service_call::read_head(worker, service, &mut connection).await?;
    if head.status != 200 {
        return Err(internal(format!("the description of {} answers HTTP {}", service.id, head.status)));
    }
    let mut document = Vec::new();
    while let Some(chunk) = connection.read_body_chunk().await.map_err(failed)? {
        if document.len() + chunk.len() > DESCRIPTION_BYTES_MAX {
            return Err(internal(format!("the description of {} is too large", service.id)));
        }
        document.extend_from_slice(&chunk);
    }
    let content_type = head.header("content-type").map(|value| latin1_to_utf8(value).into_owned());
    connection.release();
    Ok((content_type, document))
}
