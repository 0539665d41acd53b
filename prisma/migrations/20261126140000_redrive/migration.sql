-- What became of a dead letter: it waits for someone, was sent again (as it was, or corrected), or was given up.

ALTER TABLE dead_letters
  ADD COLUMN state_at      timestamptz,
  ADD COLUMN redrive_of    bigint,
  ADD COLUMN sent_event_id uuid,
  ADD COLUMN state         text NOT NULL DEFAULT 'open',
  ADD COLUMN state_by      text,
  ADD COLUMN state_reason  text,
  ADD COLUMN edited_key    bytea,
  ADD COLUMN edited_value  bytea;

-- What was discarded while its user was parked has been decided already.
UPDATE dead_letters SET state = 'discarded', state_at = created_at, state_reason = detail WHERE reason = 'discarded';

ALTER TABLE dead_letters
  ADD CONSTRAINT dead_letters_state_known CHECK (state IN ('open', 'redriven', 'discarded')),
  ADD CONSTRAINT dead_letters_state_dated CHECK ((state = 'open') = (state_at IS NULL)),
  ADD CONSTRAINT dead_letters_edited_is_sent CHECK (state = 'redriven' OR (edited_key IS NULL AND edited_value IS NULL AND sent_event_id IS NULL));

-- Pages of a list walk along id; these spare the walk over what the filter leaves out.
CREATE INDEX dead_letters_state_id_idx ON dead_letters (state, id);
CREATE INDEX dead_letters_reason_id_idx ON dead_letters (reason, id);
CREATE INDEX dead_letters_user_id_id_idx ON dead_letters (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX dead_letters_event_id_idx ON dead_letters (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX dead_letters_redrive_of_idx ON dead_letters (redrive_of) WHERE redrive_of IS NOT NULL;

COMMENT ON COLUMN dead_letters.redrive_of IS 'the dead letter whose redrive this record was, as its header brx-redrive-of says';
COMMENT ON COLUMN dead_letters.sent_event_id IS 'id the record was sent again under: its own, unless it was corrected after the ledger had refused that';
COMMENT ON COLUMN dead_letters.edited_key IS 'what was sent instead of record_key and record_value, which stay as they came';
