import type { ChatRequest } from "../dialects/canonical.ts";
import { GatewayError } from "../errors.ts";
import type { Target } from "../exchange.ts";
import type { LiveExchange } from "../live-exchange.ts";
import { AttemptRun, type CallServices, wantsStream } from "./attempt.ts";

/** The innermost link: one attempt at the exchange's target, up to the point where its answer is committed. */
export function createCall(services: CallServices): (exchange: LiveExchange) => Promise<void> {
  return async (exchange) => {
    // What plugins have written down of the call is in the operating system's hands before it goes out, whenever the process is killed.
    await services.clock.turn();
    // It may have ended meanwhile, or a plugin may go on with one that has.
    if (exchange.aborted) throw exchange.aborted;
    if (exchange.operation === "models") {
      exchange.reply = { kind: "json", body: services.modelList() };
      return;
    }
    exchange.upstream?.destroy();
    exchange.target ??= exchange.targets[0];
    const { target } = exchange;
    if (!target) throw exchange.unresolved ?? new GatewayError("model_not_found", { param: "model" });
    const provider = services.providers.get(target.provider);
    const dialect = provider && services.dialects.get(provider.dialect)?.upstream;
    if (!provider || !dialect)
      throw new GatewayError("model_not_found", { param: "model", message: `There is no provider "${target.provider}".` });
    const path = (provider.path ?? dialect.path)(exchange.operation, target.model, wantsStream(exchange));
    if (path === null) return answerLocally(services, exchange, target);
    await new AttemptRun(services, exchange, target, provider, dialect).run(path);
  };
}

/** Token counts are ours to give where a provider has no endpoint for them. */
function answerLocally({ tokens }: CallServices, exchange: LiveExchange, target: Target): void {
  if (exchange.operation !== "count_tokens") {
    throw new GatewayError("unsupported_operation", { message: `The provider "${target.provider}" does not offer ${exchange.operation}.` });
  }
  const count = tokens.request(exchange.request as ChatRequest, target.model);
  if (count.estimated) exchange.headers.set("x-headgate-estimated", "true");
  exchange.reply = { kind: "json", body: { input_tokens: count.tokens } };
}
