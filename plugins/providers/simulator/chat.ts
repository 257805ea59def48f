import type { ChatRequest, FinishReason, Tool } from "headgate";
import { type Dice, diceOf, seedOf } from "./dice.ts";
import { exampleOf } from "./example.ts";
import type { SimulatedModel } from "./models.ts";
import { pieces, prose, thoughts, topic } from "./prose.ts";
import { Refusal } from "./refusal.ts";

const MOST_CHOICES = 128;
const THOUGHTS: Readonly<Record<string, number>> = { none: 0, minimal: 1, low: 2, medium: 3, high: 5 };

/** One choice, as the pieces it is sent in; a piece counts as a token, and so does the name of a called tool. */
export interface Choice {
  readonly reasoning: readonly string[];
  readonly content: readonly string[];
  readonly calls: readonly Call[];
  readonly finish: FinishReason;
}

interface Call {
  readonly id: string;
  readonly name: string;
  readonly arguments: readonly string[];
}

/** The choices that answer a request: the same for the same model, messages, tools, format and seed. */
export function choicesFor(request: ChatRequest, model: SimulatedModel): Choice[] {
  const count = request.n ?? 1;
  if (!Number.isInteger(count) || count < 1 || count > MOST_CHOICES) {
    throw new Refusal(400, `'n' must be an integer from 1 to ${MOST_CHOICES}.`, { param: "n" });
  }
  const { messages, tools = null, response_format = null, seed = null } = request;
  const base = seedOf(JSON.stringify([model.id, messages, tools, response_format, seed]));
  return Array.from({ length: count }, (_, index) => choiceFor(request, model, diceOf(base + index)));
}

export function tokensOf(choices: readonly Choice[]): { completion: number; reasoning: number } {
  let completion = 0;
  let reasoning = 0;
  for (const choice of choices) {
    reasoning += choice.reasoning.length;
    completion += choice.reasoning.length + choice.content.length;
    for (const call of choice.calls) completion += 1 + call.arguments.length;
  }
  return { completion, reasoning };
}

function choiceFor(request: ChatRequest, model: SimulatedModel, dice: Dice): Choice {
  let left = limitOf(request, model);
  let cut = false;
  const take = (list: readonly string[]) => {
    cut ||= list.length > left;
    const taken = cut ? list.slice(0, left) : list;
    left -= taken.length;
    return taken;
  };
  const said = lastWords(request);
  const reasoning = model.capabilities.includes("reasoning")
    ? take(pieces(thoughts(model.id, said, THOUGHTS[request.reasoning_effort ?? "medium"] ?? 3)))
    : [];
  const forced = forcedTools(request, said);
  if (forced.length === 0) {
    const content = take(pieces(untilStop(wording(request, model, said, dice), request.stop)));
    return { reasoning, content, calls: [], finish: cut ? "length" : "stop" };
  }
  const calls: Call[] = [];
  for (const { function: tool } of forced) {
    const example = JSON.stringify(exampleOf(tool.parameters ?? { type: "object" }, dice));
    if (!example.startsWith("{"))
      throw new Refusal(400, "The parameters of a tool have to be the schema of an object.", { param: "tools" });
    const [name, ...rest] = take([tool.name, ...pieces(example)]);
    if (name !== undefined) calls.push({ id: `call_${dice.roll(2 ** 32).toString(36)}_${calls.length}`, name, arguments: rest });
  }
  return { reasoning, content: [], calls, finish: cut ? "length" : "tool_calls" };
}

function wording(request: ChatRequest, model: SimulatedModel, said: string, dice: Dice): string {
  const format = request.response_format;
  if (format?.type === "json_schema") return JSON.stringify(exampleOf(format.json_schema?.schema ?? { type: "object" }, dice));
  const text = prose(dice, model.id, said, model.sentences);
  return format?.type === "json_object" ? JSON.stringify({ answer: text, topic: topic(said), simulated: true }) : text;
}

function limitOf(request: ChatRequest, model: SimulatedModel): number {
  const limit = request.max_completion_tokens ?? request.max_tokens ?? model.maxOutput;
  if (!Number.isInteger(limit) || limit < 1) {
    throw new Refusal(400, "The most tokens to answer with must be a positive integer.", { param: "max_tokens" });
  }
  return Math.min(limit, model.maxOutput);
}

function lastWords(request: ChatRequest): string {
  const content = request.messages.findLast((message) => message?.role === "user")?.content;
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (part?.type === "text" && typeof part.text === "string" ? part.text : "")).join(" ");
}

function untilStop(text: string, stop: ChatRequest["stop"]): string {
  const found = [stop ?? []]
    .flat()
    .map((sequence) => (sequence === "" ? -1 : text.indexOf(sequence)))
    .filter((at) => at >= 0);
  return found.length > 0 ? text.slice(0, Math.min(...found)) : text;
}

/**
 * The tools that have to be called: the one named by `tool_choice`, or for `required` those that the user's last message
 * mentions (only the first of them without parallel calls), or simply the first.
 */
function forcedTools(request: ChatRequest, said: string): readonly Tool[] {
  const { tool_choice: choice } = request;
  const tools = (request.tools ?? []).filter((tool) => tool?.type === "function" && typeof tool.function?.name === "string");
  if (choice === "required") {
    const text = said.toLowerCase().replaceAll(/[\s-]/g, "_");
    const mentioned = tools.filter((tool) => text.includes(tool.function.name.toLowerCase().replaceAll("-", "_")));
    const called = mentioned.length > 0 ? mentioned : tools.slice(0, 1);
    if (called.length === 0) throw new Refusal(400, "'tool_choice' is 'required', but there are no tools.", { param: "tool_choice" });
    return request.parallel_tool_calls === false ? called.slice(0, 1) : called;
  }
  if (typeof choice !== "object" || choice === null || choice.type !== "function") return [];
  const named = tools.find((tool) => tool.function.name === choice.function?.name);
  if (!named) throw new Refusal(400, "'tool_choice' names a function that is not among the tools.", { param: "tool_choice" });
  return [named];
}
