//! Calling a service of a local provider (`transport.md` 6).

use std::time::{Duration, Instant};

use hyper::Uri;

use super::context::Worker;
use super::counters::Phase;
use super::http_failure::http_failure;
use crate::message::{ErrorCode, XRoadError};
use crate::registry::{Client, Service};
use crate::worker::{ClientConnection, HttpError, ResponseHead, Target, resolve};

/// Where a service is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAddress {
    host: String,
    port: u16,
    tls: bool,
    path: String,
    query: Option<String>,
}

impl ServiceAddress {
    /// Reads a service's URL. Errors: `service_missing_url`, `service_malformed_url`.
    pub fn parse(url: &str) -> Result<Self, XRoadError> {
        if url.trim().is_empty() {
            return Err(XRoadError::new(ErrorCode::ServiceMissingUrl, "the service has no address"));
        }
        let malformed = |why: String| {
            XRoadError::new(ErrorCode::ServiceMalformedUrl, format!("the service's address \"{url}\" {why}"))
        };
        let uri: Uri = url.parse().map_err(|error| malformed(format!("is not a URL: {error}")))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(malformed("is neither http nor https".into())),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| malformed("has no host".into()))?.to_string();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { host, port, tls, path: uri.path().to_string(), query: uri.query().map(str::to_string) })
    }

    /// The request target of the service itself.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The request target for a REST call: the path after the service code is appended to the service's own path, one
    /// slash dropped where both have one; nothing is decoded (`transport.md` 6.2).
    pub fn rest_target(&self, service_path: &str, query: Option<&str>) -> String {
        let base = match service_path.strip_prefix('/') {
            Some(_) => self.path.strip_suffix('/').unwrap_or(&self.path),
            None => &self.path,
        };
        let path = if service_path.is_empty() { self.path.clone() } else { format!("{base}{service_path}") };
        match query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        }
    }

    /// The value of the Host header field.
    pub fn authority(&self) -> String {
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

/// Opens a connection to a service, with the internal certificate as client certificate under TLS. Where the service
/// asks for it, the server's leaf must be one of the provider's registered certificates, else
/// `ssl_authentication_failed`; names are not compared (`transport.md` 6.4).
pub async fn connect(
    worker: &Worker,
    provider: &Client,
    service: &Service,
    address: &ServiceAddress,
) -> Result<ClientConnection, XRoadError> {
    let timeout = timeout(worker, service);
    let whom = || format!("service {}", service.id);
    let connected = async {
        let addresses = resolve(&address.host, address.port).await?;
        let target = match address.tls {
            true => Target::tls(addresses, address.host.as_str(), worker.shared.service_tls.clone()),
            false => Target::plain(addresses),
        };
        worker.services.acquire(&target, timeout).await
    };
    let mut connection: ClientConnection =
        connected.await.map_err(|error: HttpError| http_failure(&error, &whom()))?;
    connection.set_stall_timeout(timeout);
    if address.tls && service.verify_tls {
        let certificates = connection.peer_certificates();
        if !certificates.first().is_some_and(|leaf| provider.has_certificate(leaf)) {
            let text = format!("the TLS certificate of {} is not one of the provider's certificates", whom());
            return Err(XRoadError::new(ErrorCode::SslAuthenticationFailed, text));
        }
    }
    Ok(connection)
}

/// Waits for the head of the service's answer.
pub async fn read_head(
    worker: &Worker,
    service: &Service,
    connection: &mut ClientConnection,
) -> Result<ResponseHead, XRoadError> {
    let whom = || format!("service {}", service.id);
    let began = Instant::now();
    let head = connection.read_head(timeout(worker, service)).await;
    worker.shared.counters.phase(Phase::Service, began);
    head.map_err(|error| http_failure(&error, &whom()))
}

/// How long the service may take: its own setting, or the configured default; 0 is no limit of its own.
pub fn timeout(worker: &Worker, service: &Service) -> Duration {
    const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);
    let secs = service.timeout_secs.unwrap_or(worker.shared.config.proxy.service_timeout_secs);
    if secs == 0 { NO_LIMIT } else { Duration::from_secs(secs.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_target_joins_service_and_path_without_decoding() {
        let address = ServiceAddress::parse("http://svc.example:9000/base/").unwrap();
        assert_eq!(address.rest_target("", None), "/base/");
        assert_eq!(address.rest_target("/", None), "/base/");
        assert_eq!(address.rest_target("/a%2Fb;c", Some("")), "/base/a%2Fb;c?");
        let address = ServiceAddress::parse("https://svc.example/base").unwrap();
        assert_eq!(address.rest_target("/a", Some("x=1?2")), "/base/a?x=1?2");
        assert_eq!(address.rest_target("", None), "/base");
        assert_eq!(address.authority(), "svc.example");
        assert_eq!(ServiceAddress::parse("http://svc:81").unwrap().rest_target("/p", None), "/p");
    }

    #[test]
    fn errors_name_the_address() {
        assert_eq!(ServiceAddress::parse(" ").unwrap_err().code(), "service_missing_url");
        assert_eq!(ServiceAddress::parse("ftp://x/").unwrap_err().code(), "service_malformed_url");
        assert_eq!(ServiceAddress::parse("not a url").unwrap_err().code(), "service_malformed_url");
    }
}
