/** The public entry point `headgate/testing`: what a plugin's or provider's own tests need. */
export { type Answer, type AnswerDialect, answerIn, framesIn, replyIn } from "./answers.ts";
export { checkHistories, type Histories, type Violation } from "./checker.ts";
export { ClientRecorder, type RecordedRequest } from "./client-recorder.ts";
export { FakeClock } from "./clock.ts";
export { type ContractSettings, describePlugin } from "./contract.ts";
export { collect, type ExchangeParts, exchange, FakeExchange, textOf } from "./exchange.ts";
export type { Faults } from "./fault-pipe.ts";
export { type Direction, FaultProxy, type FaultProxyOptions } from "./fault-proxy.ts";
export { startGateway, type TestGateway } from "./gateway.ts";
export {
  type ClientCall,
  callIn,
  type LedgerAttempt,
  type LedgerExchange,
  marked,
  type QuotaAccount,
  readAnswer,
  type SeenAnswer,
  type UpstreamRecord,
  upstreamHistory,
} from "./histories.ts";
export { FakeIds, FakeRandom } from "./random.ts";
export { jsonReply, streamReply } from "./replies.ts";
export {
  type Responder,
  type Script,
  ScriptedUpstream,
  type ScriptedUpstreamOptions,
  type Step,
  UpstreamCall,
  type Wait,
} from "./scripted-upstream.ts";
export { cut, forever, type Gate, gate, gzipBomb, hugeLine, json, redirect, silence, silenceAfterHead, sse } from "./scripts.ts";
export { FAKE_TOKENS, FakeKeyValue, FakeLogger, type FakeServices, FakeSpools, fakeServices, type LogLine } from "./services.ts";
