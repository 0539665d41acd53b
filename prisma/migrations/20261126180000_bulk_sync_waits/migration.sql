-- For what a chunk of a bulk sync that is on its way waits, kept where people look: whoever waits is another process.
ALTER TABLE bulk_sync_chunks
  ADD COLUMN waits_since timestamptz,
  ADD COLUMN waits_for   text,
  ADD COLUMN waits_said  text,
  ADD CONSTRAINT bulk_sync_chunks_waits_known CHECK (waits_for IN ('catalogue')),
  ADD CONSTRAINT bulk_sync_chunks_waits_since CHECK ((waits_for IS NULL) = (waits_since IS NULL));

COMMENT ON COLUMN bulk_sync_chunks.waits_for IS 'what was away when it was last tried to apply it; null: nothing, or it is over';
COMMENT ON COLUMN bulk_sync_chunks.waits_said IS 'the error';
COMMENT ON COLUMN bulk_sync_chunks.waits_since IS 'since when it has been away, by this chunk';
