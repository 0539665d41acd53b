/** What health answers with; whoever does the work (the ingest role) implements it, http only shows it. */
export interface HealthSource {
  /**
   * Does the loop move? Cheap, synchronous, and never asks a database or a broker: an orchestrator restarts what is not live,
   * and a restart does not bring a database back.
   */
  live(): HealthReport;
  /** Can it work now: joined its group, reaches what it needs, is not stopping? */
  ready(): Promise<HealthReport>;
}

export interface HealthReport {
  ok: boolean;
  checks: readonly HealthCheck[];
}

export interface HealthCheck {
  name: string;
  ok: boolean;
  /** A sentence for people: what was seen, what was expected. No secrets. */
  detail: string;
}

/** Puts checks together: ok if each is. */
export function report(checks: readonly HealthCheck[]): HealthReport {
  return { ok: checks.every((check) => check.ok), checks };
}
