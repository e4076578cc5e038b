-- What was said in calls, where the configuration asks for it. They go when the calls go.
CREATE TABLE texts (
    call_id BLOB NOT NULL PRIMARY KEY,
    request TEXT,
    answer TEXT
);
