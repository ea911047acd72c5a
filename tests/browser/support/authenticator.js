// Security keys without hardware: Chromium's own, driven over its protocol.

/** What is plugged into this page's machine: nothing, at first. */
export async function usbPorts(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("WebAuthn.enable", { enableUI: false });
  return {
    /** A key that is touched as soon as it blinks. With `pin` it can verify its owner, who knows the PIN. */
    async plugIn({ pin = false, transport = "usb" } = {}) {
      const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
        options: {
          protocol: "ctap2", transport, hasResidentKey: false, hasUserVerification: pin, isUserVerified: pin,
          automaticPresenceSimulation: true,
        },
      });
      const touched = (enabled) => session.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled });
      return {
        /** Nobody touches it from now on. */
        leaveAlone: () => touched(false),
        touch: () => touched(true),
        credentials: async () => (await session.send("WebAuthn.getCredentials", { authenticatorId })).credentials,
      };
    },
  };
}
