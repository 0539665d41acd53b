/** What is looked at, in the order of the report. */
export const AREAS = ['configuration', 'postgres', 'kafka', 'registry', 'redis', 'mysql', 'sellers'] as const;
export type Area = (typeof AREAS)[number];

/**
 * `failure`: work stops, or data can be lost. `warning`: it runs, and will hurt some day or does less than it could. `skipped`: could not be
 * looked at, because something it needs is missing or broken, which is a finding of its own.
 */
export type Verdict = 'ok' | 'warning' | 'failure' | 'skipped';

export interface Finding {
  readonly area: Area;
  /** What was looked at, in two or three words; the same ones whatever was found. */
  readonly check: string;
  readonly verdict: Verdict;
  /** What is there. */
  readonly found: string;
  /** What to do about it; null where there is nothing to do. */
  readonly remedy: string | null;
}

export interface Say {
  readonly ok: (check: string, found: string) => Finding;
  readonly warning: (check: string, found: string, remedy: string) => Finding;
  readonly failure: (check: string, found: string, remedy: string) => Finding;
  readonly skipped: (check: string, found: string) => Finding;
}

export function sayOf(area: Area): Say {
  const finding = (check: string, verdict: Verdict, found: string, remedy: string | null): Finding => ({ area, check, verdict, found, remedy });
  return {
    ok: (check, found) => finding(check, 'ok', found, null),
    warning: (check, found, remedy) => finding(check, 'warning', found, remedy),
    failure: (check, found, remedy) => finding(check, 'failure', found, remedy),
    skipped: (check, found) => finding(check, 'skipped', found, null),
  };
}

/** The worst first; what is fine is one finding. */
export const orOk = (findings: readonly Finding[], ok: Finding): Finding[] => (findings.length > 0 ? [...findings] : [ok]);
