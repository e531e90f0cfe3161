/**
 * Names, argument types and result types of all functions: what the checker needs. How they are
 * worked out stands in the tables beside this file, under the same names.
 */
import type { ValueType } from '../syntax/ast.js';

export interface FunctionSignature {
  readonly name: string;
  readonly args: readonly ValueType[];
  /** How many more arguments of the last type may follow (`optional` of them may be absent). */
  readonly minArgs: number;
  /** -1: no limit. */
  readonly maxArgs: number;
  readonly returns: ValueType;
  /** Needs `experimentalFunctions`. */
  readonly experimental: boolean;
}
