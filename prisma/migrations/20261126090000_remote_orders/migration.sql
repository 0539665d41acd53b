-- Sales on CardTrader: each order and what its lines have done to stock (remote_orders, remote_order_lines), webhooks as they came in
-- (webhook_inbox), and when each seller's orders are looked at next (remote_order_polls).

CREATE TABLE remote_orders (
  user_id       uuid        NOT NULL,
  order_id      bigint      NOT NULL,
  seen_at       timestamptz NOT NULL,
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  changed_at    timestamptz NOT NULL DEFAULT now(),
  open          boolean     NOT NULL,
  via_zero      boolean,
  presale       boolean,
  state         text        NOT NULL,
  code          text,
  CONSTRAINT remote_orders_pkey PRIMARY KEY (user_id, order_id),
  CONSTRAINT remote_orders_id_positive CHECK (order_id > 0)
)
WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

-- What is looked at again: the oldest of a seller is where a poll begins.
CREATE INDEX remote_orders_open_idx ON remote_orders (user_id, order_id) WHERE open;

COMMENT ON COLUMN remote_orders.seen_at IS 'CardTrader''s clock when it was seen so last';
COMMENT ON COLUMN remote_orders.open IS 'may still change what it does to stock';
COMMENT ON COLUMN remote_orders.state IS 'as CardTrader says; unreadable and destroyed are ours';

CREATE TABLE remote_order_lines (
  user_id      uuid        NOT NULL,
  order_id     bigint      NOT NULL,
  line_id      bigint      NOT NULL,
  product_id   bigint,
  blueprint_id bigint,
  sold_at      timestamptz,
  cancelled_at timestamptz,
  item_id      uuid,
  quantity     integer     NOT NULL,
  cancelled    integer     NOT NULL DEFAULT 0,
  relisted     integer     NOT NULL DEFAULT 0,
  kept         integer     NOT NULL DEFAULT 0,
  taken        integer     NOT NULL DEFAULT 0,
  returned     integer     NOT NULL DEFAULT 0,
  counting     text        NOT NULL,
  name         text,
  CONSTRAINT remote_order_lines_pkey PRIMARY KEY (user_id, order_id, line_id),
  CONSTRAINT remote_order_lines_order FOREIGN KEY (user_id, order_id) REFERENCES remote_orders (user_id, order_id),
  CONSTRAINT remote_order_lines_counting_known CHECK (counting IN ('sold', 'merged', 'before', 'undecided')),
  CONSTRAINT remote_order_lines_copies CHECK (relisted >= 0 AND kept >= 0 AND cancelled >= relisted + kept AND quantity >= cancelled),
  -- Never more out of stock than was sold with the line, never more back than was called off.
  CONSTRAINT remote_order_lines_effect CHECK (taken >= 0 AND returned >= 0 AND taken - returned <= quantity AND returned - taken <= cancelled)
)
WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX remote_order_lines_item_idx ON remote_order_lines (user_id, item_id, sold_at) WHERE item_id IS NOT NULL;
CREATE INDEX remote_order_lines_unmapped_idx ON remote_order_lines (user_id, order_id) WHERE item_id IS NULL;
-- Called off, and not known whether the copies are on sale again.
CREATE INDEX remote_order_lines_unresolved_idx ON remote_order_lines (user_id, cancelled_at) WHERE cancelled > relisted + kept;

COMMENT ON COLUMN remote_order_lines.item_id IS 'null: nothing here is tied to the product, so the line has no effect';
COMMENT ON COLUMN remote_order_lines.quantity IS 'the most copies it had';
COMMENT ON COLUMN remote_order_lines.cancelled IS 'copies called off, with the order or alone';
COMMENT ON COLUMN remote_order_lines.relisted IS 'of those called off: on sale on CardTrader again';
COMMENT ON COLUMN remote_order_lines.kept IS 'of those called off: certainly not on sale again';
COMMENT ON COLUMN remote_order_lines.taken IS 'copies that events have taken out of stock, ever';
COMMENT ON COLUMN remote_order_lines.returned IS 'copies that events have put back, ever';
COMMENT ON COLUMN remote_order_lines.counting IS 'sold: counts here; merged: counted in the order that first sold it; before: sold before the account was taken on';

