-- A line of sums an hour and kind, and not one a bucket of time besides: there were nearly as many lines as calls.
-- `times` is a sketch of how long good calls took: how many by bucket, as JSON. `timed` is the output of calls that took time,
-- which those of a provider's batch did not: nobody waited for them.
CREATE TABLE hour_sums (
    hour INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    elapsed_us INTEGER NOT NULL,
    times TEXT NOT NULL,
    PRIMARY KEY (hour, kind)
) WITHOUT ROWID;

INSERT INTO hour_sums SELECT h.hour, h.kind, SUM(h.calls), SUM(h.input), SUM(h.output), SUM(h.cache_read), SUM(h.reasoning),
    SUM(h.estimated), SUM(h.cost_micros), SUM(h.output), SUM(h.elapsed_us),
    json_group_object(h.bucket, h.calls) FILTER (WHERE h.calls > 0 AND k.error = '' AND NOT k.copy)
FROM hour_rows AS h JOIN call_kinds AS k ON k.id = h.kind GROUP BY h.hour, h.kind;

CREATE TABLE label_sums (
    hour INTEGER NOT NULL,
    label TEXT NOT NULL,
    name TEXT NOT NULL,
    error TEXT NOT NULL,
    currency TEXT NOT NULL,
    calls INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    elapsed_us INTEGER NOT NULL,
    times TEXT NOT NULL,
    PRIMARY KEY (hour, label, name, error, currency)
) WITHOUT ROWID;

INSERT INTO label_sums SELECT hour, label, name, error, currency, SUM(calls), SUM(input), SUM(output), SUM(cache_read),
    SUM(reasoning), SUM(estimated), SUM(cost_micros), SUM(output), SUM(elapsed_us),
    json_group_object(bucket, calls) FILTER (WHERE calls > 0 AND error = '')
FROM labels GROUP BY hour, label, name, error, currency;

DROP VIEW hours;
DROP TABLE hour_rows;
DROP TABLE labels;

CREATE VIEW hours AS SELECT
    h.hour AS hour, k.key_id AS key_id, k.model AS model, k.target AS target, k.task AS task,
    CASE WHEN k.copy THEN 'mirror' ELSE k.error END AS error, k.currency AS currency, h.calls AS calls,
    h.input AS input, h.output AS output, h.cache_read AS cache_read, h.reasoning AS reasoning, h.estimated AS estimated,
    h.cost_micros AS cost_micros, h.timed AS timed, h.elapsed_us AS elapsed_us, h.times AS times
FROM hour_sums AS h JOIN call_kinds AS k ON k.id = h.kind;
