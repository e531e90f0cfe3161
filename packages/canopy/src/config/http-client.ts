/**
 * The keys of Prometheus's `http_config`, which scrape configurations and discoveries share, with its
 * rules (prometheus/common, config/http_config.go).
 */
import type {
  AuthConfig,
  HttpClientConfig,
  HttpHeaderConfig,
  ProxyConfig,
  TextSource,
  TlsConfig,
  TlsVersion,
} from '@canopy/scrape';
import { z } from 'zod';
import { boolean, fail, optional, optionalText, refused, scalar, text } from './scalars.js';

const NO_SECRETS = 'secrets are not looked up by reference';
const ONLY_SECRET = 'tokens are asked for by client credentials with a secret';

const basicAuth = z.strictObject({
  username: optionalText(),
  username_file: optionalText(),
  username_ref: refused(NO_SECRETS),
  password: optionalText(),
  password_file: optionalText(),
  password_ref: refused(NO_SECRETS),
});

const authorization = z.strictObject({
  type: text().default('Bearer'),
  credentials: optionalText(),
  credentials_file: optionalText(),
  credentials_ref: refused(NO_SECRETS),
});

export const TLS_VERSIONS: Readonly<Record<string, TlsVersion>> = {
  TLS10: 'TLSv1',
  TLS11: 'TLSv1.1',
  TLS12: 'TLSv1.2',
  TLS13: 'TLSv1.3',
};
const tlsVersion = () =>
  optional(scalar((name) => TLS_VERSIONS[name] ?? fail(`unknown TLS version: ${name}`)).optional());

const tlsConfig = z
  .strictObject({
    ca: optionalText(),
    ca_file: optionalText(),
    ca_ref: refused(NO_SECRETS),
    cert: optionalText(),
    cert_file: optionalText(),
    cert_ref: refused(NO_SECRETS),
    key: optionalText(),
    key_file: optionalText(),
    key_ref: refused(NO_SECRETS),
    server_name: optionalText(),
    insecure_skip_verify: boolean().prefault('false'),
    min_version: tlsVersion(),
    max_version: tlsVersion(),
  })
  .superRefine((tls, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', message });
    for (const [name, given, file] of [
      ['ca', tls.ca, tls.ca_file],
      ['cert', tls.cert, tls.cert_file],
      ['key', tls.key, tls.key_file],
    ]) {
      if (given && file) issue(`at most one of ${name} and ${name}_file must be configured`);
    }
    const hasCert = Boolean(tls.cert || tls.cert_file);
    const hasKey = Boolean(tls.key || tls.key_file);
    if (hasCert && !hasKey) {
      issue(
        'exactly one of key or key_file must be configured when a client certificate is configured',
      );
    }
    if (hasKey && !hasCert) {
      issue('exactly one of cert or cert_file must be configured when a client key is configured');
    }
    const { min_version: min, max_version: max } = tls;
    if (min !== undefined && max !== undefined && max < min) {
      issue('max_version must be greater than or equal to min_version if both are specified');
    }
  });

/** Go reads more kinds of proxy; these two are spoken here. */
const proxyUrl = text().superRefine((url, context) => {
  if (url === '') return;
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  if (protocol === 'http:' || protocol === 'https:') return;
  // Not the text itself: it may hold a password.
  const message = /^socks5h?:$/.test(protocol)
    ? 'is not supported: SOCKS proxies; http:// and https:// ones are'
    : 'is not a URL of a proxy like http://proxy:3128';
  context.addIssue({ code: 'custom', message });
});

const proxyShape = {
  proxy_url: proxyUrl.optional().describe('http:// or https://; TLS targets by CONNECT'),
  no_proxy: optionalText(),
  proxy_from_environment: boolean()
    .prefault('false')
    .describe('HTTP_PROXY, HTTPS_PROXY, NO_PROXY of the process'),
  proxy_connect_header: optional(z.record(z.string(), z.array(text())).default({})).describe(
    'Sent with CONNECT',
  ),
};

