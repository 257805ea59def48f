import type { Dice } from "./dice.ts";

const TOPIC_LENGTH = 80;

type Lines = readonly [string, ...string[]];

const OPENINGS: Lines = [
  "This is {model}, the built-in simulator, on {topic}.",
  "A simulated answer from {model} to {topic}:",
  "{model} here, thinking nothing but answering gladly about {topic}.",
];

const ADVICE: Lines = [
  "Name the goal first, in one sentence, and let the rest follow from it.",
  "The smallest case that still shows the problem usually explains the large one too.",
  "Write down what you already know; the gap that is left is shorter than it felt.",
  "Two things tend to matter here: what you can change, and what you would be sorry to get wrong.",
  "If two ways look equally good, take the one that is easier to undo.",
  "A rough sketch today is worth more than a finished plan next week.",
  "It helps to say it aloud to someone who has never heard of it.",
  "Measure before and after, or you will only ever have an opinion.",
  "Keep the part that works, and change one thing at a time.",
  "When in doubt, leave it out; it can always come back.",
];

const CLOSINGS: Lines = [
  "Put a real provider in the config and the same request gets a real answer.",
  "No key and no network were needed for this; a real model will have more to say.",
  "So much from the simulator: the tokens are counted truly, the wisdom is not.",
];

const THOUGHTS: Lines = [
  "The question is about {topic}, so the first step is to see what is asked and what is not.",
  "There is an obvious reading and a less obvious one; the obvious one fits the rest of the conversation.",
  "A short answer with one good reason should serve better than a long one with five.",
  "Nothing here has to be looked up, and nothing said so far speaks against it.",
  "Checking once more: the answer names its source, stays on the subject and ends politely.",
];

/** An answer of an opening, `sentences` pieces of advice and a closing, about what the user last said. */
export function prose(dice: Dice, model: string, said: string, sentences: number): string {
  const first = dice.roll(ADVICE.length);
  const advice = Array.from({ length: Math.min(sentences, ADVICE.length) }, (_, index) => ADVICE[(first + index * 3) % ADVICE.length]);
  return [fill(dice.pick(OPENINGS), model, said), ...advice, dice.pick(CLOSINGS)].join(" ");
}

/** What a reasoning model thinks before it answers. */
export function thoughts(model: string, said: string, sentences: number): string {
  return THOUGHTS.slice(0, sentences)
    .map((line) => fill(line, model, said))
    .join(" ");
}

/** The beginning of what the user said, on one line, as the answer quotes it. */
export function topic(said: string): string {
  const line = said
    .slice(0, TOPIC_LENGTH * 4)
    .replace(/\s+/g, " ")
    .trim();
  const letters = Array.from(line);
  if (letters.length <= TOPIC_LENGTH) return line.toWellFormed();
  const cut = letters.slice(0, TOPIC_LENGTH).join("").toWellFormed();
  const space = cut.lastIndexOf(" ");
  return `${space > TOPIC_LENGTH / 2 ? cut.slice(0, space) : cut}…`;
}

/** A text in pieces of about a token each; joined, they are the text. */
export function pieces(text: string): string[] {
  return text.match(/ ?[^\s]{1,6}|\s/gu) ?? [];
}

function fill(line: string, model: string, said: string): string {
  const quoted = topic(said);
  // By function, since a `$` in what the user said must not act as a pattern.
  return line.replace("{model}", () => model).replace("{topic}", () => (quoted ? `“${quoted}”` : "what you sent"));
}
