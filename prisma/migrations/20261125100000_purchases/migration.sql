-- Purchases: what is reserved (stock_holds), how each sale stands (purchase_sagas) and how it came there (purchase_history). The
-- ledger learns of reservations and sales, so that an item's history still explains its number.

CREATE TABLE purchase_sagas (
  user_id        uuid        NOT NULL,
  purchase_id    uuid        NOT NULL,
  event_id       uuid        NOT NULL,
  started_at     timestamptz NOT NULL,
  deadline_at    timestamptz NOT NULL,
  next_action_at timestamptz,
  updated_at     timestamptz NOT NULL DEFAULT now(),
  version        integer     NOT NULL,
  attempts       integer     NOT NULL DEFAULT 0,
  definition     smallint    NOT NULL DEFAULT 1,
  cancelled      boolean     NOT NULL DEFAULT false,
  sold           boolean     NOT NULL DEFAULT false,
  state          text        NOT NULL,
  reason         text,
  currency       text        NOT NULL,
  buyer_id       text,
  lines          jsonb       NOT NULL,
  CONSTRAINT purchase_sagas_pkey PRIMARY KEY (purchase_id, user_id),
  CONSTRAINT purchase_sagas_state_known CHECK (state IN (
    'RESERVED', 'CALLING', 'RECONCILING', 'COMPENSATING', 'NEEDS_OPERATOR', 'CONFIRMED', 'REJECTED', 'COMPENSATED')),
  CONSTRAINT purchase_sagas_waits_unless_ended CHECK ((next_action_at IS NULL) = (state IN ('CONFIRMED', 'REJECTED', 'COMPENSATED'))),
  CONSTRAINT purchase_sagas_sold_when_confirmed CHECK (CASE state WHEN 'CONFIRMED' THEN sold WHEN 'REJECTED' THEN NOT sold WHEN 'COMPENSATED' THEN NOT sold ELSE true END),
  CONSTRAINT purchase_sagas_reason_when_undone CHECK (reason IS NOT NULL OR state NOT IN ('REJECTED', 'COMPENSATING', 'COMPENSATED')),
  CONSTRAINT purchase_sagas_reason_known CHECK (reason IN (
    'insufficient_stock', 'unknown_item', 'remote_insufficient_stock', 'remote_product_gone', 'remote_refused', 'expired', 'cancelled', 'operator', 'discarded')),
  CONSTRAINT purchase_sagas_version_positive CHECK (version > 0)
)
WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- What is overdue is one range of this index, however many sagas have ended.
CREATE INDEX purchase_sagas_next_action_at_idx ON purchase_sagas (next_action_at) WHERE next_action_at IS NOT NULL;
CREATE INDEX purchase_sagas_user_id_started_at_idx ON purchase_sagas (user_id, started_at);

COMMENT ON COLUMN purchase_sagas.event_id IS 'the PurchaseRequested that started it';
COMMENT ON COLUMN purchase_sagas.deadline_at IS 'what is not called by then is not called any more';
COMMENT ON COLUMN purchase_sagas.next_action_at IS 'when somebody looks at it again, whatever events arrive; null exactly when it has ended';
COMMENT ON COLUMN purchase_sagas.attempts IS 'looks since its last step';
COMMENT ON COLUMN purchase_sagas.definition IS 'which version of the rules it runs under';
COMMENT ON COLUMN purchase_sagas.sold IS 'its stock has been taken from on_hand, and not been given back';
COMMENT ON COLUMN purchase_sagas.lines IS 'array of {item_id, quantity, unit_price_cents}';

-- Which step may follow which state; the program decides, the database refuses what must never be.
CREATE FUNCTION purchase_sagas_step_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.version = OLD.version AND NEW.state = OLD.state THEN
    RETURN NEW;
  END IF;
  IF NEW.version <= OLD.version OR NOT (CASE OLD.state
       WHEN 'RESERVED'       THEN NEW.state IN ('CALLING', 'RECONCILING', 'COMPENSATING', 'CONFIRMED', 'COMPENSATED', 'NEEDS_OPERATOR')
       WHEN 'CALLING'        THEN NEW.state IN ('CALLING', 'RECONCILING', 'COMPENSATING', 'CONFIRMED', 'COMPENSATED', 'NEEDS_OPERATOR')
       WHEN 'RECONCILING'    THEN NEW.state IN ('CALLING', 'RECONCILING', 'COMPENSATING', 'CONFIRMED', 'COMPENSATED', 'NEEDS_OPERATOR')
       WHEN 'COMPENSATING'   THEN NEW.state IN ('COMPENSATING', 'COMPENSATED', 'NEEDS_OPERATOR')
       WHEN 'NEEDS_OPERATOR' THEN NEW.state IN ('NEEDS_OPERATOR', 'CALLING', 'RECONCILING', 'COMPENSATING', 'CONFIRMED', 'COMPENSATED')
       WHEN 'CONFIRMED'      THEN NEW.state IN ('COMPENSATING', 'COMPENSATED', 'NEEDS_OPERATOR')
       ELSE false END) THEN
    RAISE EXCEPTION 'saga % may not go from % (version %) to % (version %)', OLD.purchase_id, OLD.state, OLD.version, NEW.state, NEW.version
      USING ERRCODE = 'check_violation', CONSTRAINT = 'purchase_sagas_step_allowed';
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER purchase_sagas_step_allowed BEFORE UPDATE OF state, version ON purchase_sagas
  FOR EACH ROW EXECUTE FUNCTION purchase_sagas_step_allowed();

