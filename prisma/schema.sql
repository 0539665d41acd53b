-- The schema all migrations together make. Written by test/integration/postgres/schema.test.ts, which compares it; refresh it with
--   npx vitest run --project integration test/integration/postgres/schema.test.ts --update

CREATE TABLE bulk_sync_chunks (
  job_id uuid NOT NULL,
  chunk integer NOT NULL,
  event_id uuid NOT NULL,
  sent_at timestamp with time zone,
  ended_at timestamp with time zone,
  tries integer DEFAULT 0 NOT NULL,
  created integer DEFAULT 0 NOT NULL,
  adopted integer DEFAULT 0 NOT NULL,
  linked integer DEFAULT 0 NOT NULL,
  pushed integer DEFAULT 0 NOT NULL,
  drifted integer DEFAULT 0 NOT NULL,
  left_alone integer DEFAULT 0 NOT NULL,
  same integer DEFAULT 0 NOT NULL,
  unmapped integer DEFAULT 0 NOT NULL,
  state text DEFAULT 'WAITING'::text NOT NULL,
  reason text,
  product_ids bigint[] NOT NULL,
  products text,
  next_try_at timestamp with time zone,
  retries integer DEFAULT 0 NOT NULL,
  waits_since timestamp with time zone,
  waits_for text,
  waits_said text,
  CONSTRAINT bulk_sync_chunks_pkey PRIMARY KEY (job_id, chunk),
  CONSTRAINT bulk_sync_chunks_next_try_of_parked CHECK (((next_try_at IS NULL) OR (state = 'PARKED'::text))),
  CONSTRAINT bulk_sync_chunks_products_kept CHECK (((products IS NULL) = (state = 'DONE'::text))),
  CONSTRAINT bulk_sync_chunks_state_known CHECK ((state = ANY (ARRAY['WAITING'::text, 'SENT'::text, 'DONE'::text, 'PARKED'::text]))),
  CONSTRAINT bulk_sync_chunks_waits_known CHECK ((waits_for = 'catalogue'::text)),
  CONSTRAINT bulk_sync_chunks_waits_since CHECK (((waits_for IS NULL) = (waits_since IS NULL)))
);

CREATE TABLE bulk_sync_findings (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  job_id uuid NOT NULL,
  product_id bigint,
  item_id uuid,
  ours integer,
  theirs integer,
  kind text NOT NULL,
  cause text NOT NULL,
  name text,
  CONSTRAINT bulk_sync_findings_pkey PRIMARY KEY (job_id, id)
);

CREATE TABLE bulk_sync_jobs (
  job_id uuid NOT NULL,
  user_id uuid NOT NULL,
  asked_at timestamp with time zone DEFAULT now() NOT NULL,
  due_at timestamp with time zone DEFAULT now(),
  exported_at timestamp with time zone,
  confirmed_at timestamp with time zone,
  applying_at timestamp with time zone,
  ended_at timestamp with time zone,
  lease_until timestamp with time zone,
  lease_owner uuid,
  lease_epoch integer DEFAULT 0 NOT NULL,
  exports integer DEFAULT 0 NOT NULL,
  failures integer DEFAULT 0 NOT NULL,
  products integer,
  unread integer,
  chunks integer,
  dry_run boolean NOT NULL,
  confirm_shrink boolean NOT NULL,
  scheduled boolean NOT NULL,
  orders_read boolean DEFAULT false NOT NULL,
  mode text NOT NULL,
  state text DEFAULT 'REQUESTED'::text NOT NULL,
  asked_by text NOT NULL,
  problem text,
  said text,
  digest text,
  ambiguous uuid[] DEFAULT '{}'::uuid[] NOT NULL,
  CONSTRAINT bulk_sync_jobs_pkey PRIMARY KEY (job_id),
  CONSTRAINT bulk_sync_jobs_applies_what CHECK (((state <> 'APPLYING'::text) OR ((exported_at IS NOT NULL) AND (chunks IS NOT NULL)))),
  CONSTRAINT bulk_sync_jobs_due_while_open CHECK (((due_at IS NULL) = (state = ANY (ARRAY['DONE'::text, 'FAILED'::text, 'CANCELLED'::text])))),
  CONSTRAINT bulk_sync_jobs_mode_known CHECK ((mode = ANY (ARRAY['report'::text, 'adopt-remote'::text, 'push-local'::text]))),
  CONSTRAINT bulk_sync_jobs_state_known CHECK ((state = ANY (ARRAY['REQUESTED'::text, 'EXPORTING'::text, 'APPLYING'::text, 'DONE'::text, 'FAILED'::text, 'CANCELLED'::text])))
);

CREATE TABLE dead_letters (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  "offset" bigint NOT NULL,
  record_timestamp timestamp with time zone NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
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
  state_at timestamp with time zone,
  redrive_of bigint,
  sent_event_id uuid,
  state text DEFAULT 'open'::text NOT NULL,
  state_by text,
  state_reason text,
  edited_key bytea,
  edited_value bytea,
  CONSTRAINT dead_letters_pkey PRIMARY KEY (id),
  CONSTRAINT dead_letters_topic_partition_offset_key UNIQUE (topic, partition, "offset"),
  CONSTRAINT dead_letters_edited_is_sent CHECK (((state = 'redriven'::text) OR ((edited_key IS NULL) AND (edited_value IS NULL) AND (sent_event_id IS NULL)))),
  CONSTRAINT dead_letters_reason_known CHECK ((reason = ANY (ARRAY['undecodable'::text, 'unknown_type'::text, 'invalid'::text, 'key_mismatch'::text, 'too_old'::text, 'would_go_negative'::text, 'out_of_range'::text, 'unknown_purchase'::text, 'discarded'::text]))),
  CONSTRAINT dead_letters_state_dated CHECK (((state = 'open'::text) = (state_at IS NULL))),
  CONSTRAINT dead_letters_state_known CHECK ((state = ANY (ARRAY['open'::text, 'redriven'::text, 'discarded'::text])))
);

