// What a browser does with a security key, in sentences where it fails.

const SENTENCES = {
  NotAllowedError: "It was cancelled, or took too long.",
  InvalidStateError: "This key is already registered.",
  SecurityError: "Security keys need the name localhost: open this page there.",
  NotSupportedError: "This key or browser cannot do what the server asks for.",
  AbortError: "It was cancelled.",
};

export function isOffered() {
  return typeof globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON === "function";
}

async function withSentences(deed) {
  try {
    return (await deed()).toJSON();
  } catch (error) {
    throw error instanceof DOMException ? new Error(SENTENCES[error.name] ?? error.message) : error;
  }
}

/** A new credential for the server's creation options, as JSON. */
export function create(publicKey) {
  return withSentences(() => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) }));
}

/** An assertion for the server's request options, as JSON. */
export function get(publicKey) {
  return withSentences(() => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) }));
}
