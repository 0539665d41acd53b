import { BrxError, messageOf } from '../../errors.ts';
import { sayOf, type Area, type Finding } from './finding.ts';

/** What an examination found; that it could not be made is a finding too, and stops no other. */
export async function examineSafely(area: Area, check: string, examine: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await examine();
  } catch (error) {
    const remedy = error instanceof BrxError ? error.remedy : undefined;
    return [sayOf(area).failure(check, messageOf(error), remedy ?? 'see the message; with --verbose the parts say what they do')];
  }
}
