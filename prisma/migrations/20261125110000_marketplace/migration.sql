
-- CardTrader: whose account (marketplace_sellers), what of ours is listed there (marketplace_listings), and every change that was
-- asked for, before it is sent (marketplace_operations).

CREATE TABLE marketplace_sellers (
  user_id       uuid        NOT NULL,
  work_at       timestamptz,
  lease_until   timestamptz,
  open_until    timestamptz,
  lease_epoch   bigint      NOT NULL DEFAULT 0,
  lease_owner   uuid,
  failures      integer     NOT NULL DEFAULT 0,
  status        text        NOT NULL,
  status_reason text,
  status_at     timestamptz NOT NULL DEFAULT now(),
  added_at      timestamptz NOT NULL DEFAULT now(),
  checked_at    timestamptz,
  app_id        bigint,
  seller_id     bigint,
  app_name      text,
  token         bytea       NOT NULL,
  token_key_id  text        NOT NULL,
  token_hint    text        NOT NULL,
  CONSTRAINT marketplace_sellers_pkey PRIMARY KEY (user_id),
  CONSTRAINT marketplace_sellers_status_known CHECK (status IN ('active', 'paused', 'token_rejected')),
  CONSTRAINT marketplace_sellers_lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
  CONSTRAINT marketplace_sellers_failures_counted CHECK (failures >= 0)
)
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 200);

-- Who has work, oldest first: one range, however many sellers there are.
CREATE INDEX marketplace_sellers_work_at_idx ON marketplace_sellers (work_at) WHERE work_at IS NOT NULL AND status = 'active';

COMMENT ON COLUMN marketplace_sellers.work_at IS 'when a dispatcher has something to do for them; null: nothing is outstanding';
COMMENT ON COLUMN marketplace_sellers.lease_epoch IS 'counts claims; what is recorded under an older one is evidence only';
COMMENT ON COLUMN marketplace_sellers.failures IS 'calls in a row without a usable answer';
COMMENT ON COLUMN marketplace_sellers.open_until IS 'the circuit is open: nothing is called before';
COMMENT ON COLUMN marketplace_sellers.token IS 'AES-256-GCM: nonce, ciphertext, tag';
COMMENT ON COLUMN marketplace_sellers.token_hint IS 'its last characters, to tell two apart';
COMMENT ON COLUMN marketplace_sellers.seller_id IS 'CardTrader''s id of them';

CREATE TABLE marketplace_listings (
  user_id      uuid        NOT NULL,
  item_id      uuid        NOT NULL,
  product_id   bigint      NOT NULL,
  blueprint_id bigint      NOT NULL,
  confirmed_at timestamptz NOT NULL,
  linked_at    timestamptz NOT NULL DEFAULT now(),
  operation_id uuid,
  quantity     integer     NOT NULL,
  price_cents  bigint      NOT NULL,
  gone         boolean     NOT NULL DEFAULT false,
  currency     text,
  product      jsonb       NOT NULL,
  sold_lines   bigint[]    NOT NULL DEFAULT '{}',
  mismatch     jsonb,
  CONSTRAINT marketplace_listings_pkey PRIMARY KEY (user_id, item_id),
  CONSTRAINT marketplace_listings_product_once UNIQUE (user_id, product_id),
  CONSTRAINT marketplace_listings_seller FOREIGN KEY (user_id) REFERENCES marketplace_sellers (user_id),
  CONSTRAINT marketplace_listings_quantity_counted CHECK (quantity >= 0)
)
WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX marketplace_listings_mismatch_idx ON marketplace_listings (user_id) WHERE mismatch IS NOT NULL;

COMMENT ON COLUMN marketplace_listings.quantity IS 'as CardTrader confirmed it last, at confirmed_at of CardTrader''s clock';
COMMENT ON COLUMN marketplace_listings.operation_id IS 'whose marker the product carries; null: none of ours';
COMMENT ON COLUMN marketplace_listings.gone IS 'not on CardTrader any more';
COMMENT ON COLUMN marketplace_listings.product IS 'the rest of it, to list it again: properties, description, user_data_field, graded, name';
COMMENT ON COLUMN marketplace_listings.sold_lines IS 'order lines that are in quantity already, newest last, a few dozen';
COMMENT ON COLUMN marketplace_listings.mismatch IS 'what CardTrader showed that nothing here explains, for people; null: all is as expected';

