-- The other kinds of tokens of an exchange, as JSON, where its call had several; of a single one they are the call's.
ALTER TABLE exchanges ADD COLUMN kinds TEXT;
