-- Times are microseconds since 1970-01-01T00:00:00Z. All of this can be lost: git and GitHub hold what matters.

-- What senders told. A delivery's id is unique for its sender, so that a redelivery changes nothing.
CREATE TABLE deliveries (
    sender      TEXT NOT NULL,
    id          TEXT NOT NULL,
    event_kind  TEXT NOT NULL,
    event       TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (sender, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_by_time ON deliveries (received_at);

-- Comments whose commands wait to be decided. A decided one stays until it is pruned, so that it cannot come in twice.
CREATE TABLE inbox (
    repo       TEXT NOT NULL,
    comment_id INTEGER NOT NULL,
    comment    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    done_at    INTEGER,
    PRIMARY KEY (repo, comment_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_waiting ON inbox (repo, created_at, comment_id) WHERE done_at IS NULL;

-- One row a key. A job that is done has no row.
CREATE TABLE jobs (
    key        TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    payload    TEXT,
    state      TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'parked')),
    -- When a worker may take it: for a running job the end of its lease, for a parked one never.
    ready_at   INTEGER,
    -- The debounce: when it is due, and the latest that more requests may move that to.
    due        INTEGER NOT NULL,
    latest     INTEGER NOT NULL,
    -- Set by a retry; no request comes before it.
    not_before INTEGER NOT NULL,
    -- How long it lets others go first, in microseconds.
    patience   INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    -- Requested again while it ran; due, latest, patience and payload are those of the next run.
    rerun      INTEGER NOT NULL,
    owner      TEXT,
    token      INTEGER,
    -- Why the last try failed, or why it is parked.
    why        TEXT,
    parked_for TEXT CHECK (parked_for IN ('tries', 'blocked', 'bug')),
    parked_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_ready ON jobs (ready_at) WHERE ready_at IS NOT NULL;

-- The fencing token of the last lease given out.
CREATE TABLE lease_token (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    last     INTEGER NOT NULL
) STRICT;
INSERT INTO lease_token VALUES (1, 0);

-- Which config repositories follow which image.
CREATE TABLE image_index (
    image TEXT NOT NULL,
    repo  TEXT NOT NULL,
    PRIMARY KEY (image, repo)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_index_by_repo ON image_index (repo);

-- Small cached facts, as JSON.
CREATE TABLE facts (
    scope TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    as_of INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
