-- Items that are removed, drifted or oversold, to be found among all of a user's without reading those. Few have a flag, and few changes of an item change
-- it, so that the others stay HOT.
CREATE INDEX inventory_items_flagged_idx ON inventory_items (user_id, item_id) WHERE flags <> 0;
