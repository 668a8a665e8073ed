//! What is registered in the sandbox: members, subsystems, servers and their clients.

use super::SUBSYSTEM;
use crate::control::management::ManagementRequest;
use crate::crypto;
use crate::message::{ClientId, SecurityServerId};
use crate::sandbox::pki::Pki;
use crate::sandbox::plan::{MEMBER_CLASS, Plan};

/// A security server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredServer {
    /// Code of the member that owns it.
    pub owner: String,
    /// Its own code.
    pub code: String,
    /// Host name or IP address.
    pub address: String,
    /// SHA-256 of its authentication certificates.
    pub certificates: Vec<[u8; 32]>,
    /// Its clients besides the owner, as member and subsystem codes, and whether each is switched on.
    pub clients: Vec<(String, Option<String>, bool)>,
    /// In maintenance, perhaps with a message.
    pub maintenance: Option<Option<String>>,
}

/// Everything that is registered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registrations {
    /// Codes and names of members.
    pub members: Vec<(String, String)>,
    /// Member code, code and name of subsystems.
    pub subsystems: Vec<(String, String, Option<String>)>,
    /// Security servers.
    pub servers: Vec<RegisteredServer>,
}

impl Registrations {
    /// What a sandbox begins with; `with_management` adds the provider of the management services.
    pub fn of(plan: &Plan, pki: &Pki, with_management: bool) -> Self {
        let mut all = Self::default();
        for (server, identities) in plan.servers.iter().zip(&pki.servers) {
            let (member, subsystem) = (server.member_code.clone(), server.subsystem_code.to_owned());
            for member in server.members() {
                let name = format!("The {} {subsystem}", member.name());
                all.members.push((member.member_code.clone(), member.name()));
                all.subsystems.push((member.member_code, subsystem.clone(), Some(name)));
            }
            let clients =
                server.members().into_iter().map(|m| (m.member_code, Some(subsystem.clone()), true));
            all.servers.push(RegisteredServer {
                owner: member,
                code: server.code.clone(),
                address: server.address.to_string(),
                certificates: vec![*identities.authentication.certificate().sha256()],
                clients: clients.collect(),
                maintenance: None,
            });
        }
        if with_management && let Some(first) = all.servers.first_mut() {
            let member = first.owner.clone();
            first.clients.push((member.clone(), Some(SUBSYSTEM.into()), true));
            all.subsystems.push((member, SUBSYSTEM.into(), Some("Management services".into())));
        }
        all
    }

    /// The server with this identifier.
    pub fn server(&self, id: &SecurityServerId) -> Option<&RegisteredServer> {
        self.servers.iter().find(|server| server.owner == id.member_code() && server.code == id.server_code())
    }

    /// Applies a request that was verified. Error: why it cannot be, as a line of text.
    pub fn apply(&mut self, id: &SecurityServerId, request: &ManagementRequest) -> Result<(), String> {
        if let ManagementRequest::AuthCertReg { address, certificate, .. } = request {
            return self.register_server(id, address, certificate);
        }
        let known = |server: &&mut RegisteredServer| {
            server.owner == id.member_code() && server.code == id.server_code()
        };
        let members: Vec<String> = self.members.iter().map(|(code, _)| code.clone()).collect();
        let server =
            self.servers.iter_mut().find(known).ok_or_else(|| format!("server {id} is not registered"))?;
        match request {
            ManagementRequest::AuthCertReg { .. } => {}
            ManagementRequest::AuthCertDeletion(certificate) => {
                let hash = crypto::sha256(certificate);
                if !server.certificates.contains(&hash) {
                    return Err("the certificate is not registered".into());
                }
                server.certificates.retain(|other| *other != hash);
            }
            ManagementRequest::ClientReg(client, name) => {
                let (member, subsystem) = codes(id, client)?;
                if !members.contains(&member) {
                    return Err(format!("member {member} is not known"));
                }
                if server.clients.iter().any(|(m, s, _)| (m, s) == (&member, &subsystem)) {
                    return Err(format!("{client} is registered already"));
                }
                server.clients.push((member.clone(), subsystem.clone(), true));
                if let Some(code) = subsystem
                    && !self.subsystems.iter().any(|(m, s, _)| (m, s) == (&member, &code))
                {
                    self.subsystems.push((member, code, name.clone()));
                }
            }
            ManagementRequest::ClientDeletion(client) => {
                let (member, subsystem) = codes(id, client)?;
                let before = server.clients.len();
                server.clients.retain(|(m, s, _)| (m, s) != (&member, &subsystem));
                if server.clients.len() == before {
                    return Err(format!("{client} is not registered"));
                }
            }
            ManagementRequest::ClientDisable(client) | ManagementRequest::ClientEnable(client) => {
                let (member, subsystem) = codes(id, client)?;
                let found = server
                    .clients
                    .iter_mut()
                    .find(|(m, s, _)| (&m[..], s.as_ref()) == (&member[..], subsystem.as_ref()));
                let (_, _, on) = found.ok_or_else(|| format!("{client} is not registered"))?;
                *on = matches!(request, ManagementRequest::ClientEnable(_));
            }
            ManagementRequest::ClientRename(client, name) => {
                let (member, subsystem) = codes(id, client)?;
                let found = self
                    .subsystems
                    .iter_mut()
                    .find(|(m, s, _)| (&m[..], Some(&s[..])) == (&member[..], subsystem.as_deref()));
                found.ok_or_else(|| format!("{client} is not known"))?.2 = Some(name.clone());
            }
            ManagementRequest::OwnerChange(client) => {
                let (member, _) = codes(id, client)?;
                if !members.contains(&member) {
                    return Err(format!("member {member} is not known"));
                }
                server.clients.retain(|(m, s, _)| (m, s) != (&member, &None));
                let before = std::mem::replace(&mut server.owner, member);
                server.clients.push((before, None, true));
            }
            ManagementRequest::AddressChange(address) => server.address.clone_from(address),
            ManagementRequest::MaintenanceModeEnable(message) => server.maintenance = Some(message.clone()),
            ManagementRequest::MaintenanceModeDisable => server.maintenance = None,
        }
        Ok(())
    }

    fn register_server(
        &mut self,
        id: &SecurityServerId,
        address: &str,
        certificate: &[u8],
    ) -> Result<(), String> {
        if !self.members.iter().any(|(code, _)| code == id.member_code()) {
            return Err(format!("member {} is not known", id.member_code()));
        }
        let hash = crypto::sha256(certificate);
        if self.servers.iter().any(|server| server.certificates.contains(&hash)) {
            return Err("the certificate is registered already".into());
        }
        let known = |server: &&mut RegisteredServer| {
            server.owner == id.member_code() && server.code == id.server_code()
        };
        match self.servers.iter_mut().find(known) {
            Some(server) => {
                server.certificates.push(hash);
                address.clone_into(&mut server.address);
            }
            None => self.servers.push(RegisteredServer {
                owner: id.member_code().to_owned(),
                code: id.server_code().to_owned(),
                address: address.to_owned(),
                certificates: vec![hash],
                clients: Vec::new(),
                maintenance: None,
            }),
        }
        Ok(())
    }
}

// Member and subsystem code of a client of the server's instance.
fn codes(server: &SecurityServerId, client: &ClientId) -> Result<(String, Option<String>), String> {
    if client.instance() != server.instance() || client.member_class() != MEMBER_CLASS {
        return Err(format!("{client} is not of this instance"));
    }
    Ok((client.member_code().to_owned(), client.subsystem_code().map(str::to_owned)))
}
