/** Canonical fields by the names that Anthropic's clients know them by; a longer path comes before its beginning. */
const OWN_NAMES: readonly (readonly [canonical: string, own: string])[] = [
  ["messages[].reasoning_details[]", "messages[].content[]"],
  ["messages[].reasoning_details", "messages[].content[].thinking"],
  ["messages[].tool_calls[]", "messages[].content[]"],
  ["parallel_tool_calls", "tool_choice.disable_parallel_tool_use"],
  ["reasoning_effort", "output_config.effort"],
  ["response_format.json_schema", "output_config.format"],
  ["response_format", "output_config.format"],
  ["stop", "stop_sequences"],
  ["tool_choice.function.name", "tool_choice.name"],
  ["user", "metadata.user_id"],
];

/** Where the client wrote what stands at a path of the canonical request. */
export function ownPath(path: string): string {
  const found = OWN_NAMES.find(([canonical]) => path === canonical || path.startsWith(`${canonical}.`));
  if (found) return found[1] + path.slice(found[0].length);
  return path.replace(/^(tools\[\d*\])\.function\./, "$1.");
}
