/** A request that the simulated provider turns down, in the words of OpenAI's error object. */
export class Refusal extends Error {
  readonly status: number;
  readonly param: string | null;
  readonly code: string | null;

  constructor(status: number, message: string, details: { param?: string; code?: string } = {}) {
    super(message);
    this.status = status;
    this.param = details.param ?? null;
    this.code = details.code ?? null;
  }

  body(): string {
    const { message, param, code, status } = this;
    return JSON.stringify({ error: { message, type: status < 500 ? "invalid_request_error" : "server_error", param, code } });
  }
}
