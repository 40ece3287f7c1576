// An issuer of OpenID Connect in which everybody is who they say.
import http from 'node:http';
import Provider from 'oidc-provider';

export const CLIENT = { id: 'serin', secret: 'a secret: of + this/test' };

/// `callbacks` are where it sends people back; `groups` of a name.
export async function startIssuer(callbacks, groups = {}) {
  const server = http.createServer();
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(url, {
    clients: [{ client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: callbacks }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['groups'] },
    findAccount: (_, name) => ({
      accountId: name,
      claims: () => ({ sub: name, email: `${name}@example.com`, email_verified: name !== 'mallory', groups: groups[name] ?? [] }),
    }),
    cookies: { keys: ['of this test'] },
    pkce: { required: () => true },
    ttl: { Session: 60, Grant: 60, Interaction: 60, AccessToken: 60, IdToken: 60 },
  });
  server.on('request', provider.callback());
  return { url, stop: () => new Promise((stopped) => { server.closeAllConnections(); server.close(stopped); }) };
}
