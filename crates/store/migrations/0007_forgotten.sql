-- Turns whose session was deleted while others went on from them: only an answer's id names them now, if anything does.
UPDATE turns SET session = '' WHERE session <> '' AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.id = turns.session);

-- Who was to be forgotten, and when: what comes of them later, out of a file or a process that had set it aside, is not
-- written any more. Not the id itself, which would be a trace, but what is calculated from it.
CREATE TABLE forgotten (
    user BLOB NOT NULL PRIMARY KEY,
    at_us INTEGER NOT NULL
) WITHOUT ROWID;
