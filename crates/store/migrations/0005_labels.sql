-- Sums by what hours does not have: 'user', and 'tag:NAME' for each name of a tag. They go when the calls go.
CREATE TABLE labels (
    hour INTEGER NOT NULL,
    label TEXT NOT NULL,
    name TEXT NOT NULL,
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
    PRIMARY KEY (hour, label, name, error, currency, bucket)
) WITHOUT ROWID;
