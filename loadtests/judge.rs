//! One server's log, judged record by record.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hermod::crypto::Digest;
use hermod::log::{Direction, LogReader, StoredRecord};
use hermod::message::{ClientId, rest_request_hash};
use hermod::sandbox::proof::{Conf, RecordJudge};

use crate::message::Messages;
use crate::recorder::{Outcome, Outcomes};

/// What every judge needs.
pub struct Case {
    /// What was sent, and what came of it.
    pub messages: Arc<Messages>,
    /// Of every message.
    pub outcomes: Arc<Outcomes>,
    /// What records are judged by.
    pub conf: Conf,
    /// Bodies are logged.
    pub bodies: bool,
    /// Records so far, of all logs.
    pub judged: AtomicUsize,
    /// Of large bodies, each of which four records are about.
    digests: Mutex<HashMap<u32, Arc<OnceLock<Digest>>>>,
}

const MARKS: [(u8, &str); 4] = [
    (1, "the request on the consumer's server"),
    (2, "the response on the consumer's server"),
    (4, "the request on the provider's server"),
    (8, "the response on the provider's server"),
];
/// Everything of an exchange is proved.
pub const ALL: u8 = 15;

fn mark(consumer: bool, direction: Direction) -> u8 {
    let mark = if direction == Direction::Request { 1 } else { 2 };
    if consumer { mark } else { mark << 2 }
}

/// What is not proved of a message with these marks.
pub fn lacks(marks: u8) -> String {
    let missing: Vec<&str> =
        MARKS.iter().filter(|(mark, _)| marks & mark == 0).map(|(_, what)| *what).collect();
    format!("not proved: {}", missing.join(", "))
}

/// What one server's log says.
pub struct Side {
    /// Message records of the run.
    pub records: usize,
    /// Distinct signature documents among them, by checksum.
    pub documents: HashSet<u32>,
    /// What is proved of which message.
    pub marks: Vec<(u32, u8)>,
    /// What is wrong.
    pub failures: Vec<String>,
}

impl Case {
    /// Nothing is judged yet.
    pub fn new(messages: Arc<Messages>, outcomes: Arc<Outcomes>, conf: Conf, bodies: bool) -> Self {
        Self { messages, outcomes, conf, bodies, judged: AtomicUsize::new(0), digests: Mutex::default() }
    }

    /// Judges all records of the run in the log of server `code`.
    ///
    /// # Errors
    /// When the log cannot be read at all.
    pub fn judge_log(&self, consumer: bool, code: &str, log: &Path) -> Result<Side, String> {
        let reader = LogReader::open(log).map_err(|e| format!("the log of {code} cannot be read: {e}"))?;
        let mut side =
            Side { records: 0, documents: Default::default(), marks: Vec::new(), failures: Vec::new() };
        let mut judge = RecordJudge::new(&self.conf);
        for record in reader.iter() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    side.failures.push(format!("{code}: {error}"));
                    continue;
                }
            };
            let Some(index) = self.messages.index(&record.summary.query_id) else { continue };
            side.records += 1;
            side.documents.insert(crc32fast::hash(&record.signature.signature));
            self.judged.fetch_add(1, Ordering::Relaxed);
            let direction = record.summary.direction;
            match self.judge(&mut judge, &record, index, consumer) {
                Ok(()) => side.marks.push((index, mark(consumer, direction))),
                Err(reason) => side.failures.push(format!(
                    "{code}: {direction:?} {} (record {}): {reason}",
                    record.summary.query_id, record.summary.id
                )),
            }
        }
        Ok(side)
    }

    fn judge(
        &self,
        judge: &mut RecordJudge,
        record: &StoredRecord,
        index: u32,
        consumer: bool,
    ) -> Result<(), String> {
        let Some((class, outcome, check)) = self.outcomes.get(index) else {
            return Err("no such message was sent".to_owned());
        };
        let request = record.summary.direction == Direction::Request;
        let parts = self.messages.bodies_are_parts();
        if self.bodies {
            self.check_signer(judge.judge(record)?.signer, index, request)?;
        } else if parts {
            let body = self.body_digest(index, class);
            let message = judge.judge_reduced(record, &self.signer(index, request)?, &body)?;
            let hash = rest_request_hash(message.as_ref(), Some(body.as_ref()));
            // What the client was told of its request is what this record is the evidence of.
            if request && outcome == Outcome::Right && crc32fast::hash(hash.as_bytes()) != check {
                return Err("the client got the answer to another request than was logged".to_owned());
            }
        }
        if !consumer || request || outcome != Outcome::Right {
            return Ok(());
        }
        let (message, attachments) = (&record.message, &record.attachments);
        let logged = self.messages.check_logged(index, class, message, attachments, self.bodies)?;
        // A reduced SOAP message is another text.
        match logged == check || !(self.bodies || parts) {
            true => Ok(()),
            false => Err("the client got another answer than was logged".to_owned()),
        }
    }

    /// SHA-512 of the body that the generator sent and that the service gave back.
    fn body_digest(&self, index: u32, class: u8) -> Digest {
        if self.messages.large(index, class).is_none() {
            return self.messages.body_digest(index, class);
        }
        // Made once, for all logs; other bodies are not kept waiting.
        let digest = {
            let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(digests.entry(index).or_default())
        };
        *digest.get_or_init(|| self.messages.body_digest(index, class))
    }

    /// Who must have signed.
    fn signer(&self, index: u32, request: bool) -> Result<ClientId, String> {
        let expected = self.expected(index, request);
        let parts: Vec<&str> = expected.split('/').collect();
        let [instance, class, member, subsystem] = parts[..] else {
            return Err(format!("{expected} is no subsystem"));
        };
        ClientId::new(instance, class, member, Some(subsystem)).map_err(|e| e.to_string())
    }

    fn expected(&self, index: u32, request: bool) -> &str {
        let route = self.messages.route(index);
        if request { &route.client } else { route.provider() }
    }

    /// Each member signs its own messages: the client's requests, the provider's responses.
    fn check_signer(&self, signer: Option<ClientId>, index: u32, request: bool) -> Result<(), String> {
        let expected = self.expected(index, request);
        let signer = signer.map(|signer| signer.to_string()).unwrap_or_default();
        match signer == expected {
            true => Ok(()),
            false => Err(format!("signed for {signer} in place of {expected}")),
        }
    }
}