CREATE TABLE marketplace_operations (
  operation_id uuid        NOT NULL,
  seq          bigint      GENERATED ALWAYS AS IDENTITY,
  user_id      uuid        NOT NULL,
  item_id      uuid        NOT NULL,
  purchase_id  uuid,
  returns      uuid,
  product_id   bigint,
  created_at   timestamptz NOT NULL DEFAULT now(),
  due_at       timestamptz,
  read_at      timestamptz,
  sent_at      timestamptz,
  settled_at   timestamptz,
  lease_epoch  bigint,
  attempts     integer     NOT NULL DEFAULT 0,
  quantity     integer     NOT NULL,
  before       integer,
  target       integer,
  marked       boolean,
  kind         text        NOT NULL,
  state        text        NOT NULL,
  reason       text,
  siblings     jsonb,
  evidence     jsonb       NOT NULL DEFAULT '[]',
  CONSTRAINT marketplace_operations_pkey PRIMARY KEY (operation_id),
  CONSTRAINT marketplace_operations_kind_known CHECK (kind IN ('TAKE', 'RETURN', 'LOWER')),
  CONSTRAINT marketplace_operations_state_known CHECK (state IN ('PENDING', 'SENT', 'UNKNOWN', 'APPLIED', 'REFUSED', 'WITHDRAWN', 'NEEDS_OPERATOR')),
  CONSTRAINT marketplace_operations_due_while_open CHECK ((due_at IS NOT NULL) = (state IN ('PENDING', 'SENT', 'UNKNOWN'))),
  CONSTRAINT marketplace_operations_intent_before_call CHECK (state NOT IN ('SENT', 'UNKNOWN') OR (sent_at IS NOT NULL AND before IS NOT NULL AND target IS NOT NULL AND lease_epoch IS NOT NULL)),
  CONSTRAINT marketplace_operations_reason_when_not_done CHECK (reason IS NOT NULL OR state NOT IN ('REFUSED', 'NEEDS_OPERATOR')),
  CONSTRAINT marketplace_operations_return_of_take CHECK ((returns IS NOT NULL) = (kind = 'RETURN')),
  CONSTRAINT marketplace_operations_sale_known CHECK (purchase_id IS NOT NULL OR kind = 'LOWER'),
  CONSTRAINT marketplace_operations_quantity_positive CHECK (quantity > 0)
)
WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- What is outstanding of a seller, an item's in order.
CREATE INDEX marketplace_operations_outstanding_idx ON marketplace_operations (user_id, item_id, seq) WHERE due_at IS NOT NULL;
-- Of one product at most one that may have been sent.
CREATE UNIQUE INDEX marketplace_operations_one_outstanding ON marketplace_operations (user_id, item_id) WHERE state IN ('SENT', 'UNKNOWN');
CREATE INDEX marketplace_operations_purchase_id_idx ON marketplace_operations (purchase_id, user_id) WHERE purchase_id IS NOT NULL;

COMMENT ON COLUMN marketplace_operations.seq IS 'drawn under the user''s lane; an item''s operations are carried out in this order, LOWER before the others';
COMMENT ON COLUMN marketplace_operations.returns IS 'of a RETURN: the TAKE it undoes';
COMMENT ON COLUMN marketplace_operations.due_at IS 'when it is to be carried out, or looked into; null exactly when it is settled';
COMMENT ON COLUMN marketplace_operations.read_at IS 'CardTrader''s clock when before was read';
COMMENT ON COLUMN marketplace_operations.lease_epoch IS 'of the claim under which it was sent last';
COMMENT ON COLUMN marketplace_operations.attempts IS 'how often it was sent';
COMMENT ON COLUMN marketplace_operations.marked IS 'whether its marker was sent along';
COMMENT ON COLUMN marketplace_operations.siblings IS 'of a RETURN that lists anew: products of the blueprint and their quantities before';
COMMENT ON COLUMN marketplace_operations.evidence IS 'what was called and answered, newest last, at most 30';

-- Which step may follow which state; the program decides, the database refuses what must never be.
CREATE FUNCTION marketplace_operations_step_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> OLD.state AND NOT (CASE OLD.state
       WHEN 'PENDING'        THEN NEW.state IN ('SENT', 'APPLIED', 'REFUSED', 'WITHDRAWN')
       WHEN 'SENT'           THEN NEW.state IN ('PENDING', 'UNKNOWN', 'APPLIED', 'REFUSED', 'NEEDS_OPERATOR')
       WHEN 'UNKNOWN'        THEN NEW.state IN ('PENDING', 'APPLIED', 'REFUSED', 'NEEDS_OPERATOR')
       WHEN 'NEEDS_OPERATOR' THEN NEW.state IN ('PENDING', 'UNKNOWN', 'APPLIED', 'REFUSED')
       WHEN 'REFUSED'        THEN OLD.kind = 'RETURN' AND NEW.state IN ('PENDING', 'APPLIED')
       ELSE false END) THEN
    RAISE EXCEPTION 'operation % may not go from % to %', OLD.operation_id, OLD.state, NEW.state
      USING ERRCODE = 'check_violation', CONSTRAINT = 'marketplace_operations_step_allowed';
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER marketplace_operations_step_allowed BEFORE UPDATE OF state ON marketplace_operations
  FOR EACH ROW EXECUTE FUNCTION marketplace_operations_step_allowed();
