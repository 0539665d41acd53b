export { consumedTopics, type ConsumedTopic } from './groups.ts';
