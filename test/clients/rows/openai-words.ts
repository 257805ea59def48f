/** OpenAI's own words, for answers that the builders of headgate/testing do not have. */
export const openaiReply = (choices: object[]) => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1_767_225_600,
  model: "m",
  choices,
  usage: { prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 },
});
export const openaiChunk = (...choices: object[]) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1_767_225_600,
  model: "m",
  choices,
});