CREATE TABLE purchase_history (
  user_id     uuid        NOT NULL,
  purchase_id uuid        NOT NULL,
  event_id    uuid        NOT NULL,
  at          timestamptz NOT NULL,
  version     integer     NOT NULL,
  fact        text        NOT NULL,
  state       text        NOT NULL,
  detail      jsonb       NOT NULL,
  CONSTRAINT purchase_history_pkey PRIMARY KEY (purchase_id, user_id, version)
)
WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

COMMENT ON TABLE purchase_history IS 'one row a step, versions without a gap; each was published as one record with this event_id';

CREATE TABLE stock_holds (
  user_id     uuid        NOT NULL,
  item_id     uuid        NOT NULL,
  purchase_id uuid        NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  quantity    integer     NOT NULL,
  CONSTRAINT stock_holds_pkey PRIMARY KEY (user_id, item_id, purchase_id),
  CONSTRAINT stock_holds_quantity_positive CHECK (quantity > 0)
)
WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

COMMENT ON TABLE stock_holds IS 'what purchases under way have reserved; inventory_items.held is their sum';

ALTER TABLE stock_ledger
  ADD COLUMN purchase_id uuid,
  ADD COLUMN held_delta integer,
  DROP CONSTRAINT stock_ledger_kind_known,
  DROP CONSTRAINT stock_ledger_outcome_known,
  DROP CONSTRAINT stock_ledger_only_applied_changes,
  ADD CONSTRAINT stock_ledger_kind_known CHECK (kind IN ('S', 'A', 'R', 'P', 'C', 'T', 'B')),
  ADD CONSTRAINT stock_ledger_outcome_known CHECK (outcome IN ('a', 's', 'd', 'r')),
  ADD CONSTRAINT stock_ledger_only_applied_changes CHECK (outcome = 'a' OR (delta = 0 AND coalesce(held_delta, 0) = 0)),
  ADD CONSTRAINT stock_ledger_purchase_told CHECK ((purchase_id IS NULL) = (kind IN ('S', 'A', 'R')) AND (held_delta IS NULL) = (purchase_id IS NULL));

COMMENT ON TABLE stock_ledger IS 'one row per decodable event that was considered, whatever came of it, and of a purchase one per item and step that concerns it; its key is the deduplication';
COMMENT ON COLUMN stock_ledger.kind IS 'S SET, A ADJUST, R REMOVE, P purchase reserves, C purchase cancelled, T sold (taken from stock), B given back';
COMMENT ON COLUMN stock_ledger.outcome IS 'a applied, s stale, d dead-lettered, r rejected';
COMMENT ON COLUMN stock_ledger.held_delta IS 'what held changed by; null for what is no purchase';

DROP VIEW stock_history;
CREATE VIEW stock_history AS
SELECT event_id,
       user_id,
       item_id,
       previous_event_id,
       occurred_at,
       recorded_at,
       CASE kind WHEN 'S' THEN 'SET' WHEN 'A' THEN 'ADJUST' WHEN 'R' THEN 'REMOVE'
                 WHEN 'P' THEN 'PURCHASE' WHEN 'C' THEN 'CANCEL' WHEN 'T' THEN 'TAKEN' WHEN 'B' THEN 'GIVEN_BACK' END AS kind,
       quantity,
       version,
       CASE outcome WHEN 'a' THEN 'applied' WHEN 's' THEN 'stale' WHEN 'd' THEN 'dead-lettered' WHEN 'r' THEN 'rejected' END AS outcome,
       delta,
       held_delta,
       on_hand,
       purchase_id,
       cause
  FROM stock_ledger;

COMMENT ON VIEW stock_history IS 'the ledger with its one-letter codes spelled out, for people';

ALTER TABLE dead_letters
  DROP CONSTRAINT dead_letters_reason_known,
  ADD CONSTRAINT dead_letters_reason_known CHECK (reason IN (
    'undecodable', 'unknown_type', 'invalid', 'key_mismatch', 'too_old', 'would_go_negative', 'out_of_range', 'unknown_purchase', 'discarded'));
