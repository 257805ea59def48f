import { type Clock, redisScript, type Scripts, type Timer } from "headgate";
import { type Claim, SLOTS, type Standing, type Verdict } from "./counters.ts";

/** For calls in flight: how long a place is held by an instance that is no longer heard of, in ms. */
export const LEASE_MS = 60_000;
/** How long an instance counts as alive after it was last heard of, in ms. */
const ALIVE_MS = 20_000;
const PREFIX = "headgate:rate:";
const INSTANCES = `${PREFIX}instances`;
/** Places to give back that wait for Redis; of more the oldest are left to their leases. */
const MOST_WAITING = 10_000;
/** Entries to a script. */
const BATCH = 1_000;
/** Calls that are asked for with one command: Redis does nothing else meanwhile, some 20 µs for each. */
const TOGETHER = 64;
/** How long what ended calls give back is gathered, in ms, unless a call is to be counted before: a command costs as much for one as for many. */
const GATHER = 5;

/**
 * All counters of a call in one step: looked at first, then changed together, or not at all; several calls one after the
 * other. A window is a hash of slot number to count, calls in flight a sorted set of call to the end of its lease. Redis's
 * own clock counts. KEYS: the set of instances, the counters of all calls. ARGV: instance, lease ms, slots, then for each
 * call: itself, the number of its counters, and for each of them: cost, amount, window ms, burst. Returns 0 where Redis has
 * not heard of the instance, else 1, and for each call {1, used, reset ms, slot, …} or {0, index, used, reset ms, retry ms}.
 */
const TAKE = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease, slots = ARGV[2], tonumber(ARGV[3])
local function take(call, first, count, at)
  local seen = {}
  for i = 1, count do
    local key = KEYS[first + i]
    local cost, amount, window, burst = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    if window == 0 then
      redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
      local used = redis.call('ZCARD', key)
      if used + 1 > amount then return {0, i, used, 0, 1000} end
      seen[i] = {key, used, 0, 0, cost, 0}
    else
      local slotMs = window / slots
      local slot = math.floor(now / slotMs)
      local counts, sum, newest = {}, 0, 0
      local fields = redis.call('HGETALL', key)
      for f = 1, #fields, 2 do
        local number, count = tonumber(fields[f]), tonumber(fields[f + 1])
        if number < slot - slots then redis.call('HDEL', key, fields[f])
        else
          counts[number] = count
          sum = sum + count
          if count > 0 and number > newest then newest = number end
        end
      end
      local retry = 0
      if sum > 0 and sum + cost > amount then
        local left = sum
        retry = (slots + 1) * slotMs
        for number = slot - slots, slot do
          left = left - (counts[number] or 0)
          if left <= amount - cost then retry = (number + slots + 1) * slotMs - now break end
        end
      else
        local current, before = counts[slot] or 0, counts[slot - 1] or 0
        if current + before > 0 and current + before + cost > burst then
          local more = (current == 0 or current + cost <= burst) and 1 or 2
          retry = (slot + more) * slotMs - now
        end
      end
      if retry > 0 then
        local reset = newest == 0 and 0 or math.max(0, math.ceil((newest + slots + 1) * slotMs - now))
        return {0, i, sum, reset, math.max(1, math.ceil(retry))}
      end
      seen[i] = {key, sum, math.ceil((slot + slots + 1) * slotMs - now), slot, cost, window}
    end
    at = at + 4
  end
  local answer = {1}
  for i = 1, count do
    local key, used, reset, slot, cost, window = unpack(seen[i])
    if window == 0 then
      redis.call('ZADD', key, now + lease, call)
      redis.call('PEXPIRE', key, 2 * lease)
      cost = 1
    else
      redis.call('HINCRBY', key, slot, cost)
      redis.call('PEXPIRE', key, math.ceil(window * (slots + 2) / slots))
    end
    table.insert(answer, used + cost)
    table.insert(answer, reset)
    table.insert(answer, slot)
  end
  return answer
end
local answers = {redis.call('ZSCORE', KEYS[1], ARGV[1]) and 1 or 0}
local first, at = 1, 4
while ARGV[at] do
  local count = tonumber(ARGV[at + 1])
  table.insert(answers, take(ARGV[at], first, count, at + 2))
  first, at = first + count, at + 2 + 4 * count
end
return answers`);

/** KEYS: counters. ARGV for each: call, slot (0 for a place in flight, which is given back), change. */
const SETTLE = redisScript(`
for i, key in ipairs(KEYS) do
  local call, slot, by = ARGV[3 * i - 2], ARGV[3 * i - 1], tonumber(ARGV[3 * i])
  if slot == '0' then redis.call('ZREM', key, call)
  elseif redis.call('HEXISTS', key, slot) == 1 and by ~= 0 then
    if redis.call('HINCRBY', key, slot, by) < 0 then redis.call('HSET', key, slot, 0) end
  end
end
return 1`);

/** Prolongs the leases of calls that are in flight, also where Redis has not heard of them. KEYS: counters. ARGV: lease ms, then a call for each. */
const RENEW = redisScript(`
local time = redis.call('TIME')
local till = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, till, ARGV[i + 1])
  redis.call('PEXPIRE', key, 2 * ARGV[1])
end
return 1`);

/** Says that this instance lives. KEYS: the set. ARGV: instance, lease ms. Returns how many there are, and 1 where it is new. */
const BEAT = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local new = redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
return {redis.call('ZCARD', KEYS[1]), new}`);

