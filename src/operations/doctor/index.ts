/** Is everything BRX Sync depends on as it must be? */
export { diagnose, type Diagnosis, type DoctorOptions } from './doctor.ts';
export { AREAS, type Area, type Finding, type Verdict } from './finding.ts';
