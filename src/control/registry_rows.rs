//! Rows of the registry database to clients and back.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::registry_db::RegistryDbError;
use crate::message::{ClientId, GlobalGroupId, LocalGroupId, ServiceId};
use crate::registry::{
    Client, ClientStatus, ConnectionType, Endpoint, LocalGroup, PathGlob, Service, ServiceType, Subject,
};

type Result<T> = std::result::Result<T, RegistryDbError>;

/// All clients with all that belongs to them.
pub(super) async fn read_clients(db: &mut SqliteConnection) -> Result<Vec<Client>> {
    let mut clients: HashMap<i64, Client> = HashMap::new();
    for row in all(db, "SELECT * FROM client").await? {
        clients.insert(row.try_get("id")?, client(&row)?);
    }
    for row in all(db, "SELECT * FROM certificate").await? {
        if let Some(client) = clients.get_mut(&row.try_get("client_id")?) {
            client.certificates.insert(row.try_get("der")?);
        }
    }
    for row in all(db, "SELECT * FROM service").await? {
        if let Some(client) = clients.get_mut(&row.try_get("client_id")?) {
            client.services.push(service(&row, &client.id)?);
        }
    }
    let mut members: HashMap<i64, Vec<ClientId>> = HashMap::new();
    for row in all(db, "SELECT * FROM group_member").await? {
        members.entry(row.try_get("group_id")?).or_default().push(client_id(&row)?);
    }
    for row in all(db, "SELECT * FROM local_group").await? {
        if let Some(client) = clients.get_mut(&row.try_get("client_id")?) {
            let members = members.remove(&row.try_get("id")?).unwrap_or_default();
            client.local_groups.push(LocalGroup {
                id: local_group_id(&row)?,
                description: row.try_get("description")?,
                members: members.into_iter().collect(),
            });
        }
    }
    let mut rights: HashMap<i64, Vec<Subject>> = HashMap::new();
    for row in all(db, "SELECT * FROM access_right").await? {
        rights.entry(row.try_get("endpoint_id")?).or_default().push(subject(&row)?);
    }
    for row in all(db, "SELECT * FROM endpoint").await? {
        if let Some(client) = clients.get_mut(&row.try_get("client_id")?) {
            let path: String = row.try_get("path")?;
            client.endpoints.push(Endpoint {
                service_code: row.try_get("service_code")?,
                method: row.try_get("method")?,
                path: PathGlob::new(&path).map_err(|_| RegistryDbError::Value("path pattern", path))?,
                access: rights.remove(&row.try_get("id")?).unwrap_or_default().into_iter().collect(),
            });
        }
    }
    Ok(clients.into_values().collect())
}

async fn all(db: &mut SqliteConnection, sql: &'static str) -> Result<Vec<SqliteRow>> {
    Ok(sqlx::query(sql).fetch_all(db).await?)
}

fn named<T: Copy>(what: &'static str, names: &[(&'static str, T)], text: String) -> Result<T> {
    let found = names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or(RegistryDbError::Value(what, text))
}

fn client_id(row: &SqliteRow) -> Result<ClientId> {
    let (instance, class, code): (String, String, String) =
        (row.try_get("instance")?, row.try_get("member_class")?, row.try_get("member_code")?);
    let subsystem: Option<String> = row.try_get("subsystem_code")?;
    ClientId::new(&instance, &class, &code, subsystem.as_deref())
        .map_err(|error| RegistryDbError::Value("client identifier", error.to_string()))
}

fn local_group_id(row: &SqliteRow) -> Result<LocalGroupId> {
    let code: String = row.try_get("group_code")?;
    LocalGroupId::new(&code).map_err(|_| RegistryDbError::Value("group code", code))
}

fn client(row: &SqliteRow) -> Result<Client> {
    Ok(Client {
        id: client_id(row)?,
        status: named("client status", &ClientStatus::NAMES, row.try_get("status")?)?,
        connection_type: named("connection type", &ConnectionType::NAMES, row.try_get("connection_type")?)?,
        certificates: Default::default(),
        services: Vec::new(),
        endpoints: Vec::new(),
        local_groups: Vec::new(),
    })
}

fn service(row: &SqliteRow, provider: &ClientId) -> Result<Service> {
    let code: String = row.try_get("service_code")?;
    let version: Option<String> = row.try_get("service_version")?;
    Ok(Service {
        id: ServiceId::new(provider, &code, version.as_deref())
            .map_err(|_| RegistryDbError::Value("service code", code))?,
        service_type: named("service type", &ServiceType::NAMES, row.try_get("service_type")?)?,
        url: row.try_get("url")?,
        description_url: row.try_get("description_url")?,
        verify_tls: row.try_get("verify_tls")?,
        timeout_secs: row.try_get("timeout_secs")?,
        disabled: row.try_get("disabled_notice")?,
        log_bodies: row.try_get("log_bodies")?,
        refuse_repeats: row.try_get("refuse_repeats")?,
    })
}

