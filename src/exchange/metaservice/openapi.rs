//! An OpenAPI description without the addresses of inner servers.

use serde_json::Value as Json;
use serde_yaml_ng::Value as Yaml;

use crate::message::{ErrorCode, XRoadError};

/// Rewrites `servers[].url` of an OpenAPI 3 description to its path; one with `{variables}` stays. JSON or YAML by the
/// content type, else by the suffix of the URL, else YAML. Error: `internal_error` for what is no such description.
pub fn anonymise(document: &[u8], content_type: &str, url: &str) -> Result<Vec<u8>, XRoadError> {
    if is_json(content_type, url) {
        let mut root: Json = serde_json::from_slice(document).map_err(|error| unreadable(&error))?;
        check_version(root.get("openapi").and_then(Json::as_str))?;
        for server in root.get_mut("servers").and_then(Json::as_array_mut).into_iter().flatten() {
            if let Some(url) = server.get_mut("url")
                && let Some(path) = url.as_str().and_then(path_of)
            {
                *url = Json::from(path);
            }
        }
        return Ok(root.to_string().into_bytes());
    }
    let mut root: Yaml = serde_yaml_ng::from_slice(document).map_err(|error| unreadable(&error))?;
    check_version(root.get("openapi").and_then(Yaml::as_str))?;
    for server in root.get_mut("servers").and_then(Yaml::as_sequence_mut).into_iter().flatten() {
        if let Some(url) = server.get_mut("url")
            && let Some(path) = url.as_str().and_then(path_of)
        {
            *url = Yaml::from(path);
        }
    }
    serde_yaml_ng::to_string(&root).map(String::into_bytes).map_err(|error| unreadable(&error))
}

fn is_json(content_type: &str, url: &str) -> bool {
    if content_type.contains("application/json") {
        return true;
    }
    !content_type.starts_with("application/x-yaml") && url.ends_with(".json")
}

fn check_version(version: Option<&str>) -> Result<(), XRoadError> {
    match version {
        Some(version) if version.starts_with("3.") => Ok(()),
        _ => Err(XRoadError::new(ErrorCode::InternalError, "the service's description is not OpenAPI 3")),
    }
}

// The path component of an address; `None` leaves the address as it is.
fn path_of(url: &str) -> Option<String> {
    if url.contains('{') {
        return None;
    }
    let after_scheme = url.find("://").and_then(|at| url.get(at + 3..));
    let path = match after_scheme {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or(""),
        None => url,
    };
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path.get(..end).map(str::to_string)
}

fn unreadable(error: &dyn std::fmt::Display) -> XRoadError {
    XRoadError::new(ErrorCode::InternalError, format!("the service's description cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_addresses_become_paths() {
        let json = br#"{"openapi":"3.0.1","b":1,"servers":[{"url":"http://10.0.0.1:9/cap/pets"},{"url":"http://h:9"},{"url":"https://{host}/v1"},{"url":"/rel"}],"a":{}}"#;
        let out = anonymise(json, "application/json;charset=utf-8", "").unwrap();
        let expected = r#"{"openapi":"3.0.1","b":1,"servers":[{"url":"/cap/pets"},{"url":""},{"url":"https://{host}/v1"},{"url":"/rel"}],"a":{}}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn yaml_keeps_its_order_and_types() {
        let yaml =
            b"openapi: 3.0.3\ninfo: {version: \"1.2\"}\nservers:\n- url: http://h/x\npaths:\n  /a: {}\n";
        let out = String::from_utf8(anonymise(yaml, "application/x-yaml", "u.json").unwrap()).unwrap();
        assert!(out.contains("url: /x"), "{out}");
        assert!(out.find("info").unwrap() < out.find("paths").unwrap());
        let read: Yaml = serde_yaml_ng::from_str(&out).unwrap();
        assert_eq!(read["info"]["version"].as_str(), Some("1.2"));
    }

    #[test]
    fn other_documents_are_refused() {
        assert!(anonymise(b"swagger: \"2.0\"", "", "").is_err());
        assert!(anonymise(b"{", "application/json", "").is_err());
    }
}
