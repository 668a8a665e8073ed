//! One archive while it is written: a ZIP file that grows container by container, and its chain.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jiff::tz::TimeZone;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::encryption::Encryption;
use super::entry_buffer::{EntryBuffer, Marks};
use super::gpg::Encrypting;
use super::position::Chain;
use super::{ArchiveError, Step, Watch, name};
use crate::crypto::DigestAlgorithm;
use crate::evidence::message_archive::{LINKING_INFO, LinkingInfo, link};
use crate::limits::ARCHIVE_UNSYNCED_BYTES_MAX;
use crate::log::StoredRecord;
use crate::time::UnixTime;

const TEMPORARY_START: &str = ".archive-";
const TEMPORARY_END: &str = ".part";
/// What the name of an encrypted archive ends with.
const ENCRYPTED_END: &str = ".gpg";

/// Where the bytes of an archive go.
enum Target {
    File(BufWriter<File>),
    Encrypting(BufWriter<Encrypting>),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Encrypting(process) => process.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Encrypting(process) => process.flush(),
        }
    }
}

impl Target {
    fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        match self {
            Self::File(_) => Ok(()),
            Self::Encrypting(process) => process.into_inner().map_err(|error| error.into_error())?.finish(),
        }
    }
}

/// For whom an archive is encrypted.
pub(super) struct Sealing<'a> {
    pub encryption: &'a Encryption,
    pub recipients: Vec<String>,
}

/// An archive under its temporary name.
pub(super) struct ArchiveFile {
    zip: ZipWriter<EntryBuffer<Target>>,
    marks: Rc<Marks>,
    encrypted: bool,
    directory: PathBuf,
    temporary: String,
    linking: LinkingInfo,
    times: (UnixTime, UnixTime),
    container_bytes: u64,
    unsynced: u64,
    zone: TimeZone,
}

/// An archive that is complete and durable, still under its temporary name.
pub(super) struct Finished {
    /// The temporary name.
    pub temporary: String,
    /// The name that it gets.
    pub name: String,
    /// The last digest of its chain, hex.
    pub digest: String,
    /// Containers in it.
    pub containers: usize,
}

impl ArchiveFile {
    /// Begins an archive that continues `chain`. `first` is the id of its first record, which names the temporary file:
    /// no record is ever first twice once its archive is complete.
    #[allow(clippy::too_many_arguments)]
    pub fn create(
        directory: &Path,
        first: u64,
        chain: &Chain,
        time: UnixTime,
        zone: &TimeZone,
        sealing: Option<&Sealing<'_>>,
        watch: &Watch,
    ) -> Result<Self, ArchiveError> {
        use std::os::unix::fs::OpenOptionsExt;
        let temporary = format!("{TEMPORARY_START}{first}{TEMPORARY_END}");
        let path = directory.join(&temporary);
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o640);
        let file = watch(Step::CreateFile).and_then(|()| options.open(&path));
        let target = file.and_then(|file| match sealing {
            None => Ok(Target::File(BufWriter::new(file))),
            Some(Sealing { encryption, recipients }) => {
                encryption.start(recipients, file).map(|process| Target::Encrypting(BufWriter::new(process)))
            }
        });
        let target = target.map_err(|error| {
            let _ = std::fs::remove_file(&path);
            ArchiveError::file(&path, error)
        })?;
        let linking = LinkingInfo {
            previous_digest: chain.digest.clone(),
            previous_file: chain.file.clone(),
            algorithm: DigestAlgorithm::Sha512,
            links: Vec::new(),
        };
        let marks = Rc::new(Marks::default());
        Ok(Self {
            zip: ZipWriter::new(EntryBuffer::new(target, Rc::clone(&marks))),
            marks,
            encrypted: sealing.is_some(),
            directory: directory.to_owned(),
            temporary,
            linking,
            times: (time, time),
            container_bytes: 0,
            unsynced: 0,
            zone: zone.clone(),
        })
    }

    /// Bytes of the containers so far.
    pub fn container_bytes(&self) -> u64 {
        self.container_bytes
    }

    /// Adds the container of a record.
    pub fn add(
        &mut self,
        record: &StoredRecord,
        container: &[u8],
        watch: &Watch,
    ) -> Result<(), ArchiveError> {
        let (name, time) = (record.container_file_name(), record.summary.time);
        let written = watch(Step::AddContainer).and_then(|()| self.entry(&name, container, time));
        written.map_err(|error| self.failed(error))?;
        let digest = link(self.linking.algorithm, self.linking.last_digest(), container);
        self.linking.links.push((digest, name));
        self.times = (self.times.0.min(time), self.times.1.max(time));
        self.container_bytes += container.len() as u64;
        self.unsynced += container.len() as u64;
        if self.unsynced > ARCHIVE_UNSYNCED_BYTES_MAX {
            self.unsynced = 0;
            self.zip.flush().map_err(|error| self.failed(error))?;
            let file = File::open(self.directory.join(&self.temporary)).and_then(|file| file.sync_data());
            file.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Completes the archive and makes it durable; what cannot be completed is taken away.
    pub fn finish(self, group: &str, watch: &Watch) -> Result<Finished, ArchiveError> {
        let path = self.directory.join(&self.temporary);
        self.complete(group, watch).inspect_err(|_| drop(std::fs::remove_file(path)))
    }

    fn complete(mut self, group: &str, watch: &Watch) -> Result<Finished, ArchiveError> {
        let path = self.directory.join(&self.temporary);
        let text = self.linking.to_text();
        watch(Step::FinishFile)
            .and_then(|()| self.entry(LINKING_INFO, text.as_bytes(), self.times.1))
            .map_err(|error| self.failed(error))?;
        let digest = self.linking.last_digest().to_owned();
        let end = if self.encrypted { ENCRYPTED_END } else { "" };
        let name = name::archive(group, self.times, &digest, &self.zone) + end;
        let sync = || {
            self.zip.finish()?.into_target()?.finish()?;
            watch(Step::SyncFile)?;
            File::open(&path)?.sync_all()?;
            File::open(&self.directory)?.sync_all()
        };
        sync().map_err(|error| ArchiveError::file(&path, error))?;
        Ok(Finished { temporary: self.temporary, name, digest, containers: self.linking.links.len() })
    }

    /// Takes the unfinished archive away.
    pub fn discard(self) {
        let path = self.directory.join(&self.temporary);
        drop(self.zip);
        let _ = std::fs::remove_file(path);
    }

    fn entry(&mut self, name: &str, content: &[u8], time: UnixTime) -> io::Result<()> {
        let local = name::local(time, &self.zone);
        // Containers are packed already; a time that the format does not know is left out.
        let mut options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let fields = [local.month(), local.day(), local.hour(), local.minute(), local.second()];
        let [month, day, hour, minute, second] = fields.map(|field| u8::try_from(field).unwrap_or(0));
        let year = u16::try_from(local.year()).unwrap_or(0);
        if let Ok(time) = zip::DateTime::from_date_and_time(year, month, day, hour, minute, second) {
            options = options.last_modified_time(time);
        }
        let before = self.marks.end();
        self.zip.start_file(name, options)?;
        // The entry before this one is complete now.
        self.marks.fix(before);
        self.zip.write_all(content)
    }

    fn failed(&self, error: io::Error) -> ArchiveError {
        ArchiveError::file(&self.directory.join(&self.temporary), error)
    }
}

/// Takes away what a run that was killed left behind.
pub(super) fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(TEMPORARY_START) && name.ends_with(TEMPORARY_END) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
