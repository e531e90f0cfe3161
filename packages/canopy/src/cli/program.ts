/**
 * The command line, built from the table of flags.
 */
import { CanopyError } from '@canopy/model';
import { Command, CommanderError, Option } from 'commander';
import { VERSION } from '../version.js';
import { type FlagValues, type Role, envName, flagsOf } from './flags.js';

/** What each command does; resolves with the exit code. */
export interface Commands {
  leaf(values: FlagValues): Promise<number>;
  parent(values: FlagValues): Promise<number>;
  local(options: LocalOptions): Promise<number>;
  query(expr: string, options: AskOptions & { time?: string }): Promise<number>;
  tree(options: AskOptions): Promise<number>;
  ledger(options: AskOptions): Promise<number>;
  /** `values`: flags of a parent that say where the store is. */
  verifyLedger(values: FlagValues): Promise<number>;
  checkConfig(file: string): Promise<number>;
  checkWebConfig(files: readonly string[]): Promise<number>;
  checkMetrics(): Promise<number>;
}

/** Whom to ask, and how to speak to it. */
export interface AskOptions {
  readonly url: string;
  readonly httpConfigFile?: string;
}

export interface LocalOptions {
  readonly listen: string;
  readonly east: string;
  readonly west: string;
  readonly data: string;
  readonly scrapeInterval: string;
  readonly nodeExporter: string;
  readonly store: string | undefined;
}

/** Named as promtool's. */
const HTTP_CONFIG = [
  '--http.config.file <FILE>',
  'how to speak to it: TLS, credentials, proxy (http_config)',
] as const;

interface Asked {
  readonly url: string;
  readonly 'http.config.file'?: string;
}

const askOf = <T extends Asked>({ 'http.config.file': httpConfigFile, ...options }: T) => ({
  ...options,
  ...(httpConfigFile !== undefined && { httpConfigFile }),
});

const ROLE_HELP: Readonly<Record<Role, string>> = {
  leaf: 'scrape the targets of one cluster and keep their journal',
  parent: 'pull journals from leaves, store them and answer queries for all of them',
};

/** Where a store is. */
const STORE_FLAGS = /^(storage\.path|store|store\.redis\.tls-.*)$/;

/** What was given, or is in the environment, or is a default; texts only. */
function valuesOf(command: Command): Map<string, string> {
  const values = new Map<string, string>();
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (typeof value === 'string') values.set(option.long!.slice(2), value);
  }
  return values;
}

/**
 * Runs the command in `argv` (without `node` and the script). Flags not given are taken from the
 * environment (`CANOPY_…`), then from their defaults.
 * @returns the exit code: 0, 1 where the work failed, 2 for wrong usage or configuration.
 */
