/** Flags of what `npm run` starts: unknown ones are refused with the usage, which `--help` prints. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** The values of `options`; ends the process with 0 for `--help`, with 2 for what it does not know. */
export function flagsOf<const T extends NonNullable<ParseArgsConfig['options']>>(
  options: T,
  usage: string,
): ReturnType<typeof parseArgs<{ options: T }>>['values'] {
  if (process.argv.includes('--help')) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\n${usage}`);
    process.exit(2);
  }
}
