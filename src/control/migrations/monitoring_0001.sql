-- Operational records of this server, in a database of their own: it may be deleted at any time.
-- client and provider are paths of percent-encoded segments, so that one comparison is exact.
CREATE TABLE operational_record (
    id INTEGER PRIMARY KEY,
    monitoring_data_ts INTEGER NOT NULL,
    client TEXT,
    provider TEXT,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX operational_record_by_time ON operational_record (monitoring_data_ts, id);
