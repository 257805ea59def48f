import { each, GEMINI_HI, HI, type Row, refuses, sends } from "../row.ts";

const DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const DATA_URL = `data:image/png;base64,${DOT}`;
const PHOTO = "https://example.com/photo.png";
const LOOK = { type: "text", text: "What is this?" } as const;

/** What is said, by whom, and with which pictures and files. */
export const CONVERSATION: readonly Row[] = [
  {
    feature: "Text",
    asks: { openai: { messages: [HI] }, anthropic: { messages: [HI] } },
    gets: {
      "openai-chat": sends({ messages: [HI] }),
      "anthropic-messages": sends({ messages: [HI] }),
      gemini: sends({ contents: [GEMINI_HI] }),
      cohere: sends({ messages: [HI] }),
    },
    answer: { text: ["Grüezi ", "mitenand", " 👋🏽"] },
    seen: (client) => ({
      text: "Grüezi mitenand 👋🏽",
      calls: [],
      stop: client === "openai" ? "stop" : "end_turn",
      usage: { input: 10, output: 3, cached: 0, written: 0 },
    }),
  },
  {
    feature: "System prompt",
    asks: {
      openai: { messages: [{ role: "system", content: "Be brief." }, HI] },
      anthropic: { system: "Be brief.", messages: [HI] },
    },
    gets: {
      "openai-chat": sends({ messages: [{ role: "system", content: "Be brief." }, HI] }),
      "anthropic-messages": sends({ system: "Be brief.", messages: [HI] }),
      gemini: sends({ systemInstruction: { parts: [{ text: "Be brief." }] }, contents: [GEMINI_HI] }),
      cohere: sends({ messages: [{ role: "system", content: "Be brief." }, HI] }),
    },
  },
  {
    feature: "Developer prompt",
    asks: { openai: { messages: [{ role: "developer", content: "Be brief." }, HI] } },
    gets: {
      "anthropic-messages": sends({ system: "Be brief.", messages: [HI] }),
      gemini: sends({ systemInstruction: { parts: [{ text: "Be brief." }] }, contents: [GEMINI_HI] }),
      cohere: sends({ messages: [{ role: "system", content: "Be brief." }, HI] }),
    },
  },
  {
    feature: "Several turns",
    asks: {
      openai: { messages: [HI, { role: "assistant", content: "Hello." }, { role: "user", content: "How are you?" }] },
      anthropic: { messages: [HI, { role: "assistant", content: "Hello." }, { role: "user", content: "How are you?" }] },
    },
    gets: {
      "openai-chat": sends({ messages: [HI, { role: "assistant", content: "Hello." }, { role: "user", content: "How are you?" }] }),
      "anthropic-messages": sends({ messages: [HI, { role: "assistant", content: "Hello." }, { role: "user", content: "How are you?" }] }),
      gemini: sends({
        contents: [GEMINI_HI, { role: "model", parts: [{ text: "Hello." }] }, { role: "user", parts: [{ text: "How are you?" }] }],
      }),
      cohere: sends({
        messages: [HI, { role: "assistant", content: [{ type: "text", text: "Hello." }] }, { role: "user", content: "How are you?" }],
      }),
    },
  },
  {
    feature: "Names of speakers",
    asks: { openai: { messages: [{ ...HI, name: "ann" }] } },
    gets: {
      "anthropic-messages": sends({ messages: [HI] }, "messages[].name"),
      gemini: sends({ contents: [GEMINI_HI] }, "messages[].name"),
      cohere: sends({ messages: [HI] }, "messages[].name"),
    },
  },
  {
    feature: "Image in the request",
    asks: {
      openai: { messages: [{ role: "user", content: [LOOK, { type: "image_url", image_url: { url: DATA_URL } }] }] },
      anthropic: {
        messages: [{ role: "user", content: [LOOK, { type: "image", source: { type: "base64", media_type: "image/png", data: DOT } }] }],
      },
    },
    gets: {
      "openai-chat": sends({ messages: [{ role: "user", content: [LOOK, { type: "image_url", image_url: { url: DATA_URL } }] }] }),
      "anthropic-messages": sends({
        messages: [{ role: "user", content: [LOOK, { type: "image", source: { type: "base64", media_type: "image/png", data: DOT } }] }],
      }),
      gemini: sends({ contents: [{ role: "user", parts: [{ text: LOOK.text }, { inlineData: { mimeType: "image/png", data: DOT } }] }] }),
      cohere: sends({ messages: [{ role: "user", content: [LOOK, { type: "image_url", image_url: { url: DATA_URL } }] }] }),
    },
  },
  {
    feature: "Image by its address",
    asks: {
      openai: { messages: [{ role: "user", content: [LOOK, { type: "image_url", image_url: { url: PHOTO } }] }] },
      anthropic: { messages: [{ role: "user", content: [LOOK, { type: "image", source: { type: "url", url: PHOTO } }] }] },
    },
    gets: {
      "openai-chat": sends({ messages: [{ role: "user", content: [LOOK, { type: "image_url", image_url: { url: PHOTO } }] }] }),
      "anthropic-messages": sends({
        messages: [{ role: "user", content: [LOOK, { type: "image", source: { type: "url", url: PHOTO } }] }],
      }),
      gemini: sends({
        contents: [{ role: "user", parts: [{ text: LOOK.text }, { fileData: { mimeType: "image/png", fileUri: PHOTO } }] }],
      }),
      cohere: sends({ messages: [{ role: "user", content: [LOOK, { type: "image_url", image_url: { url: PHOTO } }] }] }),
    },
  },
  {
    feature: "Image detail",
    asks: { openai: { messages: [{ role: "user", content: [LOOK, { type: "image_url", image_url: { url: PHOTO, detail: "low" } }] }] } },
    gets: {
      "anthropic-messages": sends(
        { messages: [{ role: "user", content: [LOOK, { type: "image", source: { type: "url", url: PHOTO } }] }] },
        "messages[].content[].image_url.detail",
      ),
      gemini: sends(
        { contents: [{ role: "user", parts: [{ text: LOOK.text }, { fileData: { mimeType: "image/png", fileUri: PHOTO } }] }] },
        "messages[].content[].image_url.detail",
      ),
      cohere: sends({ messages: [{ role: "user", content: [LOOK, { type: "image_url", image_url: { url: PHOTO, detail: "low" } }] }] }),
    },
  },
  {
    feature: "Document (PDF)",
    asks: {
      openai: {
        messages: [
          {
            role: "user",
            content: [LOOK, { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERi0=" } }],
          },
        ],
      },
      anthropic: {
        messages: [
          {
            role: "user",
            content: [LOOK, { type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" } }],
          },
        ],
      },
    },
    gets: {
      "openai-chat": refuses("messages[0].content[1]"),
      "anthropic-messages": refuses("messages[0].content[1]"),
      gemini: each({
        openai: sends({
          contents: [{ role: "user", parts: [{ text: LOOK.text }, { inlineData: { mimeType: "application/pdf", data: "JVBERi0=" } }] }],
        }),
        anthropic: refuses("messages[0].content[1]"),
      }),
      cohere: refuses("messages[0].content[1]"),
    },
  },
  {
    feature: "Audio in the request",
    asks: {
      openai: { messages: [{ role: "user", content: [LOOK, { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } }] }] },
    },
    gets: {
      "anthropic-messages": refuses("messages[0].content[1]"),
      gemini: sends({
        contents: [{ role: "user", parts: [{ text: LOOK.text }, { inlineData: { mimeType: "audio/wav", data: "UklGRg==" } }] }],
      }),
      cohere: refuses("messages[0].content[1]"),
    },
  },
];
