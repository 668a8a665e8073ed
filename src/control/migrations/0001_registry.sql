-- The registry: local clients, services, endpoints, access rights and local groups.
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL
) STRICT;
INSERT INTO state (id, generation) VALUES (1, 0);

CREATE TABLE client (
    id INTEGER PRIMARY KEY,
    instance TEXT NOT NULL,
    member_class TEXT NOT NULL,
    member_code TEXT NOT NULL,
    subsystem_code TEXT,
    status TEXT NOT NULL,
    connection_type TEXT NOT NULL
) STRICT;
-- A blank subsystem code is not allowed, so it can stand for none here.
CREATE UNIQUE INDEX client_identifier
    ON client (instance, member_class, member_code, ifnull(subsystem_code, ''));

CREATE TABLE certificate (
    client_id INTEGER NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    der BLOB NOT NULL,
    PRIMARY KEY (client_id, der)
) STRICT;

CREATE TABLE service (
    id INTEGER PRIMARY KEY,
    client_id INTEGER NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    service_code TEXT NOT NULL,
    service_version TEXT,
    service_type TEXT NOT NULL,
    url TEXT NOT NULL,
    description_url TEXT,
    verify_tls INTEGER NOT NULL,
    timeout_secs INTEGER,
    disabled_notice TEXT,
    log_bodies INTEGER
) STRICT;
CREATE INDEX service_client ON service (client_id);

CREATE TABLE endpoint (
    id INTEGER PRIMARY KEY,
    client_id INTEGER NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    service_code TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    UNIQUE (client_id, service_code, method, path)
) STRICT;

-- subject_type is CLIENT (all identifier columns), GLOBALGROUP (instance and group_code) or LOCALGROUP (group_code).
CREATE TABLE access_right (
    id INTEGER PRIMARY KEY,
    endpoint_id INTEGER NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE,
    subject_type TEXT NOT NULL,
    instance TEXT,
    member_class TEXT,
    member_code TEXT,
    subsystem_code TEXT,
    group_code TEXT
) STRICT;
CREATE INDEX access_right_endpoint ON access_right (endpoint_id);

CREATE TABLE local_group (
    id INTEGER PRIMARY KEY,
    client_id INTEGER NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    group_code TEXT NOT NULL,
    description TEXT NOT NULL,
    UNIQUE (client_id, group_code)
) STRICT;

CREATE TABLE group_member (
    id INTEGER PRIMARY KEY,
    group_id INTEGER NOT NULL REFERENCES local_group (id) ON DELETE CASCADE,
    instance TEXT NOT NULL,
    member_class TEXT NOT NULL,
    member_code TEXT NOT NULL,
    subsystem_code TEXT
) STRICT;
CREATE INDEX group_member_group ON group_member (group_id);
