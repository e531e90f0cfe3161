/**
 * TLS for a server in Go's words, by OpenSSL. Connections that were accepted elsewhere are handed in;
 * what comes out has shown what the guard asks for.
 */
import { constants } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import {
  type Server,
  type TLSSocket,
  type TlsOptions,
  createSecureContext,
  createServer,
} from 'node:tls';
import { CanopyError } from '@canopy/model';
import type { ServerTls } from './guard.js';

/** Go's name → OpenSSL's. Those of TLS 1.3 are always on, as in Go. */
export const CIPHER_SUITES: Readonly<Record<string, string>> = {
  TLS_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  // Without forward secrecy: of Prometheus up to 2.51 only.
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
};

/** Go's name → OpenSSL's. */
export const CURVES: Readonly<Record<string, string>> = {
  CurveP256: 'P-256',
  CurveP384: 'P-384',
  CurveP521: 'P-521',
  X25519: 'X25519',
};

const TLS13_SUITES = Object.keys(CIPHER_SUITES).filter((name) => !name.includes('_WITH_'));
const HANDSHAKE_TIMEOUT = 10_000;

/** @throws CanopyError `config_invalid` for certificates that cannot be used. */
export function checkServerTls(tls: ServerTls): void {
  try {
    createSecureContext(contextOf(tls));
  } catch (error) {
    // OpenSSL's texts name the fault, never the key.
    throw new CanopyError('config_invalid', (error as Error).message);
  }
}

/**
 * A server that listens nowhere: connections are emitted into it. `onSecure` gets those that are as the guard
 * wants them, `onRefused` is told of others, which are closed.
 */
export function secureServer(
  tls: ServerTls,
  onSecure: (socket: TLSSocket) => void,
  onRefused: (socket: Socket) => void,
): Server {
  const asks = tls.clientAuth !== 'NoClientCert';
  const server = createServer({
    ...contextOf(tls),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: HANDSHAKE_TIMEOUT,
    requestCert: asks,
    rejectUnauthorized: tls.clientAuth === 'RequireAndVerifyClientCert',
    // A session taken up again would not show its certificate again.
    ...(asks && { secureOptions: constants.SSL_OP_NO_TICKET }),
  });
  server.on('tlsClientError', (_error, socket) => onRefused(socket));
  server.on('secureConnection', (socket) => {
    if (isWelcome(socket, tls)) return onSecure(socket);
    socket.destroy();
    onRefused(socket);
  });
  return server;
}

function contextOf(tls: ServerTls): TlsOptions {
  const { cert, key, clientCa, minVersion, maxVersion, cipherSuites, curves } = tls;
  const suites = cipherSuites.map((name) => CIPHER_SUITES[name]);
  // Versions before 1.2 need signatures that OpenSSL 3 does not allow by itself.
  const old = minVersion === 'TLSv1' || minVersion === 'TLSv1.1';
  if (suites.length === 0) suites.push(...(old ? ['DEFAULT'] : []));
  else suites.push(...TLS13_SUITES.filter((name) => !suites.includes(name)));
  if (old) suites.push('@SECLEVEL=0');
  return {
    cert,
    key,
    minVersion,
    maxVersion,
    honorCipherOrder: tls.prefersOwnCiphers,
    ...(clientCa !== undefined && { ca: clientCa }),
    ...(suites.length > 0 && { ciphers: suites.join(':') }),
    ...(curves.length > 0 && { ecdhCurve: curves.map((name) => CURVES[name]).join(':') }),
  };
}

function isWelcome(socket: TLSSocket, tls: ServerTls): boolean {
  if (tls.clientAuth === 'NoClientCert' || tls.clientAuth === 'RequestClientCert') return true;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return tls.clientAuth === 'VerifyClientCertIfGiven';
  if (tls.clientAuth !== 'RequireAnyClientCert' && !socket.authorized) return false;
  if (tls.allowedSans === undefined) return true;
  const names = alternativeNames(certificate.subjectAltName ?? '').map(comparable);
  return tls.allowedSans.some((san) => names.includes(comparable(san)));
}

/**
 * Names in the text that Node.js makes of a certificate's alternative names: `DNS:a, IP Address:1.2.3.4`; one with
 * commas or quotes is a JSON text.
 */
export function alternativeNames(text: string): string[] {
  const names: string[] = [];
  const part = /(?:^|, )(DNS|IP Address|email|URI):("(?:[^"\\]|\\.)*"|[^,"]*)(?=, |$)/gy;
  for (const [, , value] of text.matchAll(part)) {
    names.push(value.startsWith('"') ? (JSON.parse(value) as string) : value);
  }
  return names;
}

/** IPv6 addresses in one spelling. */
function comparable(name: string): string {
  return isIP(name) === 6 ? new URL(`http://[${name}]`).hostname : name;
}

/** Names of a client whose certificate was verified (its common name and alternative names); else undefined. */
export function clientNames(socket: Socket): readonly string[] | undefined {
  const { authorized, getPeerX509Certificate } = socket as Partial<TLSSocket>;
  if (authorized !== true) return undefined;
  const certificate = getPeerX509Certificate?.call(socket as TLSSocket);
  if (certificate === undefined) return undefined;
  const common = /^CN=(.*)$/m.exec(certificate.subject)?.[1];
  const names = alternativeNames(certificate.subjectAltName ?? '').map(comparable);
  return common === undefined ? names : [common, ...names];
}
