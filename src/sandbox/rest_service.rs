//! The example REST service: pets in JSON with an OpenAPI description, an echo and a generator of answers of any size.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use serde::Deserialize;

use super::station::Stations;

/// The OpenAPI description of the `pets` service.
pub const OPENAPI: &str = r#"openapi: 3.0.3
info:
  title: Pets of the sandbox
  description: An example service behind a security server.
  version: 1.0.0
servers:
  - url: /pets
paths:
  /:
    get:
      summary: All pets
      responses:
        "200":
          description: A list of pets
    post:
      summary: Adds a pet; the answer repeats what was sent
      responses:
        "201":
          description: The pet
  /{id}:
    get:
      summary: One pet
      parameters:
        - name: id
          in: path
          required: true
          schema:
            type: integer
      responses:
        "200":
          description: The pet
        "404":
          description: There is no such pet
"#;

const PETS: [(&str, &str); 3] = [("Sleipnir", "horse"), ("Huginn", "raven"), ("Ratatoskr", "squirrel")];

/// The longest answer that the generator makes, in bytes.
const GENERATED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the generator answers: `size` bytes that anybody can compute.
pub fn generated(size: usize) -> Vec<u8> {
    b"0123456789abcdefghijklmnopqrstuvwxyz"
        .iter()
        .copied()
        .cycle()
        .take(size.min(GENERATED_BYTES_MAX))
        .collect()
}

/// The pets as JSON, as `GET /pets` answers them.
pub fn pets_json() -> String {
    let pets: Vec<String> = (1..=PETS.len()).filter_map(pet_json).collect();
    format!("[{}]", pets.join(","))
}

/// One pet as JSON; ids start at 1.
pub fn pet_json(id: usize) -> Option<String> {
    let (name, kind) = PETS.get(id.checked_sub(1)?)?;
    Some(format!("{{\"id\":{id},\"name\":\"{name}\",\"kind\":\"{kind}\"}}"))
}

/// The service over HTTP: `/pets`, `/pets/{id}`, `/echo`, `/random?size=N`, `/openapi.yaml`.
pub(super) fn router(stations: Arc<Stations>) -> Router {
    Router::new()
        .route("/pets", get(pets).post(add_pet))
        .route("/pets/", get(pets).post(add_pet))
        .route("/pets/{id}", get(pet))
        .route("/echo", any(echo))
        .route("/echo/{*path}", any(echo))
        .route("/random", get(random))
        .route("/openapi.yaml", get(openapi))
        .layer(DefaultBodyLimit::disable())
        .with_state(stations)
}

type Answer = Result<Response, StatusCode>;

fn json(status: StatusCode, body: impl IntoResponse) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn pets(State(stations): State<Arc<Stations>>) -> Answer {
    stations.rest.enter().await?;
    Ok(json(StatusCode::OK, pets_json()))
}

async fn pet(State(stations): State<Arc<Stations>>, Path(id): Path<usize>) -> Answer {
    stations.rest.enter().await?;
    Ok(match pet_json(id) {
        Some(pet) => json(StatusCode::OK, pet),
        None => json(StatusCode::NOT_FOUND, "{\"error\":\"there is no such pet\"}"),
    })
}

async fn add_pet(State(stations): State<Arc<Stations>>, body: Bytes) -> Answer {
    stations.rest.enter().await?;
    Ok(json(StatusCode::CREATED, body))
}

async fn echo(
    State(stations): State<Arc<Stations>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    stations.rest.enter().await?;
    if method == Method::DELETE {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let kind = headers.get(header::CONTENT_TYPE).cloned();
    let kind = kind.unwrap_or_else(|| axum::http::HeaderValue::from_static("application/octet-stream"));
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

#[derive(Deserialize)]
struct Size {
    #[serde(default)]
    size: usize,
}

async fn random(State(stations): State<Arc<Stations>>, Query(Size { size }): Query<Size>) -> Answer {
    stations.rest.enter().await?;
    Ok(([(header::CONTENT_TYPE, "text/plain")], generated(size)).into_response())
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/x-yaml")], OPENAPI).into_response()
}
