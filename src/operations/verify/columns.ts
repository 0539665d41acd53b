/** A growing list of numbers in a typed array. What was never set reads as `empty`. */
export interface Column {
  readonly get: (index: number) => number;
  readonly set: (index: number, value: number) => void;
}

type Numbers = Uint8Array | Int32Array | Float64Array;
const MAKE = {
  uint8: (length: number): Numbers => new Uint8Array(length),
  int32: (length: number): Numbers => new Int32Array(length),
  float64: (length: number): Numbers => new Float64Array(length),
};

export function createColumn(type: keyof typeof MAKE, empty = 0): Column {
  let numbers = MAKE[type](1_024).fill(empty);
  return {
    get: (index) => numbers[index] ?? empty,
    set(index, value) {
      if (index >= numbers.length) {
        const larger = MAKE[type](Math.max(index + 1, numbers.length * 2)).fill(empty, numbers.length);
        larger.set(numbers);
        numbers = larger;
      }
      numbers[index] = value;
    },
  };
}

/** Strings that repeat, each kept once and known by a number; 0 is always null. */
export interface Names {
  number(name: string | null): number;
  name(number: number): string | null;
}

export function createNames(): Names {
  const numbers = new Map<string, number>();
  const names: (string | null)[] = [null];
  return {
    number(name) {
      if (name === null) return 0;
      const known = numbers.get(name);
      if (known !== undefined) return known;
      names.push(name);
      numbers.set(name, names.length - 1);
      return names.length - 1;
    },
    name: (number) => names[number] ?? null,
  };
}

/** NaN stands for null in a column of floats. */
export const orNaN = (value: number | null): number => value ?? Number.NaN;
export const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
