-- 1: made by a program on this machine, and for no caller of the gateway.
ALTER TABLE sessions ADD COLUMN local INTEGER NOT NULL DEFAULT 0;

-- Programs write down which model is asked and what of the history it is sent; the gateway leaves both to its callers.
UPDATE sessions SET local = 1 WHERE model IS NOT NULL AND kept IS NOT NULL AND user_id IS NULL;

-- The model's name as the answer told it.
ALTER TABLE turns ADD COLUMN told_model TEXT;
