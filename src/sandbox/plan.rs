//! Who lives in the sandbox: the instance, its members, subsystems and security servers, and where each one listens.

use std::net::{Ipv4Addr, SocketAddr};

/// The X-Road instance of a sandbox that is not told another.
pub const INSTANCE: &str = "SANDBOX";
/// The member class of every member.
pub const MEMBER_CLASS: &str = "GOV";

/// Members of a server at most: each has a key, which takes its time to make.
pub const MEMBERS_MAX: usize = 50;

/// Ports of the sandbox's own services, all on [`Plan::services_address`].
pub mod ports {
    /// OCSP responder.
    pub const OCSP: u16 = 8888;
    /// Time-stamping authority.
    pub const TSA: u16 = 8899;
    /// Configuration source.
    pub const SOURCE: u16 = 8880;
    /// Example REST service.
    pub const REST: u16 = 9201;
    /// Example SOAP service.
    pub const SOAP: u16 = 9202;
    /// Management services, for what comes through X-Road.
    pub const MANAGEMENT: u16 = 9203;
    /// Certificate authority.
    pub const CA: u16 = 8887;
    /// Registration of authentication certificates, over HTTPS.
    pub const REGISTRATION: u16 = 4001;
    /// All of the above.
    pub const SERVICES: [u16; 8] = [OCSP, TSA, SOURCE, REST, SOAP, MANAGEMENT, REGISTRATION, CA];
    /// Metrics of a security server, on its own address.
    pub const ADMIN: u16 = 9600;
    /// Health checks of a security server, on its own address.
    pub const HEALTH: u16 = 5588;
    /// What every security server listens on, on its own address: messages and OCSP answers between servers, clients
    /// over HTTP and HTTPS, metrics, health checks.
    pub const SECURITY_SERVER: [u16; 6] = [5500, 5577, 8080, 8443, ADMIN, HEALTH];
}

/// A member with its one subsystem, a client of a security server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPlan {
    /// The X-Road instance.
    pub instance: String,
    /// `100`, `101`, …
    pub member_code: String,
    /// `consumer` on the first server, `provider` on every other.
    pub subsystem_code: &'static str,
}

impl MemberPlan {
    /// Its name, for people.
    pub fn name(&self) -> String {
        format!("Member {}", self.member_code)
    }

    /// `SANDBOX/GOV/101`.
    pub fn id(&self) -> String {
        format!("{}/{MEMBER_CLASS}/{}", self.instance, self.member_code)
    }

    /// `SANDBOX/GOV/101/consumer`.
    pub fn subsystem(&self) -> String {
        format!("{}/{}", self.id(), self.subsystem_code)
    }
}

/// One security server with its owner, the owner's subsystem and its further members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPlan {
    /// The X-Road instance.
    pub instance: String,
    /// `ss1`, `ss2`, …
    pub code: String,
    /// `100`, `200`, …
    pub member_code: String,
    /// `consumer` on the first server, `provider` on every other.
    pub subsystem_code: &'static str,
    /// Members that use this server and do not own it.
    pub guests: Vec<MemberPlan>,
    /// Its own loopback address.
    pub address: Ipv4Addr,
}

impl ServerPlan {
    /// The owner.
    pub fn owner(&self) -> MemberPlan {
        MemberPlan {
            instance: self.instance.clone(),
            member_code: self.member_code.clone(),
            subsystem_code: self.subsystem_code,
        }
    }

    /// All members of this server, the owner first.
    pub fn members(&self) -> Vec<MemberPlan> {
        std::iter::once(self.owner()).chain(self.guests.iter().cloned()).collect()
    }

    /// Name of the owner, for people.
    pub fn member_name(&self) -> String {
        self.owner().name()
    }

    /// The owner's: `SANDBOX/GOV/100/consumer`.
    pub fn subsystem(&self) -> String {
        self.owner().subsystem()
    }

    /// `SANDBOX/GOV/100/ss1`.
    pub fn server_id(&self) -> String {
        format!("{}/{MEMBER_CLASS}/{}/{}", self.instance, self.member_code, self.code)
    }

    /// `http://127.a.b.11:8080`, where information systems send their requests.
    pub fn consumer_url(&self) -> String {
        format!("http://{}:8080", self.address)
    }
}

/// The whole cast and its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The X-Road instance.
    pub instance: String,
    /// The security servers; the first is the consumer's.
    pub servers: Vec<ServerPlan>,
    /// Where OCSP responder, time-stamping authority, configuration source and example services listen.
    pub services_address: Ipv4Addr,
}

impl Plan {
    /// `servers` security servers in the loopback block `127.a.b.0/24`.
    pub fn new(servers: usize, block: (u8, u8)) -> Self {
        Self::of(INSTANCE, servers, block)
    }

    /// As [`Self::new`], of another instance.
    pub fn of(instance: &str, servers: usize, (a, b): (u8, u8)) -> Self {
        let server = |index: u8| ServerPlan {
            instance: instance.to_owned(),
            code: format!("ss{}", index + 1),
            member_code: format!("{}00", index + 1),
            subsystem_code: if index == 0 { "consumer" } else { "provider" },
            guests: Vec::new(),
            address: Ipv4Addr::new(127, a, b, 11 + index),
        };
        let servers = (0..u8::try_from(servers.min(9)).unwrap_or(9)).map(server).collect();
        Self { instance: instance.to_owned(), servers, services_address: Ipv4Addr::new(127, a, b, 1) }
    }

    /// The same with so many members on each server, the owner being one of them: `100`, `101`, … on the first.
    pub fn with_members(mut self, members: usize) -> Self {
        for (index, server) in self.servers.iter_mut().enumerate() {
            let guest = |number| MemberPlan {
                instance: server.instance.clone(),
                member_code: format!("{}{number:02}", index + 1),
                subsystem_code: server.subsystem_code,
            };
            server.guests = (1..members.min(MEMBERS_MAX)).map(guest).collect();
        }
        self
    }

    /// Address and port of one of the sandbox's own services.
    pub fn service(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.services_address, port))
    }

    /// URL of one of the sandbox's own services, without a trailing slash.
    pub fn service_url(&self, port: u16) -> String {
        format!("http://{}", self.service(port))
    }

    /// The consumer's security server.
    pub fn consumer(&self) -> &ServerPlan {
        &self.servers[0]
    }

    /// The providers' security servers.
    pub fn providers(&self) -> &[ServerPlan] {
        &self.servers[1..]
    }
}
