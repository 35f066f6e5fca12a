-- What WhatsApp doesn't let an account do although it may be online: the worker's words, until when if that is known. It stays when
-- the account goes offline, and is NULL when there is none.
ALTER TABLE sessions ADD COLUMN restriction TEXT;
