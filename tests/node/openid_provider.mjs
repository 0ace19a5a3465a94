// An OpenID provider of npm for the tests: anybody signs in there with any password, and is in the group of their name.
// node openid_provider.mjs PORT CLIENT_ID SECRET REDIRECT_URI
import Provider from 'oidc-provider';

const [port, client_id, client_secret, redirect_uri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id, client_secret, redirect_uris: [redirect_uri] }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['groups'] },
  cookies: { keys: ['of-a-test'] },
  pkce: { required: () => true },
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => ({ sub, email: `${sub}@example.com`, email_verified: true, groups: [`${sub}s`] }),
  }),
});
provider.listen(Number(port), '127.0.0.1', () => console.log(`listening at ${issuer}`));
