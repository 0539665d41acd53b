/** Topics on the cluster against their declaration in the contract. */
export { applyTopics, inspectTopics, type TopicResult } from './apply.ts';
export { days, type TopicFinding } from './plan.ts';
