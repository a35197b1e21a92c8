"use strict";
// Calls of the controller: Connect's unary protocol with JSON, to the server that the page came from.

const credentialKey = "fray-credential";

// RPCError is what the controller, or the way to it, answered in place of a response.
class RPCError extends Error {
  constructor(code, message, leader) {
    super(message);
    this.code = code;
    this.leader = leader; // where the controller is that leads, if this one does not
  }
}

const credential = {
  get: () => sessionStorage.getItem(credentialKey) ?? "",
  set: (token) => token ? sessionStorage.setItem(credentialKey, token) : sessionStorage.removeItem(credentialKey),
};

const callTimeout = 15000;

// call returns the response of a procedure of ControllerService.
async function call(procedure, request, signal) {
  const headers = { "Content-Type": "application/json", "Connect-Protocol-Version": "1", "Connect-Timeout-Ms": String(callTimeout) };
  if (credential.get()) headers.Authorization = `Bearer ${credential.get()}`;
  const limits = [AbortSignal.timeout(callTimeout)];
  if (signal) limits.push(signal);
  let response;
  try {
    response = await fetch(`/fray.v1.ControllerService/${procedure}`, {
      method: "POST", headers, body: JSON.stringify(request ?? {}), signal: AbortSignal.any(limits), credentials: "omit", cache: "no-store",
    });
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new RPCError("unavailable", err.name === "TimeoutError" ? "The controller did not answer in time." : "The controller cannot be reached.");
  }
  let body;
  try {
    body = await response.json();
  } catch {
    throw new RPCError("unknown", `The answer to ${procedure} is not JSON (HTTP status ${response.status}).`);
  }
  if (response.ok) return body;
  throw new RPCError(body.code ?? "unknown", body.message ?? `HTTP status ${response.status}`, response.headers.get("Fray-Leader"));
}

// count reads a 64-bit number, which JSON has as a string and leaves out if it is 0.
const count = (v) => Number(v ?? 0);
