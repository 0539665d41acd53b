-- Replays: a group's offsets set back, by `brx-sync replay` or, seen afterwards, by somebody else's tool; and how far each group had come,
-- by which such a step back is told. Who asked for one, and why, is in operator_actions.

CREATE TABLE replays (
  id           bigint      GENERATED ALWAYS AS IDENTITY,
  begun_at     timestamptz NOT NULL DEFAULT now(),
  set_at       timestamptz,
  started_at   timestamptz,
  caught_up_at timestamptz,
  undone_at    timestamptz,
  detected     boolean     NOT NULL,
  group_id     text        NOT NULL,
  topic        text        NOT NULL,
  how          text        NOT NULL,
  offsets      jsonb       NOT NULL,
  CONSTRAINT replays_pkey PRIMARY KEY (id)
);

-- Asked for with every look at where a group stands.
CREATE INDEX replays_open_idx ON replays (group_id, topic) WHERE caught_up_at IS NULL AND undone_at IS NULL;
-- Each instance sees its own partitions of one reset: they make one replay.
CREATE UNIQUE INDEX replays_detected_once ON replays (group_id, topic) WHERE detected AND caught_up_at IS NULL AND undone_at IS NULL;

COMMENT ON TABLE replays IS 'offsets of a consumer group that were set back, or forward';
COMMENT ON COLUMN replays.begun_at IS 'written down, before Kafka is asked; of a detected one: when it was seen';
COMMENT ON COLUMN replays.set_at IS 'Kafka has the new offsets, read again afterwards; null: it may have some of them';
COMMENT ON COLUMN replays.started_at IS 'the group was seen to read on';
COMMENT ON COLUMN replays.caught_up_at IS 'every partition is where it had been';
COMMENT ON COLUMN replays.undone_at IS 'the old offsets were restored, or the new ones were never set';
COMMENT ON COLUMN replays.detected IS 'set by another tool, or lost by the broker, while no instance ran';
COMMENT ON COLUMN replays.how IS 'the target, as it was asked for';
COMMENT ON COLUMN replays.offsets IS 'partition → [old offset or null for never committed, new offset], as text';

CREATE TABLE group_positions (
  furthest   bigint      NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  partition  integer     NOT NULL,
  group_id   text        NOT NULL,
  topic      text        NOT NULL,
  CONSTRAINT group_positions_pkey PRIMARY KEY (group_id, topic, partition)
)
-- A few dozen rows, each written every few seconds.
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

COMMENT ON TABLE group_positions IS 'the furthest offset each group was seen to have committed';
