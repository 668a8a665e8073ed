//! What is sent, and what must come back: heads made from templates, bodies from the run's [`Content`].

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use hermod::crypto::Digest;
use hermod::sandbox::soap_service;
use memchr::memmem;

use crate::content::{Content, WHOLE_MAX};
use crate::scenario::{Kind, Load};
use crate::seed::Seed;
use crate::sizes::Sizes;

/// A body of at most so many bytes is sent with its head in one call.
pub const GATHERED_MAX: usize = 64 * 1024;
// What a head may need.
const HEAD_BYTES: usize = 512;

/// Who asks whom.
#[derive(Debug, Clone)]
pub struct Route {
    /// `INSTANCE/CLASS/MEMBER/SUBSYSTEM`
    pub client: String,
    /// `INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE`
    pub service: String,
}

impl Route {
    /// `INSTANCE/CLASS/MEMBER/SUBSYSTEM` of the service.
    pub fn provider(&self) -> &str {
        let end = self.service.match_indices('/').nth(3).map_or(self.service.len(), |(at, _)| at);
        &self.service[..end]
    }
}

/// Makes all messages of a run.
pub struct Messages {
    kind: Kind,
    run: String,
    routes: Vec<Route>,
    content: Arc<Content>,
    sizes: Sizes,
    host: String,
    keep_alive: bool,
    plain: bool,
    seed: u64,
}

/// One request.
pub struct Request {
    /// Request line and header fields, with the empty line, and room for a body that is sent with them.
    pub head: Vec<u8>,
    /// Body; empty where it is made as it is sent.
    pub body: Bytes,
}

/// A body that is made as it is sent, and compared as it comes back.
#[derive(Clone, Copy)]
pub struct LargeBody<'a> {
    /// What it is made of.
    pub content: &'a Content,
    /// Number of its message.
    pub index: u32,
    /// Bytes.
    pub length: u64,
}

/// What the bodies of a run are made of.
pub fn content_of(load: &Load, seed: u64) -> Arc<Content> {
    let classes = load.sizes.classes().iter().map(|class| class.bytes);
    let whole = classes.filter(|bytes| !is_large(load.kind, *bytes)).max();
    Arc::new(Content::new(seed, whole.unwrap_or(0)))
}

/// Is such a body too large to be held? Envelopes are held whatever they are: they are one text with their body.
pub fn is_large(kind: Kind, bytes: usize) -> bool {
    kind == Kind::Rest && bytes > WHOLE_MAX
}

impl Messages {
    /// All messages of the run `run`, spread evenly over `routes` as the seed has it.
    pub fn new(
        load: &Load,
        content: Arc<Content>,
        run: &str,
        routes: Vec<Route>,
        host: &str,
        seed: u64,
    ) -> Self {
        Self {
            kind: load.kind,
            run: run.to_owned(),
            routes,
            content,
            sizes: load.sizes.clone(),
            host: host.to_owned(),
            keep_alive: load.keep_alive,
            plain: false,
            seed,
        }
    }

    /// The same messages for relays, which add nothing to what the service says.
    pub fn plain(&self, host: &str) -> Self {
        Self {
            kind: self.kind,
            run: format!("{}-null", self.run),
            routes: self.routes.clone(),
            content: Arc::clone(&self.content),
            sizes: self.sizes.clone(),
            host: host.to_owned(),
            keep_alive: self.keep_alive,
            plain: true,
            seed: self.seed,
        }
    }

    /// Mix of sizes.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// The message id of message `index`.
    pub fn id(&self, index: u32) -> String {
        format!("{}-{index}", self.run)
    }

    /// The number of a message of this run by its id.
    pub fn index(&self, id: &str) -> Option<u32> {
        id.strip_prefix(&self.run)?.strip_prefix('-')?.parse().ok()
    }

    /// Who asks whom with message `index`.
    pub fn route(&self, index: u32) -> &Route {
        let number = match self.routes.len() {
            1 => 0,
            routes => Seed::new(self.seed ^ u64::from(index)).next() % routes as u64,
        };
        &self.routes[number as usize]
    }