CREATE TABLE drift (
  user_id uuid NOT NULL,
  job_id uuid NOT NULL,
  first_at timestamp with time zone DEFAULT now() NOT NULL,
  seen_at timestamp with time zone DEFAULT now() NOT NULL,
  product_id bigint,
  item_id uuid,
  ours integer,
  theirs integer,
  confirmed boolean NOT NULL,
  cause text NOT NULL,
  subject text NOT NULL,
  name text,
  CONSTRAINT drift_pkey PRIMARY KEY (user_id, subject)
);

CREATE TABLE group_positions (
  furthest bigint NOT NULL,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  partition integer NOT NULL,
  group_id text NOT NULL,
  topic text NOT NULL,
  CONSTRAINT group_positions_pkey PRIMARY KEY (group_id, topic, partition)
) WITH (fillfactor=50, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

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

CREATE TABLE marketplace_listings (
  user_id uuid NOT NULL,
  item_id uuid NOT NULL,
  product_id bigint NOT NULL,
  blueprint_id bigint NOT NULL,
  confirmed_at timestamp with time zone NOT NULL,
  linked_at timestamp with time zone DEFAULT now() NOT NULL,
  operation_id uuid,
  quantity integer NOT NULL,
  price_cents bigint NOT NULL,
  gone boolean DEFAULT false NOT NULL,
  currency text,
  product jsonb NOT NULL,
  sold_lines bigint[] DEFAULT '{}'::bigint[] NOT NULL,
  mismatch jsonb,
  unaccounted integer DEFAULT 0 NOT NULL,
  CONSTRAINT marketplace_listings_pkey PRIMARY KEY (user_id, item_id),
  CONSTRAINT marketplace_listings_product_once UNIQUE (user_id, product_id),
  CONSTRAINT marketplace_listings_quantity_counted CHECK ((quantity >= 0))
) WITH (fillfactor=80, autovacuum_vacuum_scale_factor=0.05);

CREATE TABLE marketplace_operations (
  operation_id uuid NOT NULL,
  seq bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  user_id uuid NOT NULL,
  item_id uuid NOT NULL,
  purchase_id uuid,
  returns uuid,
  product_id bigint,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  due_at timestamp with time zone,
  read_at timestamp with time zone,
  sent_at timestamp with time zone,
  settled_at timestamp with time zone,
  lease_epoch bigint,
  attempts integer DEFAULT 0 NOT NULL,
  quantity integer NOT NULL,
  before integer,
  target integer,
  marked boolean,
  kind text NOT NULL,
  state text NOT NULL,
  reason text,
  siblings jsonb,
  evidence jsonb DEFAULT '[]'::jsonb NOT NULL,
  job_id text,
  blueprint_id bigint,
  taken integer,
  CONSTRAINT marketplace_operations_pkey PRIMARY KEY (operation_id),
  CONSTRAINT marketplace_operations_due_while_open CHECK (((due_at IS NOT NULL) = (state = ANY (ARRAY['PENDING'::text, 'SENT'::text, 'UNKNOWN'::text])))),
  CONSTRAINT marketplace_operations_intent_before_call CHECK (((state <> ALL (ARRAY['SENT'::text, 'UNKNOWN'::text])) OR ((sent_at IS NOT NULL) AND (before IS NOT NULL) AND (target IS NOT NULL) AND (lease_epoch IS NOT NULL)))),
  CONSTRAINT marketplace_operations_kind_known CHECK ((kind = ANY (ARRAY['TAKE'::text, 'RETURN'::text, 'LOWER'::text, 'SYNC'::text]))),
  CONSTRAINT marketplace_operations_quantity_positive CHECK (((quantity > 0) OR (kind = 'SYNC'::text))),
  CONSTRAINT marketplace_operations_reason_when_not_done CHECK (((reason IS NOT NULL) OR (state <> ALL (ARRAY['REFUSED'::text, 'NEEDS_OPERATOR'::text])))),
  CONSTRAINT marketplace_operations_return_of_take CHECK (((returns IS NOT NULL) = (kind = 'RETURN'::text))),
  CONSTRAINT marketplace_operations_sale_known CHECK (((purchase_id IS NOT NULL) OR (kind = ANY (ARRAY['LOWER'::text, 'SYNC'::text])))),
  CONSTRAINT marketplace_operations_state_known CHECK ((state = ANY (ARRAY['PENDING'::text, 'SENT'::text, 'UNKNOWN'::text, 'APPLIED'::text, 'REFUSED'::text, 'WITHDRAWN'::text, 'NEEDS_OPERATOR'::text]))),
  CONSTRAINT marketplace_operations_taken_counted CHECK (((taken >= 0) AND (taken <= quantity)))
) WITH (fillfactor=80, autovacuum_vacuum_scale_factor=0.05, autovacuum_analyze_scale_factor=0.05);

CREATE TABLE marketplace_problems (
  user_id uuid NOT NULL,
  item_id uuid NOT NULL,
  at timestamp with time zone DEFAULT now() NOT NULL,
  kind text NOT NULL,
  said text NOT NULL,
  wanted text NOT NULL,
  CONSTRAINT marketplace_problems_pkey PRIMARY KEY (user_id, item_id),
  CONSTRAINT marketplace_problems_kind_known CHECK ((kind = ANY (ARRAY['refused'::text, 'warning'::text, 'would_merge'::text, 'merged'::text, 'unclear'::text])))
);

CREATE TABLE marketplace_sellers (
  user_id uuid NOT NULL,
  work_at timestamp with time zone,
  lease_until timestamp with time zone,
  open_until timestamp with time zone,
  lease_epoch bigint DEFAULT 0 NOT NULL,
  lease_owner uuid,
  failures integer DEFAULT 0 NOT NULL,
  status text NOT NULL,
  status_reason text,
  status_at timestamp with time zone DEFAULT now() NOT NULL,
  added_at timestamp with time zone DEFAULT now() NOT NULL,
  checked_at timestamp with time zone,
  app_id bigint,
  seller_id bigint,
  app_name text,
  token bytea NOT NULL,
  token_key_id text NOT NULL,
  token_hint text NOT NULL,
  webhook_secret bytea,
  webhook_secret_key_id text,
  listing_sync boolean DEFAULT false NOT NULL,
  buffer integer DEFAULT 0 NOT NULL,
  CONSTRAINT marketplace_sellers_pkey PRIMARY KEY (user_id),
  CONSTRAINT marketplace_sellers_buffer_counted CHECK ((buffer >= 0)),
  CONSTRAINT marketplace_sellers_failures_counted CHECK ((failures >= 0)),
  CONSTRAINT marketplace_sellers_lease_whole CHECK (((lease_owner IS NULL) = (lease_until IS NULL))),
  CONSTRAINT marketplace_sellers_status_known CHECK ((status = ANY (ARRAY['active'::text, 'paused'::text, 'token_rejected'::text]))),
  CONSTRAINT marketplace_sellers_webhook_secret_whole CHECK (((webhook_secret IS NULL) = (webhook_secret_key_id IS NULL)))
) WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0.05, autovacuum_vacuum_threshold=200);

