-- The message log's schema of official security servers, as their eleventh change left it (`signature.md` 7.2).
CREATE SEQUENCE hibernate_sequence;
CREATE SEQUENCE logrecord_sequence;
CREATE TABLE logrecord (
    id bigint NOT NULL CONSTRAINT logrecordpk PRIMARY KEY,
    discriminator varchar(255) NOT NULL,
    time bigint,
    archived boolean,
    queryid varchar(255),
    message text,
    signature text,
    hashchain text,
    hashchainresult text,
    signaturehash text,
    timestamprecord bigint CONSTRAINT fk_qo6ack8sad6fqib90xghdaylh REFERENCES logrecord (id),
    timestamphashchain text,
    response boolean,
    timestamp text,
    memberclass varchar(255),
    membercode varchar(255),
    subsystemcode varchar(255),
    xrequestid varchar(255),
    keyid varchar(255),
    ciphermessage bytea
);
CREATE INDEX logrecord_timestamprecord_fkey ON logrecord (timestamprecord);
CREATE INDEX ix_not_archived_logrecord ON logrecord (id) WHERE discriminator = 't' AND archived = false;
CREATE INDEX ix_not_timestamped_logrecord ON logrecord (id, signaturehash)
    WHERE discriminator = 'm' AND timestamprecord IS NULL;
CREATE INDEX ix_logrecord_grouping ON logrecord (memberclass, membercode, subsystemcode, id)
    WHERE discriminator = 'm' AND archived = false AND timestamprecord IS NOT NULL;
CREATE TABLE last_archive_digest (
    id bigint NOT NULL CONSTRAINT last_archive_digestpk PRIMARY KEY,
    digest text,
    filename varchar(255),
    groupname varchar(255) UNIQUE
);
CREATE TABLE message_attachment (
    id bigserial PRIMARY KEY,
    logrecord_id bigint NOT NULL CONSTRAINT message_attachment_logrecord_fk REFERENCES logrecord (id),
    attachment_no int NOT NULL,
    attachment oid NOT NULL,
    UNIQUE (logrecord_id, attachment_no)
);
CREATE FUNCTION del_message_attachment_lo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM lo_unlink(old.attachment); RETURN old; END $$;
CREATE TRIGGER t_message_attachment_del_lo BEFORE DELETE ON message_attachment
    FOR EACH ROW EXECUTE PROCEDURE del_message_attachment_lo();
CREATE FUNCTION del_message_attachments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN DELETE FROM message_attachment WHERE logrecord_id = old.id; RETURN old; END $$;
CREATE TRIGGER t_logrecord_del_attachments BEFORE DELETE ON logrecord
    FOR EACH ROW EXECUTE PROCEDURE del_message_attachments();
