-- Outbox: every record this program publishes is a row first, written in the transaction that decided it, and deleted once Kafka
-- has it. Dead letters go the same way, so their table no longer says what was published.

CREATE TABLE outbox (
  id             bigint      GENERATED ALWAYS AS IDENTITY,
  available_at   timestamptz,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  partition      integer,
  shard          smallint    NOT NULL,
  user_id        uuid,
  event_id       uuid,
  topic          text        NOT NULL,
  record_key     bytea,
  record_value   bytea,
  record_headers jsonb,
  CONSTRAINT outbox_pkey PRIMARY KEY (shard, id),
  CONSTRAINT outbox_shard_known CHECK (shard BETWEEN 0 AND 11)
)
-- A queue: all of it is deleted again and again. Vacuum it every 1,000 dead rows, whatever its size, and without pauses.
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);

-- Not compressed, so that its size in memory is known without reading it; the relay reads no more than it can hold.
ALTER TABLE outbox ALTER COLUMN record_headers SET STORAGE EXTERNAL;

COMMENT ON COLUMN outbox.id IS 'drawn under the user''s lane lock, after the transaction has its xid; per user it is the order of publishing';
COMMENT ON COLUMN outbox.available_at IS 'not to be published before; null: at once';
COMMENT ON COLUMN outbox.partition IS 'where it must be another one than murmur2''s of the key (dead letters)';
COMMENT ON COLUMN outbox.shard IS 'lane modulo 12; one relay at a time publishes a shard';
COMMENT ON COLUMN outbox.user_id IS 'whose rows wait behind this one if Kafka refuses it; null: nobody''s';
COMMENT ON COLUMN outbox.record_headers IS 'array of [name, base64 value]; null: brx-event-id alone';

CREATE TABLE outbox_blocked (
  id         bigint      NOT NULL,
  blocked_at timestamptz NOT NULL DEFAULT now(),
  shard      smallint    NOT NULL,
  user_id    uuid,
  error      text        NOT NULL,
  CONSTRAINT outbox_blocked_pkey PRIMARY KEY (shard, id)
);

CREATE INDEX outbox_blocked_user_id_idx ON outbox_blocked (user_id);

COMMENT ON TABLE outbox_blocked IS 'rows Kafka refuses for good; they and everything after them of their user wait for an operator';

CREATE TABLE operator_actions (
  id     bigint      GENERATED ALWAYS AS IDENTITY,
  at     timestamptz NOT NULL DEFAULT now(),
  who    text        NOT NULL,
  action text        NOT NULL,
  target text        NOT NULL,
  reason text        NOT NULL,
  detail jsonb       NOT NULL,
  CONSTRAINT operator_actions_pkey PRIMARY KEY (id)
);

CREATE INDEX operator_actions_target_idx ON operator_actions (target, id);

COMMENT ON TABLE operator_actions IS 'what operators did by hand, written in the transaction that did it';

-- Dead letters that were not published yet: what the program would enqueue for them, under Spring's header names. One of the
-- original headers that has such a name gives way; encode() breaks lines, which is undone.
INSERT INTO outbox (partition, shard, event_id, topic, record_key, record_value, record_headers)
SELECT d.partition, d.partition % 12, d.event_id, d.topic || '.dlq', d.record_key, d.record_value,
       (SELECT coalesce(jsonb_agg(h ORDER BY n), '[]') FROM jsonb_array_elements(d.record_headers) WITH ORDINALITY AS original (h, n)
         WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(added.headers) AS a WHERE a ->> 0 = h ->> 0)) || added.headers
  FROM dead_letters AS d
 CROSS JOIN LATERAL (
       SELECT jsonb_agg(jsonb_build_array(name, replace(encode(value, 'base64'), E'\n', '')) ORDER BY n) AS headers
         FROM (VALUES (1, 'kafka_dlt-original-topic', convert_to(d.topic, 'UTF8')),
                      (2, 'kafka_dlt-original-partition', int4send(d.partition)),
                      (3, 'kafka_dlt-original-offset', int8send(d."offset")),
                      (4, 'kafka_dlt-original-timestamp', int8send((extract(epoch FROM d.record_timestamp) * 1000)::bigint)),
                      (5, 'kafka_dlt-original-timestamp-type', 'CreateTime'),
                      (6, 'kafka_dlt-original-consumer-group', convert_to(d.consumer_group, 'UTF8')),
                      (7, 'kafka_dlt-exception-fqcn', convert_to('brx.' || d.reason, 'UTF8')),
                      (8, 'kafka_dlt-exception-message', convert_to(d.detail, 'UTF8')),
                      (9, 'brx-dead-letter-id', convert_to(d.id::text, 'UTF8')),
                      (10, 'brx-dead-letter-reason', convert_to(d.reason, 'UTF8'))) AS v (n, name, value)) AS added
 WHERE d.published_at IS NULL
 ORDER BY d.id;

DROP INDEX dead_letters_unpublished_idx;
ALTER TABLE dead_letters DROP COLUMN published_at;