CREATE TABLE operator_actions (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  at timestamp with time zone DEFAULT now() NOT NULL,
  who text NOT NULL,
  action text NOT NULL,
  target text NOT NULL,
  reason text NOT NULL,
  detail jsonb NOT NULL,
  CONSTRAINT operator_actions_pkey PRIMARY KEY (id)
);

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  available_at timestamp with time zone,
  created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
  partition integer,
  shard smallint NOT NULL,
  user_id uuid,
  event_id uuid,
  topic text NOT NULL,
  record_key bytea,
  record_value bytea,
  record_headers jsonb,
  CONSTRAINT outbox_pkey PRIMARY KEY (shard, id),
  CONSTRAINT outbox_shard_known CHECK (((shard >= 0) AND (shard <= 11)))
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000, autovacuum_vacuum_cost_delay=0, autovacuum_analyze_scale_factor=0, autovacuum_analyze_threshold=10000);

CREATE TABLE outbox_blocked (
  id bigint NOT NULL,
  blocked_at timestamp with time zone DEFAULT now() NOT NULL,
  shard smallint NOT NULL,
  user_id uuid,
  error text NOT NULL,
  CONSTRAINT outbox_blocked_pkey PRIMARY KEY (shard, id)
);

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

CREATE TABLE purchase_history (
  user_id uuid NOT NULL,
  purchase_id uuid NOT NULL,
  event_id uuid NOT NULL,
  at timestamp with time zone NOT NULL,
  version integer NOT NULL,
  fact text NOT NULL,
  state text NOT NULL,
  detail jsonb NOT NULL,
  CONSTRAINT purchase_history_pkey PRIMARY KEY (purchase_id, user_id, version)
) WITH (autovacuum_vacuum_insert_scale_factor=0.05, autovacuum_analyze_scale_factor=0.05);

CREATE TABLE purchase_sagas (
  user_id uuid NOT NULL,
  purchase_id uuid NOT NULL,
  event_id uuid NOT NULL,
  started_at timestamp with time zone NOT NULL,
  deadline_at timestamp with time zone NOT NULL,
  next_action_at timestamp with time zone,
  updated_at timestamp with time zone DEFAULT now() NOT NULL,
  version integer NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  definition smallint DEFAULT 1 NOT NULL,
  cancelled boolean DEFAULT false NOT NULL,
  sold boolean DEFAULT false NOT NULL,
  state text NOT NULL,
  reason text,
  currency text NOT NULL,
  buyer_id text,
  lines jsonb NOT NULL,
  traceparent text,
  CONSTRAINT purchase_sagas_pkey PRIMARY KEY (purchase_id, user_id),
  CONSTRAINT purchase_sagas_reason_known CHECK ((reason = ANY (ARRAY['insufficient_stock'::text, 'unknown_item'::text, 'remote_insufficient_stock'::text, 'remote_product_gone'::text, 'remote_refused'::text, 'expired'::text, 'cancelled'::text, 'operator'::text, 'discarded'::text]))),
  CONSTRAINT purchase_sagas_reason_when_undone CHECK (((reason IS NOT NULL) OR (state <> ALL (ARRAY['REJECTED'::text, 'COMPENSATING'::text, 'COMPENSATED'::text])))),
  CONSTRAINT purchase_sagas_sold_when_confirmed CHECK (
CASE state
    WHEN 'CONFIRMED'::text THEN sold
    WHEN 'REJECTED'::text THEN (NOT sold)
    WHEN 'COMPENSATED'::text THEN (NOT sold)
    ELSE true
END),
  CONSTRAINT purchase_sagas_state_known CHECK ((state = ANY (ARRAY['RESERVED'::text, 'CALLING'::text, 'RECONCILING'::text, 'COMPENSATING'::text, 'NEEDS_OPERATOR'::text, 'CONFIRMED'::text, 'REJECTED'::text, 'COMPENSATED'::text]))),
  CONSTRAINT purchase_sagas_version_positive CHECK ((version > 0)),
  CONSTRAINT purchase_sagas_waits_unless_ended CHECK (((next_action_at IS NULL) = (state = ANY (ARRAY['CONFIRMED'::text, 'REJECTED'::text, 'COMPENSATED'::text]))))
) WITH (fillfactor=80, autovacuum_vacuum_scale_factor=0.05, autovacuum_analyze_scale_factor=0.05);

