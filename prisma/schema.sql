-- The schema all migrations together make. Written by test/integration/postgres/schema.test.ts, which compares it; refresh it with
--   npx vitest run --project integration test/integration/postgres/schema.test.ts --update

CREATE TABLE dead_letters (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  "offset" bigint NOT NULL,
  record_timestamp timestamp with time zone NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  published_at timestamp with time zone,
  partition integer NOT NULL,
  user_id uuid,
  event_id uuid,
  topic text NOT NULL,
  consumer_group text NOT NULL,
  reason text NOT NULL,
  detail text NOT NULL,
  record_key bytea,
  record_value bytea,
  record_headers jsonb NOT NULL,
  CONSTRAINT dead_letters_pkey PRIMARY KEY (id),
  CONSTRAINT dead_letters_topic_partition_offset_key UNIQUE (topic, partition, "offset"),
  CONSTRAINT dead_letters_reason_known CHECK ((reason = ANY (ARRAY['undecodable'::text, 'unknown_type'::text, 'invalid'::text, 'key_mismatch'::text, 'too_old'::text, 'would_go_negative'::text, 'out_of_range'::text, 'discarded'::text])))
);

CREATE TABLE inventory_items (
  user_id uuid NOT NULL,
  item_id uuid NOT NULL,
  last_event_id uuid NOT NULL,
  blueprint_id bigint,
  price_cents bigint,
  version bigint,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  on_hand integer NOT NULL,
  held integer DEFAULT 0 NOT NULL,
  flags smallint DEFAULT 0 NOT NULL,
  currency text,
  properties jsonb,
  CONSTRAINT inventory_items_pkey PRIMARY KEY (user_id, item_id),
  CONSTRAINT inventory_items_currency_three_characters CHECK ((char_length(currency) = 3)),
  CONSTRAINT inventory_items_flags_known CHECK (((flags >= 0) AND (flags <= 7))),
  CONSTRAINT inventory_items_held_not_negative CHECK ((held >= 0)),
  CONSTRAINT inventory_items_on_hand_not_negative CHECK ((on_hand >= 0)),
  CONSTRAINT inventory_items_oversold_told CHECK (((((flags)::integer & 4) <> 0) = (on_hand < held))),
  CONSTRAINT inventory_items_price_not_negative CHECK ((price_cents >= 0))
) WITH (fillfactor=90, autovacuum_vacuum_scale_factor=0.05, autovacuum_analyze_scale_factor=0.05);

CREATE TABLE parked_events (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  "offset" bigint NOT NULL,
  record_timestamp timestamp with time zone NOT NULL,
  parked_at timestamp with time zone DEFAULT now() NOT NULL,
  partition integer NOT NULL,
  user_id uuid NOT NULL,
  event_id uuid NOT NULL,
  topic text NOT NULL,
  record_key bytea,
  record_value bytea,
  record_headers jsonb NOT NULL,
  CONSTRAINT parked_events_pkey PRIMARY KEY (id),
  CONSTRAINT parked_events_event_id_key UNIQUE (event_id)
);

CREATE TABLE parked_users (
  user_id uuid NOT NULL,
  parked_at timestamp with time zone DEFAULT now() NOT NULL,
  last_attempt_at timestamp with time zone,
  attempts integer DEFAULT 0 NOT NULL,
  reason text NOT NULL,
  error text NOT NULL,
  CONSTRAINT parked_users_pkey PRIMARY KEY (user_id),
  CONSTRAINT parked_users_attempts_not_negative CHECK ((attempts >= 0))
);

CREATE TABLE stock_ledger (
  occurred_at timestamp with time zone NOT NULL,
  recorded_at timestamp with time zone DEFAULT now() NOT NULL,
  version bigint,
  quantity integer NOT NULL,
  delta integer NOT NULL,
  on_hand integer NOT NULL,
  event_id uuid NOT NULL,
  user_id uuid NOT NULL,
  item_id uuid NOT NULL,
  previous_event_id uuid,
  kind character(1) NOT NULL,
  outcome character(1) NOT NULL,
  cause text NOT NULL,
  CONSTRAINT stock_ledger_pkey PRIMARY KEY (event_id),
  CONSTRAINT stock_ledger_kind_known CHECK ((kind = ANY (ARRAY['S'::bpchar, 'A'::bpchar, 'R'::bpchar]))),
  CONSTRAINT stock_ledger_only_applied_changes CHECK (((outcome = 'a'::bpchar) OR (delta = 0))),
  CONSTRAINT stock_ledger_outcome_known CHECK ((outcome = ANY (ARRAY['a'::bpchar, 's'::bpchar, 'd'::bpchar])))
) WITH (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_insert_scale_factor=0.02, autovacuum_analyze_scale_factor=0.05);

ALTER TABLE parked_events ADD CONSTRAINT parked_events_user_id_fkey FOREIGN KEY (user_id) REFERENCES parked_users(user_id);

CREATE INDEX dead_letters_unpublished_idx ON dead_letters USING btree (id) WHERE (published_at IS NULL);

CREATE INDEX parked_events_user_id_id_idx ON parked_events USING btree (user_id, id);

CREATE VIEW stock_history AS
 SELECT event_id,
    user_id,
    item_id,
    previous_event_id,
    occurred_at,
    recorded_at,
        CASE kind
            WHEN 'S'::bpchar THEN 'SET'::text
            WHEN 'A'::bpchar THEN 'ADJUST'::text
            WHEN 'R'::bpchar THEN 'REMOVE'::text
            ELSE NULL::text
        END AS kind,
    quantity,
    version,
        CASE outcome
            WHEN 'a'::bpchar THEN 'applied'::text
            WHEN 's'::bpchar THEN 'stale'::text
            WHEN 'd'::bpchar THEN 'dead-lettered'::text
            ELSE NULL::text
        END AS outcome,
    delta,
    on_hand,
    cause
   FROM stock_ledger;
COMMENT ON COLUMN dead_letters.record_headers IS 'array of [name, base64 value or null]';
COMMENT ON COLUMN inventory_items.last_event_id IS 'newest ledger row of the item; its history is walked from here by previous_event_id';
COMMENT ON COLUMN inventory_items.version IS 'the producer''s; an event with this one or an older one is stale';
COMMENT ON COLUMN inventory_items.flags IS '1 removed, 2 drifted, 4 oversold';
COMMENT ON COLUMN parked_events.id IS 'drawn under the user''s lane lock, so it is the order of the user''s events';
COMMENT ON COLUMN parked_events.record_headers IS 'array of [name, base64 value or null]';
COMMENT ON VIEW stock_history IS 'the ledger with its one-letter codes spelled out, for people';
COMMENT ON TABLE stock_ledger IS 'one row per decodable event that was considered, whatever came of it; its key is the deduplication';
COMMENT ON COLUMN stock_ledger.version IS 'the producer''s';
COMMENT ON COLUMN stock_ledger.quantity IS 'as sent';
COMMENT ON COLUMN stock_ledger.delta IS 'what on_hand changed by';
COMMENT ON COLUMN stock_ledger.on_hand IS 'after the event';
COMMENT ON COLUMN stock_ledger.previous_event_id IS 'the item''s ledger row before this one';
COMMENT ON COLUMN stock_ledger.kind IS 'S SET, A ADJUST, R REMOVE';
COMMENT ON COLUMN stock_ledger.outcome IS 'a applied, s stale, d dead-lettered';
COMMENT ON COLUMN stock_ledger.cause IS 'the source the event names, or the reason it was refused';