    /// What a service gives back for message `index` of this class, where it is held: the body that was sent.
    pub fn data(&self, index: u32, class: u8) -> Bytes {
        self.content.whole(index, self.bytes(class))
    }

    /// The same where it is too large to be held.
    pub fn large(&self, index: u32, class: u8) -> Option<LargeBody<'_>> {
        let bytes = self.bytes(class);
        let length = bytes as u64;
        is_large(self.kind, bytes).then_some(LargeBody { content: &self.content, index, length })
    }

    /// SHA-512 of the body of message `index`.
    pub fn body_digest(&self, index: u32, class: u8) -> Digest {
        self.content.digest(index, self.bytes(class))
    }

    /// A body is a part of its own with a signed digest, and not a piece of an envelope.
    pub fn bodies_are_parts(&self) -> bool {
        self.kind == Kind::Rest
    }

    fn bytes(&self, class: u8) -> usize {
        self.sizes.classes().get(usize::from(class)).map_or(0, |class| class.bytes)
    }

    /// Message `index`, of this class.
    pub fn request(&self, index: u32, class: u8) -> Request {
        let (route, host, run) = (self.route(index), &self.host, &self.run);
        let (data, bytes) = match self.large(index, class) {
            Some(large) => (Bytes::new(), large.length),
            None => (self.data(index, class), self.bytes(class) as u64),
        };
        let close = if self.keep_alive { "" } else { "Connection: close\r\n" };
        let room = |body: &Bytes| HEAD_BYTES + if body.len() > GATHERED_MAX { 0 } else { body.len() };
        match self.kind {
            Kind::Rest => {
                let mut head = Vec::with_capacity(room(&data));
                // Writing to memory does not fail.
                let _ = write!(
                    head,
                    "POST /r1/{} HTTP/1.1\r\nHost: {host}\r\nX-Road-Client: {}\r\nX-Road-Id: {run}-{index}\r\n\
                     Content-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n{close}\r\n",
                    route.service, route.client,
                );
                Request { head, body: data }
            }
            Kind::Soap => {
                let body = Bytes::from(envelope(route, &self.id(index), &data));
                let mut head = Vec::with_capacity(room(&body));
                let _ = write!(
                    head,
                    "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/xml; charset=UTF-8\r\n\
                     SOAPAction: \"\"\r\nContent-Length: {}\r\n{close}\r\n",
                    body.len()
                );
                Request { head, body }
            }
        }
    }

    /// Is this the answer to message `index`? Gives a check value of what only the server could know (REST: the request
    /// hash; SOAP: the whole envelope), which the log must have too.
    ///
    /// # Errors
    /// What differs.
    pub fn check(
        &self,
        index: u32,
        class: u8,
        answer: &crate::client::Answer<'_>,
    ) -> Result<u32, &'static str> {
        let same = || match &answer.passed {
            Some(passed) => passed.same,
            None => *answer.body == *self.data(index, class),
        };
        match self.kind {
            Kind::Rest if self.plain => match same() {
                true => Ok(0),
                false => Err("the answer has another body than the service sent"),
            },
            Kind::Rest => {
                if answer.header("x-road-id") != Some(self.id(index).as_bytes()) {
                    return Err("the answer has another message id");
                }
                let hash = answer.header("x-road-request-hash").ok_or("the answer has no request hash")?;
                if !same() {
                    return Err("the answer has another body than the service sent");
                }
                Ok(crc32fast::hash(hash))
            }
            Kind::Soap => {
                let (id, data) = (format!(":id>{}<", self.id(index)), self.data(index, class));
                let start = memmem::find(&answer.body, b"<p:data>").ok_or("the answer has no data")? + 8;
                let found = answer.body.get(start..start + data.len());
                if found != Some(&*data) || memmem::find(&answer.body, id.as_bytes()).is_none() {
                    return Err("the answer has another content than the service sent");
                }
                Ok(crc32fast::hash(&answer.body))
            }
        }
    }

    /// The check value of a logged response: its message part and attachments.
    ///
    /// # Errors
    /// When it is not the answer to message `index`.
    pub fn check_logged(
        &self,
        index: u32,
        class: u8,
        message: &[u8],
        attachments: &[Bytes],
        bodies: bool,
    ) -> Result<u32, &'static str> {
        match self.kind {
            Kind::Soap => Ok(crc32fast::hash(message)),
            Kind::Rest => {
                let logged = |body: &Bytes| match self.large(index, class) {
                    Some(large) => body.len() as u64 == large.length && large.content.is_at(index, 0, body),
                    None => *body == self.data(index, class),
                };
                if bodies && !attachments.first().is_some_and(logged) {
                    return Err("the log has another body than the client got");
                }
                const NAME: &[u8] = b"x-road-request-hash:";
                let line = message
                    .split(|byte| *byte == b'\n')
                    .find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)))
                    .ok_or("the logged response has no request hash")?;
                Ok(crc32fast::hash(line[NAME.len()..].trim_ascii()))
            }
        }
    }
}

