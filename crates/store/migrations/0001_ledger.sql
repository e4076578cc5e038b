-- The ledger. Times are microseconds, money is millionths of a currency's unit, both whole numbers. No texts of callers.

-- One row a call. An id begins with the time at which the call was over, so that the rows lie in the order of time.
CREATE TABLE calls (
    id BLOB NOT NULL PRIMARY KEY,
    -- When it began, since 1970 in UTC.
    begun_us INTEGER NOT NULL,
    -- What the gateway told its caller; '' for calls of the command and of programs.
    request_id TEXT NOT NULL,
    key_id TEXT,
    user_id TEXT,
    tags TEXT,
    operation TEXT NOT NULL,
    -- What the caller speaks; nothing for calls of the command and of programs.
    dialect TEXT,
    model TEXT NOT NULL,
    task TEXT,
    target TEXT,
    streamed INTEGER NOT NULL,
    status INTEGER NOT NULL,
    error TEXT,
    blame TEXT,
    input INTEGER,
    output INTEGER,
    cache_read INTEGER,
    cache_write INTEGER,
    cache_write_5m INTEGER,
    cache_write_1h INTEGER,
    reasoning INTEGER,
    audio_input INTEGER,
    audio_output INTEGER,
    usage_estimated INTEGER NOT NULL,
    images INTEGER,
    audio_ms INTEGER,
    characters INTEGER,
    requests INTEGER,
    cost_micros INTEGER,
    currency TEXT,
    -- The day on which the price was looked up: its version.
    price_date TEXT,
    first_us INTEGER,
    elapsed_us INTEGER NOT NULL,
    bytes_in INTEGER,
    bytes_out INTEGER,
    losses INTEGER NOT NULL,
    -- The request_id of the call that this is a copy of, made to try a target out: none of the calls that anybody made.
    mirror_of TEXT
) WITHOUT ROWID;

CREATE INDEX calls_by_request ON calls (request_id) WHERE request_id <> '';
CREATE INDEX calls_by_user ON calls (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX calls_failed ON calls (id) WHERE error IS NOT NULL;

-- The exchanges of a call, in their order.
CREATE TABLE exchanges (
    call_id BLOB NOT NULL,
    number INTEGER NOT NULL,
    target TEXT NOT NULL,
    dialect TEXT,
    -- Since the call's begin.
    started_us INTEGER NOT NULL,
    elapsed_us INTEGER NOT NULL,
    -- The provider's own, where it refused.
    status INTEGER,
    error TEXT,
    input INTEGER,
    output INTEGER,
    usage_estimated INTEGER NOT NULL,
    cost_micros INTEGER,
    currency TEXT,
    PRIMARY KEY (call_id, number)
) WITHOUT ROWID;

-- Sums, so that nobody has to read a million rows. `error` is 'mirror' for copies of calls; a call whose tries are charged
-- in several currencies has a line of each, and counts in the first. `bucket` is that of a good call's time: together they are a sketch of it.
CREATE TABLE hours (
    hour INTEGER NOT NULL,
    model TEXT NOT NULL,
    target TEXT NOT NULL,
    task TEXT NOT NULL,
    error TEXT NOT NULL,
    currency TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    elapsed_us INTEGER NOT NULL,
    PRIMARY KEY (hour, model, target, task, error, currency, bucket)
) WITHOUT ROWID;
