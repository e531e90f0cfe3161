/** Operands and operators in the order of the text to a tree, by binding power. */
import { DEPTH_MAX } from './walk.js';

export interface PendingOperator {
  /** The higher binds tighter. */
  readonly power: number;
  readonly isPrefix: boolean;
  readonly isRightAssociative: boolean;
}

/**
 * Needs no stack of calls, so it takes any number of operators. `combine` gets null as the left
 * side of a prefix operator.
 */
export class Precedence<T, Op extends PendingOperator> {
  /** Of the tallest tree in it; a leaf has none. */
  readonly #operands: T[] = [];
  readonly #heights: number[] = [];
  readonly #operators: Op[] = [];
  readonly #combine: (operator: Op, left: T | null, right: T) => T;
  readonly #tooDeep: () => never;

  constructor(combine: (operator: Op, left: T | null, right: T) => T, tooDeep: () => never) {
    this.#combine = combine;
    this.#tooDeep = tooDeep;
  }

  operand(value: T, height: number): void {
    this.#push(value, height);
  }

  /** Changes the operand that came last: `offset`, `[5m]` bind tightest. */
  postfix(change: (value: T) => T, levels: number): void {
    this.#push(change(this.#operands.pop()!), this.#heights.pop()! + levels);
  }

  operator(operator: Op): void {
    if (!operator.isPrefix) {
      while (this.#operators.length > 0 && this.#yields(this.#operators.at(-1)!, operator)) {
        this.#reduce();
      }
    }
    this.#operators.push(operator);
  }

  /** The tree and its height. Nothing may be added afterwards. */
  finish(): { value: T; height: number } {
    while (this.#operators.length > 0) this.#reduce();
    return { value: this.#operands[0], height: this.#heights[0] };
  }

  #yields(before: Op, operator: Op): boolean {
    if (before.power !== operator.power) return before.power > operator.power;
    return !operator.isRightAssociative;
  }

  #reduce(): void {
    const operator = this.#operators.pop()!;
    const right = this.#operands.pop()!;
    let height = this.#heights.pop()!;
    let left: T | null = null;
    if (!operator.isPrefix) {
      left = this.#operands.pop()!;
      height = Math.max(height, this.#heights.pop()!);
    }
    this.#push(this.#combine(operator, left, right), height + 1);
  }

  #push(value: T, height: number): void {
    if (height > DEPTH_MAX) this.#tooDeep();
    this.#operands.push(value);
    this.#heights.push(height);
  }
}