const oauth2 = z
  .strictObject({
    client_id: text().default(''),
    client_secret: optionalText(),
    client_secret_file: optionalText(),
    client_secret_ref: refused(NO_SECRETS),
    client_certificate_key: refused(ONLY_SECRET),
    client_certificate_key_file: refused(ONLY_SECRET),
    client_certificate_key_ref: refused(ONLY_SECRET),
    client_certificate_key_id: refused(ONLY_SECRET),
    signature_algorithm: refused(ONLY_SECRET),
    grant_type: refused(ONLY_SECRET),
    iss: refused(ONLY_SECRET),
    audience: refused(ONLY_SECRET),
    claims: refused(ONLY_SECRET),
    scopes: optional(z.array(text()).default([])),
    token_url: text().default(''),
    endpoint_params: optional(z.record(z.string(), text()).default({})),
    tls_config: optional(tlsConfig.optional()),
    ...proxyShape,
  })
  .superRefine((config, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', message });
    if (config.client_id === '') issue('oauth2 client_id must be configured');
    if (config.token_url === '') issue('oauth2 token_url must be configured');
    else if (!/^https?:\/\//.test(config.token_url) || !URL.canParse(config.token_url)) {
      issue('oauth2 token_url is not a URL like https://host/token');
    }
    if (config.client_secret && config.client_secret_file) {
      issue('at most one of oauth2 client_secret & client_secret_file must be configured');
    }
    checkProxy(config, issue);
  });

/** Headers that the connection or Canopy itself sets. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'host',
  'content-encoding',
  'content-length',
  'content-type',
  'user-agent',
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'www-authenticate',
  'accept-encoding',
  'x-prometheus-remote-write-version',
  'x-prometheus-remote-read-version',
  'x-prometheus-scrape-timeout-seconds',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-content-sha256',
]);
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;

const headerName = z.string().superRefine((name, context) => {
  const issue = (message: string) => context.addIssue({ code: 'custom', message });
  if (!HEADER_NAME.test(name)) issue(`"${name}" is not a header name`);
  else if (RESERVED_HEADERS.has(name.toLowerCase()))
    issue(`setting header "${name}" is not allowed`);
});

const header = z.strictObject({
  values: optional(z.array(text()).default([])),
  secrets: optional(z.array(text()).default([])),
  files: optional(z.array(text()).default([])),
});

/** Spread into the schema of whatever has an `http_config`; check with `checkHttpClient`. */
export const httpClientShape = {
  basic_auth: optional(basicAuth.optional()).describe('Files are read anew when they change'),
  authorization: optional(authorization.optional()).describe(
    'Files are read anew when they change',
  ),
  bearer_token: optionalText().describe('As `authorization` of type Bearer'),
  bearer_token_file: optionalText().describe('As `authorization` of type Bearer'),
  oauth2: optional(oauth2.optional()).describe('Client credentials with a secret'),
  tls_config: optional(tlsConfig.optional()).describe('Files are read anew when they change'),
  follow_redirects: boolean()
    .prefault('true')
    .describe('At most 10; another host gets neither credentials nor `http_headers`'),
  enable_http2: boolean().prefault('true').describe('No effect: HTTP/1.1 is spoken'),
  http_headers: optional(z.record(headerName, header).optional()).describe(
    'Added to each request: values, secrets, files',
  ),
  ...proxyShape,
};

const shape = z.strictObject(httpClientShape);
export type RawHttpClient = z.output<typeof shape>;

/** A file that holds an `http_config` and nothing else, such as promtool's `--http.config.file`. */
export const httpClientFile = shape.superRefine((raw, context) =>
  checkHttpClient(raw, (message) => context.addIssue({ code: 'custom', message })),
);

/** The rules that span keys, in Prometheus's words. */
export function checkHttpClient(raw: RawHttpClient, issue: (message: string) => void): void {
  const { basic_auth: basic, authorization: header, oauth2: tokens } = raw;
  const bearers = [raw.bearer_token, raw.bearer_token_file].filter(Boolean).length;
  if (bearers > 1) issue('at most one of bearer_token & bearer_token_file must be configured');
  if ((basic !== undefined || tokens !== undefined) && bearers > 0) {
    issue('at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured');
  }
  if (basic?.username && basic.username_file) {
    issue('at most one of basic_auth username & username_file must be configured');
  }
  if (basic?.password && basic.password_file) {
    issue('at most one of basic_auth password & password_file must be configured');
  }
  if (header !== undefined) {
    if (bearers > 0) {
      issue('authorization is not compatible with bearer_token & bearer_token_file');
    }
    if (header.credentials && header.credentials_file) {
      issue('at most one of authorization credentials & credentials_file must be configured');
    }
    if (header.type.trim().toLowerCase() === 'basic') {
      issue('authorization type cannot be set to "basic", use "basic_auth" instead');
    }
  }
  if ([basic, header, tokens].filter((auth) => auth !== undefined).length > 1) {
    issue('at most one of basic_auth, oauth2 & authorization must be configured');
  }
  checkProxy(raw, issue);
}

