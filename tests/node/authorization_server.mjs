// An authorization server of npm for the tests: RFC 7009 with RFC 7662, tokens for clients, and its metadata (RFC 8414).
// node authorization_server.mjs PORT CLIENTS, which are a JSON list as `oidc-provider` takes it.
import Provider from 'oidc-provider';

const [port, clients] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: JSON.parse(clients).map((client) => ({
    grant_types: ['client_credentials'], redirect_uris: [], response_types: [], ...client,
  })),
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log(`listening at ${issuer}`));
