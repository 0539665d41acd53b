-- Whose trace a sale belongs to. Kept with the sale, because what follows from it may be done by any process, long after its record was read: null where the
-- record had none, which costs a row nothing.
ALTER TABLE purchase_sagas ADD COLUMN traceparent text;

COMMENT ON COLUMN purchase_sagas.traceparent IS 'header of the PurchaseRequested (W3C Trace Context), sent on with what the sale publishes; null: it came without a trace';