type RawProxy = Pick<
  RawHttpClient,
  'proxy_url' | 'no_proxy' | 'proxy_from_environment' | 'proxy_connect_header'
>;

function checkProxy(raw: RawProxy, issue: (message: string) => void): void {
  const { proxy_url: url, no_proxy: none, proxy_from_environment: fromEnvironment } = raw;
  if (Object.keys(raw.proxy_connect_header).length > 0 && !fromEnvironment && !url) {
    issue(
      'if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured',
    );
  }
  if (fromEnvironment && url) {
    issue('if proxy_from_environment is configured, proxy_url must not be configured');
  }
  if (fromEnvironment && none) {
    issue('if proxy_from_environment is configured, no_proxy must not be configured');
  }
  if (!fromEnvironment && !url && none) {
    issue('if no_proxy is configured, proxy_url must also be configured');
  }
}

/** `absolute` makes a path of the configuration absolute. */
export function httpClientOf(
  raw: RawHttpClient,
  absolute: (path: string) => string,
): HttpClientConfig {
  const source = (given: string | undefined, file: string | undefined): TextSource =>
    file ? { file: absolute(file) } : (given ?? '');
  const auth = authOf(raw, source);
  const headers = Object.entries(raw.http_headers ?? {}).map(
    ([name, { values, secrets, files }]): HttpHeaderConfig => ({
      name,
      values: [...values, ...secrets, ...files.map((file) => ({ file: absolute(file) }))],
    }),
  );
  return {
    ...(auth && { auth }),
    ...connectionOf(raw, source),
    ...(headers.length > 0 && { httpHeaders: headers }),
    followRedirects: raw.follow_redirects,
  };
}

type Source = (given: string | undefined, file: string | undefined) => TextSource;

function authOf(raw: RawHttpClient, source: Source): AuthConfig | undefined {
  const { basic_auth: basic, authorization: header, oauth2: tokens } = raw;
  if (basic !== undefined) {
    return {
      type: 'basic',
      username: source(basic.username, basic.username_file),
      password: source(basic.password, basic.password_file),
    };
  }
  if (header !== undefined) {
    const scheme = header.type.trim() || 'Bearer';
    const credentials = source(header.credentials, header.credentials_file);
    return credentials === '' ? undefined : { type: 'header', scheme, credentials };
  }
  if (raw.bearer_token || raw.bearer_token_file) {
    const credentials = source(raw.bearer_token, raw.bearer_token_file);
    return { type: 'header', scheme: 'Bearer', credentials };
  }
  if (tokens === undefined) return undefined;
  return {
    type: 'oauth2',
    clientId: tokens.client_id,
    clientSecret: source(tokens.client_secret, tokens.client_secret_file),
    scopes: tokens.scopes,
    tokenUrl: tokens.token_url,
    endpointParams: tokens.endpoint_params,
    ...connectionOf(tokens, source),
  };
}

function connectionOf(
  raw: RawProxy & Pick<RawHttpClient, 'tls_config'>,
  source: Source,
): { tls?: TlsConfig; proxy?: ProxyConfig } {
  const { tls_config: tls, proxy_url: url, proxy_from_environment: fromEnvironment } = raw;
  const pem = (name: 'ca' | 'cert' | 'key', given?: string, file?: string) =>
    given || file ? { [name]: source(given, file) } : {};
  return {
    ...(tls && {
      tls: {
        ...pem('ca', tls.ca, tls.ca_file),
        ...pem('cert', tls.cert, tls.cert_file),
        ...pem('key', tls.key, tls.key_file),
        ...(tls.server_name && { serverName: tls.server_name }),
        insecureSkipVerify: tls.insecure_skip_verify,
        ...(tls.min_version && { minVersion: tls.min_version }),
        ...(tls.max_version && { maxVersion: tls.max_version }),
      },
    }),
    ...((url || fromEnvironment) && {
      proxy: {
        url: fromEnvironment ? 'environment' : (url ?? ''),
        noProxy: raw.no_proxy ?? '',
        connectHeader: raw.proxy_connect_header,
      },
    }),
  };
}
