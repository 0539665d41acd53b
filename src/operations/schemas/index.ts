/** The committed schema history, against itself and against the registry. */
export { applySchemas, describeCheck, inspectSubjects, type SubjectFinding, type SubjectResult } from './apply.ts';
export { checkSchemas, type CheckReport, type Incompatibility } from './check.ts';
export { incompatibilities } from './compatibility.ts';
