// A server whose issuer somebody else wrote: oidc-provider, on an address that is another site for the browser.

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { errors, Provider } from "oidc-provider";

import { startServer } from "./demo.js";

/** The page's client at the issuer. */
export const CLIENT = "mfad-page";
/** Seconds that an access token is good for: a session renews it ten seconds before its end. */
const TOKEN_SECONDS = 12;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function configuration(origin, accounts) {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...privateKey.export({ format: "jwk" }), kid: "test", use: "sig", alg: "ES256" };
  return {
    jwks: { keys: [jwk] },
    cookies: { keys: ["a key of a test"] },
    clients: [{
      client_id: CLIENT, token_endpoint_auth_method: "none", redirect_uris: [`${origin}/auth/callback`],
      post_logout_redirect_uris: [`${origin}/`], grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"], id_token_signed_response_alg: "ES256",
    }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: accounts[id] ?? id, preferred_username: id, email: `${id}@example.com`, email_verified: true }),
    }),
    features: {
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo(_, resource) {
          if (resource !== origin) throw new errors.InvalidTarget();
          return { scope: "", audience: origin, accessTokenFormat: "jwt", accessTokenTTL: TOKEN_SECONDS, jwt: { sign: { alg: "ES256" } } };
        },
      },
    },
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    ttl: { Session: 3600, Grant: 3600, Interaction: 600, IdToken: 600, AuthorizationCode: 60, RefreshToken: 3600 },
  };
}

/** Starts both, mfad with `more` arguments: as `startServer`, with `issuer` and `renewals()`, how often tokens were renewed. */
export async function startWithProvider(...more) {
  const [port, issuerPort] = [await freePort(), await freePort()];
  const [origin, issuer] = [`http://localhost:${port}`, `http://127.0.0.1:${issuerPort}`];
  const provider = new Provider(issuer, configuration(origin, { alice: "Alice Example" }));
  let renewals = 0;
  provider.on("grant.success", ({ oidc }) => { renewals += oidc.params.grant_type === "refresh_token" ? 1 : 0; });
  const server = createServer(provider.callback()).listen(issuerPort, "127.0.0.1");
  await once(server, "listening");
  const end = () => {
    server.closeAllConnections();
    server.close();
  };
  try {
    const mfad = await startServer(
      (folder) => ["serve", "--listen", `127.0.0.1:${port}`, "--public-url", origin, "--issuer", issuer, "--client-id", CLIENT, "--data-dir", folder, ...more],
      (_, log) => log.includes('"serving"') && origin,
    );
    return {
      ...mfad, issuer, renewals: () => renewals,
      async stop() {
        await mfad.stop().finally(end);
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}