fn subject(row: &SqliteRow) -> Result<Subject> {
    let kind: String = row.try_get("subject_type")?;
    match kind.as_str() {
        "CLIENT" => Ok(Subject::Client(client_id(row)?)),
        "LOCALGROUP" => Ok(Subject::LocalGroup(local_group_id(row)?)),
        "GLOBALGROUP" => {
            let (instance, code): (String, String) = (row.try_get("instance")?, row.try_get("group_code")?);
            let group = GlobalGroupId::new(&instance, &code);
            group.map(Subject::GlobalGroup).map_err(|_| RegistryDbError::Value("group code", code))
        }
        _ => Err(RegistryDbError::Value("subject type", kind)),
    }
}

/// Removes a client and all that belongs to it.
pub(super) async fn delete_client(db: &mut SqliteConnection, client: &Client) -> Result<()> {
    let sql = "DELETE FROM client WHERE instance = ? AND member_class = ? AND member_code = ? AND subsystem_code IS ?";
    let query = bind_id(sqlx::query(sql), &client.id);
    query.execute(db).await?;
    Ok(())
}

/// Writes a client that is not there.
pub(super) async fn write_client(db: &mut SqliteConnection, client: &Client) -> Result<()> {
    let sql = "INSERT INTO client (instance, member_class, member_code, subsystem_code, status, connection_type) \
               VALUES (?, ?, ?, ?, ?, ?) RETURNING id";
    let id: i64 = bind_id(sqlx::query(sql), &client.id)
        .bind(client.status.as_str())
        .bind(client.connection_type.as_str())
        .fetch_one(&mut *db)
        .await?
        .try_get("id")?;
    for der in &client.certificates {
        let query = sqlx::query("INSERT INTO certificate (client_id, der) VALUES (?, ?)").bind(id);
        query.bind(der.as_slice()).execute(&mut *db).await?;
    }
    for service in &client.services {
        write_service(db, id, service).await?;
    }
    for endpoint in &client.endpoints {
        write_endpoint(db, id, endpoint).await?;
    }
    for group in &client.local_groups {
        write_group(db, id, group).await?;
    }
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments<'q>>;

fn bind_id<'q>(query: Query<'q>, id: &'q ClientId) -> Query<'q> {
    query.bind(id.instance()).bind(id.member_class()).bind(id.member_code()).bind(id.subsystem_code())
}

async fn write_service(db: &mut SqliteConnection, client: i64, service: &Service) -> Result<()> {
    let sql = "INSERT INTO service (client_id, service_code, service_version, service_type, url, description_url, \
               verify_tls, timeout_secs, disabled_notice, log_bodies, refuse_repeats) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(client)
        .bind(service.id.service_code())
        .bind(service.id.service_version())
        .bind(service.service_type.as_str())
        .bind(&service.url)
        .bind(&service.description_url)
        .bind(service.verify_tls)
        .bind(service.timeout_secs)
        .bind(&service.disabled)
        .bind(service.log_bodies)
        .bind(service.refuse_repeats)
        .execute(db)
        .await?;
    Ok(())
}

async fn write_endpoint(db: &mut SqliteConnection, client: i64, endpoint: &Endpoint) -> Result<()> {
    let sql = "INSERT INTO endpoint (client_id, service_code, method, path) VALUES (?, ?, ?, ?) RETURNING id";
    let id: i64 = sqlx::query(sql)
        .bind(client)
        .bind(&endpoint.service_code)
        .bind(&endpoint.method)
        .bind(endpoint.path.pattern())
        .fetch_one(&mut *db)
        .await?
        .try_get("id")?;
    let sql = "INSERT INTO access_right (endpoint_id, subject_type, instance, member_class, member_code, \
               subsystem_code, group_code) VALUES (?, ?, ?, ?, ?, ?, ?)";
    for subject in &endpoint.access {
        let query = sqlx::query(sql).bind(id);
        let none: Option<&str> = None;
        let query = match subject {
            Subject::Client(client) => bind_id(query.bind("CLIENT"), client).bind(none),
            Subject::GlobalGroup(group) => {
                let query = query.bind("GLOBALGROUP").bind(group.instance());
                query.bind(none).bind(none).bind(none).bind(group.group_code())
            }
            Subject::LocalGroup(group) => {
                let query = query.bind("LOCALGROUP").bind(none);
                query.bind(none).bind(none).bind(none).bind(group.group_code())
            }
        };
        query.execute(&mut *db).await?;
    }
    Ok(())
}

async fn write_group(db: &mut SqliteConnection, client: i64, group: &LocalGroup) -> Result<()> {
    let sql = "INSERT INTO local_group (client_id, group_code, description) VALUES (?, ?, ?) RETURNING id";
    let query = sqlx::query(sql).bind(client).bind(group.id.group_code()).bind(&group.description);
    let id: i64 = query.fetch_one(&mut *db).await?.try_get("id")?;
    let sql = "INSERT INTO group_member (group_id, instance, member_class, member_code, subsystem_code) \
               VALUES (?, ?, ?, ?, ?)";
    for member in &group.members {
        bind_id(sqlx::query(sql).bind(id), member).execute(&mut *db).await?;
    }
    Ok(())
}