CREATE TABLE webhook_inbox (
  user_id      uuid        NOT NULL,
  order_id     bigint      NOT NULL,
  received_at  timestamptz NOT NULL DEFAULT now(),
  processed_at timestamptz,
  envelope_id  text        NOT NULL,
  cause        text        NOT NULL,
  CONSTRAINT webhook_inbox_pkey PRIMARY KEY (user_id, envelope_id)
)
WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX webhook_inbox_waiting_idx ON webhook_inbox (user_id, received_at) WHERE processed_at IS NULL;
CREATE INDEX webhook_inbox_received_at_idx ON webhook_inbox (received_at);

COMMENT ON COLUMN webhook_inbox.envelope_id IS 'CardTrader''s id of the call: the same one again is the same call';
COMMENT ON COLUMN webhook_inbox.processed_at IS 'when its order was read; what the call itself said is not kept, because nobody believes it';

CREATE TABLE remote_order_polls (
  user_id      uuid        NOT NULL,
  next_poll_at timestamptz NOT NULL DEFAULT now(),
  webhook_at   timestamptz,
  lease_until  timestamptz,
  polled_at    timestamptz,
  through_id   bigint,
  webhook_seq  bigint      NOT NULL DEFAULT 0,
  failures     integer     NOT NULL DEFAULT 0,
  lease_owner  uuid,
  problem      text,
  CONSTRAINT remote_order_polls_pkey PRIMARY KEY (user_id),
  CONSTRAINT remote_order_polls_seller FOREIGN KEY (user_id) REFERENCES marketplace_sellers (user_id) ON DELETE CASCADE,
  CONSTRAINT remote_order_polls_lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
  CONSTRAINT remote_order_polls_failures_counted CHECK (failures >= 0)
)
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 200);

-- Whose orders are to be looked at, those first that have waited longest.
CREATE INDEX remote_order_polls_work_at_idx ON remote_order_polls (LEAST(next_poll_at, webhook_at));

COMMENT ON COLUMN remote_order_polls.webhook_at IS 'a webhook waits since then';
COMMENT ON COLUMN remote_order_polls.webhook_seq IS 'counts webhooks: whoever has looked tells by it whether another one has come meanwhile';
COMMENT ON COLUMN remote_order_polls.polled_at IS 'when a poll came to its end last';
COMMENT ON COLUMN remote_order_polls.through_id IS 'every order up to this id has been seen by polls';
COMMENT ON COLUMN remote_order_polls.failures IS 'polls in a row that came to nothing';
COMMENT ON COLUMN remote_order_polls.problem IS 'why the last one came to nothing';

-- Whoever gets an account has their orders looked at; no statement can forget it.
INSERT INTO remote_order_polls (user_id) SELECT user_id FROM marketplace_sellers;

CREATE FUNCTION marketplace_sellers_are_polled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO remote_order_polls (user_id) VALUES (NEW.user_id) ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$;

CREATE TRIGGER marketplace_sellers_are_polled AFTER INSERT ON marketplace_sellers
  FOR EACH ROW EXECUTE FUNCTION marketplace_sellers_are_polled();

-- What CardTrader signs its webhooks with: of the seller's app, like the token.
ALTER TABLE marketplace_sellers
  ADD COLUMN webhook_secret bytea,
  ADD COLUMN webhook_secret_key_id text,
  ADD CONSTRAINT marketplace_sellers_webhook_secret_whole CHECK ((webhook_secret IS NULL) = (webhook_secret_key_id IS NULL));

COMMENT ON COLUMN marketplace_sellers.webhook_secret IS 'AES-256-GCM: nonce, ciphertext, tag; null: CardTrader has not told it yet';
