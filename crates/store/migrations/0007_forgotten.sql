-- Turns whose session was deleted while others went on from them: only an answer's id names them now, if anything does.
UPDATE turns SET session = '' WHERE session <> '' AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.id = turns.session);

-- Who was to be forgotten, and when: what comes of them later, out of a file or a process that had set it aside, is not
-- written any more. Not the id itself, which would be a trace, but what is calculated from it.
CREATE TABLE forgotten (
    user BLOB NOT NULL PRIMARY KEY,
    at_us INTEGER NOT NULL
) WITHOUT ROWID;

-- Where nobody had the model that was asked for, its name is in the call's own row, and so is whom it was asked of.
DROP VIEW calls;

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
    COALESCE(r.more ->> '$.target', NULLIF(k.target, '')) AS target,
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
    r.more ->> '$.exchanges' AS asked,
    -- As it is summed up: of names that led nowhere nothing, or only the provider, as `provider/`.
    k.model AS kind_model,
    k.target AS kind_target
-- CROSS: rows first, for there are indexes on what is asked of them.
FROM call_rows AS r CROSS JOIN call_kinds AS k ON k.id = r.kind;
