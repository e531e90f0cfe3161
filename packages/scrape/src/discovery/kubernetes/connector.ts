/**
 * The way to an API server: by its URL, by a kubeconfig file, or by the service account of a pod.
 *
 * Only a kubeconfig file needs `@kubernetes/client-node` (exec plugins, OIDC, contexts), which takes 75 MB
 * and a third of a second to load; a URL or a service account is a host, a certificate and a token that
 * changes on disk, as for any target.
 */
import { readFile } from 'node:fs/promises';
import * as http from 'node:http';
import * as https from 'node:https';
import { join } from 'node:path';
import { CanopyError, type Clock, asDuration, errorText } from '@canopy/model';
import { HttpClients } from '../../client/clients.js';
import type { Environment } from '../../client/proxy.js';
import type { HttpClientConfig, KubernetesSdConfig } from '../../config.js';

const IDLE_TIMEOUT = asDuration(60_000);
const PROXY_TIMEOUT = asDuration(30_000);

/** Where Kubernetes puts the account of a pod. */
export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Port: one API server. */
export interface KubernetesApi {
  /** A GET of `path` (with its query); resolves when the headers are there, whatever the status. */
  get(path: string, signal: AbortSignal): Promise<http.IncomingMessage>;
}

/** The part of `@kubernetes/client-node` that is used. */
export interface ClientNode {
  readonly KubeConfig: new () => KubeConfig;
}
interface KubeConfig {
  loadFromFile(path: string): void;
  getCurrentCluster(): { readonly server: string } | null;
  applyToHTTPSOptions(options: https.RequestOptions): Promise<void>;
}

export interface KubernetesConnectorOptions {
  readonly clock: Clock;
  /** KUBERNETES_SERVICE_HOST and _PORT, HTTPS_PROXY. */
  readonly env: Environment;
  readonly serviceAccountFolder: string;
  readonly userAgent: string;
  /** Default: imports the optional dependency. */
  readonly loadClient?: () => Promise<ClientNode>;
}

export class KubernetesConnector implements Disposable {
  readonly #options: KubernetesConnectorOptions;
  readonly #clients: HttpClients;

  constructor(options: KubernetesConnectorOptions) {
    this.#options = options;
    this.#clients = new HttpClients(options.clock, options.env, IDLE_TIMEOUT);
  }

  /** @throws CanopyError `config_invalid` where what the configuration speaks of is not there. */
  async connect(config: KubernetesSdConfig): Promise<KubernetesApi> {
    if (config.apiServer !== undefined) return this.#byUrl(config.apiServer, config);
    if (config.kubeconfigFile !== undefined) return this.#byKubeconfig(config.kubeconfigFile);
    return this.#inCluster();
  }

  /**
   * The namespace of the service account.
   * @throws CanopyError `config_invalid` outside a pod.
   */
  async ownNamespace(): Promise<string> {
    const path = join(this.#options.serviceAccountFolder, 'namespace');
    try {
      return (await readFile(path, 'utf8')).trim();
    } catch (error) {
      const message = `could not determine the pod's namespace: ${errorText(error)}`;
      throw new CanopyError('config_invalid', message);
    }
  }

  #byUrl(server: string, config: HttpClientConfig): KubernetesApi {
    return {
      get: async (path, signal) => {
        const { client, headers } = await this.#clients.open(config);
        const options = {
          headers: { ...this.#headers(), ...headers },
          signal,
          timeout: PROXY_TIMEOUT,
        };
        return new Promise((resolve, reject) => {
          client.request(urlOf(server, path), options, resolve).on('error', reject).end();
        });
      },
    };
  }

  #inCluster(): KubernetesApi {
    const { env, serviceAccountFolder: folder } = this.#options;
    const host = env['KUBERNETES_SERVICE_HOST'];
    const port = env['KUBERNETES_SERVICE_PORT'];
    if (!host || !port) {
      throw new CanopyError(
        'config_invalid',
        'unable to load in-cluster configuration: KUBERNETES_SERVICE_HOST and ' +
          'KUBERNETES_SERVICE_PORT must be defined (outside a pod, give api_server or kubeconfig_file)',
      );
    }
    return this.#byUrl(`https://${host.includes(':') ? `[${host}]` : host}:${port}`, {
      auth: {
        type: 'header',
        scheme: 'Bearer',
        credentials: { file: join(folder, 'token') },
      },
      tls: { ca: { file: join(folder, 'ca.crt') }, insecureSkipVerify: false },
      followRedirects: false,
    });
  }

  async #byKubeconfig(path: string): Promise<KubernetesApi> {
    const { KubeConfig } = await this.#loadClient();
    const config = new KubeConfig();
    try {
      config.loadFromFile(path);
    } catch (error) {
      throw new CanopyError('config_invalid', `${path}: ${errorText(error)}`);
    }
    const server = config.getCurrentCluster()?.server;
    if (server === undefined) {
      throw new CanopyError('config_invalid', `${path}: no cluster in the current context`);
    }
    return {
      get: async (apiPath, signal) => {
        // Asked each time, for tokens run out; it makes an agent of its own each time as well.
        const options: https.RequestOptions = { headers: { ...this.#headers() }, signal };
        await config.applyToHTTPSOptions(options);
        const { request } = server.startsWith('https:') ? https : http;
        return new Promise((resolve, reject) => {
          request(urlOf(server, apiPath), options, resolve).on('error', reject).end();
        });
      },
    };
  }

  async #loadClient(): Promise<ClientNode> {
    const { loadClient = importClient } = this.#options;
    try {
      return await loadClient();
    } catch (error) {
      throw new CanopyError(
        'config_invalid',
        'kubernetes_sd_configs with kubeconfig_file needs the optional dependency ' +
          `@kubernetes/client-node, which cannot be loaded: ${errorText(error)}`,
      );
    }
  }

  #headers(): Record<string, string> {
    return { accept: 'application/json', 'user-agent': this.#options.userAgent };
  }

  /** Closes kept connections. */
  [Symbol.dispose](): void {
    this.#clients[Symbol.dispose]();
  }
}

/** Not a literal where it is imported, for the build must do without it. */
const CLIENT_NODE: string = '@kubernetes/client-node';

async function importClient(): Promise<ClientNode> {
  return (await import(CLIENT_NODE)) as ClientNode;
}

/** `path` below whatever path the server's URL has (a proxy in front of several clusters). */
function urlOf(server: string, path: string): URL {
  return new URL(server.replace(/\/+$/, '') + path);
}
