-- A list of orders counts as read when the look at it began: what has happened after that may not be in it.
COMMENT ON COLUMN remote_order_polls.polled_at IS 'when the last poll that came to its end had begun: what had happened by then has been seen';
