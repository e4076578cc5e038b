-- Prompts: names, and what stood under them, which is never edited.

-- A name stays when its prompt is deleted, so that no number ever means two texts.
CREATE TABLE prompts (
    name TEXT NOT NULL PRIMARY KEY,
    -- The newest version's number; 0: there has been none.
    newest INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE prompt_versions (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- How the text is written: 'toml', 'yaml'.
    form TEXT NOT NULL,
    -- The file as it was given.
    source TEXT NOT NULL,
    -- When it came, in microseconds since 1970 in UTC.
    made_us INTEGER NOT NULL,
    PRIMARY KEY (name, version)
);

-- A label points at a version, and may point at another one tomorrow.
CREATE TABLE prompt_labels (
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (name, label)
) WITHOUT ROWID;

-- How the versions that are tried out share the calls.
CREATE TABLE prompt_shares (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    share INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) WITHOUT ROWID;
