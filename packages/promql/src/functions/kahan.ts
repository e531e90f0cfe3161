/**
 * Summation as Prometheus does it (util/kahansum): Kahan's in Neumaier's form. Loops that sum carry
 * `sum` and `rest` as locals and write this out; the class is for where that does not pay.
 */
export class KahanSum {
  sum = 0;
  rest = 0;

  add(value: number): void {
    const total = this.sum + value;
    if (total - total !== 0) {
      // Infinite or NaN: Prometheus clears the rest for infinities; for NaN it does not matter.
      this.rest = 0;
    } else if (Math.abs(this.sum) >= Math.abs(value)) {
      this.rest += this.sum - total + value;
    } else {
      this.rest += value - total + this.sum;
    }
    this.sum = total;
  }

  get total(): number {
    return this.sum + this.rest;
  }
}
