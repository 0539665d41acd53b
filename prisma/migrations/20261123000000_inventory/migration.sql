-- Inventory: what each user has (inventory_items), every event that reached it (stock_ledger), the users whose events wait
-- behind one that fails (parked_users, parked_events), and the records that can never be applied (dead_letters).
--
-- Columns stand widest alignment first, so that no row carries padding; names of keys and indexes are the ones Prisma expects.

CREATE TABLE inventory_items (
  user_id       uuid        NOT NULL,
  item_id       uuid        NOT NULL,
  last_event_id uuid        NOT NULL,
  blueprint_id  bigint,
  price_cents   bigint,
  version       bigint,
  updated_at    timestamptz NOT NULL DEFAULT now(),
  on_hand       integer     NOT NULL,
  held          integer     NOT NULL DEFAULT 0,
  flags         smallint    NOT NULL DEFAULT 0,
  currency      text,
  properties    jsonb,
  CONSTRAINT inventory_items_pkey PRIMARY KEY (user_id, item_id),
  CONSTRAINT inventory_items_on_hand_not_negative CHECK (on_hand >= 0),
  CONSTRAINT inventory_items_held_not_negative CHECK (held >= 0),
  CONSTRAINT inventory_items_price_not_negative CHECK (price_cents >= 0),
  CONSTRAINT inventory_items_currency_three_characters CHECK (char_length(currency) = 3),
  CONSTRAINT inventory_items_flags_known CHECK (flags BETWEEN 0 AND 7),
  CONSTRAINT inventory_items_oversold_told CHECK (((flags & 4) <> 0) = (on_hand < held))
)
-- 90: every update stays on its page (HOT) as long as no index holds a column that events change; so there is none but the key.
WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

COMMENT ON COLUMN inventory_items.flags IS '1 removed, 2 drifted, 4 oversold';
COMMENT ON COLUMN inventory_items.version IS 'the producer''s; an event with this one or an older one is stale';
COMMENT ON COLUMN inventory_items.last_event_id IS 'newest ledger row of the item; its history is walked from here by previous_event_id';

CREATE TABLE stock_ledger (
  occurred_at       timestamptz NOT NULL,
  recorded_at       timestamptz NOT NULL DEFAULT now(),
  version           bigint,
  quantity          integer     NOT NULL,
  delta             integer     NOT NULL,
  on_hand           integer     NOT NULL,
  event_id          uuid        NOT NULL,
  user_id           uuid        NOT NULL,
  item_id           uuid        NOT NULL,
  previous_event_id uuid,
  kind              char(1)     NOT NULL,
  outcome           char(1)     NOT NULL,
  cause             text        NOT NULL,
  CONSTRAINT stock_ledger_pkey PRIMARY KEY (event_id),
  CONSTRAINT stock_ledger_kind_known CHECK (kind IN ('S', 'A', 'R')),
  CONSTRAINT stock_ledger_outcome_known CHECK (outcome IN ('a', 's', 'd')),
  CONSTRAINT stock_ledger_only_applied_changes CHECK (outcome = 'a' OR delta = 0)
)
-- Rows are only ever added, tens of millions of them: vacuum them (visibility map, freezing) every 2 % instead of every 20 %.
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

COMMENT ON TABLE stock_ledger IS 'one row per decodable event that was considered, whatever came of it; its key is the deduplication';
COMMENT ON COLUMN stock_ledger.version IS 'the producer''s';
COMMENT ON COLUMN stock_ledger.quantity IS 'as sent';
COMMENT ON COLUMN stock_ledger.delta IS 'what on_hand changed by';
COMMENT ON COLUMN stock_ledger.on_hand IS 'after the event';
COMMENT ON COLUMN stock_ledger.previous_event_id IS 'the item''s ledger row before this one';
COMMENT ON COLUMN stock_ledger.kind IS 'S SET, A ADJUST, R REMOVE';
COMMENT ON COLUMN stock_ledger.outcome IS 'a applied, s stale, d dead-lettered';
COMMENT ON COLUMN stock_ledger.cause IS 'the source the event names, or the reason it was refused';

CREATE VIEW stock_history AS
SELECT event_id,
       user_id,
       item_id,
       previous_event_id,
       occurred_at,
       recorded_at,
       CASE kind WHEN 'S' THEN 'SET' WHEN 'A' THEN 'ADJUST' WHEN 'R' THEN 'REMOVE' END AS kind,
       quantity,
       version,
       CASE outcome WHEN 'a' THEN 'applied' WHEN 's' THEN 'stale' WHEN 'd' THEN 'dead-lettered' END AS outcome,
       delta,
       on_hand,
       cause
  FROM stock_ledger;

COMMENT ON VIEW stock_history IS 'the ledger with its one-letter codes spelled out, for people';

CREATE TABLE parked_users (
  user_id         uuid        NOT NULL,
  parked_at       timestamptz NOT NULL DEFAULT now(),
  last_attempt_at timestamptz,
  attempts        integer     NOT NULL DEFAULT 0,
  reason          text        NOT NULL,
  error           text        NOT NULL,
  CONSTRAINT parked_users_pkey PRIMARY KEY (user_id),
  CONSTRAINT parked_users_attempts_not_negative CHECK (attempts >= 0)
);

CREATE TABLE parked_events (
  id               bigint      GENERATED ALWAYS AS IDENTITY,
  "offset"         bigint      NOT NULL,
  record_timestamp timestamptz NOT NULL,
  parked_at        timestamptz NOT NULL DEFAULT now(),
  partition        integer     NOT NULL,
  user_id          uuid        NOT NULL,
  event_id         uuid        NOT NULL,
  topic            text        NOT NULL,
  record_key       bytea,
  record_value     bytea,
  record_headers   jsonb       NOT NULL,
  CONSTRAINT parked_events_pkey PRIMARY KEY (id),
  CONSTRAINT parked_events_event_id_key UNIQUE (event_id),
  CONSTRAINT parked_events_user_id_fkey FOREIGN KEY (user_id) REFERENCES parked_users (user_id)
);

CREATE INDEX parked_events_user_id_id_idx ON parked_events (user_id, id);

COMMENT ON COLUMN parked_events.id IS 'drawn under the user''s lane lock, so it is the order of the user''s events';
COMMENT ON COLUMN parked_events.record_headers IS 'array of [name, base64 value or null]';

CREATE TABLE dead_letters (
  id               bigint      GENERATED ALWAYS AS IDENTITY,
  "offset"         bigint      NOT NULL,
  record_timestamp timestamptz NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT now(),
  published_at     timestamptz,
  partition        integer     NOT NULL,
  user_id          uuid,
  event_id         uuid,
  topic            text        NOT NULL,
  consumer_group   text        NOT NULL,
  reason           text        NOT NULL,
  detail           text        NOT NULL,
  record_key       bytea,
  record_value     bytea,
  record_headers   jsonb       NOT NULL,
  CONSTRAINT dead_letters_pkey PRIMARY KEY (id),
  CONSTRAINT dead_letters_topic_partition_offset_key UNIQUE (topic, partition, "offset"),
  CONSTRAINT dead_letters_reason_known CHECK (reason IN (
    'undecodable', 'unknown_type', 'invalid', 'key_mismatch', 'too_old', 'would_go_negative', 'out_of_range', 'discarded'))
);

CREATE INDEX dead_letters_unpublished_idx ON dead_letters (id) WHERE published_at IS NULL;

COMMENT ON COLUMN dead_letters.record_headers IS 'array of [name, base64 value or null]';