CREATE TABLE remote_order_lines (
  user_id uuid NOT NULL,
  order_id bigint NOT NULL,
  line_id bigint NOT NULL,
  product_id bigint,
  blueprint_id bigint,
  sold_at timestamp with time zone,
  cancelled_at timestamp with time zone,
  item_id uuid,
  quantity integer NOT NULL,
  cancelled integer DEFAULT 0 NOT NULL,
  relisted integer DEFAULT 0 NOT NULL,
  kept integer DEFAULT 0 NOT NULL,
  taken integer DEFAULT 0 NOT NULL,
  returned integer DEFAULT 0 NOT NULL,
  counting text NOT NULL,
  name text,
  CONSTRAINT remote_order_lines_pkey PRIMARY KEY (user_id, order_id, line_id),
  CONSTRAINT remote_order_lines_copies CHECK (((relisted >= 0) AND (kept >= 0) AND (cancelled >= (relisted + kept)) AND (quantity >= cancelled))),
  CONSTRAINT remote_order_lines_counting_known CHECK ((counting = ANY (ARRAY['sold'::text, 'merged'::text, 'before'::text, 'undecided'::text]))),
  CONSTRAINT remote_order_lines_effect CHECK (((taken >= 0) AND (returned >= 0) AND ((taken - returned) <= quantity) AND ((returned - taken) <= cancelled)))
) WITH (fillfactor=80, autovacuum_vacuum_scale_factor=0.05);

CREATE TABLE remote_order_polls (
  user_id uuid NOT NULL,
  next_poll_at timestamp with time zone DEFAULT now() NOT NULL,
  webhook_at timestamp with time zone,
  lease_until timestamp with time zone,
  polled_at timestamp with time zone,
  through_id bigint,
  webhook_seq bigint DEFAULT 0 NOT NULL,
  failures integer DEFAULT 0 NOT NULL,
  lease_owner uuid,
  problem text,
  CONSTRAINT remote_order_polls_pkey PRIMARY KEY (user_id),
  CONSTRAINT remote_order_polls_failures_counted CHECK ((failures >= 0)),
  CONSTRAINT remote_order_polls_lease_whole CHECK (((lease_owner IS NULL) = (lease_until IS NULL)))
) WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0.05, autovacuum_vacuum_threshold=200);

CREATE TABLE remote_orders (
  user_id uuid NOT NULL,
  order_id bigint NOT NULL,
  seen_at timestamp with time zone NOT NULL,
  first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
  changed_at timestamp with time zone DEFAULT now() NOT NULL,
  open boolean NOT NULL,
  via_zero boolean,
  presale boolean,
  state text NOT NULL,
  code text,
  CONSTRAINT remote_orders_pkey PRIMARY KEY (user_id, order_id),
  CONSTRAINT remote_orders_id_positive CHECK ((order_id > 0))
) WITH (fillfactor=80, autovacuum_vacuum_scale_factor=0.05);

CREATE TABLE replays (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  begun_at timestamp with time zone DEFAULT now() NOT NULL,
  set_at timestamp with time zone,
  started_at timestamp with time zone,
  caught_up_at timestamp with time zone,
  undone_at timestamp with time zone,
  detected boolean NOT NULL,
  group_id text NOT NULL,
  topic text NOT NULL,
  how text NOT NULL,
  offsets jsonb NOT NULL,
  CONSTRAINT replays_pkey PRIMARY KEY (id)
);

CREATE TABLE stock_holds (
  user_id uuid NOT NULL,
  item_id uuid NOT NULL,
  purchase_id uuid NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  quantity integer NOT NULL,
  CONSTRAINT stock_holds_pkey PRIMARY KEY (user_id, item_id, purchase_id),
  CONSTRAINT stock_holds_quantity_positive CHECK ((quantity > 0))
) WITH (fillfactor=90, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000);

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
  purchase_id uuid,
  held_delta integer,
  CONSTRAINT stock_ledger_pkey PRIMARY KEY (event_id),
  CONSTRAINT stock_ledger_kind_known CHECK ((kind = ANY (ARRAY['S'::bpchar, 'A'::bpchar, 'R'::bpchar, 'P'::bpchar, 'C'::bpchar, 'T'::bpchar, 'B'::bpchar]))),
  CONSTRAINT stock_ledger_only_applied_changes CHECK (((outcome = 'a'::bpchar) OR ((delta = 0) AND (COALESCE(held_delta, 0) = 0)))),
  CONSTRAINT stock_ledger_outcome_known CHECK ((outcome = ANY (ARRAY['a'::bpchar, 's'::bpchar, 'd'::bpchar, 'r'::bpchar]))),
  CONSTRAINT stock_ledger_purchase_told CHECK ((((purchase_id IS NULL) = (kind = ANY (ARRAY['S'::bpchar, 'A'::bpchar, 'R'::bpchar]))) AND ((held_delta IS NULL) = (purchase_id IS NULL))))
) WITH (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_insert_scale_factor=0.02, autovacuum_analyze_scale_factor=0.05);

