-- Listing sync: what CardTrader shows of an item follows what is here. An operation SYNC says "look whether it does"; one waits an item at
-- most, so that changes made while another is under way collapse.

ALTER TABLE marketplace_sellers
  ADD COLUMN listing_sync boolean NOT NULL DEFAULT false,
  ADD COLUMN buffer       integer NOT NULL DEFAULT 0,
  ADD CONSTRAINT marketplace_sellers_buffer_counted CHECK (buffer >= 0);

-- Whether an ingest chunk concerns any of them: a look-up in what is empty while nobody has it on.
CREATE INDEX marketplace_sellers_listing_sync_idx ON marketplace_sellers (user_id) WHERE listing_sync;

COMMENT ON COLUMN marketplace_sellers.listing_sync IS 'whether changes of stock, price and properties go to CardTrader';
COMMENT ON COLUMN marketplace_sellers.buffer IS 'copies of each item that are kept from CardTrader';

ALTER TABLE marketplace_listings ADD COLUMN unaccounted integer NOT NULL DEFAULT 0;

COMMENT ON COLUMN marketplace_listings.unaccounted IS 'copies CardTrader''s number changed by of itself, less those our stock has heard of: negative where a sale there is not in on_hand yet';

CREATE TABLE marketplace_problems (
  user_id uuid        NOT NULL,
  item_id uuid        NOT NULL,
  at      timestamptz NOT NULL DEFAULT now(),
  kind    text        NOT NULL,
  said    text        NOT NULL,
  wanted  text        NOT NULL,
  CONSTRAINT marketplace_problems_pkey PRIMARY KEY (user_id, item_id),
  CONSTRAINT marketplace_problems_kind_known CHECK (kind IN ('refused', 'warning', 'would_merge', 'merged', 'unclear'))
);

COMMENT ON TABLE marketplace_problems IS 'what CardTrader does not take of an item, or took with a warning; not sent again until something else is wanted';
COMMENT ON COLUMN marketplace_problems.wanted IS 'price, properties and card that were wanted';

ALTER TABLE marketplace_operations
  ADD COLUMN job_id text,
  ADD COLUMN blueprint_id bigint,
  ADD COLUMN taken  integer,
  DROP CONSTRAINT marketplace_operations_kind_known,
  DROP CONSTRAINT marketplace_operations_sale_known,
  DROP CONSTRAINT marketplace_operations_quantity_positive,
  ADD CONSTRAINT marketplace_operations_kind_known CHECK (kind IN ('TAKE', 'RETURN', 'LOWER', 'SYNC')),
  ADD CONSTRAINT marketplace_operations_sale_known CHECK (purchase_id IS NOT NULL OR kind IN ('LOWER', 'SYNC')),
  ADD CONSTRAINT marketplace_operations_quantity_positive CHECK (quantity > 0 OR kind = 'SYNC'),
  ADD CONSTRAINT marketplace_operations_taken_counted CHECK (taken >= 0 AND taken <= quantity);

-- Of one item one SYNC waits.
CREATE UNIQUE INDEX marketplace_operations_sync_waits ON marketplace_operations (user_id, item_id) WHERE kind = 'SYNC' AND state = 'PENDING';
-- The next of them, and what is outstanding beside them: however many wait, sales do not walk over them.
CREATE INDEX marketplace_operations_sync_order_idx ON marketplace_operations (user_id, seq) WHERE kind = 'SYNC' AND state = 'PENDING';
CREATE INDEX marketplace_operations_first_idx ON marketplace_operations (user_id, item_id, seq) WHERE due_at IS NOT NULL AND NOT (kind = 'SYNC' AND state = 'PENDING');
-- Sales of one seller that have not ended.
CREATE INDEX purchase_sagas_open_idx ON purchase_sagas (user_id) WHERE next_action_at IS NOT NULL;

COMMENT ON COLUMN marketplace_operations.job_id IS 'the bulk job it went with; empty: its id was never heard; null: it went alone';
COMMENT ON COLUMN marketplace_operations.blueprint_id IS 'of one that lists an item: the card it lists';
COMMENT ON COLUMN marketplace_operations.taken IS 'of a TAKE: what was taken from CardTrader; less than quantity where copies were here that are not listed there';
