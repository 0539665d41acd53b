import { AssignerProtocol } from 'kafkajs';

/** Partitions by topic, from what `describeGroups` says of a member; empty while the group rebalances. */
export function partitionsOf(memberAssignment: Buffer): Record<string, number[]> {
  return AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment ?? {};
}