CREATE TABLE webhook_inbox (
  user_id uuid NOT NULL,
  order_id bigint NOT NULL,
  received_at timestamp with time zone DEFAULT now() NOT NULL,
  processed_at timestamp with time zone,
  envelope_id text NOT NULL,
  cause text NOT NULL,
  CONSTRAINT webhook_inbox_pkey PRIMARY KEY (user_id, envelope_id)
) WITH (fillfactor=80, autovacuum_vacuum_scale_factor=0.05);

ALTER TABLE bulk_sync_chunks ADD CONSTRAINT bulk_sync_chunks_job FOREIGN KEY (job_id) REFERENCES bulk_sync_jobs(job_id) ON DELETE CASCADE;

ALTER TABLE bulk_sync_findings ADD CONSTRAINT bulk_sync_findings_job FOREIGN KEY (job_id) REFERENCES bulk_sync_jobs(job_id) ON DELETE CASCADE;

ALTER TABLE marketplace_listings ADD CONSTRAINT marketplace_listings_seller FOREIGN KEY (user_id) REFERENCES marketplace_sellers(user_id);

ALTER TABLE parked_events ADD CONSTRAINT parked_events_user_id_fkey FOREIGN KEY (user_id) REFERENCES parked_users(user_id);

ALTER TABLE remote_order_lines ADD CONSTRAINT remote_order_lines_order FOREIGN KEY (user_id, order_id) REFERENCES remote_orders(user_id, order_id);

ALTER TABLE remote_order_polls ADD CONSTRAINT remote_order_polls_seller FOREIGN KEY (user_id) REFERENCES marketplace_sellers(user_id) ON DELETE CASCADE;

CREATE INDEX bulk_sync_chunks_parked_idx ON bulk_sync_chunks USING btree (job_id) WHERE (state = 'PARKED'::text);

CREATE INDEX bulk_sync_jobs_due_idx ON bulk_sync_jobs USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX bulk_sync_jobs_user_idx ON bulk_sync_jobs USING btree (user_id, asked_at);

CREATE INDEX dead_letters_event_id_idx ON dead_letters USING btree (event_id) WHERE (event_id IS NOT NULL);

CREATE INDEX dead_letters_reason_id_idx ON dead_letters USING btree (reason, id);

CREATE INDEX dead_letters_redrive_of_idx ON dead_letters USING btree (redrive_of) WHERE (redrive_of IS NOT NULL);

CREATE INDEX dead_letters_state_id_idx ON dead_letters USING btree (state, id);

CREATE INDEX dead_letters_user_id_id_idx ON dead_letters USING btree (user_id, id) WHERE (user_id IS NOT NULL);

CREATE INDEX drift_confirmed_idx ON drift USING btree (user_id) WHERE confirmed;

CREATE INDEX inventory_items_flagged_idx ON inventory_items USING btree (user_id, item_id) WHERE (flags <> 0);

CREATE INDEX marketplace_listings_mismatch_idx ON marketplace_listings USING btree (user_id) WHERE (mismatch IS NOT NULL);

CREATE INDEX marketplace_operations_first_idx ON marketplace_operations USING btree (user_id, item_id, seq) WHERE ((due_at IS NOT NULL) AND (NOT ((kind = 'SYNC'::text) AND (state = 'PENDING'::text))));

CREATE INDEX marketplace_operations_outstanding_idx ON marketplace_operations USING btree (user_id, item_id, seq) WHERE (due_at IS NOT NULL);

CREATE INDEX marketplace_operations_purchase_id_idx ON marketplace_operations USING btree (purchase_id, user_id) WHERE (purchase_id IS NOT NULL);

CREATE INDEX marketplace_operations_sync_order_idx ON marketplace_operations USING btree (user_id, seq) WHERE ((kind = 'SYNC'::text) AND (state = 'PENDING'::text));

CREATE INDEX marketplace_sellers_listing_sync_idx ON marketplace_sellers USING btree (user_id) WHERE listing_sync;

CREATE INDEX marketplace_sellers_work_at_idx ON marketplace_sellers USING btree (work_at) WHERE ((work_at IS NOT NULL) AND (status = 'active'::text));

CREATE INDEX operator_actions_target_idx ON operator_actions USING btree (target, id);

CREATE INDEX outbox_blocked_user_id_idx ON outbox_blocked USING btree (user_id);

CREATE INDEX parked_events_user_id_id_idx ON parked_events USING btree (user_id, id);

CREATE INDEX purchase_sagas_next_action_at_idx ON purchase_sagas USING btree (next_action_at) WHERE (next_action_at IS NOT NULL);

CREATE INDEX purchase_sagas_open_idx ON purchase_sagas USING btree (user_id) WHERE (next_action_at IS NOT NULL);

CREATE INDEX purchase_sagas_user_id_started_at_idx ON purchase_sagas USING btree (user_id, started_at);

CREATE INDEX remote_order_lines_item_idx ON remote_order_lines USING btree (user_id, item_id, sold_at) WHERE (item_id IS NOT NULL);

CREATE INDEX remote_order_lines_unmapped_idx ON remote_order_lines USING btree (user_id, order_id) WHERE (item_id IS NULL);

CREATE INDEX remote_order_lines_unresolved_idx ON remote_order_lines USING btree (user_id, cancelled_at) WHERE (cancelled > (relisted + kept));

CREATE INDEX remote_order_polls_work_at_idx ON remote_order_polls USING btree (LEAST(next_poll_at, webhook_at));

