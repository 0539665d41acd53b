-- A CardTrader account serves one user: requests are counted by user, and two users of one account would take twice what it may.
CREATE UNIQUE INDEX marketplace_sellers_seller_id_key ON marketplace_sellers (seller_id);
