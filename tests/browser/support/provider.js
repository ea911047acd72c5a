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

/** `age` gives how many seconds ago people seem to have signed in. */
function configuration(origin, accounts, age) {
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
    extraTokenClaims({ oidc: { entities } }) {
      const { authTime } = entities.AuthorizationCode ?? entities.RefreshToken;
      return { auth_time: authTime - age() };
    },
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    ttl: { Session: 3600, Grant: 3600, Interaction: 600, IdToken: 600, AuthorizationCode: 60, RefreshToken: 3600 },
  };
}

/**
 * Starts both: as `startServer`, with `issuer`, `renewals()`, how often tokens were renewed, and `signedInAgo(seconds)`, which
 * makes sign-ins from then on so old. `words` go to the server's command line.
 */
export async function startWithProvider(...words) {
  const [port, issuerPort] = [await freePort(), await freePort()];
  const [origin, issuer] = [`http://localhost:${port}`, `http://127.0.0.1:${issuerPort}`];
  let renewals = 0, age = 0;
  const provider = new Provider(issuer, configuration(origin, { alice: "Alice Example" }, () => age));
  provider.on("grant.success", ({ oidc }) => { renewals += oidc.params.grant_type === "refresh_token" ? 1 : 0; });
  const server = createServer(provider.callback()).listen(issuerPort, "127.0.0.1");
  await once(server, "listening");
  const end = () => {
    server.closeAllConnections();
    server.close();
  };
  try {
    const mfad = await startServer(
      (folder) => ["serve", "--listen", `127.0.0.1:${port}`, "--public-url", origin, "--issuer", issuer, "--client-id", CLIENT, "--data-dir", folder, ...words],
      (_, log) => log.includes('"serving"') && origin,
    );
    return {
      ...mfad, issuer, renewals: () => renewals,
      signedInAgo(seconds) { age = seconds; },
      async stop() {
        await mfad.stop().finally(end);
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}

/** The provider's page for developers asks for a font; nothing leaves this machine. */
export const withoutFonts = (page) => page.route("https://fonts.googleapis.com/**", (route) => route.fulfill({ contentType: "text/css", body: "" }));

/** Signs Alice in at the provider's page for developers. */
export async function signInAtTheProvider(page) {
  await page.locator("input[name=login]").fill("alice");
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
}