/** What is to be changed in a counter that a call was counted in; a `slot` of 0 gives back its place in flight. */
export interface Correction {
  readonly key: string;
  readonly call: string;
  readonly slot: number;
  readonly by: number;
}

interface Answer {
  readonly known: boolean;
  readonly verdict: Verdict;
}

interface Question {
  readonly call: string;
  readonly claims: readonly Claim[];
  readonly resolve: (answer: Answer | undefined) => void;
}

/** The counters that all instances share. Each answer is undefined while Redis is away. */
export class SharedCounters {
  readonly #scripts: () => Scripts | undefined;
  readonly #instance: string;
  readonly #clock: Clock;
  #asking: Question[] = [];
  #waiting: Correction[] = [];
  #flushing: Timer | undefined;

  /** `scripts`: those to use now; a reload changes them. */
  constructor(instance: string, clock: Clock, scripts: () => Scripts | undefined) {
    this.#instance = instance;
    this.#clock = clock;
    this.#scripts = scripts;
  }

  /** Whether Redis is configured. */
  get configured(): boolean {
    return this.#scripts()?.shared ?? false;
  }

  healthy(): boolean {
    return this.configured && this.#scripts()?.healthy() === true;
  }

  /** Calls of the same turn ask together. Whether Redis has heard of this instance before comes with the verdict. */
  take(call: string, claims: readonly Claim[]): Promise<Answer | undefined> {
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    this.#asking.push({ call, claims, resolve });
    if (this.#asking.length === 1) void this.#clock.turn().then(() => this.#takeAll());
    return promise;
  }

  #takeAll(): void {
    // On the same connection, and so before the question.
    this.flush();
    const asking = this.#asking.splice(0);
    for (let at = 0; at < asking.length; at += TOGETHER) void this.#take(asking.slice(at, at + TOGETHER));
  }

  async #take(asking: readonly Question[]): Promise<void> {
    const keys = [INSTANCES];
    const args: (string | number)[] = [this.#instance, LEASE_MS, SLOTS];
    for (const { call, claims } of asking) {
      args.push(call, claims.length);
      for (const { key, cost, amount, windowMs, burst } of claims) {
        keys.push(PREFIX + key);
        args.push(cost, amount, windowMs, burst);
      }
    }
    const answers = (await this.#run(TAKE, keys, args)) as [known: number, ...verdicts: number[][]] | undefined;
    for (let at = 0; at < asking.length; at++) {
      const [admitted, ...rest] = (answers?.[at + 1] as number[] | undefined) ?? [];
      const verdict = admitted === 1 ? admission(rest) : refusal(rest);
      asking[at]?.resolve(answers && { known: answers[0] === 1, verdict });
    }
  }

  /** Gives places back, if not soon then once Redis is there again. Other changes are lost with it: windows pass. */
  settle(corrections: readonly Correction[]): void {
    this.#waiting.push(...corrections);
    if (this.#waiting.length >= BATCH) this.flush();
    else this.#flushing ??= this.#clock.timer(GATHER, () => this.flush());
  }

  /** Sends what waits, where Redis is there. */
  flush(): void {
    this.#flushing?.cancel();
    this.#flushing = undefined;
    if (this.#waiting.length === 0) return;
    if (!this.healthy()) return this.#keep();
    const corrections = this.#waiting.splice(0);
    for (let at = 0; at < corrections.length; at += BATCH) void this.#settle(corrections.slice(at, at + BATCH));
  }

  /** Only places wait for Redis to be back. */
  #keep(failed: readonly Correction[] = []): void {
    const places = [...failed, ...this.#waiting].filter(({ slot }) => slot === 0);
    this.#waiting = places.slice(-MOST_WAITING);
  }

  renew(held: readonly { readonly key: string; readonly call: string }[]): void {
    for (let at = 0; at < held.length; at += BATCH) {
      const batch = held.slice(at, at + BATCH);
      const keys = batch.map(({ key }) => PREFIX + key);
      void this.#run(RENEW, keys, [LEASE_MS, ...batch.map(({ call }) => call)]);
    }
  }

  /** How many instances there are, this one included, and whether Redis had not heard of it. */
  async beat(): Promise<{ readonly instances: number; readonly isNew: boolean } | undefined> {
    const answer = (await this.#run(BEAT, [INSTANCES], [this.#instance, ALIVE_MS])) as [number, number] | undefined;
    return answer && { instances: answer[0], isNew: answer[1] === 1 };
  }

  async #settle(corrections: readonly Correction[]): Promise<void> {
    const keys = corrections.map(({ key }) => PREFIX + key);
    const args = corrections.flatMap(({ call, slot, by }) => [call, slot, by]);
    if ((await this.#run(SETTLE, keys, args)) !== undefined) return;
    // Whether it was done after all nobody knows; a place can be given back twice, a count must not be.
    this.#keep(corrections);
  }

  async #run(...[script, keys, args]: Parameters<Scripts["run"]>): Promise<unknown> {
    return this.#scripts()?.run(script, keys, args);
  }
}

function admission(numbers: readonly number[]): Verdict {
  const standings: Standing[] = [];
  const slots: number[] = [];
  for (let at = 0; at < numbers.length; at += 3) {
    standings.push({ used: numbers[at] as number, resetMs: numbers[at + 1] as number });
    slots.push(numbers[at + 2] as number);
  }
  return { kind: "admitted", standings, slots };
}

function refusal([index = 1, used = 0, resetMs = 0, retryMs = 1_000]: readonly number[]): Verdict {
  return { kind: "refused", at: index - 1, standing: { used, resetMs }, retryMs };
}
