//! One run: batch by batch, group by group, record by record.

use std::collections::BTreeMap;

use super::file::{ArchiveFile, Finished, Sealing};
use super::pace::Pace;
use super::position::{Moving, Position};
use super::{ArchiveError, ArchiveOutcome, Archiver, Stop, name, transfer};
use crate::config::Grouping;
use crate::limits::ARCHIVE_BATCH_RECORDS;
use crate::log::{LogError, StoredRecord};

/// Records of one batch by group, and the id behind them.
struct Plan {
    groups: BTreeMap<String, Vec<u64>>,
    next: u64,
    full: bool,
}

/// One run under way.
pub(super) struct Run<'a> {
    pub archiver: &'a Archiver,
    pub stop: &'a Stop,
    pub pace: Pace<'a>,
    pub position: Position,
    pub outcome: ArchiveOutcome,
    pub to_transfer: bool,
}

impl Run<'_> {
    /// Archives one batch. Whether there may be another.
    pub fn batch(&mut self) -> Result<bool, ArchiveError> {
        // A batch that a kill interrupted is finished in the grouping in which it was begun.
        let begun = name::grouping(&self.position.grouping).filter(|_| self.position.is_within_batch());
        let grouping = begun.unwrap_or(self.archiver.grouping);
        self.position.grouping = name::word(grouping).to_owned();
        let plan = self.plan(grouping)?;
        let mut next = plan.next;
        for (group, ids) in &plan.groups {
            match self.group(group, ids)? {
                Reached::End => {}
                Reached::Waiting(id) => next = next.min(id),
                Reached::Stopped => return Ok(false),
            }
        }
        if next <= self.position.done_below {
            return Ok(false);
        }
        self.position.done_below = next;
        self.archiver.status.came_to(next);
        if plan.full && next == plan.next {
            self.position.save(self.archiver.log.directory(), &self.archiver.watch)?;
            return Ok(true);
        }
        // The end of the run saves it.
        Ok(false)
    }

    fn plan(&mut self, grouping: Grouping) -> Result<Plan, ArchiveError> {
        let log = &self.archiver.log;
        let ids = log.ids_from(self.position.done_below, ARCHIVE_BATCH_RECORDS)?;
        let full = ids.len() == ARCHIVE_BATCH_RECORDS;
        let mut plan = Plan { groups: BTreeMap::new(), next: self.position.done_below, full };
        if grouping == Grouping::None {
            plan.next = ids.last().map_or(plan.next, |id| id + 1);
            plan.groups.insert(String::new(), ids);
            return Ok(plan);
        }
        for id in ids {
            match log.summary(id) {
                Ok(summary) if !summary.stamped && log.waits_for_stamp(id) => {
                    plan.full = false;
                    break;
                }
                // It may have got one meanwhile.
                Ok(summary) if !summary.stamped && !log.summary(id)?.stamped => {
                    self.note_left_out(id, "it has no time-stamp and will get none");
                }
                Ok(summary) => {
                    plan.groups.entry(name::group(grouping, &summary.client)).or_default().push(id);
                }
                Err(error) => self.leave_out(id, error)?,
            }
            plan.next = id + 1;
        }
        Ok(plan)
    }

    /// Archives these records of one group, as far as they are not archived.
    fn group(&mut self, group: &str, ids: &[u64]) -> Result<Reached, ArchiveError> {
        let archiver = self.archiver;
        let done_below = self.position.groups.get(group).map_or(0, |chain| chain.done_below);
        let ids: Vec<u64> = ids.iter().copied().filter(|id| *id >= done_below).collect();
        let (mut open, mut reached) = (None::<ArchiveFile>, Reached::End);
        let mut last = done_below;
        for (id, record) in archiver.log.read_each(ids) {
            if self.stop.is_set() {
                reached = Reached::Stopped;
                break;
            }
            let record = match record {
                Ok(record) if record.stamp.is_none() => {
                    reached = Reached::Waiting(id);
                    break;
                }
                Ok(record) => record,
                Err(error) => {
                    self.leave_out(id, error)?;
                    continue;
                }
            };
            let container = match record.container() {
                Ok(container) => container.to_bytes(record.summary.time),
                Err(error) => {
                    self.note_left_out(id, error.text());
                    continue;
                }
            };
            let written = self.open(&mut open, group, &record).and_then(|file| {
                file.add(&record, &container, &archiver.watch)?;
                Ok(file.container_bytes())
            });
            let container_bytes = match written {
                Ok(bytes) => bytes,
                Err(error) => {
                    // Its space may be what messages need now.
                    open.take().into_iter().for_each(ArchiveFile::discard);
                    return Err(error);
                }
            };
            last = id + 1;
            if container_bytes > archiver.file_bytes_max
                && let Some(full) = open.take()
            {
                self.close(full, group, last)?;
            }
            self.pace.rest(self.stop);
        }
        match open {
            Some(file) if reached == Reached::Stopped => file.discard(),
            Some(file) => self.close(file, group, last)?,
            None => {}
        }
        Ok(reached)
    }

    /// The archive at hand, or one that continues the chain of the group with this record.
    fn open<'f>(
        &mut self,
        open: &'f mut Option<ArchiveFile>,
        group: &str,
        record: &StoredRecord,
    ) -> Result<&'f mut ArchiveFile, ArchiveError> {
        let archiver = self.archiver;
        let file = match open.take() {
            Some(file) => file,
            None => {
                let chain = self.position.groups.entry(group.to_owned()).or_default();
                let member = record.summary.client.member();
                let member = Some(&member).filter(|_| !group.is_empty());
                let sealing = archiver
                    .encryption
                    .as_ref()
                    .map(|encryption| Sealing { encryption, recipients: encryption.recipients(member) });
                ArchiveFile::create(
                    &archiver.directory,
                    record.summary.id,
                    chain,
                    record.summary.time,
                    &archiver.zone,
                    sealing.as_ref(),
                    &archiver.watch,
                )?
            }
        };
        Ok(open.insert(file))
    }

    fn close(&mut self, file: ArchiveFile, group: &str, done_below: u64) -> Result<(), ArchiveError> {
        let archiver = self.archiver;
        let bytes = file.container_bytes();
        let Finished { temporary, name, digest, containers } = file.finish(group, &archiver.watch)?;
        let chain = self.position.groups.entry(group.to_owned()).or_default();
        chain.digest = digest;
        chain.file = name.clone();
        chain.done_below = done_below;
        let moving = Moving { directory: archiver.directory.clone(), from: temporary, to: name };
        self.position.moving = Some(moving.clone());
        self.position.save(archiver.log.directory(), &archiver.watch)?;
        let path = archiver.directory.join(&moving.to);
        archiver.rename(&moving).map_err(|error| ArchiveError::file(&path, error))?;
        tracing::info!(file = %path.display(), containers, "archive finished");
        archiver.status.archived(containers, bytes);
        self.outcome.records += containers;
        self.outcome.files.push(path);
        self.to_transfer = true;
        self.transfer();
        Ok(())
    }

    /// A record that cannot be read is no reason to archive nothing after it; a disk that cannot be read is.
    fn leave_out(&mut self, id: u64, error: LogError) -> Result<(), ArchiveError> {
        match error {
            LogError::Io(_) | LogError::NotFound { .. } | LogError::NoKey { .. } => Err(error.into()),
            error => {
                self.note_left_out(id, &error.to_string());
                Ok(())
            }
        }
    }

    fn note_left_out(&mut self, id: u64, reason: &str) {
        tracing::error!(id, reason, "a record cannot be archived; its segment will be set aside");
        self.archiver.status.left_out();
        self.position.leave_out(id);
        self.outcome.left_out.push(id);
    }

    /// Lets the operator's command take away what is there.
    pub fn transfer(&mut self) {
        if let Some(command) = self.archiver.transfer_command.as_ref().filter(|_| self.to_transfer) {
            self.to_transfer = !transfer::run(command, self.stop);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// All are archived or left out.
    End,
    /// This one waits for a time-stamp.
    Waiting(u64),
    /// The run was told to stop.
    Stopped,
}
