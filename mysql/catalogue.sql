-- The tables of the catalogue as `brx-sync catalogue seed` makes them on a local server. The platform's own have more columns; BRX Sync
-- reads `id` and `cardtrader_id` and writes nothing. `brx_seed` marks rows made by the command, so that it can tell them from anyone else's.

CREATE TABLE IF NOT EXISTS cards_prints (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  cardtrader_id BIGINT UNSIGNED NULL,
  brx_seed BIGINT UNSIGNED NULL,
  KEY cards_prints_cardtrader_id (cardtrader_id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS op_prints (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  cardtrader_id BIGINT UNSIGNED NULL,
  brx_seed BIGINT UNSIGNED NULL,
  KEY op_prints_cardtrader_id (cardtrader_id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS pk_prints (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  cardtrader_id BIGINT UNSIGNED NULL,
  brx_seed BIGINT UNSIGNED NULL,
  KEY pk_prints_cardtrader_id (cardtrader_id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS sealed_products (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  cardtrader_id BIGINT UNSIGNED NULL,
  brx_seed BIGINT UNSIGNED NULL,
  KEY sealed_products_cardtrader_id (cardtrader_id)
) ENGINE = InnoDB;
