-- The ledger. Times are microseconds, money is millionths of a currency's unit, both whole numbers. No texts of callers.
--
-- A row a call, as small as it can be: what calls have in common stands in call_kinds, what few calls have in `more`.
-- Read `calls` and `hours`, which are the same with every name in its place.

-- What calls have in common. What is not known is ''.
CREATE TABLE call_kinds (
    id INTEGER PRIMARY KEY,
    key_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    -- What the caller speaks; '' for calls of the command and of programs.
    dialect TEXT NOT NULL,
    -- As asked for; '' where it led nowhere: such names are without end.
    model TEXT NOT NULL,
    task TEXT NOT NULL,
    target TEXT NOT NULL,
    -- What the provider speaks.
    spoken TEXT NOT NULL,
    streamed INTEGER NOT NULL,
    status INTEGER NOT NULL,
    error TEXT NOT NULL,
    blame TEXT NOT NULL,
    currency TEXT NOT NULL,
    -- The day on which the price was looked up: its version.
    price_date TEXT NOT NULL,
    -- Made to try a target out: none of the calls that anybody made.
    copy INTEGER NOT NULL,
    UNIQUE (target, model, error, key_id, operation, dialect, task, spoken, streamed, status, blame, currency, price_date, copy)
);

CREATE TABLE call_rows (
    -- In the order in which they came.
    number INTEGER PRIMARY KEY,
    -- Begins with the time at which the call began; what the gateway told its caller is the same in other letters.
    id BLOB NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    -- Since 1970 in UTC.
    begun_us INTEGER NOT NULL,
    user_id TEXT,
    tags TEXT,
    input INTEGER,
    output INTEGER,
    cache_read INTEGER,
    cache_write INTEGER,
    reasoning INTEGER,
    usage_estimated INTEGER NOT NULL,
    cost_micros INTEGER,
    first_us INTEGER,
    elapsed_us INTEGER NOT NULL,
    bytes_in INTEGER,
    bytes_out INTEGER,
    losses INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    -- JSON.
    more TEXT
);

CREATE INDEX call_rows_failed ON call_rows (id) WHERE failed = 1;
CREATE INDEX call_rows_by_user ON call_rows (user_id) WHERE user_id IS NOT NULL;

-- The exchanges of a call in their order, where there is more to say of them than the call says.
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
    -- The other kinds of tokens, as JSON, where its call had several exchanges.
    kinds TEXT,
    PRIMARY KEY (call_id, number)
) WITHOUT ROWID;

-- Sums, so that nobody has to read a million rows. A call whose tries are charged in several currencies has a line of each,
-- and counts in the first. `bucket` is that of a good call's time: together they are a sketch of it.
CREATE TABLE hour_rows (
    hour INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    elapsed_us INTEGER NOT NULL,
    PRIMARY KEY (hour, kind, bucket)
) WITHOUT ROWID;

CREATE VIEW calls AS SELECT
    r.number AS number,
    r.id AS id,
    r.begun_us AS begun_us,
    NULLIF(k.key_id, '') AS key_id,
    r.user_id AS user_id,
    r.tags AS tags,
    k.operation AS operation,
    NULLIF(k.dialect, '') AS dialect,
    COALESCE(r.more ->> '$.model', k.model) AS model,
    NULLIF(k.task, '') AS task,
    NULLIF(k.target, '') AS target,
    NULLIF(k.spoken, '') AS spoken,
    k.streamed AS streamed,
    k.status AS status,
    NULLIF(k.error, '') AS error,
    NULLIF(k.blame, '') AS blame,
    r.input AS input,
    r.output AS output,
    r.cache_read AS cache_read,
    r.cache_write AS cache_write,
    r.more ->> '$.cache_write_5m' AS cache_write_5m,
    r.more ->> '$.cache_write_1h' AS cache_write_1h,
    r.reasoning AS reasoning,
    r.more ->> '$.audio_input' AS audio_input,
    r.more ->> '$.audio_output' AS audio_output,
    r.usage_estimated AS usage_estimated,
    r.more ->> '$.images' AS images,
    r.more ->> '$.audio_ms' AS audio_ms,
    r.more ->> '$.characters' AS characters,
    r.more ->> '$.requests' AS requests,
    r.cost_micros AS cost_micros,
    NULLIF(k.currency, '') AS currency,
    NULLIF(k.price_date, '') AS price_date,
    r.first_us AS first_us,
    r.elapsed_us AS elapsed_us,
    r.bytes_in AS bytes_in,
    r.bytes_out AS bytes_out,
    r.losses AS losses,
    r.failed AS failed,
    r.more ->> '$.mirror_of' AS mirror_of,
    -- 0: nobody was asked.
    r.more ->> '$.exchanges' AS asked
-- CROSS: rows first, for there are indexes on what is asked of them.
FROM call_rows AS r CROSS JOIN call_kinds AS k ON k.id = r.kind;

CREATE VIEW hours AS SELECT
    h.hour AS hour, k.key_id AS key_id, k.model AS model, k.target AS target, k.task AS task,
    CASE WHEN k.copy THEN 'mirror' ELSE k.error END AS error, k.currency AS currency, h.bucket AS bucket, h.calls AS calls,
    h.input AS input, h.output AS output, h.cache_read AS cache_read, h.reasoning AS reasoning, h.estimated AS estimated,
    h.cost_micros AS cost_micros, h.elapsed_us AS elapsed_us
FROM hour_rows AS h JOIN call_kinds AS k ON k.id = h.kind;
