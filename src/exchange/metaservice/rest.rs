//! REST metaservices: listMethods, allowedMethods, getOpenAPI (`transport.md` 7.2, PR-MREST).

use bytes::Bytes;
use serde_json::{Map, Value};

use super::download;
use super::openapi;
use crate::exchange::context::Worker;
use crate::exchange::download::Query;
use crate::message::{ErrorCode, RestRequest, RestResponse, RestResponseIds, ServiceId, XRoadError};
use crate::registry::{Registry, Service, ServiceType};
use crate::trust::TrustSnapshot;

/// Whether a request is one for a metaservice: GET and its service code.
pub fn claims(request: &RestRequest) -> bool {
    let code = request.service_id().service_code();
    request.method() == "GET" && matches!(code, "listMethods" | "allowedMethods" | "getOpenAPI")
}

/// The response and its body. Errors: `invalid_request` for a missing parameter, `internal_error` for a description
/// that is not there.
pub async fn answer(
    worker: &Worker,
    trust: &TrustSnapshot,
    registry: &Registry,
    request: &RestRequest,
    ids: &RestResponseIds<'_>,
) -> Result<(RestResponse, Bytes), XRoadError> {
    let (content_type, body) = match request.service_id().service_code() {
        "getOpenAPI" => open_api(worker, registry, request).await?,
        "listMethods" => ("application/json".into(), list(trust, registry, request, false)),
        _ => ("application/json".into(), list(trust, registry, request, true)),
    };
    // The hash covers the request part alone, as official servers have it: a GET has no body worth hashing.
    Ok((RestResponse::from_metaservice(request, &content_type, ids), body))
}

fn list(trust: &TrustSnapshot, registry: &Registry, request: &RestRequest, allowed_only: bool) -> Bytes {
    let provider = request.service_id().client();
    let client = request.client_id();
    let mut services = Vec::new();
    for service in registry.services_of(&provider).iter().filter(|service| service.service_type.is_rest()) {
        let code = service.id.service_code();
        let mut endpoints = Vec::new();
        let mut has_any_right = false;
        for endpoint in registry.endpoints_of(&provider, code) {
            let right = registry.has_right(client, &provider, endpoint, &*trust.global_conf);
            has_any_right |= right;
            if endpoint.is_base() || (allowed_only && !right) {
                continue;
            }
            let mut entry = Map::new();
            entry.insert("method".into(), endpoint.method.as_str().into());
            entry.insert("path".into(), endpoint.path.pattern().into());
            endpoints.push(Value::Object(entry));
        }
        let base_right = registry.is_allowed(
            client,
            &provider,
            code,
            crate::registry::Target::Service,
            &*trust.global_conf,
        );
        if allowed_only && base_right {
            endpoints = all_endpoints(registry, service);
        }
        if !allowed_only || has_any_right {
            services.push(describe(service, endpoints));
        }
    }
    let mut root = Map::new();
    root.insert("service".into(), Value::Array(services));
    Bytes::from(Value::Object(root).to_string())
}

fn all_endpoints(registry: &Registry, service: &Service) -> Vec<Value> {
    let endpoints =
        registry.endpoints_of(&service.id.client(), service.id.service_code()).collect::<Vec<_>>();
    let narrow = endpoints.into_iter().filter(|endpoint| !endpoint.is_base());
    narrow
        .map(|endpoint| {
            let mut entry = Map::new();
            entry.insert("method".into(), endpoint.method.as_str().into());
            entry.insert("path".into(), endpoint.path.pattern().into());
            Value::Object(entry)
        })
        .collect()
}

fn describe(service: &Service, endpoints: Vec<Value>) -> Value {
    let id: &ServiceId = &service.id;
    let provider = id.client();
    let mut entry = Map::new();
    entry.insert("member_class".into(), provider.member_class().into());
    entry.insert("member_code".into(), provider.member_code().into());
    if let Some(code) = provider.subsystem_code() {
        entry.insert("subsystem_code".into(), code.into());
    }
    entry.insert("service_code".into(), id.service_code().into());
    entry.insert("endpoint_list".into(), Value::Array(endpoints));
    entry.insert("object_type".into(), "SERVICE".into());
    let kind = if service.service_type == ServiceType::OpenApi3 { "OPENAPI" } else { "REST" };
    entry.insert("service_type".into(), kind.into());
    entry.insert("xroad_instance".into(), provider.instance().into());
    Value::Object(entry)
}

async fn open_api(
    worker: &Worker,
    registry: &Registry,
    request: &RestRequest,
) -> Result<(String, Bytes), XRoadError> {
    let internal = |text: String| XRoadError::new(ErrorCode::InternalError, text);
    let query = Query::of(request.target().as_bytes());
    let code = query.last_ignoring_case("serviceCode").filter(|code| !code.trim().is_empty());
    let code = code.ok_or_else(|| {
        XRoadError::new(ErrorCode::InvalidRequest, "the query parameter serviceCode is missing")
    })?;
    let provider = request.service_id().client();
    let service = registry
        .services_of(&provider)
        .iter()
        .find(|service| service.id.service_code() == code && service.service_type == ServiceType::OpenApi3);
    let service = service.ok_or_else(|| internal(format!("there is no OpenAPI service \"{code}\"")))?;
    let url = service.description_url.as_deref().unwrap_or(&service.url);
    let downloaded = download::description(worker, registry, service, url).await;
    let (content_type, document) = downloaded.map_err(|error| internal(error.text().to_string()))?;
    let content_type = content_type.unwrap_or_else(|| "text/plain".into());
    let body = openapi::anonymise(&document, &content_type, url)?;
    Ok((content_type, Bytes::from(body)))
}
