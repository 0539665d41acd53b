/**
 * Triggers that make the database refuse, conflict or stall in a way a test asks for. A sequence counts the attempts: nextval
 * survives the rollback of the transaction that drew it.
 */
export type Refusal = { errcode: string; message: string };

/** The first `times` inserts into `table` whose row satisfies `when` raise `errcode`; without `times` all of them do. */
export function raising(table: 'stock_ledger' | 'inventory_items' | 'parked_events' | 'operator_actions', { errcode, message, when = 'true', times }: Refusal & { when?: string; times?: number }): string {
  return `
    CREATE SEQUENCE IF NOT EXISTS fault_attempts;
    CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF ${when} AND ${times === undefined ? 'true' : `nextval('fault_attempts') <= ${times}`} THEN
        RAISE EXCEPTION '${message}' USING ERRCODE = '${errcode}';
      END IF;
      RETURN NEW;
    END $$;
    CREATE OR REPLACE TRIGGER fault BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION fault();`;
}

/** Inserts into stock_ledger whose row satisfies `when` take `seconds` each. */
export function slow({ when = 'true', seconds }: { when?: string; seconds: number }): string {
  return `
    CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF ${when} THEN PERFORM pg_sleep(${seconds}); END IF;
      RETURN NEW;
    END $$;
    CREATE OR REPLACE TRIGGER fault BEFORE INSERT ON stock_ledger FOR EACH ROW EXECUTE FUNCTION fault();`;
}

/** Takes the fault away again. */
export const WELL = `DROP FUNCTION IF EXISTS fault() CASCADE; DROP SEQUENCE IF EXISTS fault_attempts;`;
