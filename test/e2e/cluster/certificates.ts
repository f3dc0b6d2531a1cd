import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

/** Files of a certificate and its key. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

export interface Certificates {
  /** The authority's certificate. */
  readonly ca: string;
  /** The key pair that service accounts' tokens are signed with. */
  readonly serviceAccountKey: string;
  /** @param group Kubernetes takes a certificate's O for a group and its CN for the user. */
  issue(user: string, group?: string): Promise<Identity>;
}

const days = '2';
const keyKind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/**
 * A certificate authority of a test's own, below a directory, by openssl.
 * @param serverAddress the IP address that every certificate holds for, besides 127.0.0.1.
 */
export async function makeCertificates(directory: string, serverAddress: string): Promise<Certificates> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const ca = await newAuthority(directory);
  const serverNames = `IP:${serverAddress},IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc`;
  const serviceAccountKey = join(directory, 'service-account.key');
  await openssl(['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', serviceAccountKey]);
  return {
    ca: ca.certificate,
    serviceAccountKey,
    issue: async (user, group) => {
      const name = user.replaceAll(/[^a-z0-9-]/g, '-');
      const subject = [...(group === undefined ? [] : [`O = ${group}`]), `CN = ${user}`];
      const extensions = ['basicConstraints = CA:FALSE', 'extendedKeyUsage = clientAuth,serverAuth'];
      const config = await writeConfig(directory, name, subject, [...extensions, `subjectAltName = ${serverNames}`]);
      return await request(directory, name, config, ['-CA', ca.certificate, '-CAkey', ca.key]);
    },
  };
}

async function newAuthority(directory: string): Promise<Identity> {
  const extensions = ['basicConstraints = critical,CA:TRUE', 'keyUsage = critical,keyCertSign,digitalSignature'];
  const config = await writeConfig(directory, 'ca', ['CN = cuttle-e2e'], extensions);
  return await request(directory, 'ca', config, []);
}

async function request(directory: string, name: string, config: string, signer: string[]): Promise<Identity> {
  const made = { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  const files = ['-config', config, '-keyout', made.key, '-out', made.certificate];
  await openssl(['req', '-x509', '-days', days, ...keyKind, ...signer, ...files]);
  return made;
}

async function writeConfig(directory: string, name: string, subject: string[], extensions: string[]): Promise<string> {
  const path = join(directory, `${name}.cnf`);
  const head = ['[req]', 'prompt = no', 'distinguished_name = subject', 'x509_extensions = extensions'];
  await writeFile(path, [...head, '[subject]', ...subject, '[extensions]', ...extensions, ''].join('\n'));
  return path;
}

async function openssl(args: string[]): Promise<void> {
  await execa('openssl', args, { timeout: 30_000 });
}

/** A kubeconfig with everything in it, so that it may be copied; mode 0600. */
export async function writeKubeconfig(path: string, server: string, ca: string, identity: Identity): Promise<string> {
  const encoded = async (file: string): Promise<string> => (await readFile(file)).toString('base64');
  const user = {
    'client-certificate-data': await encoded(identity.certificate),
    'client-key-data': await encoded(identity.key),
  };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'e2e', cluster: { server, 'certificate-authority-data': await encoded(ca) } }],
    users: [{ name: 'e2e', user }],
    contexts: [{ name: 'e2e', context: { cluster: 'e2e', user: 'e2e' } }],
    'current-context': 'e2e',
  };
  await writeFile(path, JSON.stringify(config, null, 2), { mode: 0o600 });
  return path;
}
