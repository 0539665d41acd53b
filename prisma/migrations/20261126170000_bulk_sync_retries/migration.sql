-- A chunk of a bulk sync that was parked is tried again by itself, a few times, while its job is open.
ALTER TABLE bulk_sync_chunks
  ADD COLUMN next_try_at timestamptz,
  ADD COLUMN retries     integer NOT NULL DEFAULT 0,
  ADD CONSTRAINT bulk_sync_chunks_next_try_of_parked CHECK (next_try_at IS NULL OR state = 'PARKED');

-- Few are, and they are counted at each scrape.
CREATE INDEX bulk_sync_chunks_parked_idx ON bulk_sync_chunks (job_id) WHERE state = 'PARKED';

COMMENT ON COLUMN bulk_sync_chunks.next_try_at IS 'of a parked one: when it is sent again, if its job is still open then; null: never';
COMMENT ON COLUMN bulk_sync_chunks.retries IS 'how often it was sent again after it was parked';