export async function runProgram(argv: readonly string[], commands: Commands): Promise<number> {
  let exitCode = 0;
  const program = new Command('canopy')
    .description('Hierarchical federation for Prometheus metrics that loses nothing.')
    .version(VERSION, '--version')
    .showSuggestionAfterError(true)
    .exitOverride();

  for (const role of ['leaf', 'parent'] as const) {
    const command = program.command(role).description(ROLE_HELP[role]).exitOverride();
    for (const flag of flagsOf(role)) {
      const isSwitch = flag.value === undefined && flag.choices?.includes('false');
      const value = isSwitch ? '[BOOLEAN]' : `<${flag.value ?? 'value'}>`;
      const option = new Option(`--${flag.name} ${value}`, flag.help).env(envName(flag.name));
      if (isSwitch) option.preset('true');
      const initial = flag.default[role];
      if (initial !== undefined) option.default(initial);
      if (flag.choices !== undefined) option.choices([...flag.choices]);
      command.addOption(option);
    }
    command.action(async () => {
      exitCode = await commands[role](valuesOf(command));
    });
  }

  program
    .command('local')
    .description('run two leaves and a parent on this machine (npm start)')
    .option('--web.listen-address <HOST:PORT>', 'address of the parent', '127.0.0.1:9090')
    .option(
      '--east.listen-address <HOST:PORT>',
      'address of the leaf of cluster east',
      '127.0.0.1:9095',
    )
    .option(
      '--west.listen-address <HOST:PORT>',
      'address of the leaf of cluster west',
      '127.0.0.1:9096',
    )
    .option('--storage.path <FOLDER>', 'folder of all three', 'data')
    .option('--scrape.interval <DURATION>', 'how often everything is scraped and pulled', '5s')
    .option('--node-exporter <HOST:PORT>', 'scraped where one answers', '127.0.0.1:9100')
    .option('--store <URL>', 'redis:// URL for the parent; default: embedded')
    .exitOverride()
    .action(async (options: Record<string, string>) => {
      exitCode = await commands.local({
        listen: options['web.listenAddress'],
        east: options['east.listenAddress'],
        west: options['west.listenAddress'],
        data: options['storage.path'],
        scrapeInterval: options['scrape.interval'],
        nodeExporter: options.nodeExporter,
        store: options.store,
      });
    });

  program
    .command('query')
    .description('evaluate a PromQL expression and print a table')
    .argument('<expr>')
    .option('--url <URL>', 'process to ask', 'http://127.0.0.1:9090')
    .option(...HTTP_CONFIG)
    .option('--time <TIME>', 'evaluation time: RFC 3339 or Unix seconds')
    .exitOverride()
    .action(async (expr: string, options: Asked & { time?: string }) => {
      exitCode = await commands.query(expr, askOf(options));
    });

  program
    .command('tree')
    .description('print the hierarchy: parent, leaves, targets, lag, series, gaps')
    .option('--url <URL>', 'process to ask', 'http://127.0.0.1:9090')
    .option(...HTTP_CONFIG)
    .exitOverride()
    .action(async (options: Asked) => {
      exitCode = await commands.tree(askOf(options));
    });

  const ledger = program
    .command('ledger')
    .description(
      'print what became of every scrape, by job: 1 where frames are missing that no gap names',
    )
    .option('--url <URL>', 'process to ask', 'http://127.0.0.1:9090')
    .option(...HTTP_CONFIG)
    .option('--verify', 'count what a store holds anew and compare: 1 where it differs');
  for (const flag of flagsOf('parent').filter(({ name }) => STORE_FLAGS.test(name))) {
    const help = `${flag.help.replace(', see below', '')} (with --verify)`;
    ledger.addOption(
      new Option(`--${flag.name} <${flag.value}>`, help)
        .env(envName(flag.name))
        .default(flag.default.parent),
    );
  }
  ledger.exitOverride().action(async (options: Asked & { verify?: boolean }) => {
    const values = new Map(
      flagsOf('parent').flatMap(({ name, default: { parent: initial } }) =>
        initial === undefined ? [] : [[name, initial] as const],
      ),
    );
    for (const [name, value] of valuesOf(ledger)) values.set(name, value);
    exitCode = options.verify
      ? await commands.verifyLedger(values)
      : await commands.ledger(askOf(options));
  });

  const check = program
    .command('check')
    .description('check files before they are used')
    .exitOverride();
  check
    .command('config')
    .description('say what is wrong with a configuration, or what it would scrape')
    .argument('<file>')
    .exitOverride()
    .action(async (file: string) => {
      exitCode = await commands.checkConfig(file);
    });
  check
    .command('web-config')
    .description('say whether files for --web.config.file can be used')
    .argument('<file...>')
    .exitOverride()
    .action(async (files: string[]) => {
      exitCode = await commands.checkWebConfig(files);
    });
  check
    .command('metrics')
    .description(
      'read metrics from standard input: 1 where they cannot be parsed, 3 where names are against the conventions',
    )
    .exitOverride()
    .action(async () => {
      exitCode = await commands.checkMetrics();
    });

  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof CanopyError && error.code === 'config_invalid') {
      process.stderr.write(`canopy: ${error.message}\n`);
      return 2;
    }
    throw error;
  }
  return exitCode;
}