fn envelope(route: &Route, id: &str, data: &[u8]) -> Vec<u8> {
    const PARTS: [&str; 6] =
        ["xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode", "serviceVersion"];
    let fields = |id: &str| -> String {
        let pairs = id.split('/').zip(PARTS);
        pairs.map(|(value, name)| format!("<iden:{name}>{value}</iden:{name}>")).collect()
    };
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xro=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:iden=\"http://x-road.eu/xsd/identifiers\">\
         <soapenv:Header><xro:client iden:objectType=\"SUBSYSTEM\">{}</xro:client>\
         <xro:service iden:objectType=\"SERVICE\">{}</xro:service><xro:userId>load</xro:userId>\
         <xro:id>{id}</xro:id><xro:protocolVersion>4.0</xro:protocolVersion></soapenv:Header>\
         <soapenv:Body><p:getRandom xmlns:p=\"{}\"><p:data>",
        fields(&route.client),
        fields(&route.service),
        soap_service::NAMESPACE
    )
    .into_bytes();
    out.extend_from_slice(data);
    out.extend_from_slice(b"</p:data></p:getRandom></soapenv:Body></soapenv:Envelope>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, routes: Vec<Route>, seed: u64) -> Messages {
        let load = Load { kind, ..Load::default() };
        Messages::new(&load, content_of(&load, seed), "run", routes, "host", seed)
    }

    fn messages(kind: Kind) -> Messages {
        let route = Route { client: "A/B/1/c".into(), service: "A/B/2/p/echo".into() };
        of(kind, vec![route], 1)
    }

    #[test]
    fn a_message_is_found_again_by_its_id() {
        let messages = messages(Kind::Rest);
        assert_eq!(messages.index(&messages.id(17)), Some(17));
        assert_eq!(messages.index("other-17"), None);
    }

    #[test]
    fn messages_are_spread_evenly_over_the_routes_and_the_same_by_the_same_seed() {
        let route =
            |number: usize| Route { client: "A/B/1/c".into(), service: format!("A/B/2/p/echo{number}") };
        let seeded = |seed| of(Kind::Rest, (0..6).map(route).collect(), seed);
        let (messages, other) = (seeded(1), seeded(2));
        let chosen = |messages: &Messages| -> Vec<String> {
            (0..6000).map(|index| messages.route(index).service.clone()).collect()
        };
        for number in 0..6 {
            let count = chosen(&messages).iter().filter(|service| **service == route(number).service).count();
            assert!((900..1100).contains(&count), "{number}: {count}");
        }
        assert_eq!(chosen(&messages), chosen(&seeded(1)));
        assert_ne!(chosen(&messages), chosen(&other));
        assert_eq!(messages.route(0).provider(), "A/B/2/p");
    }

    #[test]
    fn neighbours_have_different_bodies_and_an_envelope_is_xml() {
        let messages = messages(Kind::Soap);
        assert_ne!(messages.data(1, 0), messages.data(2, 0));
        assert_eq!(messages.data(1, 4).len(), 10_000_000);
        let request = messages.request(1, 0);
        hermod::xml::Document::parse(&request.body, &Default::default()).unwrap();
    }
}
