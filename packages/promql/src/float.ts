/** A number as Prometheus's JSON has it. */
export function formatFloat(_value: number): string {
  return '';
}