CREATE INDEX remote_orders_open_idx ON remote_orders USING btree (user_id, order_id) WHERE open;

CREATE INDEX replays_open_idx ON replays USING btree (group_id, topic) WHERE ((caught_up_at IS NULL) AND (undone_at IS NULL));

CREATE INDEX webhook_inbox_received_at_idx ON webhook_inbox USING btree (received_at);

CREATE INDEX webhook_inbox_waiting_idx ON webhook_inbox USING btree (user_id, received_at) WHERE (processed_at IS NULL);

CREATE UNIQUE INDEX bulk_sync_jobs_one_open ON bulk_sync_jobs USING btree (user_id) WHERE (due_at IS NOT NULL);

CREATE UNIQUE INDEX marketplace_operations_one_outstanding ON marketplace_operations USING btree (user_id, item_id) WHERE (state = ANY (ARRAY['SENT'::text, 'UNKNOWN'::text]));

CREATE UNIQUE INDEX marketplace_operations_sync_waits ON marketplace_operations USING btree (user_id, item_id) WHERE ((kind = 'SYNC'::text) AND (state = 'PENDING'::text));

CREATE UNIQUE INDEX marketplace_sellers_seller_id_key ON marketplace_sellers USING btree (seller_id);

CREATE UNIQUE INDEX replays_detected_once ON replays USING btree (group_id, topic) WHERE (detected AND (caught_up_at IS NULL) AND (undone_at IS NULL));

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
            WHEN 'P'::bpchar THEN 'PURCHASE'::text
            WHEN 'C'::bpchar THEN 'CANCEL'::text
            WHEN 'T'::bpchar THEN 'TAKEN'::text
            WHEN 'B'::bpchar THEN 'GIVEN_BACK'::text
            ELSE NULL::text
        END AS kind,
    quantity,
    version,
        CASE outcome
            WHEN 'a'::bpchar THEN 'applied'::text
            WHEN 's'::bpchar THEN 'stale'::text
            WHEN 'd'::bpchar THEN 'dead-lettered'::text
            WHEN 'r'::bpchar THEN 'rejected'::text
            ELSE NULL::text
        END AS outcome,
    delta,
    held_delta,
    on_hand,
    purchase_id,
    cause
   FROM stock_ledger;

CREATE OR REPLACE FUNCTION public.marketplace_operations_step_allowed()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$;

CREATE OR REPLACE FUNCTION public.marketplace_sellers_are_polled()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  INSERT INTO remote_order_polls (user_id) VALUES (NEW.user_id) ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$function$;

CREATE OR REPLACE FUNCTION public.purchase_sagas_step_allowed()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$;

CREATE TRIGGER marketplace_operations_step_allowed BEFORE UPDATE OF state ON marketplace_operations FOR EACH ROW EXECUTE FUNCTION marketplace_operations_step_allowed();

CREATE TRIGGER marketplace_sellers_are_polled AFTER INSERT ON marketplace_sellers FOR EACH ROW EXECUTE FUNCTION marketplace_sellers_are_polled();

