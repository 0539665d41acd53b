import avsc from 'avsc';
import { messageOf } from '../../errors.ts';

/** Why `newer` cannot read what was written with `older`, a line a cause with the field's path; empty when it can. */
export function incompatibilities(older: unknown, newer: unknown): string[] {
  const [writer, reader] = [typeOf(older), typeOf(newer)];
  if (typeof writer === 'string') return [`the older schema is not valid Avro: ${writer}`];
  if (typeof reader === 'string') return [`the newer schema is not valid Avro: ${reader}`];
  const problems: string[] = [];
  compare(writer, reader, '', problems);
  if (problems.length > 0) return problems;
  // The walk above names fields; Avro's own resolution has the last word.
  const verdict = resolves(writer, reader);
  return verdict === undefined ? [] : [verdict];
}

/** Logical types are kept as markers, so that a change of one is seen: Avro itself would let milliseconds be read as microseconds. */
class Marker extends avsc.types.LogicalType {
  override _fromValue(value: unknown): unknown {
    return value;
  }
  override _toValue(value: unknown): unknown {
    return value;
  }
  override _resolve(type: avsc.Type): ((value: unknown) => unknown) | undefined {
    return type.typeName === this.typeName || type.typeName === this.underlyingType.typeName ? (value) => value : undefined;
  }
}

const LOGICAL_TYPES = ['uuid', 'date', 'time-millis', 'time-micros', 'timestamp-millis', 'timestamp-micros', 'local-timestamp-millis', 'local-timestamp-micros', 'decimal', 'duration'];
const markers = Object.fromEntries(LOGICAL_TYPES.map((name) => [name, class extends Marker {}]));

function typeOf(schema: unknown): avsc.Type | string {
  try {
    return avsc.Type.forSchema(schema as avsc.Schema, { logicalTypes: markers });
  } catch (error) {
    return messageOf(error);
  }
}

function resolves(writer: avsc.Type, reader: avsc.Type): string | undefined {
  try {
    reader.createResolver(writer);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function compare(writer: avsc.Type, reader: avsc.Type, path: string, problems: string[]): void {
  const { types } = avsc;
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  if (writer instanceof types.LogicalType || reader instanceof types.LogicalType) {
    const [before, after] = [logicalName(writer), logicalName(reader)];
    if (before !== after) problems.push(`${path}: the logical type ${before ?? '(none)'} became ${after ?? '(none)'}: the same bytes would mean something else`);
    else compare(underlying(writer), underlying(reader), path, problems);
  } else if (writer instanceof types.RecordType && reader instanceof types.RecordType) {
    for (const field of reader.fields) {
      const before = writer.fields.find((candidate) => candidate.name === field.name || field.aliases.includes(candidate.name));
      if (before !== undefined) compare(before.type, field.type, at(field.name), problems);
      else if (field.defaultValue() === undefined) problems.push(`${at(field.name)}: is new and has no default, so older events cannot be read`);
    }
  } else if (writer instanceof types.EnumType && reader instanceof types.EnumType) {
    const lost = writer.symbols.filter((symbol) => !reader.symbols.includes(symbol));
    if (lost.length > 0) problems.push(`${path}: ${lost.join(', ')} may stand in older events and is no longer a symbol`);
  } else if (writer instanceof types.ArrayType && reader instanceof types.ArrayType) {
    compare(writer.itemsType, reader.itemsType, `${path}[]`, problems);
  } else if (writer instanceof types.MapType && reader instanceof types.MapType) {
    compare(writer.valuesType as avsc.Type, reader.valuesType as avsc.Type, `${path}{}`, problems);
  } else if (isUnion(writer) && isUnion(reader)) {
    for (const branch of writer.types) compareBranch(branch, reader.types, path, problems);
  } else if (isUnion(reader)) {
    compareBranch(writer, reader.types, path, problems);
  } else if (resolves(writer, reader) !== undefined) {
    problems.push(`${path}: ${nameOf(writer)} cannot be read as ${nameOf(reader)}`);
  }
}

function compareBranch(branch: avsc.Type, candidates: readonly avsc.Type[], path: string, problems: string[]): void {
  const same = candidates.find((candidate) => candidate.typeName === branch.typeName && candidate.branchName === branch.branchName);
  if (same !== undefined) compare(branch, same, path, problems);
  else if (!candidates.some((candidate) => resolves(branch, candidate) === undefined)) {
    problems.push(`${path}: ${nameOf(branch)} may stand in older events and cannot be read as ${candidates.map(nameOf).join(' or ')}`);
  }
}

type Union = avsc.Type & { types: avsc.Type[] };
const isUnion = (type: avsc.Type): type is Union => type instanceof avsc.types.UnwrappedUnionType || type instanceof avsc.types.WrappedUnionType;
const logicalName = (type: avsc.Type): string | undefined => (type instanceof avsc.types.LogicalType ? type.typeName.replace('logical:', '') : undefined);
const underlying = (type: avsc.Type): avsc.Type => (type instanceof avsc.types.LogicalType ? type.underlyingType : type);
const nameOf = (type: avsc.Type): string => type.name ?? underlying(type).typeName;
