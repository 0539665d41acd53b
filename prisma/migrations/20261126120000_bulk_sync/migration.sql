-- Bulk sync: a seller's whole stock on CardTrader compared with what is here (bulk_sync_jobs), in parts that are applied each by itself
-- (bulk_sync_chunks), what was found (bulk_sync_findings), and the differences on which two exports agree (drift).

CREATE TABLE bulk_sync_jobs (
  job_id         uuid        NOT NULL,
  user_id        uuid        NOT NULL,
  asked_at       timestamptz NOT NULL DEFAULT now(),
  due_at         timestamptz DEFAULT now(),
  exported_at    timestamptz,
  confirmed_at   timestamptz,
  applying_at    timestamptz,
  ended_at       timestamptz,
  lease_until    timestamptz,
  lease_owner    uuid,
  lease_epoch    integer     NOT NULL DEFAULT 0,
  exports        integer     NOT NULL DEFAULT 0,
  failures       integer     NOT NULL DEFAULT 0,
  products       integer,
  unread         integer,
  chunks         integer,
  dry_run        boolean     NOT NULL,
  confirm_shrink boolean     NOT NULL,
  scheduled      boolean     NOT NULL,
  orders_read    boolean     NOT NULL DEFAULT false,
  mode           text        NOT NULL,
  state          text        NOT NULL DEFAULT 'REQUESTED',
  asked_by       text        NOT NULL,
  problem        text,
  said           text,
  digest         text,
  ambiguous      uuid[]      NOT NULL DEFAULT '{}',
  CONSTRAINT bulk_sync_jobs_pkey PRIMARY KEY (job_id),
  CONSTRAINT bulk_sync_jobs_mode_known CHECK (mode IN ('report', 'adopt-remote', 'push-local')),
  CONSTRAINT bulk_sync_jobs_state_known CHECK (state IN ('REQUESTED', 'EXPORTING', 'APPLYING', 'DONE', 'FAILED', 'CANCELLED')),
  CONSTRAINT bulk_sync_jobs_due_while_open CHECK ((due_at IS NULL) = (state IN ('DONE', 'FAILED', 'CANCELLED'))),
  CONSTRAINT bulk_sync_jobs_applies_what CHECK (state <> 'APPLYING' OR (exported_at IS NOT NULL AND chunks IS NOT NULL))
);

-- Of one seller one job at a time.
CREATE UNIQUE INDEX bulk_sync_jobs_one_open ON bulk_sync_jobs (user_id) WHERE due_at IS NOT NULL;
CREATE INDEX bulk_sync_jobs_due_idx ON bulk_sync_jobs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX bulk_sync_jobs_user_idx ON bulk_sync_jobs (user_id, asked_at);

COMMENT ON COLUMN bulk_sync_jobs.due_at IS 'when a dispatcher has something to do for it; null exactly when it is over';
COMMENT ON COLUMN bulk_sync_jobs.exported_at IS 'our clock before the export was asked for: what has changed here since is left alone';
COMMENT ON COLUMN bulk_sync_jobs.confirmed_at IS 'CardTrader''s clock of its answer';
COMMENT ON COLUMN bulk_sync_jobs.exports IS 'exports begun';
COMMENT ON COLUMN bulk_sync_jobs.failures IS 'exports in a row that came to nothing';
COMMENT ON COLUMN bulk_sync_jobs.orders_read IS 'the seller''s orders were read since the export';
COMMENT ON COLUMN bulk_sync_jobs.digest IS 'of which products the export has: two exports agree on that, or not';
COMMENT ON COLUMN bulk_sync_jobs.ambiguous IS 'items that several products name: left alone';

CREATE TABLE bulk_sync_chunks (
  job_id      uuid        NOT NULL,
  chunk       integer     NOT NULL,
  event_id    uuid        NOT NULL,
  sent_at     timestamptz,
  ended_at    timestamptz,
  tries       integer     NOT NULL DEFAULT 0,
  created     integer     NOT NULL DEFAULT 0,
  adopted     integer     NOT NULL DEFAULT 0,
  linked      integer     NOT NULL DEFAULT 0,
  pushed      integer     NOT NULL DEFAULT 0,
  drifted     integer     NOT NULL DEFAULT 0,
  left_alone  integer     NOT NULL DEFAULT 0,
  same        integer     NOT NULL DEFAULT 0,
  unmapped    integer     NOT NULL DEFAULT 0,
  state       text        NOT NULL DEFAULT 'WAITING',
  reason      text,
  product_ids bigint[]    NOT NULL,
  products    text,
  CONSTRAINT bulk_sync_chunks_pkey PRIMARY KEY (job_id, chunk),
  CONSTRAINT bulk_sync_chunks_job FOREIGN KEY (job_id) REFERENCES bulk_sync_jobs (job_id) ON DELETE CASCADE,
  CONSTRAINT bulk_sync_chunks_state_known CHECK (state IN ('WAITING', 'SENT', 'DONE', 'PARKED')),
  CONSTRAINT bulk_sync_chunks_products_kept CHECK ((products IS NULL) = (state = 'DONE'))
);

COMMENT ON COLUMN bulk_sync_chunks.event_id IS 'of its record: the same whenever it is sent';
COMMENT ON COLUMN bulk_sync_chunks.products IS 'JSON, as they were exported, until they are applied';
COMMENT ON COLUMN bulk_sync_chunks.reason IS 'why it is parked';

CREATE TABLE bulk_sync_findings (
  id         bigint GENERATED ALWAYS AS IDENTITY,
  job_id     uuid   NOT NULL,
  product_id bigint,
  item_id    uuid,
  ours       integer,
  theirs     integer,
  kind       text   NOT NULL,
  cause      text   NOT NULL,
  name       text,
  CONSTRAINT bulk_sync_findings_pkey PRIMARY KEY (job_id, id),
  CONSTRAINT bulk_sync_findings_job FOREIGN KEY (job_id) REFERENCES bulk_sync_jobs (job_id) ON DELETE CASCADE
);

COMMENT ON TABLE bulk_sync_findings IS 'what a job did and found item by item; of a large one the first ten thousand';

CREATE TABLE drift (
  user_id    uuid        NOT NULL,
  job_id     uuid        NOT NULL,
  first_at   timestamptz NOT NULL DEFAULT now(),
  seen_at    timestamptz NOT NULL DEFAULT now(),
  product_id bigint,
  item_id    uuid,
  ours       integer,
  theirs     integer,
  confirmed  boolean     NOT NULL,
  cause      text        NOT NULL,
  subject    text        NOT NULL,
  name       text,
  CONSTRAINT drift_pkey PRIMARY KEY (user_id, subject)
);

CREATE INDEX drift_confirmed_idx ON drift (user_id) WHERE confirmed;

COMMENT ON TABLE drift IS 'differences between here and CardTrader, by the last report; one counts once two exports agree on it';
COMMENT ON COLUMN drift.subject IS 'the item''s id, or product/ and the product''s where no item is known';
COMMENT ON COLUMN drift.job_id IS 'the report that saw it last';
