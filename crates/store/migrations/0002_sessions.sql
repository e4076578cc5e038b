-- Conversations. Unlike the ledger these rows hold what was said. Times are microseconds, money is millionths of a currency's unit.

-- A tree: a turn is what was asked and what was answered to it, and points at the turn before it. It is never edited.
CREATE TABLE turns (
    -- Begins with the time at which it was kept.
    id BLOB NOT NULL PRIMARY KEY,
    parent BLOB,
    -- How many turns there are up to this one.
    depth INTEGER NOT NULL,
    -- The session that it was made in; '' for one that only an answer's id names.
    session TEXT NOT NULL,
    -- The id that the caller knows the answer by, where answers have one.
    response_id TEXT,
    key_id TEXT,
    user_id TEXT,
    begun_us INTEGER NOT NULL,
    elapsed_us INTEGER NOT NULL,
    model TEXT NOT NULL,
    -- Who answered: its state is for nobody else.
    target TEXT,
    -- Lists of messages, and one message or null, as JSON.
    asked TEXT NOT NULL,
    answered TEXT NOT NULL,
    -- Why the answer ended; NULL when it did not come to its end.
    finish TEXT,
    error TEXT,
    input INTEGER,
    output INTEGER,
    usage_estimated INTEGER NOT NULL,
    cost_micros INTEGER,
    currency TEXT
);

CREATE INDEX turns_by_parent ON turns (parent) WHERE parent IS NOT NULL;
CREATE INDEX turns_by_session ON turns (session);
CREATE UNIQUE INDEX turns_by_response ON turns (response_id) WHERE response_id IS NOT NULL;
CREATE INDEX turns_by_user ON turns (user_id) WHERE user_id IS NOT NULL;

-- A session is a name for a turn: the last one.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    key_id TEXT,
    user_id TEXT,
    model TEXT,
    system TEXT,
    -- What of the history the next call gets, in words.
    kept TEXT,
    head BLOB,
    -- The session that it was branched off.
    branch_of TEXT
);

CREATE INDEX sessions_by_update ON sessions (updated_us);
CREATE INDEX sessions_by_head ON sessions (head) WHERE head IS NOT NULL;
CREATE INDEX sessions_by_user ON sessions (user_id) WHERE user_id IS NOT NULL;

-- What all turns up to and with this one come to, in a few words.
CREATE TABLE summaries (
    turn BLOB NOT NULL PRIMARY KEY,
    made_us INTEGER NOT NULL,
    target TEXT,
    text TEXT NOT NULL
);
