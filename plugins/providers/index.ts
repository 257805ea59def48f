/** The providers that come with the gateway: `import { openai } from "headgate/providers"`. */
export { anthropic } from "./anthropic.ts";
export { azure } from "./azure.ts";
export { cohere } from "./cohere.ts";
export { gemini } from "./gemini.ts";
export { deepseek, groq, mistral, ollama, openai, openaiCompatible, openrouter, together, vllm, xai } from "./openai-compatible.ts";
export { simulator } from "./simulator.ts";