CREATE TRIGGER purchase_sagas_step_allowed BEFORE UPDATE OF state, version ON purchase_sagas FOR EACH ROW EXECUTE FUNCTION purchase_sagas_step_allowed();
COMMENT ON COLUMN bulk_sync_chunks.event_id IS 'of its record: the same whenever it is sent';
COMMENT ON COLUMN bulk_sync_chunks.reason IS 'why it is parked';
COMMENT ON COLUMN bulk_sync_chunks.products IS 'JSON, as they were exported, until they are applied';
COMMENT ON COLUMN bulk_sync_chunks.next_try_at IS 'of a parked one: when it is sent again, if its job is still open then; null: never';
COMMENT ON COLUMN bulk_sync_chunks.retries IS 'how often it was sent again after it was parked';
COMMENT ON COLUMN bulk_sync_chunks.waits_since IS 'since when it has been away, by this chunk';
COMMENT ON COLUMN bulk_sync_chunks.waits_for IS 'what was away when it was last tried to apply it; null: nothing, or it is over';
COMMENT ON COLUMN bulk_sync_chunks.waits_said IS 'the error';
COMMENT ON TABLE bulk_sync_findings IS 'what a job did and found item by item; of a large one the first ten thousand';
COMMENT ON COLUMN bulk_sync_jobs.due_at IS 'when a dispatcher has something to do for it; null exactly when it is over';
COMMENT ON COLUMN bulk_sync_jobs.exported_at IS 'our clock before the export was asked for: what has changed here since is left alone';
COMMENT ON COLUMN bulk_sync_jobs.confirmed_at IS 'CardTrader''s clock of its answer';
COMMENT ON COLUMN bulk_sync_jobs.exports IS 'exports begun';
COMMENT ON COLUMN bulk_sync_jobs.failures IS 'exports in a row that came to nothing';
COMMENT ON COLUMN bulk_sync_jobs.orders_read IS 'the seller''s orders were read since the export';
COMMENT ON COLUMN bulk_sync_jobs.digest IS 'of which products the export has: two exports agree on that, or not';
COMMENT ON COLUMN bulk_sync_jobs.ambiguous IS 'items that several products name: left alone';
COMMENT ON COLUMN dead_letters.record_headers IS 'array of [name, base64 value or null]';
COMMENT ON COLUMN dead_letters.redrive_of IS 'the dead letter whose redrive this record was, as its header brx-redrive-of says';
COMMENT ON COLUMN dead_letters.sent_event_id IS 'id the record was sent again under: its own, unless it was corrected after the ledger had refused that';
COMMENT ON COLUMN dead_letters.edited_key IS 'what was sent instead of record_key and record_value, which stay as they came';
COMMENT ON TABLE drift IS 'differences between here and CardTrader, by the last report; one counts once two exports agree on it';
COMMENT ON COLUMN drift.job_id IS 'the report that saw it last';
COMMENT ON COLUMN drift.subject IS 'the item''s id, or product/ and the product''s where no item is known';
COMMENT ON TABLE group_positions IS 'the furthest offset each group was seen to have committed';
COMMENT ON COLUMN inventory_items.last_event_id IS 'newest ledger row of the item; its history is walked from here by previous_event_id';
COMMENT ON COLUMN inventory_items.version IS 'the producer''s; an event with this one or an older one is stale';
COMMENT ON COLUMN inventory_items.flags IS '1 removed, 2 drifted, 4 oversold';
COMMENT ON COLUMN marketplace_listings.operation_id IS 'whose marker the product carries; null: none of ours';
COMMENT ON COLUMN marketplace_listings.quantity IS 'as CardTrader confirmed it last, at confirmed_at of CardTrader''s clock';
COMMENT ON COLUMN marketplace_listings.gone IS 'not on CardTrader any more';
COMMENT ON COLUMN marketplace_listings.product IS 'the rest of it, to list it again: properties, description, user_data_field, graded, name';
COMMENT ON COLUMN marketplace_listings.sold_lines IS 'order lines that are in quantity already, newest last, a few dozen';
COMMENT ON COLUMN marketplace_listings.mismatch IS 'what CardTrader showed that nothing here explains, for people; null: all is as expected';
COMMENT ON COLUMN marketplace_listings.unaccounted IS 'copies CardTrader''s number changed by of itself, less those our stock has heard of: negative where a sale there is not in on_hand yet';
COMMENT ON COLUMN marketplace_operations.seq IS 'drawn under the user''s lane; an item''s operations are carried out in this order, LOWER before the others';
COMMENT ON COLUMN marketplace_operations.returns IS 'of a RETURN: the TAKE it undoes';
COMMENT ON COLUMN marketplace_operations.due_at IS 'when it is to be carried out, or looked into; null exactly when it is settled';
COMMENT ON COLUMN marketplace_operations.read_at IS 'CardTrader''s clock when before was read';
COMMENT ON COLUMN marketplace_operations.lease_epoch IS 'of the claim under which it was sent last';
COMMENT ON COLUMN marketplace_operations.attempts IS 'how often it was sent';
COMMENT ON COLUMN marketplace_operations.marked IS 'whether its marker was sent along';
COMMENT ON COLUMN marketplace_operations.siblings IS 'of a RETURN that lists anew: products of the blueprint and their quantities before';
COMMENT ON COLUMN marketplace_operations.evidence IS 'what was called and answered, newest last, at most 30';
COMMENT ON COLUMN marketplace_operations.job_id IS 'the bulk job it went with; empty: its id was never heard; null: it went alone';
COMMENT ON COLUMN marketplace_operations.blueprint_id IS 'of one that lists an item: the card it lists';
COMMENT ON COLUMN marketplace_operations.taken IS 'of a TAKE: what was taken from CardTrader; less than quantity where copies were here that are not listed there';
COMMENT ON TABLE marketplace_problems IS 'what CardTrader does not take of an item, or took with a warning; not sent again until something else is wanted';
COMMENT ON COLUMN marketplace_problems.wanted IS 'price, properties and card that were wanted';
COMMENT ON COLUMN marketplace_sellers.work_at IS 'when a dispatcher has something to do for them; null: nothing is outstanding';
COMMENT ON COLUMN marketplace_sellers.open_until IS 'the circuit is open: nothing is called before';
COMMENT ON COLUMN marketplace_sellers.lease_epoch IS 'counts claims; what is recorded under an older one is evidence only';
COMMENT ON COLUMN marketplace_sellers.failures IS 'calls in a row without a usable answer';
COMMENT ON COLUMN marketplace_sellers.seller_id IS 'CardTrader''s id of them';
COMMENT ON COLUMN marketplace_sellers.token IS 'AES-256-GCM: nonce, ciphertext, tag';
COMMENT ON COLUMN marketplace_sellers.token_hint IS 'its last characters, to tell two apart';
COMMENT ON COLUMN marketplace_sellers.webhook_secret IS 'AES-256-GCM: nonce, ciphertext, tag; null: CardTrader has not told it yet';
COMMENT ON COLUMN marketplace_sellers.listing_sync IS 'whether changes of stock, price and properties go to CardTrader';
COMMENT ON COLUMN marketplace_sellers.buffer IS 'copies of each item that are kept from CardTrader';
COMMENT ON TABLE operator_actions IS 'what operators did by hand, written in the transaction that did it';
COMMENT ON COLUMN outbox.id IS 'drawn under the user''s lane lock, after the transaction has its xid; per user it is the order of publishing';
COMMENT ON COLUMN outbox.available_at IS 'not to be published before; null: at once';
COMMENT ON COLUMN outbox.partition IS 'where it must be another one than murmur2''s of the key (dead letters)';
COMMENT ON COLUMN outbox.shard IS 'lane modulo 12; one relay at a time publishes a shard';
COMMENT ON COLUMN outbox.user_id IS 'whose rows wait behind this one if Kafka refuses it; null: nobody''s';
COMMENT ON COLUMN outbox.record_headers IS 'array of [name, base64 value]; null: brx-event-id alone';
COMMENT ON TABLE outbox_blocked IS 'rows Kafka refuses for good; they and everything after them of their user wait for an operator';
COMMENT ON COLUMN parked_events.id IS 'drawn under the user''s lane lock, so it is the order of the user''s events';
COMMENT ON COLUMN parked_events.record_headers IS 'array of [name, base64 value or null]';
COMMENT ON TABLE purchase_history IS 'one row a step, versions without a gap; each was published as one record with this event_id';
COMMENT ON COLUMN purchase_sagas.event_id IS 'the PurchaseRequested that started it';
COMMENT ON COLUMN purchase_sagas.deadline_at IS 'what is not called by then is not called any more';
COMMENT ON COLUMN purchase_sagas.next_action_at IS 'when somebody looks at it again, whatever events arrive; null exactly when it has ended';
COMMENT ON COLUMN purchase_sagas.attempts IS 'looks since its last step';
COMMENT ON COLUMN purchase_sagas.definition IS 'which version of the rules it runs under';
COMMENT ON COLUMN purchase_sagas.sold IS 'its stock has been taken from on_hand, and not been given back';
COMMENT ON COLUMN purchase_sagas.lines IS 'array of {item_id, quantity, unit_price_cents}';
COMMENT ON COLUMN purchase_sagas.traceparent IS 'header of the PurchaseRequested (W3C Trace Context), sent on with what the sale publishes; null: it came without a trace';
COMMENT ON COLUMN remote_order_lines.item_id IS 'null: nothing here is tied to the product, so the line has no effect';
COMMENT ON COLUMN remote_order_lines.quantity IS 'the most copies it had';
COMMENT ON COLUMN remote_order_lines.cancelled IS 'copies called off, with the order or alone';
COMMENT ON COLUMN remote_order_lines.relisted IS 'of those called off: on sale on CardTrader again';
COMMENT ON COLUMN remote_order_lines.kept IS 'of those called off: certainly not on sale again';
COMMENT ON COLUMN remote_order_lines.taken IS 'copies that events have taken out of stock, ever';
COMMENT ON COLUMN remote_order_lines.returned IS 'copies that events have put back, ever';
COMMENT ON COLUMN remote_order_lines.counting IS 'sold: counts here; merged: counted in the order that first sold it; before: sold before the account was taken on';
COMMENT ON COLUMN remote_order_polls.webhook_at IS 'a webhook waits since then';
COMMENT ON COLUMN remote_order_polls.polled_at IS 'when the last poll that came to its end had begun: what had happened by then has been seen';
COMMENT ON COLUMN remote_order_polls.through_id IS 'every order up to this id has been seen by polls';
COMMENT ON COLUMN remote_order_polls.webhook_seq IS 'counts webhooks: whoever has looked tells by it whether another one has come meanwhile';
COMMENT ON COLUMN remote_order_polls.failures IS 'polls in a row that came to nothing';
COMMENT ON COLUMN remote_order_polls.problem IS 'why the last one came to nothing';
COMMENT ON COLUMN remote_orders.seen_at IS 'CardTrader''s clock when it was seen so last';
COMMENT ON COLUMN remote_orders.open IS 'may still change what it does to stock';
COMMENT ON COLUMN remote_orders.state IS 'as CardTrader says; unreadable and destroyed are ours';
COMMENT ON TABLE replays IS 'offsets of a consumer group that were set back, or forward';
COMMENT ON COLUMN replays.begun_at IS 'written down, before Kafka is asked; of a detected one: when it was seen';
COMMENT ON COLUMN replays.set_at IS 'Kafka has the new offsets, read again afterwards; null: it may have some of them';
COMMENT ON COLUMN replays.started_at IS 'the group was seen to read on';
COMMENT ON COLUMN replays.caught_up_at IS 'every partition is where it had been';
COMMENT ON COLUMN replays.undone_at IS 'the old offsets were restored, or the new ones were never set';
COMMENT ON COLUMN replays.detected IS 'set by another tool, or lost by the broker, while no instance ran';
COMMENT ON COLUMN replays.how IS 'the target, as it was asked for';
COMMENT ON COLUMN replays.offsets IS 'partition → [old offset or null for never committed, new offset], as text';
COMMENT ON VIEW stock_history IS 'the ledger with its one-letter codes spelled out, for people';
COMMENT ON TABLE stock_holds IS 'what purchases under way have reserved; inventory_items.held is their sum';
COMMENT ON TABLE stock_ledger IS 'one row per decodable event that was considered, whatever came of it, and of a purchase one per item and step that concerns it; its key is the deduplication';
COMMENT ON COLUMN stock_ledger.version IS 'the producer''s';
COMMENT ON COLUMN stock_ledger.quantity IS 'as sent';
COMMENT ON COLUMN stock_ledger.delta IS 'what on_hand changed by';
COMMENT ON COLUMN stock_ledger.on_hand IS 'after the event';
COMMENT ON COLUMN stock_ledger.previous_event_id IS 'the item''s ledger row before this one';
COMMENT ON COLUMN stock_ledger.kind IS 'S SET, A ADJUST, R REMOVE, P purchase reserves, C purchase cancelled, T sold (taken from stock), B given back';
COMMENT ON COLUMN stock_ledger.outcome IS 'a applied, s stale, d dead-lettered, r rejected';
COMMENT ON COLUMN stock_ledger.cause IS 'the source the event names, or the reason it was refused';
COMMENT ON COLUMN stock_ledger.held_delta IS 'what held changed by; null for what is no purchase';
COMMENT ON COLUMN webhook_inbox.processed_at IS 'when its order was read; what the call itself said is not kept, because nobody believes it';
COMMENT ON COLUMN webhook_inbox.envelope_id IS 'CardTrader''s id of the call: the same one again is the same call';
