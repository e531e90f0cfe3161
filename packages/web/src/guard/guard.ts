/**
 * What a server asks of its clients: Prometheus's web configuration, checked and complete
 * (exporter-toolkit, docs/web-configuration.md). `canopy` reads it from a file.
 */

export const CLIENT_AUTH_TYPES = [
  'NoClientCert',
  'RequestClientCert',
  'RequireAnyClientCert',
  'VerifyClientCertIfGiven',
  'RequireAndVerifyClientCert',
] as const;

export type ClientAuthType = (typeof CLIENT_AUTH_TYPES)[number];

export type ServerTlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

export interface ServerTls {
  /** PEM; the certificate may be a chain. */
  readonly cert: string;
  readonly key: string;
  /** PEM of those who sign clients' certificates; undefined: the authorities Node.js knows. */
  readonly clientCa: string | undefined;
  readonly clientAuth: ClientAuthType;
  /** A client's certificate must be for one of these; undefined: for anything. */
  readonly allowedSans: readonly string[] | undefined;
  readonly minVersion: ServerTlsVersion;
  readonly maxVersion: ServerTlsVersion;
  /** Names of `CIPHER_SUITES` in order of preference; empty: OpenSSL's choice. */
  readonly cipherSuites: readonly string[];
  /** Names of `CURVES` in order of preference; empty: OpenSSL's choice. */
  readonly curves: readonly string[];
  readonly prefersOwnCiphers: boolean;
}

export interface Guard {
  /** Undefined: plain HTTP. */
  readonly tls: ServerTls | undefined;
  /** On every answer, over whatever the answer has of the same name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Name → bcrypt hash; empty: nobody is asked. */
  readonly users: ReadonlyMap<string, string>;
}

/**
 * Asked at each connection and each request; gives the same object until something changes. That there is TLS
 * must not change.
 */
export type GuardSource = () => Guard;

export const OPEN: Guard = { tls: undefined, headers: {}, users: new Map() };
