//! Every bound on input, in one file. Units are last in the names.

/// Request line or one header field of HTTP/1.1, as a whole head.
pub const HTTP_HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields of one HTTP/1.1 head.
pub const HTTP_HEADERS_MAX: usize = 128;
/// Head of a response that a service or peer sends; services set large cookies.
pub const HTTP_RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Line with the size and extensions of one HTTP chunk.
pub const HTTP_CHUNK_LINE_BYTES_MAX: usize = 256;
/// Trailer section after the last HTTP chunk, dropped.
pub const HTTP_TRAILER_BYTES_MAX: usize = 8 * 1024;
/// Interim (1xx) responses before the final one.
pub const HTTP_INTERIM_RESPONSES_MAX: usize = 8;
/// Rest of a request body that is read and dropped to keep a connection alive.
pub const HTTP_DRAIN_BYTES_MAX: usize = 256 * 1024;
/// Least rate of a request's body, taken over a minute of waiting for it. The slowest links in use carry 2 kB/s.
pub const HTTP_BODY_BYTES_PER_SEC_MIN: u64 = 256;
/// Body bytes gathered before they are written to a connection.
pub const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// Messages of one worker that wait for a connection to the same address; what comes on top is refused at once.
pub const CONNECTION_WAITERS_MAX: usize = 1024;
/// The same for a few seconds: so many come while the server at the address is being restarted.
pub const CONNECTION_WAITERS_BURST_MAX: usize = 4096;
/// Receive buffer of a connection; one per open connection on io_uring.
pub const READ_BUFFER_BYTES: usize = 16 * 1024;
/// The same while a long body streams.
pub const LARGE_READ_BUFFER_BYTES: usize = 64 * 1024;
/// Connections open at a time on one worker, channels of multiplexed ones included; more wait in the kernel's queue, or to be
/// accepted.
pub const CONNECTIONS_PER_WORKER_MAX: usize = 10_000;
/// Channels that a client opens on one multiplexed connection at a time.
pub const CHANNELS_MAX: usize = 512;
/// Bytes that either end may send on a channel before the other one says that it takes more.
pub const CHANNEL_WINDOW_BYTES: usize = 128 * 1024;
/// The same for a client on a channel that the server has not accepted yet.
pub const CHANNEL_WINDOW_BYTES_MIN: usize = 16 * 1024;
/// What one channel says between two writes to the connection, so that others can say something, too.
pub const CHANNEL_ROUND_BYTES_MAX: usize = 64 * 1024;
/// Bytes for which references stand that come over a multiplexed connection, for each other byte.
pub const REPEATED_BYTES_PER_BYTE_MAX: u64 = 64;
/// The same before there is any.
pub const REPEATED_BYTES_MAX: u64 = 1024 * 1024;
/// The same on a channel on which a long body comes.
pub const CHANNEL_WINDOW_BYTES_MAX: usize = 1024 * 1024;
/// What the windows of all channels of a connection may have grown together, in bytes.
pub const CHANNEL_WINDOWS_GROWTH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of all channels together that wait to be written to a multiplexed connection; then they wait before they say more.
pub const CHANNELS_OUT_BYTES_MAX: usize = 256 * 1024;
/// TLS sessions remembered per server configuration, and peers per client configuration.
pub const TLS_SESSIONS_MAX: usize = 10_000;
/// Life of a TLS session that may be resumed, either side.
pub const TLS_SESSION_SECS_MAX: u64 = 600;
/// Header line of a MIME part without its line end, as it comes and as it is written again, unfolded. Official servers
/// (mime4j, `transport.md` 2.4) refuse a line that has 1000 bytes with its line end.
pub const MIME_HEADER_LINE_BYTES_MAX: usize = 997;
/// One MIME header including its folded lines.
pub const MIME_HEADER_BYTES_MAX: usize = 10_000;
/// Headers of one MIME part.
pub const MIME_HEADERS_MAX: usize = 1000;
/// All header lines of one MIME part.
pub const MIME_PART_HEADERS_BYTES_MAX: usize = 256 * 1024;
/// Boundary of a multipart body (RFC 2046 says 70; some senders exceed it).
pub const MIME_BOUNDARY_BYTES_MAX: usize = 200;
/// Nesting of multipart bodies from clients and services.
pub const MIME_DEPTH_MAX: usize = 8;
/// Attachments of one SOAP message.
pub const ATTACHMENTS_MAX: usize = 1000;
/// OCSP response parts of one transport message.
pub const OCSP_PARTS_MAX: usize = 10;
/// One OCSP response.
pub const OCSP_RESPONSE_BYTES_MAX: usize = 64 * 1024;
/// A time-stamping authority's answer.
pub const TIMESTAMP_RESPONSE_BYTES_MAX: usize = 256 * 1024;
/// The SOAP part of a message, held in memory while it is parsed.
pub const SOAP_PART_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Of each message this much is held in memory without being counted in the budget of all messages: what large ones take
/// must not keep small ones out.
pub const UNCOUNTED_MESSAGE_BYTES: usize = 64 * 1024;
/// Memory for all messages together, beyond [`UNCOUNTED_MESSAGE_BYTES`] of each; a message that is rewritten or converted
/// takes up to three times its size. The configured default.
pub const MESSAGE_MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Body, or all attachments, of one message that is received from another security server. The configured default.
pub const MESSAGE_BODY_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Bodies of all messages together that are on disk while their messages are under way. The configured default.
pub const SPOOLED_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// A fault, which comes in place of an answer.
pub const FAULT_BYTES_MAX: usize = 512 * 1024;
/// The REST head part of a transport message.
pub const REST_PART_BYTES_MAX: usize = 256 * 1024;
/// A signature document.
pub const SIGNATURE_BYTES_MAX: usize = 512 * 1024;
/// A hash chain or hash chain result document.
pub const HASH_CHAIN_BYTES_MAX: usize = 512 * 1024;
/// Steps of a hash chain (a tree of a million leaves needs 20, a multipart leaf one more).
pub const HASH_CHAIN_STEPS_MAX: usize = 64;
/// Items of all steps of one hash chain document; a step over the parts of a message has one for each.
pub const HASH_CHAIN_ITEMS_MAX: usize = ATTACHMENTS_MAX + 2 * HASH_CHAIN_STEPS_MAX;
/// Nodes of a signature's hash tree that are remembered as verified (about 200 bytes each).
pub const HASH_TREE_NODES_REMEMBERED_MAX: usize = 256;
/// Signature documents that a worker remembers as verified; usually 8 KB each, at most 32.
pub const VERIFIED_SIGNATURES_MAX: usize = 512;
/// Authentication chains of peers that a worker remembers as verified; a few KB each.
pub const AUTHENTICATED_PEERS_MAX: usize = 1024;
/// A verified authentication chain is believed no longer than this without another check.
pub const AUTHENTICATED_PEER_SECS_MAX: i64 = 60;
/// Identifiers of a kind that a thread remembers by their text.
pub const IDENTIFIERS_KEPT_MAX: usize = 512;
/// Bytes of a text that is remembered; a longer one is read each time.
pub const IDENTIFIER_KEPT_BYTES_MAX: usize = 256;
/// References of one XML signature (Santuario's bound).
pub const REFERENCES_MAX: usize = 30;
/// Message id of a message, in characters.
pub const MESSAGE_ID_CHARS_MAX: usize = 255;
/// Element nesting of any XML document.
pub const XML_DEPTH_MAX: usize = 128;
/// Attributes of one element.
pub const XML_ATTRIBUTES_MAX: usize = 64;
/// One namespace name of an XML document.
pub const XML_NAMESPACE_BYTES_MAX: usize = 1024;
/// Nodes of one XML document that is held as a tree.
pub const XML_NODES_MAX: usize = 1_000_000;
/// A body is kept in memory up to this size and spooled to an unlinked file above it.
pub const SPOOL_MEMORY_BYTES_MAX: usize = 256 * 1024;
/// An archive of the message log, or a download of several containers, as a file, and what its entries hold; official
/// servers close theirs at 32 MiB. File, entries and one container unpacked must fit into 512 MiB of memory.
pub const ARCHIVE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Entries of such an archive (the most that the format can count).
pub const ARCHIVE_ENTRIES_MAX: usize = 65_535;
/// Records that the archiver plans at once; the last archive of each such batch is closed, as official servers do.
pub const ARCHIVE_BATCH_RECORDS: usize = 10_000;
/// Bytes of an archive that are written before they are made durable, so that the log never waits behind more.
pub const ARCHIVE_UNSYNCED_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest time that `gpg` may take after the last byte of an archive, in seconds, as official servers allow it.
pub const ARCHIVE_GPG_SECS_MAX: u64 = 60;
/// Downloads of evidence that are encrypted at once, each by a process of `gpg`.
pub const DOWNLOAD_ENCRYPTIONS_MAX: usize = 4;
/// A download waits so long for its turn to be encrypted, in seconds.
pub const DOWNLOAD_ENCRYPTION_WAIT_SECS_MAX: u64 = 30;
/// The command that takes archives away may run this long, in seconds.
pub const ARCHIVE_TRANSFER_SECS_MAX: u64 = 3600;
/// Files that one directory of evidence may hold, those of its folders included.
pub const EVIDENCE_FILES_MAX: usize = 1_000_000;
/// An ASiC container as a file.
pub const ASIC_CONTAINER_BYTES_MAX: usize = 96 * 1024 * 1024;
/// All entries of an ASiC container, inflated. With the file itself this stays below 300 MiB.
pub const ASIC_INFLATED_BYTES_MAX: usize = 192 * 1024 * 1024;
/// One entry of an ASiC container, inflated.
pub const ASIC_ENTRY_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Entries of an ASiC container.
pub const ASIC_ENTRIES_MAX: usize = 2048;
/// A time-stamp response or token.
pub const TIMESTAMP_TOKEN_BYTES_MAX: usize = 64 * 1024;
/// Records that wait for the log's writer; with 1 KiB messages about 30 MiB.
pub const LOG_QUEUE_RECORDS_MAX: usize = 8192;
/// Records of one group commit.
pub const LOG_COMMIT_RECORDS_MAX: usize = 1024;
/// A group commit takes no further record once it holds this many bytes.
pub const LOG_COMMIT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// One message record with its attachments.
pub const LOG_RECORD_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Distinct signature documents that the log's writer remembers to store each once; about 8 KB each.
pub const LOG_DOCUMENTS_REMEMBERED_MAX: usize = 1024;
/// Signers of which the log's writer remembers a document to store only what differs in the next; about 8 KB each.
pub const LOG_SIGNERS_REMEMBERED_MAX: usize = 512;
/// Memory of the filters that tell which complete segments of the log do not hold a message id; enough for 40 million
/// records. Older segments beyond it are searched on disk.
pub const LOG_FILTER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Message records under one time-stamp (the protocol's `timestamp-records-limit`).
pub const TIMESTAMP_RECORDS_MAX: usize = 10_000;
/// Signing requests that wait for one key.
pub const SIGN_QUEUE_REQUESTS_MAX: usize = 8192;
/// Signing requests under one signature.
pub const SIGN_BATCH_REQUESTS_MAX: usize = 1024;
/// One PKCS#12 file, one keyconf.xml or one token index.
pub const TOKEN_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// One file of the global configuration (a country with 100,000 members takes about 40 MiB).
pub const GLOBAL_CONF_PART_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Nodes of one file of the global configuration.
pub const GLOBAL_CONF_NODES_MAX: usize = 8_000_000;
/// The signed directory of a configuration source.
pub const GLOBAL_CONF_DIRECTORY_BYTES_MAX: usize = 1024 * 1024;
/// Times that a stored instance is read when its folder is replaced meanwhile.
pub const GLOBAL_CONF_READS_MAX: usize = 10;
/// Parts that a signed directory may list.
pub const GLOBAL_CONF_PARTS_MAX: usize = 1000;
/// Sources of one instance renew their directories on their own; one may be behind another by this, in seconds.
pub const GLOBAL_CONF_SOURCES_APART_SECS: i64 = 300;
/// A source of another instance that failed is asked again after at most this long (or the update interval), in seconds.
pub const FOREIGN_CONF_RETRY_SECS_MAX: i64 = 300;
/// Sources of other instances are waited for this long in one cycle, so that they do not hold up the own one; seconds.
pub const FOREIGN_CONF_CYCLE_SECS_MAX: u64 = 60;
/// Certificates of one path, and signatures checked while a path is searched.
pub const CERT_PATH_STEPS_MAX: usize = 64;
/// Intermediate certificates that a peer may present or a signature may carry.
pub const INTERMEDIATE_CERTS_MAX: usize = 10;
/// Remembered checks of OCSP signatures (about 200 bytes each).
pub const OCSP_CHECKS_MAX: usize = 10_000;
/// Remembered checks of the signatures of certificates (64 bytes each).
pub const CERTIFICATE_CHECKS_MAX: usize = 10_000;
/// What is remembered of a request sent on a reused connection, so that it can be sent once more on a new one.
pub const RESEND_BYTES_MAX: usize = 1024 * 1024;
/// Services whose health is watched; callers can name services that are not there.
pub const MONITORED_SERVICES_MAX: usize = 10_000;
/// Processes of the host that are told to the owner.
pub const MONITORED_PROCESSES_MAX: usize = 4096;
/// Requests that are remembered so that a repeated one is noticed; 32 bytes each and their table, about 12 MiB.
pub const REQUESTS_REMEMBERED_MAX: usize = 131_072;
/// Parts of what is remembered of requests, each with a lock of its own.
pub const REPEAT_SHARDS: usize = 16;
/// A dump of an official server's database.
pub const SERVERCONF_DUMP_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// A WSDL or OpenAPI description.
pub const DESCRIPTION_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Names of hosts whose addresses a worker remembers.
pub const RESOLVED_NAMES_MAX: usize = 1024;
/// How long it does.
pub const RESOLVED_NAME_LIFE: std::time::Duration = std::time::Duration::from_secs(30);
/// A line of the audit log.
pub const AUDIT_LINE_BYTES_MAX: u64 = 64 * 1024;
/// Codes of errors that are counted apart.
pub const ERROR_CODES_COUNTED_MAX: usize = 256;
/// How far the own clock may be from the others', in seconds: what peers, OCSP responders and authorities tolerate.
pub const CLOCK_DIFFERENCE_SECS_MAX: i64 = 60;
/// An answer of the own admin socket.
pub const ADMIN_ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// A backup, and all of its entries together.
pub const BACKUP_BYTES_MAX: u64 = 1024 * 1024 * 1024;
