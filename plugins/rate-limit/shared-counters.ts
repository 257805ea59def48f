import { redisScript, type Scripts } from "headgate";
import { type Claim, SLOTS, type Standing, type Verdict } from "./counters.ts";

/** For calls in flight: how long a slot is held by an instance that is no longer heard of, in ms. */
const LEASE_MS = 60_000;
const PREFIX = "headgate:rate:";
/** Stands for a slot where a call in flight ends. Redis's time is never in slot 0. */
export const IN_FLIGHT = 0;

/**
 * All counters of a call in one step: looked at first, then changed together, or not at all. A window is a hash of slot
 * number to count, calls in flight a sorted set of call to the end of its lease. Redis's own clock counts.
 * KEYS: the counters. ARGV: call, lease ms, slots, then for each counter: cost, amount, window ms, burst.
 * Returns {1, used, reset ms, slot, …} or {0, index, used, reset ms, retry ms}.
 */
const TAKE = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local slots = tonumber(ARGV[3])
local seen = {}
for i, key in ipairs(KEYS) do
  local at = 4 * i
  local cost, amount, window, burst = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  if window == 0 then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    local used = redis.call('ZCARD', key)
    if used + 1 > amount then return {0, i, used, 0, 1000} end
    seen[i] = {used, 0, 0}
  else
    local slotMs = window / slots
    local slot = math.floor(now / slotMs)
    local counts, sum, current, newest = {}, 0, 0, 0
    local fields = redis.call('HGETALL', key)
    for f = 1, #fields, 2 do
      local number, count = tonumber(fields[f]), tonumber(fields[f + 1])
      if number < slot - slots then redis.call('HDEL', key, fields[f])
      else
        counts[number] = count
        sum = sum + count
        if number == slot then current = count end
        if count > 0 and number > newest then newest = number end
      end
    end
    local reset = newest == 0 and 0 or math.max(0, math.ceil((newest + slots + 1) * slotMs - now))
    if sum + cost > amount and (sum > 0 or cost > amount) then
      local left, retry = sum, (slots + 1) * slotMs
      for number = slot - slots, slot do
        left = left - (counts[number] or 0)
        if left <= amount - cost then retry = (number + slots + 1) * slotMs - now break end
      end
      return {0, i, sum, reset, math.max(1, math.ceil(retry))}
    end
    if current > 0 and current + cost > burst then return {0, i, sum, reset, math.max(1, math.ceil((slot + 1) * slotMs - now))} end
    seen[i] = {sum, math.ceil((slot + slots + 1) * slotMs - now), slot}
  end
end
local answer = {1}
for i, key in ipairs(KEYS) do
  local at = 4 * i
  local cost, window = tonumber(ARGV[at]), tonumber(ARGV[at + 2])
  if window == 0 then
    redis.call('ZADD', key, now + ARGV[2], ARGV[1])
    redis.call('PEXPIRE', key, 2 * ARGV[2])
    cost = 1
  else
    redis.call('HINCRBY', key, seen[i][3], cost)
    redis.call('PEXPIRE', key, math.ceil(window * (slots + 2) / slots))
  end
  table.insert(answer, seen[i][1] + cost)
  table.insert(answer, seen[i][2])
  table.insert(answer, seen[i][3])
end
return answer`);

/** KEYS: counters. ARGV: call, then for each: slot (0 for in flight), change. */
const SETTLE = redisScript(`
for i, key in ipairs(KEYS) do
  local slot, by = ARGV[2 * i], tonumber(ARGV[2 * i + 1])
  if slot == '0' then redis.call('ZREM', key, ARGV[1])
  elseif redis.call('HEXISTS', key, slot) == 1 and by ~= 0 then
    if redis.call('HINCRBY', key, slot, by) < 0 then redis.call('HSET', key, slot, 0) end
  end
end
return 1`);

/** Prolongs the leases of calls that are still in flight. KEYS: counters. ARGV: lease ms, then a call for each. */
const RENEW = redisScript(`
local time = redis.call('TIME')
local till = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, 'XX', till, ARGV[i + 1])
  redis.call('PEXPIRE', key, 2 * ARGV[1])
end
return 1`);

/** Says that this instance lives, and asks how many do. KEYS: the set. ARGV: instance, lease ms. */
const BEAT = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
return redis.call('ZCARD', KEYS[1])`);

export interface Correction {
  readonly key: string;
  readonly slot: number;
  readonly by: number;
}

/** The counters that all instances share. Each answer is undefined while Redis is away. */
export class SharedCounters {
  readonly #scripts: Scripts;

  constructor(scripts: Scripts) {
    this.#scripts = scripts;
  }

  async take(call: string, claims: readonly Claim[]): Promise<Verdict | undefined> {
    const answer = (await this.#scripts.run(
      TAKE,
      claims.map(({ key }) => PREFIX + key),
      [call, LEASE_MS, SLOTS, ...claims.flatMap(({ cost, amount, windowMs, burst }) => [cost, amount, windowMs, burst])],
    )) as number[] | undefined;
    if (!answer) return undefined;
    const [admitted, ...rest] = answer;
    if (admitted === 0) {
      const [index = 1, used = 0, resetMs = 0, retryMs = 1_000] = rest;
      return { kind: "refused", at: index - 1, standing: { used, resetMs }, retryMs };
    }
    const standings: Standing[] = [];
    const slots: number[] = [];
    for (let at = 0; at < rest.length; at += 3) {
      standings.push({ used: rest[at] as number, resetMs: rest[at + 1] as number });
      slots.push(rest[at + 2] as number);
    }
    return { kind: "admitted", standings, slots };
  }

  settle(call: string, corrections: readonly Correction[]): void {
    const args = corrections.flatMap(({ slot, by }) => [slot, by]);
    void this.#scripts.run(
      SETTLE,
      corrections.map(({ key }) => PREFIX + key),
      [call, ...args],
    );
  }

  renew(held: readonly { readonly key: string; readonly call: string }[]): void {
    if (held.length === 0) return;
    void this.#scripts.run(
      RENEW,
      held.map(({ key }) => PREFIX + key),
      [LEASE_MS, ...held.map(({ call }) => call)],
    );
  }

  /** How many instances there are, this one included. */
  async beat(instance: string, leaseMs: number): Promise<number | undefined> {
    return (await this.#scripts.run(BEAT, [`${PREFIX}instances`], [instance, leaseMs])) as number | undefined;
  }
}
